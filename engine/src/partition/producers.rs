//! What a partition remembers of idempotent and transactional producers (KIP-98).
//!
//! Lives on the shard that owns the partition; only its appends, replay and housekeeping change it.
//! An append asks [`Producers::check`] first and, if the batch is new, tells [`Producers::update`]
//! once its offset is given. A control batch takes [`Producers::check_end`] and
//! [`Producers::end_transaction`] instead. Whether a producer may open a transaction at all
//! (KIP-890's verification) is decided by the caller.

use std::collections::BTreeMap;

use crate::record::batch::{BatchHeader, sequence_sub};
use crate::record::control::EndTransaction;
use crate::types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

/// Batches remembered per producer; clients have at most five requests in flight for this reason.
pub const BATCHES_KEPT: usize = 5;

const NO_EPOCH: ProducerEpoch = -1;
const NO_SEQUENCE: i32 = -1;

/// Who wrote a batch, which says how much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: duplicates, epoch and sequence.
    Client,
    /// A coordinator of this cluster, which has no sequence numbers: only the epoch.
    Coordinator,
    /// The partition's leader, or our own log: all of it was checked before.
    Replication,
}

/// What becomes of a batch that breaks no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// It is to be appended.
    New,
    /// It stands in the log already; the client gets the answer of that time.
    Duplicate {
        /// Offset of its first record.
        base_offset: Offset,
        /// Offset of its last record: what the answer must wait for.
        last_offset: Offset,
        /// Its max timestamp.
        timestamp: TimestampMs,
    },
}

/// Why a producer may not append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A newer instance of the producer has taken over: `INVALID_PRODUCER_EPOCH`.
    #[error("epoch {epoch} of producer {producer_id} is older than epoch {current}")]
    InvalidEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// Epoch of the batch.
        epoch: ProducerEpoch,
        /// Epoch that is known.
        current: ProducerEpoch,
    },
    /// A batch is missing before this one: `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error("sequence {sequence} of producer {producer_id} does not follow on {last}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// First sequence of the batch.
        sequence: i32,
        /// Last sequence that is known, -1 if none is known in the batch's epoch.
        last: i32,
    },
    /// A batch outside of the transaction that its producer has open: `INVALID_TXN_STATE`.
    #[error("producer {producer_id} wrote outside of the transaction that it has open")]
    InvalidTransactionState {
        /// The producer.
        producer_id: ProducerId,
    },
    /// The end of a transaction from a coordinator that was replaced:
    /// `TRANSACTION_COORDINATOR_FENCED`.
    #[error("coordinator epoch {epoch} of producer {producer_id} is older than {current}")]
    CoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// Epoch of the coordinator that asks.
        epoch: i32,
        /// Epoch that is known.
        current: i32,
    },
}

/// One appended batch, as far as duplicates are recognised by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchMark {
    /// Sequence of the last record, or -1.
    pub last_sequence: i32,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Last offset minus first offset.
    pub offset_delta: i32,
    /// Max timestamp.
    pub timestamp: TimestampMs,
}

impl BatchMark {
    /// Sequence of the first record.
    #[must_use]
    pub const fn first_sequence(&self) -> i32 {
        sequence_sub(self.last_sequence, self.offset_delta)
    }

    /// Offset of the first record.
    #[must_use]
    pub const fn base_offset(&self) -> Offset {
        self.last_offset.saturating_sub(self.offset_delta as i64)
    }
}

/// The last few batches of a producer, oldest first, kept in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct BatchMarks {
    marks: [BatchMark; BATCHES_KEPT],
    count: u8,
}

impl BatchMarks {
    fn as_slice(&self) -> &[BatchMark] {
        self.marks.get(..usize::from(self.count)).unwrap_or_default()
    }

    fn last(&self) -> Option<&BatchMark> {
        self.as_slice().last()
    }

    fn push(&mut self, mark: BatchMark) {
        let count = usize::from(self.count);
        if count == BATCHES_KEPT {
            self.marks.rotate_left(1);
            self.marks[BATCHES_KEPT - 1] = mark;
        } else {
            self.marks[count] = mark;
            self.count += 1;
        }
    }

    fn clear(&mut self) {
        self.count = 0;
    }
}

