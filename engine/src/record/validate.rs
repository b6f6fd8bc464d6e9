//! What a broker checks before it takes a produced batch, in Kafka's order.

use bytes::Bytes;

use super::batch::{self, BatchHeader, TimestampType};
use super::codec::{Codec, CodecError, Decompressor};
use super::layout::{BATCH_LENGTH, HEADER_BYTES, MAGIC, MAGIC_AT, PREFIX_BYTES, UP_TO_MAGIC_BYTES};
use super::records::{RecordError, Records};
use super::stream::{RecordStream, StreamError};
use crate::types::TimestampMs;

/// What a topic, the broker and the request's version ask of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceRules {
    /// `max.message.bytes`: of the whole batch as it was sent.
    pub batch_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` contains `compact`: every record needs a key.
    pub compacted: bool,
    /// Look into compressed batches too. Rules that cannot be kept otherwise always do.
    pub deep: bool,
    /// At most so many bytes may come out of a compressed batch.
    pub decompressed_bytes_max: u64,
    /// The request is Produce version 7 or later (KIP-110).
    pub zstd_allowed: bool,
}

impl ProduceRules {
    /// Whether compressed batches are decompressed: asked for, or needed to see keys and the
    /// oldest timestamp, which no header tells.
    #[must_use]
    pub const fn looks_inside(&self) -> bool {
        self.deep || self.compacted || self.timestamp_before_max_ms != i64::MAX
    }
}

/// A batch that may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validated {
    /// The header as it was sent.
    pub header: BatchHeader,
    /// Records in the batch, at least one.
    pub record_count: i32,
    /// Largest timestamp once appended, -1 if no record has one.
    pub max_timestamp: TimestampMs,
    /// Offset delta of the first record with the max timestamp; none if nobody looked inside.
    pub max_timestamp_delta: Option<i32>,
    /// The append time, where it replaces the records' timestamps; it belongs into the answer.
    pub log_append_time: Option<TimestampMs>,
    /// What [`batch::stamp_timestamps`] must write before the batch is appended, if anything.
    pub restamp: Option<(TimestampType, TimestampMs)>,
}

/// Why a batch is refused. The groups are those of Kafka's error codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes were damaged on the way: `CORRUPT_MESSAGE`.
    #[error("record batch is corrupt: {0}")]
    Corrupt(Damage),
    /// The client built a batch that may not be appended: `INVALID_RECORD`.
    #[error("record batch is invalid: {0}")]
    Invalid(Fault),
    /// Single records may not be appended: `INVALID_RECORD` with record errors (KIP-467).
    #[error("{} records were refused, the first because {}", .0.len(), first_reason(.0))]
    InvalidRecords(Vec<RefusedRecord>),
    /// Timestamps are out of range or of the wrong type: `INVALID_TIMESTAMP` with record errors.
    #[error("{} records were refused, the first because {}", .0.len(), first_reason(.0))]
    InvalidTimestamps(Vec<RefusedRecord>),
    /// The batch is larger than the topic allows: `MESSAGE_TOO_LARGE`.
    #[error("record batch has {size} bytes, at most {max} are allowed")]
    TooLarge {
        /// Bytes of the batch, or what came out of it before decompressing stopped.
        size: u64,
        /// The bound that was passed.
        max: u64,
    },
    /// zstd from a client too old for it, or no codec at all: `UNSUPPORTED_COMPRESSION_TYPE`.
    #[error("compression type {0} is not supported here")]
    UnsupportedCompression(i16),
}

/// How a batch is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The length field is too small for a batch.
    #[error("its length is {0}")]
    Length(i32),
    /// The magic is none that ever existed.
    #[error("its magic is {0}")]
    Magic(i8),
    /// The checksum differs.
    #[error("its checksum is {stored:#010x}, its bytes have {computed:#010x}")]
    Checksum {
        /// As the header has it.
        stored: u32,
        /// As the bytes have it.
        computed: u32,
    },
}

/// How a batch breaks the rules as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no complete batch.
    #[error("there is no complete batch")]
    Missing,
    /// Bytes follow the first batch.
    #[error("only one batch per partition is allowed")]
    MoreThanOne,
    /// The batch has an old format.
    #[error("its magic is {0}, only 2 is allowed")]
    Magic(i8),
    /// The base offset of a client is not 0.
    #[error("its base offset is {0} instead of 0")]
    BaseOffset(i64),
    /// The last offset delta is negative.
    #[error("its last offset delta is {0}")]
    OffsetRange(i32),
    /// No records, or fewer.
    #[error("it declares {0} records")]
    Count(i32),
    /// Offsets and record count disagree.
    #[error("it declares {count} records and last offset delta {last_offset_delta}")]
    CountMismatch {
        /// The record count of the header.
        count: i32,
        /// The last offset delta of the header.
        last_offset_delta: i32,
    },
    /// Only the broker writes control records.
    #[error("clients may not write control records")]
    Control,
    /// An idempotent producer must number its batches.
    #[error("its base sequence is {0} although it has a producer id")]
    Sequence(i32),
    /// A record's bytes are not a record.
    #[error("record {index}: {error}")]
    Record {
        /// The record's place in the batch.
        index: i32,
        /// What is wrong with it.
        error: RecordError,
    },
    /// The records are not numbered 0, 1, 2 and so on.
    #[error("record {index} has offset delta {offset_delta}")]
    OffsetDelta {
        /// The record's place in the batch.
        index: i32,
        /// The number that it has.
        offset_delta: i32,
    },
    /// The records cannot be decompressed.
    #[error("its records cannot be decompressed")]
    Compression,
}

/// One record that may not be appended, for `RecordErrors` of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedRecord {
    /// The record's place in the batch.
    pub batch_index: i32,
    /// What is wrong with it.
    pub reason: Refusal,
}

/// Why one record may not be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A compacted topic needs keys.
    #[error("a record without a key cannot be appended to a compacted topic")]
    NullKey,
    /// The timestamp is too old or too far ahead.
    #[error("timestamp {timestamp} is outside of {earliest} to {latest}")]
    TimestampRange {
        /// As the record has it.
        timestamp: TimestampMs,
        /// The oldest that is allowed.
        earliest: TimestampMs,
        /// The youngest that is allowed.
        latest: TimestampMs,
    },
    /// Only the broker sets log append time.
    #[error("a producer may not set the timestamp type to log append time")]
    LogAppendTime,
}

/// More refused records are not listed: the answer must stay small.
const REFUSED_RECORDS_MAX: usize = 1_000;
/// The least length field with which Kafka looks at magic at all.
const OLD_BATCH_LENGTH_MIN: i32 = 14;
const NO_TIMESTAMP: TimestampMs = -1;

fn first_reason(refused: &[RefusedRecord]) -> String {
    refused.first().map(|r| r.reason.to_string()).unwrap_or_default()
}

/// Checks a batch as a client produced it, without changing it.
///
/// `bytes` are the records of one partition in a Produce request, `now_ms` is the broker's time.
pub fn validate_produce(
    bytes: &Bytes,
    rules: &ProduceRules,
    now_ms: TimestampMs,
) -> Result<Validated, BatchError> {
    let header = one_batch(bytes, rules)?;
    check_header(bytes, &header, rules)?;
    let codec = header.codec().ok_or_else(|| unsupported(&header))?;
    let mut check = RecordCheck::new(&header, rules, now_ms);
    if codec == Codec::None {
        check_plain(bytes, &header, &mut check)?;
    } else if rules.looks_inside() {
        check_compressed(bytes, &header, rules, &mut check)?;
    } else {
        check.trust();
    }
    check.finish()
}

/// Exactly one whole batch of magic 2, and a codec that the request's version may use.
fn one_batch(bytes: &[u8], rules: &ProduceRules) -> Result<BatchHeader, BatchError> {
    let prefix = bytes.first_chunk::<PREFIX_BYTES>().ok_or(BatchError::Invalid(Fault::Missing))?;
    let mut length = [0; 4];
    length.copy_from_slice(&prefix[BATCH_LENGTH..]);
    let length = i32::from_be_bytes(length);
    if length < OLD_BATCH_LENGTH_MIN {
        return Err(BatchError::Corrupt(Damage::Length(length)));
    }
    let head =
        bytes.first_chunk::<UP_TO_MAGIC_BYTES>().ok_or(BatchError::Invalid(Fault::Missing))?;
    let magic = i8::from_be_bytes([head[MAGIC_AT]]);
    if !(0..=MAGIC).contains(&magic) {
        return Err(BatchError::Corrupt(Damage::Magic(magic)));
    }
    if bytes.len() - PREFIX_BYTES < length as usize {
        return Err(BatchError::Invalid(Fault::Missing));
    }
    if magic != MAGIC {
        return Err(BatchError::Invalid(Fault::Magic(magic)));
    }
    // Magic is known by now, so only the length can be wrong.
    let header =
        BatchHeader::parse(bytes).map_err(|_| BatchError::Corrupt(Damage::Length(length)))?;
    match header.codec() {
        Some(Codec::Zstd) if !rules.zstd_allowed => return Err(unsupported(&header)),
        Some(_) => {}
        None => return Err(unsupported(&header)),
    }
    if bytes.len() > header.size_bytes() {
        return Err(BatchError::Invalid(Fault::MoreThanOne));
    }
    Ok(header)
}

fn unsupported(header: &BatchHeader) -> BatchError {
    BatchError::UnsupportedCompression(header.attributes & super::layout::CODEC_MASK)
}

/// All that the header tells by itself, and the checksum.
fn check_header(
    bytes: &[u8],
    header: &BatchHeader,
    rules: &ProduceRules,
) -> Result<(), BatchError> {
    let invalid = |fault| Err(BatchError::Invalid(fault));
    if header.base_offset != 0 {
        return invalid(Fault::BaseOffset(header.base_offset));
    }
    let size = header.size_bytes();
    if size > rules.batch_bytes_max {
        let max = rules.batch_bytes_max as u64;
        return Err(BatchError::TooLarge { size: size as u64, max });
    }
    let (head, records) = bytes
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(BatchError::Corrupt(Damage::Length(header.batch_length)))?;
    let computed = batch::checksum(head, records);
    if computed != header.crc {
        return Err(BatchError::Corrupt(Damage::Checksum { stored: header.crc, computed }));
    }
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if last_offset_delta < 0 {
        return invalid(Fault::OffsetRange(last_offset_delta));
    }
    if count <= 0 {
        return invalid(Fault::Count(count));
    }
    if last_offset_delta != count - 1 {
        return invalid(Fault::CountMismatch { count, last_offset_delta });
    }
    if header.is_control() {
        return invalid(Fault::Control);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return invalid(Fault::Sequence(header.base_sequence));
    }
    Ok(())
}

fn check_plain(
    bytes: &[u8],
    header: &BatchHeader,
    check: &mut RecordCheck<'_>,
) -> Result<(), BatchError> {
    let records = bytes.get(HEADER_BYTES..).unwrap_or_default();
    for record in Records::new(records, header.record_count) {
        let record = record.map_err(|error| check.fault(error))?;
        check.record(record.timestamp_delta, record.offset_delta, record.key.is_some())?;
    }
    Ok(())
}

fn check_compressed(
    bytes: &[u8],
    header: &BatchHeader,
    rules: &ProduceRules,
    check: &mut RecordCheck<'_>,
) -> Result<(), BatchError> {
    let codec = header.codec().ok_or_else(|| unsupported(header))?;
    let packed = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let stream =
        Decompressor::new(codec, packed, rules.decompressed_bytes_max).map_err(codec_error)?;
    let mut stream = RecordStream::new(stream, header.record_count);
    loop {
        match stream.next_outline() {
            Ok(Some(record)) => {
                check.record(record.timestamp_delta, record.offset_delta, record.has_key)?;
            }
            Ok(None) => return Ok(()),
            Err(StreamError::Record(error)) => return Err(check.fault(error)),
            Err(StreamError::Codec(error)) => return Err(codec_error(error)),
        }
    }
}

fn codec_error(error: CodecError) -> BatchError {
    match error {
        CodecError::Malformed => BatchError::Invalid(Fault::Compression),
        CodecError::TooLarge(max) => BatchError::TooLarge { size: max.saturating_add(1), max },
    }
}

/// Looks at records one after the other.
struct RecordCheck<'a> {
    header: &'a BatchHeader,
    rules: &'a ProduceRules,
    now_ms: TimestampMs,
    /// The timestamp of every record, if the client claims log append time.
    claimed: Option<TimestampMs>,
    next: i32,
    max_timestamp: TimestampMs,
    max_timestamp_delta: Option<i32>,
    refused: Vec<RefusedRecord>,
    timestamp_refused: bool,
}

impl<'a> RecordCheck<'a> {
    fn new(header: &'a BatchHeader, rules: &'a ProduceRules, now_ms: TimestampMs) -> Self {
        let claimed = (header.timestamp_type() == TimestampType::LogAppendTime)
            .then_some(header.max_timestamp);
        Self {
            header,
            rules,
            now_ms,
            claimed,
            next: 0,
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_delta: None,
            refused: Vec::new(),
            timestamp_refused: false,
        }
    }

    fn fault(&self, error: RecordError) -> BatchError {
        BatchError::Invalid(Fault::Record { index: self.next, error })
    }

    #[inline]
    fn record(
        &mut self,
        timestamp_delta: i64,
        offset_delta: i32,
        has_key: bool,
    ) -> Result<(), BatchError> {
        let index = self.next;
        // Kafka numbers the records of such a batch anew, for clients older than its format.
        if offset_delta != index {
            return Err(BatchError::Invalid(Fault::OffsetDelta { index, offset_delta }));
        }
        let timestamp = match self.claimed {
            Some(claimed) => claimed,
            None => self.header.base_timestamp.wrapping_add(timestamp_delta),
        };
        if self.rules.compacted && !has_key {
            self.refuse(index, Refusal::NullKey);
        } else {
            self.timestamp(index, timestamp);
        }
        if timestamp > self.max_timestamp {
            self.max_timestamp = timestamp;
            self.max_timestamp_delta = Some(index);
        }
        self.next += 1;
        Ok(())
    }

    #[inline]
    fn timestamp(&mut self, index: i32, timestamp: TimestampMs) {
        if self.rules.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP {
            let age = self.now_ms.saturating_sub(timestamp);
            if age > self.rules.timestamp_before_max_ms
                || age.saturating_neg() > self.rules.timestamp_after_max_ms
            {
                let earliest = self.now_ms.saturating_sub(self.rules.timestamp_before_max_ms);
                let latest = self.now_ms.saturating_add(self.rules.timestamp_after_max_ms);
                self.timestamp_refused = true;
                self.refuse(index, Refusal::TimestampRange { timestamp, earliest, latest });
            }
        } else if self.claimed.is_some() {
            self.timestamp_refused = true;
            self.refuse(index, Refusal::LogAppendTime);
        }
    }

    #[cold]
    fn refuse(&mut self, batch_index: i32, reason: Refusal) {
        if self.refused.len() < REFUSED_RECORDS_MAX {
            self.refused.push(RefusedRecord { batch_index, reason });
        }
    }

    /// Takes the header's word for the timestamps.
    fn trust(&mut self) {
        self.max_timestamp = self.header.max_timestamp;
        self.timestamp(0, self.header.max_timestamp);
    }

    fn finish(self) -> Result<Validated, BatchError> {
        if !self.refused.is_empty() {
            return Err(if self.timestamp_refused {
                BatchError::InvalidTimestamps(self.refused)
            } else {
                BatchError::InvalidRecords(self.refused)
            });
        }
        let kind = self.rules.timestamp_type;
        let (max_timestamp, max_timestamp_delta, log_append_time) = match kind {
            TimestampType::CreateTime => (self.max_timestamp, self.max_timestamp_delta, None),
            TimestampType::LogAppendTime => (self.now_ms, Some(0), Some(self.now_ms)),
        };
        let stays =
            self.header.timestamp_type() == kind && self.header.max_timestamp == max_timestamp;
        Ok(Validated {
            header: *self.header,
            record_count: self.header.record_count,
            max_timestamp,
            max_timestamp_delta,
            log_append_time,
            restamp: (!stays).then_some((kind, max_timestamp)),
        })
    }
}
