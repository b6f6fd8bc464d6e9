//! The server's bounds in one place; those of the engine stand in its own `limits.rs`.

/// Produce requests of one connection that are under way at once. Requests.
pub const PIPELINED_REQUESTS_MAX: usize = 64;

/// Bytes of one connection's requests from which on no more are taken until some are answered. Bytes.
pub const PIPELINED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Answers that go out in one send operation: no more are added from here on. Bytes.
pub const SEND_BYTES: usize = 1024 * 1024;

/// A frame that still lacks so much is received straight into its own memory. Bytes.
pub const DIRECT_RECEIVE_BYTES: usize = 16 * 1024;

/// What is reserved for a large frame before any of it has come. Bytes.
pub const FRAME_RESERVE_BYTES: usize = 64 * 1024;

/// By how much the memory of a large frame grows with what has come of it.
pub const FRAME_GROWTH: usize = 4;

/// Most that one receive operation waits for; a slow client is seen to make progress this often. Bytes.
pub const RECEIVE_BYTES: usize = 1024 * 1024;

/// How long a frame waits for memory before its connection is closed: connections that hold memory and
/// wait for more must not block each other for ever. Milliseconds.
pub const MEMORY_WAIT_MS: u64 = 10_000;

/// Of the memory of all shards, requests in flight may use this part unless `queued.max.request.bytes`
/// says otherwise.
pub const REQUEST_MEMORY_PART: u64 = 4;

/// How long accepting pauses when the process has no descriptors left. Milliseconds.
pub const ACCEPT_PAUSE_MS: u64 = 100;

/// Connections that wait to be accepted, unless `socket.listen.backlog.size` says otherwise; the kernel
/// may allow fewer (`net.core.somaxconn`). Connections.
pub const LISTEN_BACKLOG: u32 = 4096;

/// How often the counters are logged while there is traffic. Milliseconds.
pub const METRICS_LOG_MS: u64 = 60_000;

/// Lines about faulty connections that one shard logs in [`FAULT_LOG_MS`]; more are counted. Lines.
pub const FAULT_LOG_LINES: u32 = 20;

/// See [`FAULT_LOG_LINES`]. Milliseconds.
pub const FAULT_LOG_MS: u64 = 10_000;

const _: () = assert!(DIRECT_RECEIVE_BYTES <= FRAME_RESERVE_BYTES);
const _: () = assert!(FRAME_GROWTH >= 2);
