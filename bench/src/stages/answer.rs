//! What a broker's admin port tells of stages: version 1 of its `/v1/stages`, as far as it is used here.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::http;

/// The version that is understood.
const VERSION: u32 = 1;

/// An answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    version: u32,
    /// Whose figures these are.
    pub cluster_id: String,
    /// The broker's monotonic clock.
    pub now_ns: u64,
    /// Names of the stages, in order.
    pub stages: Vec<String>,
    /// Histograms of all shards since the broker's start.
    pub merged: Histograms,
    /// The slowest requests.
    pub slowest: Vec<Slow>,
    /// The same of Fetch requests; brokers of earlier builds lack it.
    pub fetch: Option<FetchAnswer>,
}

/// What an answer tells of Fetch requests.
#[derive(Clone, Debug, Deserialize)]
pub struct FetchAnswer {
    /// Names of the stages, in order.
    pub stages: Vec<String>,
    /// Histograms of all shards since the broker's start.
    pub merged: FetchHistograms,
}

/// Histograms by stage, of the stages together, and of what was waited for data besides.
#[derive(Clone, Debug, Deserialize)]
pub struct FetchHistograms {
    /// By the stage's name.
    pub by_stage: BTreeMap<String, Counts>,
    /// All stages.
    pub total: Counts,
    /// Waits.
    pub waited: Counts,
}

/// Histograms by stage and of the whole.
#[derive(Clone, Debug, Deserialize)]
pub struct Histograms {
    /// By the stage's name.
    pub by_stage: BTreeMap<String, Counts>,
    /// From a request's last byte to its answer.
    pub total: Counts,
}

/// A histogram.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Counts {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum_ns: u64,
    /// The longest duration of each bucket, and how many it holds.
    pub buckets: Vec<(u64, u64)>,
}

/// A request that was among the slowest of its second.
#[derive(Clone, Debug, Deserialize)]
pub struct Slow {
    /// The shard of its connection.
    pub shard: u16,
    /// When it was answered, by the broker's clock.
    pub answered_ns: u64,
    /// The client's number for it.
    pub correlation_id: i32,
    /// What the client called itself.
    pub client_id: String,
    /// Length of the request.
    pub bytes: u64,
    /// Partitions in it.
    pub partitions: u64,
    /// From its last byte to its answer.
    pub total_ns: u64,
    /// Nanoseconds in each stage, by its name.
    pub by_stage: BTreeMap<String, u64>,
}

/// Asks the admin port at `address`; the slowest requests are those answered after `since_ns` of the broker's clock.
pub fn ask(address: &str, since_ns: u64) -> Result<Answer, String> {
    let body = http::get(address, &format!("/v1/stages?since_ns={since_ns}"))?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|error| format!("http://{address}/v1/stages is not understood: {error}"))?;
    if answer.version != VERSION {
        return Err(format!(
            "http://{address}/v1/stages has version {}, and this program understands {VERSION}",
            answer.version
        ));
    }
    Ok(answer)
}
