//! Writes a ledger's records: every batch again and again until the broker has said what became of it.

use std::collections::{BTreeMap, VecDeque};

use millrace::protocol::messages::produce::{
    ProduceRequest, ProduceRequestPartition, ProduceRequestTopic,
};
use millrace_engine::codec::Records;

use super::cluster::Cluster;
use super::ledger::Ledger;
use super::record::{HEAD_BYTES, Name};
use super::{Plan, VerifyError};
use crate::batch;
use crate::batch::header::Header;
use crate::batch::payload::Chance;
use crate::clock::Clock;
use crate::error;
use crate::wire::ask::AskError;

/// The last version before flexible encoding; old enough for any broker, new enough for zstd.
const PRODUCE: i16 = 8;
const TIMEOUT_MS: i32 = 10_000;
/// Most batch bytes in one request, so that no broker's limit on requests is met.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// What happened on the way.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Records whose batch got no answer and could not be sent again: they may be there or not.
    pub unknown: u64,
    /// The broker no longer knew a producer's sequence.
    pub renewals: u64,
    /// Refusals by name.
    pub refusals: BTreeMap<String, u64>,
    /// Why writing ended before it was over: the broker answered, and refused for too long.
    pub ended: Option<String>,
}

/// A batch on its way.
struct Pending {
    first: u64,
    count: u64,
    sequence: i32,
    body: Vec<u8>,
    /// It may have been written although no answer said so.
    uncertain: bool,
    done: bool,
}

/// One partition's batches, in order.
struct Lane {
    partition: i32,
    identity: (i64, i16),
    sequence: i32,
    pending: VecDeque<Pending>,
    renew: bool,
}

/// Writes records to all partitions.
pub struct Producer<'p> {
    plan: &'p Plan,
    ledger: u64,
    lanes: Vec<Lane>,
    clock: Clock,
    chance: Chance,
    made: u64,
    turn: usize,
    events: Events,
}

/// An answer: partition, which of its pending batches, error code, base offset.
type Answer = (i32, usize, i16, i64);

impl<'p> Producer<'p> {
    /// One that begins where `ledger` ends.
    pub fn new(
        plan: &'p Plan,
        ledger: &Ledger,
        cluster: &mut Cluster,
    ) -> Result<Self, VerifyError> {
        let identity = if plan.idempotent { identity(cluster)? } else { (-1, -1) };
        let lanes = ledger
            .partitions
            .keys()
            .map(|partition| Lane {
                partition: *partition,
                identity,
                sequence: 0,
                pending: VecDeque::new(),
                renew: false,
            })
            .collect();
        Ok(Self {
            plan,
            ledger: ledger.id,
            lanes,
            clock: Clock::start(),
            chance: Chance::new(plan.seed),
            made: 0,
            turn: 0,
            events: Events::default(),
        })
    }

    /// Records made so far.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Sends no more: what the broker went on refusing may have been written or not.
    pub fn give_up(&mut self, why: &AskError) {
        self.events.ended = Some(why.to_string());
        let pending = self.lanes.iter_mut().flat_map(|lane| lane.pending.drain(..));
        self.events.unknown += pending.map(|batch| batch.count).sum::<u64>();
    }

    /// What happened.
    pub fn into_events(self) -> Events {
        self.events
    }

    /// Makes batches while fewer than `budget` records are made, sends what is pending once, and notes the answers.
    /// `true`: nothing is pending.
    pub fn round(
        &mut self,
        cluster: &mut Cluster,
        ledger: &mut Ledger,
        budget: u64,
    ) -> Result<bool, VerifyError> {
        self.fill(ledger, budget)?;
        if self.lanes.iter().all(|lane| lane.pending.is_empty()) {
            return Ok(true);
        }
        let mut leaders: BTreeMap<String, Vec<i32>> = cluster.led().clone();
        leaders.values_mut().for_each(|led| led.retain(|partition| self.waits(*partition)));
        leaders.retain(|_, led| !led.is_empty());
        let mut answers = Vec::new();
        let mut trouble = None;
        for (address, partitions) in &leaders {
            if let Err(error) = self.exchange(cluster, address, partitions, &mut answers) {
                self.cut(partitions, &answers);
                trouble = Some(error);
            }
        }
        let refused = self.settle(ledger, &answers);
        if trouble.is_none() && !answers.is_empty() && refused.is_none() {
            cluster.worked();
        }
        let nobody = leaders.is_empty().then_some(error::LEADER_NOT_AVAILABLE);
        if let Some(error) = trouble {
            cluster.recover(error)?;
        } else if let Some(code) = refused.or(nobody) {
            let what = format!("producing to `{}`", cluster.topic());
            cluster.recover(AskError::Refused { what, code, detail: String::new() })?;
        }
        self.renew(cluster)?;
        Ok(false)
    }

