//! The header of one version 2 batch: reading it, and stamping what the broker assigns.

use super::codec::Codec;
use super::layout::{
    ATTRIBUTES, BASE_OFFSET, BASE_SEQUENCE, BASE_TIMESTAMP, BATCH_LENGTH, CODEC_MASK, CONTROL_BIT,
    CRC, DELETE_HORIZON_BIT, HEADER_BYTES, LAST_OFFSET_DELTA, LOG_APPEND_TIME_BIT, MAGIC, MAGIC_AT,
    MAX_TIMESTAMP, PARTITION_LEADER_EPOCH, PREFIX_BYTES, PRODUCER_EPOCH, PRODUCER_ID, RECORD_COUNT,
    TRANSACTIONAL_BIT,
};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// Who gave a batch's records their timestamps (KIP-32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The client, record by record.
    #[default]
    CreateTime,
    /// The broker: the batch's max timestamp counts for every record.
    LogAppendTime,
}

/// A batch header as it stands in the bytes; nothing but magic and length was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; 0 from clients.
    pub base_offset: Offset,
    /// Bytes after the length field, at least 49.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; -1 from clients.
    pub partition_leader_epoch: LeaderEpoch,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec and flags, see [`super::layout`].
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas are added to.
    pub base_timestamp: TimestampMs,
    /// Largest timestamp of the records.
    pub max_timestamp: TimestampMs,
    /// Idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// Its epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Records in the batch; compaction may leave none.
    pub record_count: i32,
}

/// The bytes do not begin with a version 2 batch header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Fewer bytes than a header has.
    #[error("a batch header needs 61 bytes, there are {0}")]
    Short(usize),
    /// Another format, or garbage.
    #[error("batch has magic {0}, only 2 is supported")]
    Magic(i8),
    /// The length field cannot be true: the header alone is longer.
    #[error("batch length {0} is smaller than a batch header")]
    Length(i32),
}

/// Largest sequence number; the next one after it is 0.
const SEQUENCE_MAX: i32 = i32::MAX;
/// The least value of the length field: a batch without records.
const BATCH_LENGTH_MIN: i32 = (HEADER_BYTES - PREFIX_BYTES) as i32;

