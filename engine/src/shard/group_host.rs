//! Hosts the group coordinators of the `__consumer_offsets` partitions that live here: loads them from
//! their logs, appends what they order, and gives their answers when that is durable.

use std::collections::VecDeque;

use bytes::Bytes;

use super::call::{Answer, CoordinatorError, ReplyTo};
use super::event::{DiskFailure, Effect, Job};
use super::{Shard, Slot, Waiter};
use crate::group::{GroupAnswer, GroupCall, GroupMachine};
use crate::limits::{LOADING_CALLS_MAX, STALLED_WRITE_MS};
use crate::machine::{MachineRecord, Order, Token};
use crate::metadata::controller::name::CONSUMER_OFFSETS;
use crate::partition::admit::Now;
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::walk::each_record;
use crate::types::{Nanos, ShardId, TopicId, TopicPartition};

/// One coordinator.
#[derive(Debug)]
pub struct GroupHost {
    partition: TopicPartition,
    machine: GroupMachine,
    is_loading: bool,
    /// Calls that came while it was loading.
    waiting: Vec<(ReplyTo, GroupCall)>,
    /// Answers that wait for the machine's writes, oldest first, and since when.
    held: VecDeque<(Nanos, Vec<(Token, GroupAnswer)>)>,
}

impl GroupHost {
    /// Since when the oldest write waits for the disk, if that is longer than disks take.
    fn stalled_since(&self, now: Nanos) -> Option<Nanos> {
        let (since, _) = self.held.front()?;
        (now.ms_since(*since) >= STALLED_WRITE_MS).then_some(*since)
    }
}

const TOKEN_BITS: u32 = 48;

/// A caller's name as the machine knows it.
fn token_of(reply: ReplyTo) -> Token {
    Token(u64::from(reply.shard) << TOKEN_BITS | reply.token.0)
}

fn reply_of(token: Token) -> ReplyTo {
    let shard = ShardId::try_from(token.0 >> TOKEN_BITS).expect("16 bits are a shard");
    ReplyTo { shard, token: Token(token.0 & ((1 << TOKEN_BITS) - 1)) }
}

fn answer_to(token: Token, result: Result<GroupAnswer, CoordinatorError>) -> Effect {
    Effect::Answer(reply_of(token), Answer::Group(result))
}

impl Shard {
    /// The partition whose log the coordinator of this number has.
    pub(super) fn coordinator_log(&self, partition: i32) -> Option<TopicPartition> {
        let topic = self.image.topics.by_name(CONSUMER_OFFSETS)?;
        Some(TopicPartition { topic_id: topic.id, partition })
    }

    /// A partition was opened: if it holds a coordinator's log, the coordinator is loaded.
    pub(super) fn begin_loading(&mut self, id: TopicPartition, effects: &mut Vec<Effect>) {
        let Some(Slot::Open(partition)) = self.partitions.get(&id) else { return };
        if &*partition.topic != CONSUMER_OFFSETS {
            return;
        }
        let segments = partition
            .sealed()
            .iter()
            .map(|segment| (segment.base_offset, segment.bytes))
            .chain(partition.open_segments().map(|open| (open.base_offset, open.bytes())))
            .filter(|(_, bytes)| *bytes > 0)
            .collect();
        effects.push(Effect::Run(Job::ReadLog {
            partition: id,
            dir: partition.dir.clone(),
            segments,
        }));
        let machine = GroupMachine::new(self.settings.group.clone());
        let (waiting, held) = (Vec::new(), VecDeque::new());
        let host = GroupHost { partition: id, machine, is_loading: true, waiting, held };
        self.groups.insert(id.partition, host);
    }