    fn waits(&self, partition: i32) -> bool {
        self.lanes.iter().any(|lane| lane.partition == partition && !lane.pending.is_empty())
    }

    fn fill(&mut self, ledger: &mut Ledger, budget: u64) -> Result<(), VerifyError> {
        let lanes = self.lanes.len();
        let mut full = 0;
        while full < lanes && self.made < budget {
            self.turn = (self.turn + 1) % lanes;
            if self.lanes[self.turn].pending.len() >= self.plan.depth {
                full += 1;
                continue;
            }
            full = 0;
            let partition = self.lanes[self.turn].partition;
            let Some(account) = ledger.partitions.get_mut(&partition) else { continue };
            let (count, body) = self.make(partition, account.next, budget - self.made)?;
            let lane = &mut self.lanes[self.turn];
            lane.pending.push_back(Pending {
                first: account.next,
                count,
                sequence: lane.sequence,
                body,
                uncertain: false,
                done: false,
            });
            lane.sequence = lane.sequence.wrapping_add(count as i32) & i32::MAX;
            account.next += count;
            self.made += count;
        }
        Ok(())
    }

    /// The packed records of the next batch, at most `most` of them.
    fn make(
        &mut self,
        partition: i32,
        first: u64,
        most: u64,
    ) -> Result<(u64, Vec<u8>), VerifyError> {
        let (mut value, mut records) = (Vec::new(), Vec::new());
        let mut count = 0;
        while count < most && (count == 0 || records.len() < self.plan.batch_bytes) {
            let size = self.plan.sizes.draw(&mut self.chance).max(HEAD_BYTES);
            if count > 0 && records.len() + size > self.plan.batch_bytes {
                break;
            }
            let number = first + count;
            Name { ledger: self.ledger, partition, number }.write(size, &mut value);
            let key = number.to_be_bytes();
            batch::record::put(count as i32, Some(&key), &value, &mut records);
            count += 1;
        }
        let body = self.plan.codec.pack(&records).map_err(VerifyError::Pack)?;
        Ok((count, body))
    }

    /// Sends every pending batch of `partitions`, one batch of each per request, and collects the answers.
    fn exchange(
        &self,
        cluster: &mut Cluster,
        address: &str,
        partitions: &[i32],
        answers: &mut Vec<Answer>,
    ) -> Result<(), AskError> {
        let topic = cluster.topic().to_owned();
        let asker = cluster.asker(address)?;
        let lanes: Vec<&Lane> =
            self.lanes.iter().filter(|lane| partitions.contains(&lane.partition)).collect();
        let mut sent = Vec::new();
        for index in 0..self.plan.depth {
            let mut lanes = lanes.iter().filter(|lane| index < lane.pending.len()).peekable();
            while lanes.peek().is_some() {
                let mut bytes = 0;
                let mut data = Vec::new();
                while let Some(lane) = lanes.next_if(|_| bytes < REQUEST_BYTES_MAX) {
                    let batch = self.seal(lane, &lane.pending[index]);
                    bytes += batch.len();
                    data.push(ProduceRequestPartition {
                        index: lane.partition,
                        records: Some(Records::from(bytes::Bytes::from(batch))),
                    });
                }
                let request = ProduceRequest {
                    transactional_id: None,
                    acks: -1,
                    timeout_ms: TIMEOUT_MS,
                    topic_data: vec![ProduceRequestTopic {
                        name: topic.as_str().into(),
                        partition_data: data,
                        ..Default::default()
                    }],
                };
                asker.send(PRODUCE, &request)?;
                sent.push(index);
            }
        }
        for index in sent {
            let answer = asker.receive::<ProduceRequest>(PRODUCE)?;
            for outcome in answer.responses.iter().flat_map(|topic| &topic.partition_responses) {
                answers.push((outcome.index, index, outcome.error_code, outcome.base_offset));
            }
        }
        Ok(())
    }

