//! Checkpoints: leader epochs, log start offsets and recovery points, which are written while the broker
//! runs. Each shard has its own files of offsets: Kafka has one for all, which several shards cannot
//! write at once.
//!
//! Offsets of partitions stand under the ids of their topics, not under names as in Kafka's files: a
//! topic may be deleted and made again, and a crash must not lay the offsets of one on the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::bounds::SMALL_FILE_BYTES_MAX;
use super::dirs::DirUse;
use super::newest::{Newest, Wish};
use super::seal::replace;
use super::{Jobs, damage, failure, found};
use crate::io::Env;
use crate::log::checkpoint::{
    PartitionOffset, checked, format_offsets, parse_offsets, with_checksum,
};
use crate::partition::epochs;
use crate::shard::event::{DiskFailure, OffsetsFile};
use crate::types::{Offset, ShardId, TopicPartition};

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

/// The text of a file of recovery points by partition.
#[must_use]
pub fn format_recovery_points(
    offsets: impl IntoIterator<Item = (TopicPartition, Offset)>,
) -> String {
    with_checksum(format_offsets_by_id(offsets))
}

/// Writes the leader epochs of a partition, unless somebody has a newer text.
pub(super) async fn write_epochs<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    wish: Wish,
    text: Bytes,
) -> Result<(), DiskFailure> {
    let Some(_permit) = dir.epochs.turn(wish).await else { return Ok(()) };
    if dir.is_gone() {
        return Ok(());
    }
    dir.ready().await;
    replace(jobs, &dir.path.join(epochs::FILE_NAME), text).await
}

/// The writers of a shard's files of offsets.
#[derive(Debug, Default)]
pub struct OffsetsWriters {
    log_starts: Newest,
    recovery_points: Newest,
    /// That of waypoints.
    pub waypoints: Newest,
}

impl OffsetsWriters {
    /// That of one file.
    pub fn of(&self, file: OffsetsFile) -> &Newest {
        match file {
            OffsetsFile::LogStarts => &self.log_starts,
            OffsetsFile::RecoveryPoints => &self.recovery_points,
        }
    }
}

/// Writes offsets that a shard knows, unless there is a newer wish. Says whether it did.
pub(super) async fn write_offsets<E: Env>(
    jobs: &Jobs<E>,
    file: OffsetsFile,
    wish: Wish,
    entries: OffsetsById,
) -> Result<bool, DiskFailure> {
    let Some(_permit) = jobs.0.offsets.of(file).turn(wish).await else { return Ok(false) };
    let settings = jobs.settings();
    let path = settings.log_dir.join(offsets_name(file, settings.shard));
    let text = match file {
        OffsetsFile::LogStarts => format_offsets_by_id(entries),
        OffsetsFile::RecoveryPoints => format_recovery_points(entries),
    };
    replace(jobs, &path, Bytes::from(text)).await?;
    Ok(true)
}

/// What the names of the shards' files of offsets begin with.
const fn prefix(file: OffsetsFile) -> &'static str {
    match file {
        OffsetsFile::LogStarts => "millrace-log-start-offsets-",
        OffsetsFile::RecoveryPoints => "millrace-recovery-points-",
    }
}

/// The file that a shard keeps offsets in.
#[must_use]
pub fn offsets_name(file: OffsetsFile, shard: ShardId) -> String {
    format!("{}{shard}", prefix(file))
}

/// Whether this is the name of a file that a shard keeps such offsets in.
#[must_use]
pub fn is_offsets_name(file: OffsetsFile, name: &str) -> bool {
    name.strip_prefix(prefix(file)).is_some_and(|shard| shard.parse::<ShardId>().is_ok())
}

/// The offsets of all partitions, whoever wrote them last: they only rise. None if no shard ever wrote
/// any: then those that Kafka left count.
///
/// # Errors
/// If a file cannot be read, or is not what its name says.
pub async fn read_offsets<E: Env>(
    env: &E,
    log_dir: &Path,
    file: OffsetsFile,
) -> Result<Option<OffsetsById>, DiskFailure> {
    let mut offsets = None;
    let entries = env.list_dir(log_dir).await;
    for entry in entries.map_err(|error| failure("list", log_dir, error))? {
        let is_at_stop = file == OffsetsFile::RecoveryPoints && entry.name == RECOVERY_POINTS_BY_ID;
        if !is_at_stop && !is_offsets_name(file, &entry.name) {
            continue;
        }
        let offsets = offsets.get_or_insert_with(OffsetsById::new);
        let read = match read_by_id(env, log_dir, &entry.name).await {
            // The log can do without: what it says itself counts.
            Err(failure) if failure.is_damage && file == OffsetsFile::RecoveryPoints => {
                tracing::error!(%failure, "recovery points are damaged, and passed over");
                continue;
            }
            read => read?,
        };
        for (id, offset) in read.unwrap_or_default() {
            let known = offsets.entry(id).or_insert(offset);
            *known = offset.max(*known);
        }
    }
    Ok(offsets)
}

/// The offsets of a file by partition; none if there is no such file.
async fn read_by_id<E: Env>(
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
    let offsets = checked(&text).and_then(parse_offsets);
    let offsets = offsets.map_err(|error| damage("read", &path, error.to_string()))?;
    Ok(Some(offsets.into_iter().map(|o| ((Arc::from(o.topic), o.partition), o.offset)).collect()))
}
