//! `GET /v1/stages`: histograms of stages, by shard and merged, and the slowest requests, as JSON.
//!
//! Within version 1 fields are added, never changed; docs/ADMIN.md says what they mean.

use std::cmp::Reverse;

use millrace_engine::types::{Nanos, NodeId, ShardId};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::desk::ShardReport;
use crate::limits::SLOW_TOLD_MAX;
use crate::stages::{
    FETCH_STAGES, FetchHistograms, Histogram, STAGES, Slow, StageHistograms, StageTimes,
};

const VERSION: u32 = 1;
/// The parameter that leaves out requests that were answered before.
const SINCE: &str = "since_ns";

/// Reads the query: the slowest requests answered after this time are wanted.
pub(super) fn since(query: Option<&str>) -> Result<Nanos, &'static str> {
    match query.map(|query| query.split_once('=')) {
        None => Ok(Nanos(0)),
        Some(Some((SINCE, number))) => number
            .parse()
            .map(Nanos)
            .map_err(|_| "since_ns must be the now_ns of an earlier answer"),
        Some(_) => Err("the only parameter is since_ns"),
    }
}

#[derive(Serialize)]
pub(super) struct StagesAnswer {
    version: u32,
    cluster_id: String,
    node_id: NodeId,
    /// The broker's monotonic clock.
    now_ns: u64,
    stages: [&'static str; STAGES.len()],
    merged: Histograms,
    shards: Vec<ShardHistograms>,
    slowest: Vec<SlowRequest>,
    fetch: FetchAnswer,
}

/// What Fetch requests spent in each stage.
#[derive(Serialize)]
struct FetchAnswer {
    stages: [&'static str; FETCH_STAGES.len()],
    merged: FetchCounts,
    shards: Vec<ShardFetchCounts>,
}

#[derive(Serialize)]
struct ShardFetchCounts {
    shard: ShardId,
    #[serde(flatten)]
    counts: FetchCounts,
}

#[derive(Serialize)]
struct FetchCounts {
    #[serde(serialize_with = "by_fetch_stage")]
    by_stage: [Counts; FETCH_STAGES.len()],
    total: Counts,
    waited: Counts,
}

#[derive(Serialize)]
struct ShardHistograms {
    shard: ShardId,
    #[serde(flatten)]
    histograms: Histograms,
}

#[derive(Serialize)]
struct Histograms {
    #[serde(serialize_with = "by_stage")]
    by_stage: [Counts; STAGES.len()],
    total: Counts,
}

fn by_stage<S: Serializer, T: Serialize>(
    values: &[T; STAGES.len()],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    by_name(&STAGES, values, serializer)
}

fn by_fetch_stage<S: Serializer, T: Serialize>(
    values: &[T; FETCH_STAGES.len()],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    by_name(&FETCH_STAGES, values, serializer)
}

fn by_name<S: Serializer, T: Serialize, const N: usize>(
    names: &[&str; N],
    values: &[T; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(N))?;
    for (stage, value) in names.iter().zip(values) {
        map.serialize_entry(stage, value)?;
    }
    map.end()
}

#[derive(Serialize)]
struct Counts {
    count: u64,
    sum_ns: u64,
    max_ns: u64,
    /// The longest duration of each bucket that holds something, and how many it holds.
    buckets: Vec<(u64, u64)>,
}

#[derive(Serialize)]
struct SlowRequest {
    shard: ShardId,
    answered_ns: u64,
    correlation_id: i32,
    client_id: String,
    bytes: usize,
    partitions: usize,
    total_ns: u64,
    #[serde(serialize_with = "by_stage")]
    by_stage: StageTimes,
}

impl From<&Histogram> for Counts {
    fn from(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            sum_ns: histogram.sum_ns(),
            max_ns: histogram.max_ns(),
            buckets: histogram.buckets().collect(),
        }
    }
}

impl From<&StageHistograms> for Histograms {
    fn from(histograms: &StageHistograms) -> Self {
        let by_stage = histograms.stages.each_ref().map(Counts::from);
        Self { by_stage, total: Counts::from(&histograms.total) }
    }
}

impl From<&FetchHistograms> for FetchCounts {
    fn from(histograms: &FetchHistograms) -> Self {
        Self {
            by_stage: histograms.stages.each_ref().map(Counts::from),
            total: Counts::from(&histograms.total),
            waited: Counts::from(&histograms.waited),
        }
    }
}

impl FetchAnswer {
    fn new(reports: &[ShardReport]) -> Self {
        let mut merged = FetchHistograms::default();
        reports.iter().for_each(|report| merged.merge(&report.fetch));
        let of_shard = |report: &ShardReport| ShardFetchCounts {
            shard: report.shard,
            counts: FetchCounts::from(&*report.fetch),
        };
        Self {
            stages: FETCH_STAGES,
            merged: FetchCounts::from(&merged),
            shards: reports.iter().map(of_shard).collect(),
        }
    }
}

impl SlowRequest {
    fn new(shard: ShardId, slow: Slow) -> Self {
        Self {
            shard,
            total_ns: slow.total_ns(),
            answered_ns: slow.answered.0,
            correlation_id: slow.correlation_id,
            client_id: slow.client_id.to_string(),
            bytes: slow.bytes,
            partitions: slow.partitions,
            by_stage: slow.stages,
        }
    }
}

impl StagesAnswer {
    pub(super) fn new(node_id: NodeId, cluster_id: &str, reports: Vec<ShardReport>) -> Self {
        let mut merged = StageHistograms::default();
        let mut shards = Vec::with_capacity(reports.len());
        let mut slowest = Vec::new();
        // What was answered later than this the next answer tells again, whichever shard it is of.
        let now = reports.iter().map(|report| report.now).min().unwrap_or_default();
        let fetch = FetchAnswer::new(&reports);
        for ShardReport { shard, histograms, slowest: of_shard, .. } in reports {
            merged.merge(&histograms);
            shards.push(ShardHistograms { shard, histograms: Histograms::from(&*histograms) });
            slowest.extend(of_shard.into_iter().map(|slow| SlowRequest::new(shard, slow)));
        }
        slowest.sort_by_key(|slow| Reverse(slow.total_ns));
        slowest.truncate(SLOW_TOLD_MAX);
        Self {
            version: VERSION,
            cluster_id: cluster_id.to_owned(),
            node_id,
            now_ns: now.0,
            stages: STAGES,
            merged: Histograms::from(&merged),
            shards,
            slowest,
            fetch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query() {
        assert_eq!(since(None), Ok(Nanos(0)));
        assert_eq!(since(Some("since_ns=77")), Ok(Nanos(77)));
        for query in ["", "since_ns", "since_ns=", "since_ns=-1", "since_ns=1&x=2", "since=5"] {
            assert!(since(Some(query)).is_err(), "{query}");
        }
    }
}
