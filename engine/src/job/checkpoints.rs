//! Checkpoints: leader epochs and log start offsets, which are written while the broker runs, and
//! recovery points.
//!
//! Offsets of partitions stand under the ids of their topics, not under names as in Kafka's files: a
//! topic may be deleted and made again, and a crash must not lay the offsets of one on the other.

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
use crate::log::checkpoint::{PartitionOffset, format_offsets, parse_offsets};
use crate::partition::epochs;
use crate::shard::event::DiskFailure;
use crate::types::{Offset, ShardId, TopicPartition};

/// Log start offsets as one shard knows them: Kafka has one file for all, which several shards cannot
/// write at once.
const LOG_STARTS_OF_SHARD: &str = "millrace-log-start-offsets-";
/// Offsets below which everything was flushed at the last clean stop.
pub const RECOVERY_POINTS_BY_ID: &str = "millrace-recovery-points";

/// Offsets by topic name and partition, as in Kafka's files.
pub type OffsetsByName = BTreeMap<(Arc<str>, i32), Offset>;
/// Offsets by partition.
pub type OffsetsById = BTreeMap<TopicPartition, Offset>;

/// The text of a file of offsets by partition.
#[must_use]
pub fn format_offsets_by_id(offsets: impl IntoIterator<Item = (TopicPartition, Offset)>) -> String {
    let entry = |(id, offset): (TopicPartition, Offset)| PartitionOffset {
        topic: id.topic_id.to_string(),
        partition: id.partition,
        offset,
    };
    format_offsets(&offsets.into_iter().map(entry).collect::<Vec<_>>())
}

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
    entries: OffsetsById,
) -> Result<(), DiskFailure> {
    let settings = jobs.settings();
    let path = settings.log_dir.join(log_starts_name(settings.shard));
    replace(jobs, &path, Bytes::from(format_offsets_by_id(entries))).await
}

/// The file that a shard keeps its log start offsets in.
#[must_use]
pub fn log_starts_name(shard: ShardId) -> String {
    format!("{LOG_STARTS_OF_SHARD}{shard}")
}

/// Whether this is the name of a file that a shard keeps its log start offsets in.
fn shard_of_log_starts(name: &str) -> Option<ShardId> {
    name.strip_prefix(LOG_STARTS_OF_SHARD)?.parse().ok()
}

/// The log start offsets of all partitions, whoever wrote them last. None if no shard ever wrote any:
/// then those that Kafka left count.
///
/// # Errors
/// If a file cannot be read, or is not what its name says.
pub async fn read_log_starts<E: Env>(
    env: &E,
    log_dir: &Path,
) -> Result<Option<OffsetsById>, DiskFailure> {
    let mut starts = None;
    let entries = env.list_dir(log_dir).await;
    for entry in entries.map_err(|error| failure("list", log_dir, error))? {
        if shard_of_log_starts(&entry.name).is_none() {
            continue;
        }
        let starts = starts.get_or_insert_with(OffsetsById::new);
        for (id, offset) in read_by_id(env, log_dir, &entry.name).await?.unwrap_or_default() {
            // Starts only rise.
            let start = starts.entry(id).or_insert(offset);
            *start = offset.max(*start);
        }
    }
    Ok(starts)
}

/// The offsets of a file by partition; none if there is no such file.
///
/// # Errors
/// If it cannot be read, or is not what its name says.
pub async fn read_by_id<E: Env>(
    env: &E,
    log_dir: &Path,
    name: &str,
) -> Result<Option<OffsetsById>, DiskFailure> {
    let Some(named) = read_by_name(env, log_dir, name).await? else { return Ok(None) };
    let by_id = named.into_iter().map(|((topic_id, partition), offset)| {
        let topic_id = topic_id.parse().map_err(|_malformed| {
            damage("read", &log_dir.join(name), format!("{topic_id:?} is no topic id"))
        })?;
        Ok((TopicPartition { topic_id, partition }, offset))
    });
    by_id.collect::<Result<_, _>>().map(Some)
}

/// The offsets of one of Kafka's files; none if there is no such file.
///
/// # Errors
/// If it cannot be read, or is not what its name says.
pub async fn read_by_name<E: Env>(
    env: &E,
    log_dir: &Path,
    name: &str,
) -> Result<Option<OffsetsByName>, DiskFailure> {
    let path = log_dir.join(name);
    let read = found(env.read_small(&path, SMALL_FILE_BYTES_MAX).await);
    let Some(content) = read.map_err(|error| failure("read", &path, error))? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&content);
    let offsets = parse_offsets(&text).map_err(|error| damage("read", &path, error.to_string()))?;
    Ok(Some(offsets.into_iter().map(|o| ((Arc::from(o.topic), o.partition), o.offset)).collect()))
}
