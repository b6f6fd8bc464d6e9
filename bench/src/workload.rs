//! What a run does, with every choice made.

use serde::{Deserialize, Serialize};

use crate::batch::compression::Codec;
use crate::batch::key::KeyMix;
use crate::batch::payload::Payload;
use crate::batch::size::SizeMix;
use crate::client::choice::Client;
use crate::client::schedule::Step;

/// Where consumers begin and what they do at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the end, following what is produced.
    Latest,
    /// At the first record, then following.
    Earliest,
    /// Over the last so many bytes, again and again.
    Window(u64),
}

/// How producers are paced.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// As fast as answers come (closed loop).
    Closed,
    /// By the clock (open loop); warm-up first.
    Open(Vec<Step>),
}

/// One workload.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Topic.
    pub topic: String,
    /// Connections that produce.
    pub producers: usize,
    /// Requests in flight per producer.
    pub in_flight: usize,
    /// Pace.
    pub pace: Pace,
    /// Value sizes.
    pub sizes: SizeMix,
    /// What values hold.
    pub payload: Payload,
    /// Keys.
    pub keys: KeyMix,
    /// Compression.
    pub codec: Codec,
    /// Most partitions per request.
    pub request_partitions: usize,
    /// Most bytes per batch.
    pub batch_bytes: usize,
    /// Most records per batch.
    pub batch_records: usize,
    /// Longest wait for a batch to fill, nanoseconds.
    pub linger_ns: u64,
    /// -1, 0, 1.
    pub acks: i16,
    /// With producer ids and sequences.
    pub idempotent: bool,
    /// Connections that consume, per group.
    pub consumers: usize,
    /// Groups; 0: consumers share the partitions without the group protocol.
    pub groups: usize,
    /// Most bytes per second that each consumer reads.
    pub consume_rate: Option<f64>,
    /// Where they begin.
    pub read_from: ReadFrom,
    /// Most bytes per fetch answer.
    pub fetch_bytes: i32,
    /// Fetches wait for this many bytes.
    pub fetch_min_bytes: i32,
    /// Fetches wait at most this long, milliseconds.
    pub fetch_wait_ms: i32,
    /// Load before measuring, nanoseconds.
    pub warmup_ns: u64,
    /// Measured load, nanoseconds.
    pub duration_ns: u64,
    /// Ends when so many value bytes are acknowledged.
    pub limit_bytes: Option<u64>,
    /// Goes on after broken connections and errors that pass.
    pub reconnect: bool,
    /// Answers must come within, nanoseconds.
    pub timeout_ns: u64,
    /// Never sleep while waiting for answers or due times.
    pub spin: bool,
    /// Seed of payloads and sizes.
    pub seed: u64,
}

impl Workload {
    /// Consuming connections in all.
    pub fn consumers_in_all(&self) -> usize {
        self.consumers * self.groups.max(1)
    }
}

/// The workload as it stands in the result file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkloadNote {
    pub topic: String,
    pub partitions: usize,
    pub producers: usize,
    pub in_flight: usize,
    /// What drove the load.
    #[serde(default)]
    pub client: Client,
    /// `open` or `closed`.
    pub pace: String,
    /// Records per second asked for (null: closed loop).
    pub rate: Option<f64>,
    pub record_size: String,
    pub keys: String,
    pub compression: Codec,
    pub request_partitions: usize,
    pub batch_bytes: usize,
    pub batch_records: usize,
    pub linger_us: f64,
    pub acks: i16,
    pub idempotent: bool,
    pub consumers: usize,
    pub groups: usize,
    pub consume_rate: Option<f64>,
    pub fetch_bytes: i32,
    pub warmup_s: f64,
    pub duration_s: f64,
    pub seed: u64,
}