    fn seal(&self, lane: &Lane, batch: &Pending) -> Vec<u8> {
        let header = Header {
            timestamp_ms: self.clock.unix_ms(self.clock.now_ns()),
            producer_id: lane.identity.0,
            producer_epoch: lane.identity.1,
            base_sequence: if self.plan.idempotent { batch.sequence } else { -1 },
            count: batch.count as i32,
            attributes: self.plan.codec.bits(),
        };
        header.seal(&batch.body)
    }

    /// A connection broke: what was sent to `partitions` and got no answer may have been written or not.
    fn cut(&mut self, partitions: &[i32], answers: &[Answer]) {
        for lane in self.lanes.iter_mut().filter(|lane| partitions.contains(&lane.partition)) {
            for (index, batch) in lane.pending.iter_mut().enumerate() {
                let answered = |answer: &Answer| (answer.0, answer.1) == (lane.partition, index);
                batch.uncertain |= !answers.iter().any(answered);
                if batch.uncertain && !self.plan.idempotent {
                    self.events.unknown += batch.count;
                    batch.done = true;
                }
            }
        }
    }

    /// Notes the answers. Returns the code of a refusal that asking again may mend.
    fn settle(&mut self, ledger: &mut Ledger, answers: &[Answer]) -> Option<i16> {
        let mut passing = None;
        for lane in &mut self.lanes {
            let Some(account) = ledger.partitions.get_mut(&lane.partition) else { continue };
            let mut blocked = false;
            for (_, index, code, offset) in answers.iter().filter(|a| a.0 == lane.partition) {
                let Some(batch) = lane.pending.get_mut(*index) else { continue };
                let range = (batch.first, batch.first + batch.count);
                match *code {
                    0 => {
                        account.acknowledge(range.0, range.1, (*offset >= 0).then_some(*offset));
                        batch.done = true;
                    }
                    error::DUPLICATE_SEQUENCE_NUMBER => {
                        account.acknowledge(range.0, range.1, None);
                        batch.done = true;
                    }
                    code if error::passing(code) => {
                        // These two are said although the batch may have been appended.
                        batch.uncertain |= error::may_have_happened(code);
                        if batch.uncertain && !self.plan.idempotent {
                            self.events.unknown += batch.count;
                            batch.done = true;
                        }
                        *self.events.refusals.entry(error::name(code)).or_default() += 1;
                        passing = Some(code);
                        blocked = true;
                    }
                    // What follows a refused batch is out of order, and goes again after it.
                    code if error::sequence_unknown(code) && blocked => {}
                    code if error::sequence_unknown(code) => {
                        *self.events.refusals.entry(error::name(code)).or_default() += 1;
                        lane.renew = true;
                        blocked = true;
                    }
                    code => {
                        *self.events.refusals.entry(error::name(code)).or_default() += 1;
                        if batch.uncertain {
                            self.events.unknown += batch.count;
                        } else {
                            account.refused.insert(range.0, range.1);
                        }
                        batch.done = true;
                        lane.renew = self.plan.idempotent;
                        blocked = true;
                    }
                }
            }
            lane.pending.retain(|batch| !batch.done);
        }
        passing
    }

    /// Gives a new producer id to lanes whose sequence the broker no longer knows. Batches that may have been written
    /// under the old one are not sent again: that could double them.
    fn renew(&mut self, cluster: &mut Cluster) -> Result<(), VerifyError> {
        for lane in self.lanes.iter_mut().filter(|lane| lane.renew) {
            lane.identity = identity(cluster)?;
            lane.renew = false;
            lane.sequence = 0;
            self.events.renewals += 1;
            lane.pending.retain(|batch| {
                if batch.uncertain {
                    self.events.unknown += batch.count;
                }
                !batch.uncertain
            });
            for batch in &mut lane.pending {
                batch.sequence = lane.sequence;
                lane.sequence = lane.sequence.wrapping_add(batch.count as i32) & i32::MAX;
            }
        }
        Ok(())
    }
}

fn identity(cluster: &mut Cluster) -> Result<(i64, i16), AskError> {
    cluster.insist(|cluster| {
        let any = cluster.led().keys().next().cloned().unwrap_or_default();
        cluster.asker(&any)?.init_producer_id()
    })
}
