//! Small files of partitions and of the log directory, written while the broker runs and when it
//! stops.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::bounds::SMALL_FILE_BYTES_MAX;
use super::dirs::DirUse;
use super::gate::Entering;
use super::seal::replace;
use super::{Jobs, damage, failure, found};
use crate::io::Env;
use crate::log::checkpoint::{
    CLEAN_SHUTDOWN, HIGH_WATERMARKS, LOG_START_OFFSETS, PartitionOffset, RECOVERY_POINTS,
    format_clean_shutdown, format_offsets, parse_offsets,
};
use crate::partition::epochs;
use crate::shard::event::DiskFailure;
use crate::types::{Offset, ShardId};

/// Log start offsets as one shard knows them: Kafka has one file for all, which several shards cannot
/// write at once. At a clean stop [`write_at_stop`] writes that one and removes these.
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

/// Offsets below which the last run had flushed everything.
///
/// # Errors
/// If the file cannot be read, or is not what its name says.
pub async fn read_recovery_points<E: Env>(
    env: &E,
    log_dir: &Path,
) -> Result<OffsetsByName, DiskFailure> {
    read_offsets(env, log_dir, RECOVERY_POINTS).await
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

/// The offsets of one partition at a clean stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionAtStop {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition index.
    pub partition: i32,
    /// First offset, where it lies above the base of the first segment.
    pub log_start_offset: Option<Offset>,
    /// High watermark.
    pub high_watermark: Offset,
    /// Behind the last record; everything before is flushed.
    pub log_end_offset: Offset,
}

/// Writes what the next start, of this broker or of Apache Kafka, wants to find after a clean stop:
/// the three checkpoints, and last the marker itself. Every file of every partition is complete by
/// then. `partitions` are those of all shards.
///
/// # Errors
/// If a file cannot be written; the stop is not clean then.
pub async fn write_at_stop<E: Env>(
    env: &E,
    log_dir: &Path,
    partitions: &[PartitionAtStop],
    broker_epoch: i64,
) -> Result<(), DiskFailure> {
    let offsets = |of: &dyn Fn(&PartitionAtStop) -> Option<Offset>| {
        let entry = |partition: &PartitionAtStop| {
            let (topic, index) = (partition.topic.to_string(), partition.partition);
            Some(PartitionOffset { topic, partition: index, offset: of(partition)? })
        };
        format_offsets(&partitions.iter().filter_map(entry).collect::<Vec<_>>())
    };
    let texts = [
        (RECOVERY_POINTS, offsets(&|partition| Some(partition.log_end_offset))),
        (HIGH_WATERMARKS, offsets(&|partition| Some(partition.high_watermark))),
        (LOG_START_OFFSETS, offsets(&|partition| partition.log_start_offset)),
    ];
    for (name, text) in texts {
        write(env, &log_dir.join(name), text).await?;
    }
    let entries = env.list_dir(log_dir).await;
    for entry in entries.map_err(|error| failure("list", log_dir, error))? {
        if shard_of_log_starts(&entry.name).is_some() {
            let removed = env.remove_file(&entry.path).await;
            removed.map_err(|error| failure("remove", &entry.path, error))?;
        }
    }
    write(env, &log_dir.join(CLEAN_SHUTDOWN), format_clean_shutdown(broker_epoch)).await
}

/// Removes the marker of a clean stop, durably, and says whether there was one: from then on a stop
/// is unclean until it is finished.
///
/// # Errors
/// If it cannot be removed.
pub async fn take_clean_marker<E: Env>(env: &E, log_dir: &Path) -> io::Result<bool> {
    if found(env.remove_file(&log_dir.join(CLEAN_SHUTDOWN)).await)?.is_none() {
        return Ok(false);
    }
    env.sync_dir(log_dir).await?;
    Ok(true)
}

async fn write<E: Env>(env: &E, path: &Path, text: String) -> Result<(), DiskFailure> {
    let written = env.write_small(path, Bytes::from(text)).await;
    written.map_err(|error| failure("write", path, error))
}
