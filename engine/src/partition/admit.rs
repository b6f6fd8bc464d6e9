//! Admission of a batch: every check, then the one copy into the tail.

use std::sync::Arc;

use bytes::Bytes;

use super::Partition;
use super::producer_snapshot;
use super::producers::{Admit, Origin, ProducerError};
use crate::limits::{DECOMPRESSED_BYTES_MAX, INDEX_INTERVAL_BYTES_MIN};
use crate::log::index::IndexRules;
use crate::log::segment::OpenSegment;
use crate::log::tail::Mark;
use crate::memory::Pool;
use crate::record::batch::{BatchHeader, TimestampType, stamp_leader, stamp_timestamps};
use crate::record::layout::HEADER_BYTES;
use crate::record::validate::{BatchError, ProduceRules, validate_produce};
use crate::topic_config::{MessageTimestampType, TopicConfig};
use crate::types::{Nanos, Offset, TimestampMs};

/// A batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The shard does not have the partition (any more, or not yet).
    #[error("this shard does not lead the partition")]
    NotLeader,
    /// The log directory is offline.
    #[error("the log directory failed")]
    Storage,
    /// The batch is malformed or against the topic's rules.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Sequence, epoch or transaction of the producer are wrong.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The batch is larger than a segment.
    #[error("the batch has {bytes} bytes, a segment of this topic has at most {segment_bytes}")]
    LargerThanSegment {
        /// Its length.
        bytes: u64,
        /// `segment.bytes`.
        segment_bytes: u64,
    },
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// The log must be durable up to here before it is acknowledged.
    pub end: Offset,
    /// The broker's time where it replaced the records' timestamps, else -1.
    pub log_append_time_ms: TimestampMs,
}

/// The circumstances of an append.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic time.
    pub now: Nanos,
    /// Wall-clock time.
    pub wall_ms: TimestampMs,
}

/// The rules of a topic for produced batches.
#[must_use]
pub fn produce_rules(config: &TopicConfig, deep: bool, zstd_allowed: bool) -> ProduceRules {
    ProduceRules {
        batch_bytes_max: usize::try_from(config.max_message_bytes).unwrap_or_default(),
        timestamp_type: match config.message_timestamp_type {
            MessageTimestampType::CreateTime => TimestampType::CreateTime,
            MessageTimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: config.message_timestamp_before_max_ms,
        timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        compacted: config.cleanup_policy.compact,
        deep,
        decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        zstd_allowed,
    }
}

impl<W> Partition<W> {
    /// Appends a batch that a client produced.
    ///
    /// # Errors
    /// If the batch is refused; nothing has changed then.
    pub fn append(
        &mut self,
        pool: &Arc<Pool>,
        now: Now,
        records: &Bytes,
        rules: &ProduceRules,
    ) -> Result<Admitted, AppendError> {
        let validated = validate_produce(records, rules, now.wall_ms)?;
        let (head, body) =
            records.split_first_chunk::<HEADER_BYTES>().expect("a validated batch has a header");
        let mut head = *head;
        let mut header = validated.header;
        if let Some((kind, max_timestamp)) = validated.restamp {
            stamp_timestamps(&mut head, body, kind, max_timestamp);
            header.max_timestamp = max_timestamp;
        }
        let log_append_time_ms = validated.log_append_time.unwrap_or(-1);
        let admit = self.producers.check(&header, Origin::Client)?;
        if let Admit::Duplicate { base_offset, last_offset, timestamp } = admit {
            let log_append_time_ms = if log_append_time_ms == -1 { -1 } else { timestamp };
            return Ok(Admitted { base_offset, end: last_offset + 1, log_append_time_ms });
        }
        let bytes = records.len() as u64;
        let segment_bytes = u64::try_from(self.config.segment_bytes_max()).unwrap_or_default();
        if bytes > segment_bytes {
            return Err(AppendError::LargerThanSegment { bytes, segment_bytes });
        }
        let base_offset = self.push(pool, now, &mut header, &mut head, body);
        Ok(Admitted { base_offset, end: self.offsets.end(), log_append_time_ms })
    }

    /// Appends a batch that the broker itself built (a coordinator's or the controller's records).
    ///
    /// # Panics
    /// If it is not a whole batch.
    pub fn append_own(&mut self, pool: &Arc<Pool>, now: Now, batch: &Bytes) -> Admitted {
        let (head, body) =
            batch.split_first_chunk::<HEADER_BYTES>().expect("a built batch is whole");
        let mut header = BatchHeader::parse(head).expect("a built batch has a valid header");
        assert_eq!(header.size_bytes(), batch.len());
        let base_offset = self.push(pool, now, &mut header, &mut head.clone(), body);
        Admitted { base_offset, end: self.offsets.end(), log_append_time_ms: -1 }
    }

    /// Gives the batch its offset and puts it at the end of the log.
    fn push(
        &mut self,
        pool: &Arc<Pool>,
        now: Now,
        header: &mut BatchHeader,
        head: &mut [u8; HEADER_BYTES],
        body: &[u8],
    ) -> Offset {
        let bytes = (HEADER_BYTES + body.len()) as u64;
        let mut base_offset = self.offsets.end();
        if plant!(ReuseOffset) && base_offset % 64 == 63 {
            base_offset -= 1;
        }
        self.roll_if_due(header, bytes);
        header.base_offset = base_offset;
        header.partition_leader_epoch = self.leader_epoch;
        stamp_leader(head, base_offset, self.leader_epoch);
        self.epochs.assign(self.leader_epoch, base_offset);
        let active = self.active_mut();
        let mark =
            Mark { base_offset, position: active.tail.end(), max_timestamp: header.max_timestamp };
        active.tail.append(pool, mark, &[head, body]);
        active.note(mark, header.next_offset(), bytes);
        if header.has_producer_id() && !header.is_control() {
            self.producers.update(header, base_offset, header.max_timestamp);
        }
        self.offsets.appended(header.next_offset());
        self.last_append = now.now;
        base_offset
    }

    /// Begins a new segment if the active one is full or old (Kafka's `LogSegment.shouldRoll`).
    fn roll_if_due(&mut self, header: &BatchHeader, bytes: u64) {
        let active = self.active();
        if active.bytes() == 0 {
            return;
        }
        let segment_bytes = u64::try_from(self.config.segment_bytes_max()).unwrap_or(u64::MAX);
        let is_full = active.bytes() + bytes > segment_bytes;
        let age_ms = match active.first_timestamp {
            // A batch's own time counts, so that replayed history is cut where it was cut before.
            Some(first) if first >= 0 && header.max_timestamp >= 0 => header.max_timestamp - first,
            _ => 0,
        };
        let is_old = age_ms > self.config.segment_ms;
        let offset_delta =
            self.offsets.end() + i64::from(header.last_offset_delta) - active.base_offset;
        if is_full || is_old || active.index.is_full() || offset_delta > i64::from(i32::MAX) {
            let snapshot = producer_snapshot::encode(&self.producers.snapshot()).into();
            self.active_mut().snapshot_at_end = Some(snapshot);
            let next = OpenSegment::new(self.offsets.end(), index_rules(&self.config));
            self.open.push_back(next);
        }
    }
}

/// How densely the segments of a topic are indexed.
#[must_use]
pub fn index_rules(config: &TopicConfig) -> IndexRules {
    IndexRules {
        // Direct reads are large: a denser index would cost memory and save nothing.
        interval_bytes: u32::try_from(config.index_interval_bytes)
            .unwrap_or_default()
            .max(INDEX_INTERVAL_BYTES_MIN),
        file_bytes_max: u32::try_from(config.segment_index_bytes).unwrap_or_default(),
    }
}
