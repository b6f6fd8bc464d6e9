//! The server's bounds in one place; those of the engine stand in its own `limits.rs`.

use millrace_engine::limits::CHUNK_BYTES;

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

/// By how much the memory of a large frame grows with what has come of it, as far as the kernel or further.
pub const FRAME_GROWTH: usize = 4;

/// Most that one receive operation waits for; a slow client is seen to make progress this often. Bytes.
pub const RECEIVE_BYTES: usize = 1024 * 1024;

/// How long a frame waits for memory before its connection is closed: connections that hold memory and
/// wait for more must not block each other for ever. Milliseconds.
pub const MEMORY_WAIT_MS: u64 = 10_000;

/// Of the memory of all shards, requests in flight may use this part unless `queued.max.request.bytes`
/// says otherwise.
pub const REQUEST_MEMORY_PART: u64 = 4;

/// Of the memory of all shards, records in answers to fetches may use this part until they are sent.
pub const ANSWER_MEMORY_PART: u64 = 8;

/// Of the memory of all shards, indexes of closed segments may use this part, and what is read ahead as
/// much again. Tails have what is left.
pub const CACHE_MEMORY_PART: u64 = 16;

/// Of the memory for records in answers that is free, one fetch asks for this part at most, so that many
/// find some: those that do not read what they get use up little.
pub const FETCH_MEMORY_PART: usize = 6;

/// What a fetch may ask for however little memory is free. Bytes.
pub const FETCH_BYTES_LEAST: usize = 2 * CHUNK_BYTES;

/// Slices that are a smaller part of the engine's pieces of memory are copied into an answer: each would
/// keep a whole chunk of a tail, or a whole read from disk, from its next use.
pub const COPIED_SLICE_PART: usize = 8;

/// Of the memory for records in answers, clients that were sent none yet, or have not taken them, share
/// this part. Those that read have the rest.
pub const NEW_READER_MEMORY_PART: usize = 4;

/// Of the memory for records in answers, this part may be in use before it counts as short, and be left unread
/// before patience ends sooner: after one look at who takes nothing.
pub const UNREAD_MEMORY_PART: usize = 8;

/// How long a client may leave an answer unread while others wait for the memory that it holds: longer than
/// a collection of garbage, and short for those who wait. Milliseconds.
pub const UNREAD_MS: u64 = 1_000;

/// A client that has taken less of an answer in [`UNREAD_MS`] has left it unread: slow links are faster,
/// and one that takes a byte now and then holds no memory by it. Bytes.
pub const UNREAD_BYTES: u64 = 32 * 1024;

/// How often it is looked how much a client has taken of an answer. Milliseconds.
pub const UNREAD_LOOK_MS: u64 = 250;

/// How often it is looked, while memory is short, whether a client has taken all before it gets more.
/// Milliseconds.
pub const TAKEN_LOOK_MS: u64 = 20;

/// How long accepting pauses when the process has no descriptors left. Milliseconds.
pub const ACCEPT_PAUSE_MS: u64 = 100;

/// Connections that wait to be accepted, unless `socket.listen.backlog.size` says otherwise; the kernel
/// may allow fewer (`net.core.somaxconn`). Connections.
pub const LISTEN_BACKLOG: u32 = 4096;

/// How often it is looked whether every shard turns. Milliseconds.
pub const WATCH_MS: u64 = 1_000;

/// How often the counters are logged while there is traffic. Milliseconds.
pub const METRICS_LOG_MS: u64 = 60_000;

/// Lines about faulty connections that one shard logs in [`FAULT_LOG_MS`]; more are counted. Lines.
pub const FAULT_LOG_LINES: u32 = 20;

/// See [`FAULT_LOG_LINES`]. Milliseconds.
pub const FAULT_LOG_MS: u64 = 10_000;

/// Slowest requests that are remembered of each second. Requests.
pub const SLOW_REQUESTS: usize = 32;

/// Seconds of which the slowest requests are remembered. Seconds.
pub const SLOW_SECONDS: usize = 60;

/// What is remembered of a slow request's client id. Bytes.
pub const SLOW_CLIENT_ID_BYTES: usize = 64;

/// Slowest requests that one answer of the admin port tells. Requests.
pub const SLOW_TOLD_MAX: usize = 2_048;

/// Stages that last longer are counted as if they lasted so long. Nanoseconds.
pub const STAGE_NS_MAX: u64 = 120_000_000_000;

/// Connections that the admin port serves at once; others wait. Connections.
pub const ADMIN_CONNECTIONS_MAX: usize = 32;

/// Line and headers of a request to the admin port. Bytes.
pub const ADMIN_HEAD_BYTES_MAX: usize = 8 * 1024;

/// How long the head of a request to the admin port may take, and how long a connection may be silent.
/// Milliseconds.
pub const ADMIN_HEAD_MS: u64 = 5_000;

/// How long a connection to the admin port may live. Milliseconds.
pub const ADMIN_CONNECTION_MS: u64 = 300_000;

/// How long the admin port waits for what a shard has to say. Milliseconds.
pub const ADMIN_ANSWER_MS: u64 = 2_000;

/// Questions of the admin port that wait for one shard; more are refused. Questions.
pub const ADMIN_QUESTIONS_MAX: usize = 8;

const _: () = assert!(DIRECT_RECEIVE_BYTES <= FRAME_RESERVE_BYTES);
const _: () = assert!(FRAME_GROWTH >= 2);
const _: () = assert!(COPIED_SLICE_PART >= 1);
