//! Appends of clients.

use super::call::{Acks, Answer, Append, Appended, ReplyTo};
use super::event::Effect;
use super::stages::AppendTimes;
use super::{Shard, Slot, Waiter};
use crate::partition::AppendError;
use crate::partition::admit::{Now, produce_rules};
use crate::types::TopicPartition;

impl Shard {
    pub(super) fn on_append(
        &mut self,
        now: Now,
        reply: ReplyTo,
        append: Append,
        effects: &mut Vec<Effect>,
    ) {
        if !self.deferred.is_empty() || self.is_memory_full() {
            // Order is kept: whoever comes later waits behind.
            self.deferred.push_back((reply, append));
            return;
        }
        self.append_now(now, reply, &append, effects);
    }

    /// Takes up appends that waited for memory. A broker that stops refuses them, and waits for none; nor does
    /// one whose memory is full of what a full or failed disk does not take.
    pub(super) fn append_deferred(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while (self.is_closing || self.is_memory_stuck() || !self.is_memory_full())
            && let Some((reply, append)) = self.deferred.pop_front()
        {
            self.append_now(now, reply, &append, effects);
        }
    }

    fn append_now(&mut self, now: Now, reply: ReplyTo, append: &Append, effects: &mut Vec<Effect>) {
        let id = self.appends.next();
        let mut items = Vec::with_capacity(append.items.len());
        for (slot, item) in append.items.iter().enumerate() {
            let waiter = (append.acks != Acks::None).then_some((id, slot));
            let result = self.append_item(now, item.partition, &item.records, append, waiter);
            items.push(result);
        }
        if let Some(results) = self.appends.add(reply, AppendTimes::queued(now.now), items) {
            effects.push(Effect::Answer(reply, Answer::Appended { results, times: None }));
        }
    }

    /// Appends one batch. None means that the waiter is told later.
    fn append_item(
        &mut self,
        now: Now,
        id: TopicPartition,
        records: &bytes::Bytes,
        append: &Append,
        waiter: Option<(u64, usize)>,
    ) -> Option<Result<Appended, AppendError>> {
        if self.is_offline || self.deadlines.is_stalled(id) || self.is_memory_stuck() {
            return Some(Err(AppendError::Storage));
        }
        let partition = match self.partitions.get_mut(&id).filter(|_| !self.is_closing) {
            Some(Slot::Open(partition)) => partition,
            Some(Slot::Failed | Slot::Offline) => return Some(Err(AppendError::Storage)),
            Some(Slot::Opening(_)) | None => return Some(Err(AppendError::NotLeader)),
        };
        if partition.lost_end.is_some() {
            return Some(Err(AppendError::Storage));
        }
        let rules = produce_rules(&partition.config, self.settings.is_deep, append.zstd_allowed);
        let before = partition.memory_bytes();
        let admitted = match partition.append(&self.pool, now, records, &rules) {
            Ok(admitted) => admitted,
            Err(error) => return Some(Err(error)),
        };
        self.tail_bytes = self.tail_bytes + partition.memory_bytes() - before;
        let appended = Appended {
            base_offset: admitted.base_offset,
            log_append_time_ms: admitted.log_append_time_ms,
            log_start_offset: partition.offsets.start(),
        };
        if partition.is_dirty() {
            self.dirty.insert(id);
        }
        let Some((append, slot)) = waiter else { return Some(Ok(appended)) };
        if admitted.end <= partition.offsets.durable() {
            return Some(Ok(appended));
        }
        partition.acks.wait(admitted.end, Waiter::Append { append, slot, appended });
        None
    }

    /// Answers everyone whose append is durable or failed.
    pub(super) fn release(
        &mut self,
        now: Now,
        id: TopicPartition,
        waiter: Waiter,
        result: Result<(), AppendError>,
        effects: &mut Vec<Effect>,
    ) {
        match waiter {
            Waiter::Append { append, slot, appended } => {
                let is_durable = result.is_ok();
                let result = result.map(|()| appended);
                if let Some((reply, times, results)) = self.appends.done(append, slot, result) {
                    let times = is_durable.then(|| self.stages.durable(times, now.now));
                    effects.push(Effect::Answer(reply, Answer::Appended { results, times }));
                }
            }
            Waiter::Group => self.on_group_written(now, id, result.is_ok(), effects),
            Waiter::Controller => self.on_controller_written(now, result.is_ok(), effects),
        }
    }
}
