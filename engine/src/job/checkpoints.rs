//! Checkpoints that are written while the broker runs: leader epochs and log start offsets.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::bounds::SMALL_FILE_BYTES_MAX;
use super::dirs::DirUse;
use super::gate::Entering;
use super::seal::replace;
use super::{Jobs, damage, failure, found};
use crate::io::Env;
use crate::log::checkpoint::{LOG_START_OFFSETS, PartitionOffset, format_offsets, parse_offsets};
use crate::partition::epochs;
use crate::shard::event::DiskFailure;
use crate::types::{Offset, ShardId};

/// Log start offsets as one shard knows them: Kafka has one file for all, which several shards cannot
/// write at once.
const LOG_STARTS_OF_SHARD: &str = "millrace-log-start-offsets-";

/// Offsets by topic name and partition.
pub type OffsetsByName = BTreeMap<(Arc<str>, i32), Offset>;

/// Writes the leader epochs of a partition, unless somebody has a newer text.
pub(super) async fn write_epochs<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    entering: Entering,
    wish: u64,
    text: Bytes,
) -> Result<(), DiskFailure> {
    let permit = entering.await;
    if dir.epochs_wish.get() == wish && !dir.is_gone() {
        dir.ready().await;
        replace(jobs, &dir.path.join(epochs::FILE_NAME), text).await?;
    }
    drop(permit);
    Ok(())
}

/// Writes the log start offsets that a shard knows.
pub(super) async fn write_log_starts<E: Env>(
    jobs: &Jobs<E>,
    entries: &[(Arc<str>, i32, Offset)],
) -> Result<(), DiskFailure> {
    let settings = jobs.settings();
    let path = settings.log_dir.join(format!("{LOG_STARTS_OF_SHARD}{}", settings.shard));
    let entry = |(topic, partition, offset): &(Arc<str>, i32, Offset)| PartitionOffset {
        topic: topic.to_string(),
        partition: *partition,
        offset: *offset,
    };
    let text = format_offsets(&entries.iter().map(entry).collect::<Vec<_>>());
    replace(jobs, &path, Bytes::from(text)).await
}

/// Whether this is the name of a file that a shard keeps its log start offsets in.
fn shard_of_log_starts(name: &str) -> Option<ShardId> {
    name.strip_prefix(LOG_STARTS_OF_SHARD)?.parse().ok()
}

/// The log start offsets of all partitions, whoever wrote them last.
///
/// # Errors
/// If a file cannot be read, or is not what its name says.
pub async fn read_log_starts<E: Env>(
    env: &E,
    log_dir: &Path,
) -> Result<OffsetsByName, DiskFailure> {
    let mut starts = read_offsets(env, log_dir, LOG_START_OFFSETS).await?;
    let entries = env.list_dir(log_dir).await;
    for entry in entries.map_err(|error| failure("list", log_dir, error))? {
        if shard_of_log_starts(&entry.name).is_some() {
            for (key, offset) in read_offsets(env, log_dir, &entry.name).await? {
                // Starts only rise.
                let start = starts.entry(key).or_insert(offset);
                *start = offset.max(*start);
            }
        }
    }
    Ok(starts)
}

async fn read_offsets<E: Env>(
    env: &E,
    log_dir: &Path,
    name: &str,
) -> Result<OffsetsByName, DiskFailure> {
    let path = log_dir.join(name);
    let read = found(env.read_small(&path, SMALL_FILE_BYTES_MAX).await);
    let Some(content) = read.map_err(|error| failure("read", &path, error))? else {
        return Ok(BTreeMap::new());
    };
    let text = String::from_utf8_lossy(&content);
    let offsets = parse_offsets(&text).map_err(|error| damage("read", &path, error.to_string()))?;
    Ok(offsets.into_iter().map(|o| ((Arc::from(o.topic), o.partition), o.offset)).collect())
}
