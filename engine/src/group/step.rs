//! One call or deadline being worked on: the time it is, and where its effects go.

use super::timers::Timers;
use super::writes::{AfterWrite, Writes};
use super::{GroupAnswer, GroupConfig};
use crate::machine::{MachineRecord, Order, Token};
use crate::types::{Nanos, TimestampMs};

/// Bytes that a record batch takes beyond its records.
const BATCH_HEADER_BYTES: usize = 61;
/// Most bytes that a record takes beyond its key and value: length, attributes, timestamp and offset
/// deltas, key and value lengths, header count.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// What a group needs beside itself.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// Monotonic time.
    pub(super) now: Nanos,
    /// Milliseconds since the epoch.
    pub(super) wall_ms: TimestampMs,
    /// The settings.
    pub(super) config: &'a GroupConfig,
    /// The deadlines.
    pub(super) timers: &'a mut Timers,
    /// The writes on their way.
    pub(super) writes: &'a mut Writes,
    orders: &'a mut Vec<Order<GroupAnswer>>,
    /// Where in `orders` this step's last write is.
    last_write: Option<usize>,
}

impl<'a> Step<'a> {
    /// A step that has done nothing yet.
    pub(super) fn new(
        time: (Nanos, TimestampMs),
        config: &'a GroupConfig,
        timers: &'a mut Timers,
        writes: &'a mut Writes,
        orders: &'a mut Vec<Order<GroupAnswer>>,
    ) -> Self {
        Self { now: time.0, wall_ms: time.1, config, timers, writes, orders, last_write: None }
    }

    /// Answers at once.
    pub(super) fn answer(&mut self, token: Token, answer: GroupAnswer) {
        self.orders.push(Order::Answer(token, answer));
    }

    /// Answers when everything that this step wrote is durable; at once if it wrote nothing.
    pub(super) fn answer_durable(&mut self, token: Token, answer: GroupAnswer) {
        match self.last_write.and_then(|index| self.orders.get_mut(index)) {
            Some(Order::Write { answers, .. }) => answers.push((token, answer)),
            _ => self.answer(token, answer),
        }
    }

    /// Writes `records` as one batch, unless there are none.
    pub(super) fn write(&mut self, records: Vec<MachineRecord>, after: AfterWrite) {
        if !records.is_empty() {
            self.last_write = Some(self.orders.len());
            self.orders.push(Order::Write { records, answers: Vec::new() });
            self.writes.push(after);
        }
    }

    /// Whether `records` go into one batch of the log.
    pub(super) fn fit_batch<'r>(&self, records: impl Iterator<Item = &'r MachineRecord>) -> bool {
        let bytes = records.map(record_bytes).fold(BATCH_HEADER_BYTES, usize::saturating_add);
        bytes <= self.config.batch_bytes_max
    }

    /// How many of `records`, from the first, go into one batch; at least one.
    pub(super) fn batch_prefix<'r>(
        &self,
        records: impl Iterator<Item = &'r MachineRecord>,
    ) -> usize {
        let mut bytes = BATCH_HEADER_BYTES;
        let fitting = records.take_while(|record| {
            bytes = bytes.saturating_add(record_bytes(record));
            bytes <= self.config.batch_bytes_max
        });
        fitting.count().max(1)
    }
}

/// An upper bound of what a record takes in a batch.
fn record_bytes(record: &MachineRecord) -> usize {
    let key = record.key.as_ref().map_or(0, |key| key.len());
    let value = record.value.as_ref().map_or(0, |value| value.len());
    key.saturating_add(value).saturating_add(RECORD_OVERHEAD_BYTES)
}