impl BatchHeader {
    /// Reads the header at the front of `bytes`; the batch itself may be longer than `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let head = bytes.first_chunk::<HEADER_BYTES>().ok_or(HeaderError::Short(bytes.len()))?;
        let magic = i8::from_be_bytes(field(head, MAGIC_AT));
        if magic != MAGIC {
            return Err(HeaderError::Magic(magic));
        }
        let batch_length = i32::from_be_bytes(field(head, BATCH_LENGTH));
        if batch_length < BATCH_LENGTH_MIN {
            return Err(HeaderError::Length(batch_length));
        }
        Ok(Self {
            base_offset: i64::from_be_bytes(field(head, BASE_OFFSET)),
            batch_length,
            partition_leader_epoch: i32::from_be_bytes(field(head, PARTITION_LEADER_EPOCH)),
            crc: u32::from_be_bytes(field(head, CRC)),
            attributes: i16::from_be_bytes(field(head, ATTRIBUTES)),
            last_offset_delta: i32::from_be_bytes(field(head, LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(field(head, BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(field(head, MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(field(head, PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(field(head, PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(field(head, BASE_SEQUENCE)),
            record_count: i32::from_be_bytes(field(head, RECORD_COUNT)),
        })
    }

    /// The 61 bytes of this header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        put(&mut head, BASE_OFFSET, self.base_offset.to_be_bytes());
        put(&mut head, BATCH_LENGTH, self.batch_length.to_be_bytes());
        put(&mut head, PARTITION_LEADER_EPOCH, self.partition_leader_epoch.to_be_bytes());
        put(&mut head, MAGIC_AT, MAGIC.to_be_bytes());
        put(&mut head, CRC, self.crc.to_be_bytes());
        put(&mut head, ATTRIBUTES, self.attributes.to_be_bytes());
        put(&mut head, LAST_OFFSET_DELTA, self.last_offset_delta.to_be_bytes());
        put(&mut head, BASE_TIMESTAMP, self.base_timestamp.to_be_bytes());
        put(&mut head, MAX_TIMESTAMP, self.max_timestamp.to_be_bytes());
        put(&mut head, PRODUCER_ID, self.producer_id.to_be_bytes());
        put(&mut head, PRODUCER_EPOCH, self.producer_epoch.to_be_bytes());
        put(&mut head, BASE_SEQUENCE, self.base_sequence.to_be_bytes());
        put(&mut head, RECORD_COUNT, self.record_count.to_be_bytes());
        head
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        // The length was checked to be positive when the header was read.
        self.batch_length as usize + PREFIX_BYTES
    }

    /// Offset of the last record.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }

    /// Offset after the last record.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record, -1 if the batch has none.
    #[must_use]
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence == -1 {
            return -1;
        }
        sequence_add(self.base_sequence, self.last_offset_delta)
    }

    /// How the records are compressed; none if the attributes name no codec that exists.
    #[must_use]
    pub const fn codec(&self) -> Option<Codec> {
        Codec::from_id(self.attributes & CODEC_MASK)
    }

    /// Who gave the timestamps.
    #[must_use]
    pub const fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch is part of a transaction.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch holds control records, which consumers do not see.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Whether the base timestamp is a delete horizon.
    #[must_use]
    pub const fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_BIT != 0
    }

    /// Whether an idempotent or transactional producer wrote the batch.
    #[must_use]
    pub const fn has_producer_id(&self) -> bool {
        self.producer_id > -1
    }
}

/// `sequence` moved on by `by`, going from the largest number to 0.
#[must_use]
pub const fn sequence_add(sequence: i32, by: i32) -> i32 {
    // Wrapping, because both may come from damaged bytes.
    if sequence > SEQUENCE_MAX.wrapping_sub(by) {
        by.wrapping_sub(SEQUENCE_MAX.wrapping_sub(sequence)).wrapping_sub(1)
    } else {
        sequence.wrapping_add(by)
    }
}

/// `sequence` moved back by `by`, going from 0 to the largest number.
#[must_use]
pub const fn sequence_sub(sequence: i32, by: i32) -> i32 {
    if sequence < by {
        SEQUENCE_MAX.wrapping_sub(by.wrapping_sub(sequence)).wrapping_add(1)
    } else {
        sequence.wrapping_sub(by)
    }
}

/// Checksum of a batch whose header and records may lie apart.
#[must_use]
pub fn checksum(head: &[u8; HEADER_BYTES], records: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[ATTRIBUTES..]), records)
}

/// Writes what the leader assigns. Both fields lie outside the checksum, which stays true.
pub fn stamp_leader(head: &mut [u8; HEADER_BYTES], base_offset: Offset, epoch: LeaderEpoch) {
    put(head, BASE_OFFSET, base_offset.to_be_bytes());
    put(head, PARTITION_LEADER_EPOCH, epoch.to_be_bytes());
}

/// Writes timestamp type and max timestamp and computes the checksum again over `records`, the
/// bytes after the header.
pub fn stamp_timestamps(
    head: &mut [u8; HEADER_BYTES],
    records: &[u8],
    kind: TimestampType,
    max_timestamp: TimestampMs,
) {
    let attributes = i16::from_be_bytes(field(head, ATTRIBUTES));
    let attributes = match kind {
        TimestampType::CreateTime => attributes & !LOG_APPEND_TIME_BIT,
        TimestampType::LogAppendTime => attributes | LOG_APPEND_TIME_BIT,
    };
    put(head, ATTRIBUTES, attributes.to_be_bytes());
    put(head, MAX_TIMESTAMP, max_timestamp.to_be_bytes());
    let crc = checksum(head, records);
    put(head, CRC, crc.to_be_bytes());
}

/// The `N` bytes at `at`; every caller passes a position from [`super::layout`].
fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&head[at..at + N]);
    out
}

fn put<const N: usize>(head: &mut [u8; HEADER_BYTES], at: usize, bytes: [u8; N]) {
    head[at..at + N].copy_from_slice(&bytes);
}