/// What is known of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    epoch: ProducerEpoch,
    coordinator_epoch: i32,
    last_timestamp: TimestampMs,
    transaction_first_offset: Option<Offset>,
    batches: BatchMarks,
}

impl Producer {
    const fn new() -> Self {
        let batches = BatchMarks {
            marks: [BatchMark { last_sequence: 0, last_offset: 0, offset_delta: 0, timestamp: 0 };
                BATCHES_KEPT],
            count: 0,
        };
        Self {
            epoch: NO_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: -1,
            transaction_first_offset: None,
            batches,
        }
    }

    /// Its epoch.
    #[must_use]
    pub const fn epoch(&self) -> ProducerEpoch {
        self.epoch
    }

    /// Epoch of the coordinator that last ended a transaction of it, -1 if none has.
    #[must_use]
    pub const fn coordinator_epoch(&self) -> i32 {
        self.coordinator_epoch
    }

    /// Timestamp of what it last wrote.
    #[must_use]
    pub const fn last_timestamp(&self) -> TimestampMs {
        self.last_timestamp
    }

    /// Where the transaction began that it has open.
    #[must_use]
    pub const fn transaction_first_offset(&self) -> Option<Offset> {
        self.transaction_first_offset
    }

    /// Last sequence of its epoch, or -1.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        self.batches.last().map_or(NO_SEQUENCE, |mark| mark.last_sequence)
    }

    /// Its last batches, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[BatchMark] {
        self.batches.as_slice()
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    fn is_expired(&self, now: TimestampMs, expiration_ms: i64) -> bool {
        self.transaction_first_offset.is_none()
            && now.saturating_sub(self.last_timestamp) >= expiration_ms
    }
}

/// A producer as a snapshot file holds it: only its last batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerEntry {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Its last batch, whose timestamp is not saved apart from `last_timestamp`.
    pub last_batch: Option<BatchMark>,
    /// Timestamp of what it last wrote.
    pub last_timestamp: TimestampMs,
    /// Epoch of the coordinator that last ended a transaction of it, or -1.
    pub coordinator_epoch: i32,
    /// Where the transaction began that it has open.
    pub transaction_first_offset: Option<Offset>,
}

/// A transaction that has ended and had written something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedTransaction {
    /// Whose it was.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its end marker.
    pub last_offset: Offset,
    /// Aborted: it belongs into the segment's transaction index.
    pub aborted: bool,
    /// The last stable offset right after it, for that index.
    pub last_stable_offset: Offset,
}

/// All producers of one partition. Empty it costs no heap memory.
#[derive(Debug, Clone, Default)]
pub struct Producers {
    by_id: BTreeMap<ProducerId, Producer>,
    /// Open transactions: first offset and producer.
    open: BTreeMap<Offset, ProducerId>,
    /// Ended transactions whose marker is not below the high watermark: first and last offset.
    unreplicated: BTreeMap<Offset, Offset>,
}

impl Producers {
    /// How many producers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no producer is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// One producer.
    #[must_use]
    pub fn get(&self, producer_id: ProducerId) -> Option<&Producer> {
        self.by_id.get(&producer_id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.by_id.iter().map(|(&id, producer)| (id, producer))
    }

    /// Whether the producer has a transaction open in this epoch.
    #[must_use]
    pub fn has_open_transaction(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        self.get(id).is_some_and(|p| p.epoch == epoch && p.transaction_first_offset.is_some())
    }

    /// Decides about a data batch before it gets its offset. Changes nothing.
    pub fn check(&self, header: &BatchHeader, origin: Origin) -> Result<Admit, ProducerError> {
        if !header.has_producer_id() || origin == Origin::Replication {
            return Ok(Admit::New);
        }
        // Nothing is known: the state may have expired, so any sequence may be the next one.
        let Some(producer) = self.get(header.producer_id) else { return Ok(Admit::New) };
        if origin == Origin::Client
            && let Some(mark) = duplicate(producer, header)
        {
            return Ok(Admit::Duplicate {
                base_offset: mark.base_offset(),
                last_offset: mark.last_offset,
                timestamp: mark.timestamp,
            });
        }
        if header.producer_epoch < producer.epoch {
            return Err(ProducerError::InvalidEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current: producer.epoch,
            });
        }
        if origin == Origin::Client {
            check_sequence(producer, header)?;
        }
        if producer.transaction_first_offset.is_some() && !header.is_transactional() {
            return Err(ProducerError::InvalidTransactionState { producer_id: header.producer_id });
        }
        Ok(Admit::New)
    }

