//! The bounds of what jobs hold and do at once, per shard.

/// Open files of segments and journals kept for the next job. Files.
pub const OPEN_FILES_MAX: usize = 2_000;
/// Partitions being opened at once: each reads with its own large buffer. Jobs.
pub const OPENS_AT_ONCE: usize = 16;
/// Cold reads, searches and log reads at once. Jobs.
pub const READS_AT_ONCE: usize = 64;
/// Writes to segments (appends, flushes, seals) at once. Jobs.
pub const WRITES_AT_ONCE: usize = 64;
/// Memory for indexes of sealed segments. Bytes.
pub const INDEX_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Largest index file that is believed (Kafka's `segment.index.bytes` is 10 MiB by default). Bytes.
pub const INDEX_FILE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Largest producer snapshot or checkpoint that is believed. Bytes.
pub const SMALL_FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Memory for what is read ahead of sequential readers. Bytes.
pub const READ_AHEAD_BYTES: usize = 16 * 1024 * 1024;
/// Readers whose place in a segment is remembered. Readers.
pub const CURSORS_MAX: usize = 4_096;
/// Most bytes of one cold read, but always one batch. Bytes.
pub const COLD_READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Least bytes of one read operation for a cold read. Bytes.
pub const COLD_STEP_BYTES_MIN: usize = 64 * 1024;
/// More than this is never under way to one segment without being flushed. Valid batches that reach
/// farther behind a damaged place than this cannot belong to one torn write. Bytes.
pub const UNFLUSHED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Largest index file that is made anew where one led astray: as Kafka's `segment.index.bytes`. Bytes.
pub const REBUILT_INDEX_BYTES_MAX: u32 = 10 * 1024 * 1024;
/// A segment in which reads fail is not read as a whole more often than this. Milliseconds.
pub const EXAMINE_AGAIN_MS: u64 = 10_000;
/// Largest segment file: positions in an index have 32 bits. Bytes.
pub const SEGMENT_FILE_BYTES_MAX: u64 = u32::MAX as u64;

const _: () = assert!(COLD_STEP_BYTES_MIN.is_multiple_of(crate::limits::BLOCK_BYTES));
const _: () = assert!(COLD_STEP_BYTES_MIN <= crate::limits::READ_BYTES_MAX);
const _: () = assert!(READ_AHEAD_BYTES >= 2 * crate::limits::READ_BYTES_MAX);
