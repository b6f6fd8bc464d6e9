//! Where each field of a version 2 batch header lies.
//!
//! ```text
//! at  size  field
//!  0     8  base offset               assigned by the broker, outside the checksum
//!  8     4  batch length              bytes after this field
//! 12     4  partition leader epoch    assigned by the broker, outside the checksum
//! 16     1  magic                     2
//! 17     4  CRC-32C                   of the bytes from 21 to the end
//! 21     2  attributes                bits 0-2 codec, 3 log append time, 4 transactional,
//!                                     5 control, 6 delete horizon in the base timestamp
//! 23     4  last offset delta         last offset minus base offset; kept by compaction
//! 27     8  base timestamp            records hold deltas from it
//! 35     8  max timestamp
//! 43     8  producer id               -1 none
//! 51     2  producer epoch            -1 none
//! 53     4  base sequence             -1 none
//! 57     4  record count
//! 61        records, compressed as one piece if a codec is set
//! ```
//!
//! All numbers are big-endian (KIP-98; the format is unchanged since Kafka 0.11).

/// Bytes of a batch header.
pub const HEADER_BYTES: usize = 61;
/// Bytes before those that the batch length counts: base offset and the length itself.
pub const PREFIX_BYTES: usize = 12;
/// Bytes that tell a reader size and magic.
pub const UP_TO_MAGIC_BYTES: usize = 17;
/// The only magic that we read or write.
pub const MAGIC: i8 = 2;

/// Position of the base offset.
pub const BASE_OFFSET: usize = 0;
/// Position of the batch length.
pub const BATCH_LENGTH: usize = 8;
/// Position of the partition leader epoch.
pub const PARTITION_LEADER_EPOCH: usize = 12;
/// Position of the magic.
pub const MAGIC_AT: usize = 16;
/// Position of the checksum.
pub const CRC: usize = 17;
/// Position of the attributes, where the checksummed bytes begin.
pub const ATTRIBUTES: usize = 21;
/// Position of the last offset delta.
pub const LAST_OFFSET_DELTA: usize = 23;
/// Position of the base timestamp.
pub const BASE_TIMESTAMP: usize = 27;
/// Position of the max timestamp.
pub const MAX_TIMESTAMP: usize = 35;
/// Position of the producer id.
pub const PRODUCER_ID: usize = 43;
/// Position of the producer epoch.
pub const PRODUCER_EPOCH: usize = 51;
/// Position of the base sequence.
pub const BASE_SEQUENCE: usize = 53;
/// Position of the record count.
pub const RECORD_COUNT: usize = 57;

/// Attribute bits that hold the codec.
pub const CODEC_MASK: i16 = 0x07;
/// Attribute bit: the max timestamp is the append time of every record.
pub const LOG_APPEND_TIME_BIT: i16 = 0x08;
/// Attribute bit: the batch belongs to a transaction.
pub const TRANSACTIONAL_BIT: i16 = 0x10;
/// Attribute bit: the batch holds control records.
pub const CONTROL_BIT: i16 = 0x20;
/// Attribute bit: the base timestamp is when tombstones may go (KIP-534).
pub const DELETE_HORIZON_BIT: i16 = 0x40;

const _: () = assert!(RECORD_COUNT + 4 == HEADER_BYTES);
const _: () = assert!(BATCH_LENGTH + 4 == PREFIX_BYTES);