    /// Remembers a data batch that was appended at `base_offset`. `timestamp` is its max timestamp
    /// as it stands in the log.
    pub fn update(&mut self, header: &BatchHeader, base_offset: Offset, timestamp: TimestampMs) {
        if !header.has_producer_id() {
            return;
        }
        let producer = self.by_id.entry(header.producer_id).or_insert(const { Producer::new() });
        producer.enter_epoch(header.producer_epoch);
        producer.batches.push(BatchMark {
            last_sequence: header.last_sequence(),
            last_offset: base_offset.saturating_add(i64::from(header.last_offset_delta)),
            offset_delta: header.last_offset_delta,
            timestamp,
        });
        producer.last_timestamp = timestamp;
        if header.is_transactional() && producer.transaction_first_offset.is_none() {
            producer.transaction_first_offset = Some(base_offset);
            self.open.insert(base_offset, header.producer_id);
        }
    }

    /// Decides about the end of a transaction. From transaction version 2 on (KIP-890) its epoch
    /// must be newer than the producer's, unless it is repeated after the transaction has ended.
    pub fn check_end(
        &self,
        header: &BatchHeader,
        end: EndTransaction,
        transaction_version: i16,
    ) -> Result<(), ProducerError> {
        let Some(producer) = self.get(header.producer_id) else { return Ok(()) };
        let (epoch, current) = (header.producer_epoch, producer.epoch);
        let refused = if transaction_version >= 2 {
            let repeated = epoch == current
                && (producer.transaction_first_offset.is_none() || epoch == ProducerEpoch::MAX);
            epoch <= current && !repeated
        } else {
            epoch < current
        };
        let producer_id = header.producer_id;
        if refused {
            return Err(ProducerError::InvalidEpoch { producer_id, epoch, current });
        }
        if producer.coordinator_epoch > end.coordinator_epoch {
            return Err(ProducerError::CoordinatorFenced {
                producer_id,
                epoch: end.coordinator_epoch,
                current: producer.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Remembers the end of a transaction, whose marker stands at `offset` with `timestamp`; tells
    /// of the transaction if it had written something.
    pub fn end_transaction(
        &mut self,
        header: &BatchHeader,
        end: EndTransaction,
        offset: Offset,
        timestamp: TimestampMs,
    ) -> Option<EndedTransaction> {
        let id = header.producer_id;
        let producer = self.by_id.entry(id).or_insert(const { Producer::new() });
        producer.enter_epoch(header.producer_epoch);
        producer.coordinator_epoch = end.coordinator_epoch;
        producer.last_timestamp = timestamp;
        let first_offset = producer.transaction_first_offset.take()?;
        // The next transaction still open bounds what is stable; else all up to the marker is.
        let next_open = self.open.iter().find(|&(_, &other)| other != id).map(|(&at, _)| at);
        self.open.remove(&first_offset);
        self.unreplicated.insert(first_offset, offset);
        Some(EndedTransaction {
            producer_id: id,
            first_offset,
            last_offset: offset,
            aborted: !end.commit,
            last_stable_offset: next_open.unwrap_or(offset.saturating_add(1)),
        })
    }

    /// Follows a batch of the log, during recovery or replication. `end` is what a control batch
    /// says; an empty one, whose transaction was compacted away, says nothing.
    pub fn replay(
        &mut self,
        header: &BatchHeader,
        end: Option<EndTransaction>,
    ) -> Option<EndedTransaction> {
        if !header.has_producer_id() {
            return None;
        }
        if !header.is_control() {
            self.update(header, header.base_offset, header.max_timestamp);
            return None;
        }
        self.end_transaction(header, end?, header.base_offset, header.max_timestamp)
    }

    /// The first offset whose transaction is open, or ended above the high watermark.
    #[must_use]
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let undecided = self.open.first_key_value().map(|(&offset, _)| offset);
        let unreplicated = self.unreplicated.first_key_value().map(|(&offset, _)| offset);
        match (undecided, unreplicated) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Up to where (exclusive) a reader of committed data may read.
    #[must_use]
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        self.first_unstable_offset().map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// Forgets ended transactions whose marker is below the high watermark (or below the log start
    /// offset, when that has moved).
    pub fn advance(&mut self, high_watermark: Offset) {
        self.unreplicated.retain(|_, &mut last| last >= high_watermark);
    }

    /// Forgets producers that wrote nothing for `expiration_ms` and have no transaction open
    /// (`producer.id.expiration.ms`). Says how many.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, producer| !producer.is_expired(now, expiration_ms));
        before - self.by_id.len()
    }

    /// Forgets everything, before a snapshot is loaded and the log is replayed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes producers from a snapshot, but those that have expired by `now`.
    pub fn load(&mut self, entries: &[ProducerEntry], now: TimestampMs, expiration_ms: i64) {
        for entry in entries {
            if let Some(known) = self.by_id.get_mut(&entry.producer_id)
                && known.epoch == entry.epoch
                && let Some(mark) = entry.last_batch
            {
                // One batch more of it.
                known.batches.push(mark);
                known.last_timestamp = entry.last_timestamp;
                continue;
            }
            let mut producer = Producer::new();
            producer.epoch = entry.epoch;
            producer.coordinator_epoch = entry.coordinator_epoch;
            producer.last_timestamp = entry.last_timestamp;
            producer.transaction_first_offset = entry.transaction_first_offset;
            if let Some(mark) = entry.last_batch {
                producer.batches.push(mark);
            }
            if producer.is_expired(now, expiration_ms) {
                continue;
            }
            if let Some(offset) = entry.transaction_first_offset {
                self.open.insert(offset, entry.producer_id);
            }
            self.by_id.insert(entry.producer_id, producer);
        }
    }

    /// As [`Producers::snapshot`], with an entry for each batch that is remembered, oldest first. None if
    /// there are more producers than `producers_max`.
    #[must_use]
    pub fn all_batches(&self, producers_max: usize) -> Option<Vec<ProducerEntry>> {
        if self.by_id.len() > producers_max {
            return None;
        }
        let mut entries = Vec::new();
        for (entry, producer) in self.snapshot().into_iter().zip(self.by_id.values()) {
            let earlier = producer.batches().split_last().map_or(&[][..], |(_, earlier)| earlier);
            entries.extend(earlier.iter().map(|mark| ProducerEntry {
                last_batch: Some(*mark),
                last_timestamp: mark.timestamp,
                ..entry
            }));
            entries.push(entry);
        }
        Some(entries)
    }

    /// What a snapshot at the log's end holds.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ProducerEntry> {
        let entry = |(producer_id, producer): (ProducerId, &Producer)| ProducerEntry {
            producer_id,
            epoch: producer.epoch,
            last_batch: producer.batches.last().copied(),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_first_offset: producer.transaction_first_offset,
        };
        self.iter().map(entry).collect()
    }
}

fn duplicate<'a>(producer: &'a Producer, header: &BatchHeader) -> Option<&'a BatchMark> {
    if header.producer_epoch != producer.epoch {
        return None;
    }
    let (first, last) = (header.base_sequence, header.last_sequence());
    producer.batches().iter().find(|m| m.last_sequence == last && m.first_sequence() == first)
}

fn check_sequence(producer: &Producer, header: &BatchHeader) -> Result<(), ProducerError> {
    if producer.epoch == NO_EPOCH {
        return Ok(());
    }
    let same_epoch = header.producer_epoch == producer.epoch;
    // A new epoch begins at 0, and so does one in which only a transaction's end was written.
    let last = if same_epoch { producer.last_sequence() } else { NO_SEQUENCE };
    let sequence = header.base_sequence;
    let follows = i64::from(sequence) == i64::from(last) + 1;
    let wraps = last == i32::MAX && sequence == 0;
    if follows || wraps {
        return Ok(());
    }
    Err(ProducerError::OutOfOrderSequence { producer_id: header.producer_id, sequence, last })
}

#[cfg(test)]
#[path = "producers_tests.rs"]
mod tests;
