//! Writes tails to their segments.

use super::Jobs;
use super::dirs::DirUse;
use super::write::Depth;
use crate::io::Env;
use crate::partition::commit::SegmentWrite;
use crate::shard::event::{Event, Written};
use crate::types::TopicPartition;

/// Runs a flush.
pub(super) async fn flush<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    partition: TopicPartition,
    writes: Vec<SegmentWrite>,
    depth: Depth,
) -> Event {
    let permit = jobs.0.writes.enter().await;
    let written: Vec<Written> = writes.iter().map(Written::from).collect();
    let result = jobs.write_segments(dir, writes, depth).await;
    drop(permit);
    Event::Flushed { partition, written, result }
}
