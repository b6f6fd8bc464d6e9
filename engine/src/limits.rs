//! Every bound in one place, with the relations between them checked at compile time.

/// What a bound is, and what it is in simulations in which little is much.
const fn bound<T: Copy>(usual: T, small: T) -> T {
    if cfg!(feature = "small") { small } else { usual }
}

/// The unit of direct I/O: the largest block that common disks have. Bytes.
pub const BLOCK_BYTES: usize = 4096;

/// One piece of a partition's tail. Bytes.
pub const CHUNK_BYTES: usize = bound(64 * 1024, 8 * 1024);

/// Largest record batch that any topic may allow (`max.message.bytes` may not be set above it). Bytes.
pub const BATCH_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Most that may come out of one compressed batch: a little more than the largest batch that is not
/// compressed. Bytes.
pub const DECOMPRESSED_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Most calls that wait in a lane from one shard to another before the sender waits. Messages.
pub const LANE_MESSAGES_MAX: usize = bound(4096, 128);

/// Most calls that a shard takes up in one turn. Messages.
pub const TURN_CALLS_MAX: usize = bound(1024, 32);

/// Most record bytes that one turn admits before it commits. Bytes.
pub const TURN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Length of every journal file. Bytes.
pub const JOURNAL_FILE_BYTES: u64 = bound(8 * 1024 * 1024, 256 * 1024);

/// Most bytes of one journal entry: what does not fit waits for the next commit. Bytes.
pub const JOURNAL_ENTRY_BYTES_MAX: u64 = bound(4 * 1024 * 1024, 128 * 1024);

/// Bytes of one partition in a commit from which on they get blocks of their own in the journal entry, instead
/// of being copied into it. Bytes.
pub const ASIDE_BYTES_MIN: u64 = bound(32 * 1024, 2 * 1024);

/// Batches with at least this many bytes are not read once more for the checksum of a journal entry: it follows
/// from their own, which was checked when they came. Bytes.
pub const OWN_CHECKSUM_BYTES_MIN: usize = bound(16 * 1024, 512);

/// Undurable bytes of one partition from which on a commit writes them straight to the segment
/// instead of the journal. Bytes.
pub const DIRECT_APPEND_BYTES: u64 = bound(1024 * 1024, 32 * 1024);

/// Bytes of one partition that only the journal holds, from which on its tail is written to the
/// segment. Bytes.
pub const FLUSH_BYTES: u64 = bound(4 * 1024 * 1024, 128 * 1024);

/// One write to a segment file; more goes in several, one behind the other. A flush lasts as long as all that
/// the device has taken before it, and the flushes of commits are to come between. Bytes.
pub const SEGMENT_WRITE_BYTES: usize = bound(512 * 1024, 16 * 1024);

/// Smallest and largest step by which a segment file is reserved ahead. Bytes.
pub const ALLOCATE_STEP_MIN: u64 = bound(256 * 1024, 16 * 1024);
/// See [`ALLOCATE_STEP_MIN`].
pub const ALLOCATE_STEP_MAX: u64 = 64 * 1024 * 1024;

/// Recovery points of a shard are not written more often than this. Milliseconds.
pub const CHECKPOINTS_APART_MS: u64 = 1_000;

/// Waypoints of a shard are written when so much was written to its segments since the last time: at most
/// this is read again by a start after a crash, beside what the journal holds. Bytes.
pub const WAYPOINTS_APART_BYTES: u64 = bound(256 * 1024 * 1024, 64 * 1024);

/// Segments with less than this have no waypoint: they are read soon enough. Bytes.
pub const WAYPOINT_BYTES_MIN: u64 = bound(256 * 1024, 4 * 1024);

/// Most entries of each index that a waypoint holds: of a longer one it holds every second, third and so
/// on. Entries.
pub const WAYPOINT_ENTRIES_MAX: usize = 256;

/// Partitions with more idempotent producers than this have no waypoint. Producers.
pub const WAYPOINT_PRODUCERS_MAX: usize = 1_024;

/// Most bytes of one shard's waypoints; partitions beyond that have none. Bytes.
pub const WAYPOINTS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Tails that hold nothing new for so long are written to their segments and let go. Milliseconds.
pub const IDLE_MS: u64 = 5_000;

/// Most calls that wait for a group coordinator to be loaded; more are told to come again. Calls.
pub const LOADING_CALLS_MAX: usize = 10_000;

/// Tails that are written at once to relieve the journal, from so many full eighths of it on. It begins early and
/// with few: commits wait for the disk behind them. Eighths, partitions.
pub const RELIEF_FLUSHES: [(usize, usize); 4] = [(3, 1), (5, 2), (6, 4), (7, 16)];

/// The same when the journal has no room left. Partitions.
pub const RELIEF_FLUSHES_MAX: usize = 64;

/// Spare memory that a shard with no more than this in memory keeps for its next burst. Bytes.
pub const IDLE_SPARE_BYTES: usize = 2 * 1024 * 1024;

/// How long after a write that found the disk full it is tried again. Milliseconds.
pub const FULL_DISK_RETRY_MS: u64 = 1_000;

/// How long nobody must have found the disk full before a journal file may be made: those that wait for
/// room try several times meanwhile. Milliseconds.
pub const JOURNAL_CALM_MS: u64 = 3 * FULL_DISK_RETRY_MS;

/// How long after a disk was found full deleted files are removed without the usual delay. Milliseconds.
pub const FULL_DISK_HASTE_MS: u64 = 2 * FULL_DISK_RETRY_MS;

/// Room that is kept behind the end of the metadata log, so that a full disk stops no deletion. Bytes.
pub const METADATA_ROOM_BYTES: u64 = bound(1024 * 1024, 64 * 1024);

/// A coordinator whose oldest write takes longer than this has a stalled disk: no session ends before
/// the write does. Milliseconds.
pub const STALLED_WRITE_MS: u64 = 1_000;

/// Least distance between two entries of an offset index, whatever `index.interval.bytes` asks. Bytes.
pub const INDEX_INTERVAL_BYTES_MIN: u32 = bound(32 * 1024, 2 * 1024);

/// Newest bytes of a partition that stay in memory for readers when memory is short. Bytes.
pub const TAIL_KEEP_BYTES: u64 = bound(1024 * 1024, 32 * 1024);

/// One read from a segment file. Bytes.
pub const READ_BYTES_MAX: usize = bound(1024 * 1024, 64 * 1024);

/// Longest topic name (Kafka's `Topic.MAX_NAME_LENGTH`). Characters.
pub const TOPIC_NAME_CHARS_MAX: usize = 249;

/// Most partitions of one topic in one request, and of one broker. Partitions.
pub const PARTITIONS_MAX: i32 = 100_000;

/// Batches remembered for each idempotent producer (KIP-98). Batches.
pub const PRODUCER_BATCHES_MAX: usize = 5;

const _: () = assert!(BLOCK_BYTES.is_power_of_two());
const _: () = assert!(CHUNK_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(CHUNK_BYTES.is_power_of_two());
const _: () = assert!(SEGMENT_WRITE_BYTES.is_multiple_of(CHUNK_BYTES));
const _: () = assert!(READ_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(BATCH_BYTES_MAX as u64 <= DECOMPRESSED_BYTES_MAX);
const _: () = assert!(TURN_CALLS_MAX <= LANE_MESSAGES_MAX);
const _: () = assert!(JOURNAL_ENTRY_BYTES_MAX + BLOCK_BYTES as u64 <= JOURNAL_FILE_BYTES);
const _: () = assert!(DIRECT_APPEND_BYTES <= JOURNAL_ENTRY_BYTES_MAX / 2);