    pub(super) fn on_log_part(
        &mut self,
        now: Now,
        id: TopicPartition,
        result: Result<Option<Bytes>, DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(host) = self.groups.get_mut(&id.partition).filter(|host| host.partition == id)
        else {
            return;
        };
        match result {
            Ok(Some(batches)) => {
                let mut skipped = 0_u64;
                let walked = each_record(&batches, |key, value| {
                    if host.machine.replay(key, value).is_err() {
                        skipped += 1;
                    }
                });
                if walked.is_err() || skipped > 0 {
                    tracing::error!(
                        partition = id.partition,
                        skipped,
                        "records of {CONSUMER_OFFSETS} could not be read and were skipped"
                    );
                }
            }
            Ok(None) => {
                host.is_loading = false;
                let mut orders = Vec::new();
                host.machine.on_loaded(now.now, now.wall_ms, &mut orders);
                // Topics may have gone while nobody was here to forget their offsets.
                let image = &self.image;
                let is_gone = |(name, id): &(String, TopicId)| {
                    let is_other = |now| !id.is_zero() && *id != now;
                    image.topics.id_of(name).is_none_or(is_other)
                };
                for gone in host.machine.topics().into_iter().filter(is_gone) {
                    let gone = [gone];
                    host.machine.topics_deleted(now.now, now.wall_ms, &gone, &mut orders);
                }
                let groups = host.machine.group_count();
                if groups > 0 {
                    tracing::info!(partition = id.partition, groups, "group coordinator loaded");
                }
                let waiting = std::mem::take(&mut host.waiting);
                self.carry_out(now, id.partition, orders, effects);
                for (reply, call) in waiting {
                    self.on_group(now, reply, id.partition, call, effects);
                }
            }
            Err(failure) => {
                tracing::error!(%failure, "a group coordinator could not be loaded");
                self.unload(id, effects);
            }
        }
    }

    pub(super) fn on_group(
        &mut self,
        now: Now,
        reply: ReplyTo,
        partition: i32,
        call: GroupCall,
        effects: &mut Vec<Effect>,
    ) {
        let token = token_of(reply);
        let Some(host) = self.groups.get_mut(&partition) else {
            effects.push(answer_to(token, Err(CoordinatorError::NotHere)));
            return;
        };
        if host.is_loading && host.waiting.len() < LOADING_CALLS_MAX {
            host.waiting.push((reply, call));
            return;
        }
        if host.is_loading {
            effects.push(answer_to(token, Err(CoordinatorError::Loading)));
            return;
        }
        if self.is_closing {
            effects.push(answer_to(token, Err(CoordinatorError::NotHere)));
            return;
        }
        if self.is_offline {
            effects.push(answer_to(token, Err(CoordinatorError::Storage)));
            return;
        }
        if self.deadlines.is_stalled(host.partition) && call.is_storing() {
            effects.push(answer_to(token, Err(CoordinatorError::Storage)));
            return;
        }
        let mut orders = Vec::new();
        host.machine.call(now.now, now.wall_ms, token, call, &mut orders);
        self.carry_out(now, partition, orders, effects);
    }

    /// Does what a coordinator ordered.
    fn carry_out(
        &mut self,
        now: Now,
        group_partition: i32,
        orders: Vec<Order<GroupAnswer>>,
        effects: &mut Vec<Effect>,
    ) {
        for order in orders {
            match order {
                Order::Answer(token, answer) => effects.push(answer_to(token, Ok(answer))),
                Order::Write { records, answers } => {
                    let Some(host) = self.groups.get_mut(&group_partition) else { return };
                    let id = host.partition;
                    host.held.push_back((now.now, answers));
                    self.append_own(now, id, &records, Waiter::Group);
                }
            }
        }
    }

    /// Appends the records of a coordinator or the controller as one batch.
    pub(super) fn append_own(
        &mut self,
        now: Now,
        id: TopicPartition,
        records: &[MachineRecord],
        waiter: Waiter,
    ) {
        let batch = batch_of(records);
        let Some(Slot::Open(partition)) = self.partitions.get_mut(&id) else { return };
        let before = partition.memory_bytes();
        let admitted = partition.append_own(&self.pool, now, &batch);
        partition.acks.wait(admitted.end, waiter);
        self.tail_bytes = self.tail_bytes + partition.memory_bytes() - before;
        self.dirty.insert(id);
    }

    /// The oldest write of a coordinator is durable, or failed.
    pub(super) fn on_group_written(
        &mut self,
        now: Now,
        id: TopicPartition,
        is_durable: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(host) = self.groups.get_mut(&id.partition) else { return };
        let was_stalled = host.stalled_since(now.now).is_some();
        let (_, answers) = host.held.pop_front().unwrap_or_default();
        if !is_durable {
            let failed = answers.into_iter().map(|(token, _)| token);
            effects.extend(failed.map(|token| answer_to(token, Err(CoordinatorError::Storage))));
            // The machine is ahead of its log: it ends here.
            self.unload(id, effects);
            return;
        }
        let mut orders = Vec::new();
        if was_stalled && host.stalled_since(now.now).is_none() {
            // Heartbeats may have had to wait behind what the disk did not do.
            host.machine.renew_sessions(now.now, now.wall_ms, &mut orders);
        }
        host.machine.written(now.now, now.wall_ms, &mut orders);
        effects.extend(answers.into_iter().map(|(token, answer)| answer_to(token, Ok(answer))));
        self.carry_out(now, id.partition, orders, effects);
    }

    /// Topics are gone: so are the offsets that groups committed for them.
    pub(super) fn forget_offsets(
        &mut self,
        now: Now,
        topics: &[(String, TopicId)],
        effects: &mut Vec<Effect>,
    ) {
        let partitions: Vec<_> = self.groups.keys().copied().collect();
        for partition in partitions {
            let Some(host) = self.groups.get_mut(&partition) else { continue };
            if host.is_loading {
                continue;
            }
            let mut orders = Vec::new();
            host.machine.topics_deleted(now.now, now.wall_ms, topics, &mut orders);
            self.carry_out(now, partition, orders, effects);
        }
    }

    /// A coordinator's partition is gone from here.
    pub(super) fn unload(&mut self, id: TopicPartition, effects: &mut Vec<Effect>) {
        if self.groups.get(&id.partition).is_none_or(|host| host.partition != id) {
            return;
        }
        let Some(mut host) = self.groups.remove(&id.partition) else { return };
        let mut orders = Vec::new();
        host.machine.unload(&mut orders);
        for order in orders {
            if let Order::Answer(token, answer) = order {
                effects.push(answer_to(token, Ok(answer)));
            }
        }
        for (reply, _) in host.waiting {
            effects.push(answer_to(token_of(reply), Err(CoordinatorError::NotHere)));
        }
        for (token, _) in host.held.into_iter().flat_map(|(_, answers)| answers) {
            effects.push(answer_to(token, Err(CoordinatorError::NotHere)));
        }
    }

    pub(super) fn tick_groups(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let due: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, host)| {
                self.is_ticking(host, now.now) && host.machine.next_deadline() <= now.now
            })
            .map(|(partition, _)| *partition)
            .collect();
        for partition in due {
            let Some(host) = self.groups.get_mut(&partition) else { continue };
            let mut orders = Vec::new();
            host.machine.tick(now.now, now.wall_ms, &mut orders);
            self.carry_out(now, partition, orders, effects);
        }
    }

    pub(super) fn next_group_deadline(&self) -> Nanos {
        let now = self.deadlines.last;
        let deadlines = self.groups.values().filter(|host| self.is_ticking(host, now));
        deadlines.map(|host| host.machine.next_deadline()).min().unwrap_or(Nanos::NEVER)
    }

    /// Whether a coordinator's clock goes on: not while it is loaded, and not while the disk is
    /// stalled, as members that are there could not show it. A full disk answers, and is no such case.
    fn is_ticking(&self, host: &GroupHost, now: Nanos) -> bool {
        let is_stalled = host.stalled_since(now).is_some();
        !host.is_loading && (!is_stalled || self.deadlines.is_stalled(host.partition))
    }

    /// A coordinator's log has no room: who waits for it is told. The machine goes on, and its records
    /// are written when there is room.
    pub(super) fn refuse_held(&mut self, id: TopicPartition, effects: &mut Vec<Effect>) {
        let Some(host) = self.groups.get_mut(&id.partition).filter(|host| host.partition == id)
        else {
            return;
        };
        let held = host.held.iter_mut().flat_map(|(_, answers)| std::mem::take(answers));
        effects.extend(held.map(|(token, _)| answer_to(token, Err(CoordinatorError::Storage))));
    }
}

/// One batch of a machine's records.
fn batch_of(records: &[MachineRecord]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for record in records {
        builder
            .push(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &[])
            .expect("a machine's records fit into one batch");
    }
    builder.finish()
}
