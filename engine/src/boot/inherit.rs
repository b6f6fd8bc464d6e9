//! What the last run left in the log directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{EngineSettings, Identity};
use crate::io::{DirEntry, Env};
use crate::job::DirectIo;
use crate::job::checkpoints::{
    OffsetsById, OffsetsByName, RECOVERY_POINTS_BY_ID, format_offsets_by_id, offsets_name,
    read_by_name, read_offsets,
};
use crate::job::journal_file::{parse_journal_name, read_journal};
use crate::journal::format::FormatError;
use crate::journal::plan::FileId;
use crate::journal::replay::{self, RedoByPartition};
use crate::limits::JOURNAL_FILE_BYTES;
use crate::log::checkpoint::{LOG_START_OFFSETS, MetaProperties};
use crate::metadata::placement::shard_of;
use crate::metadata::{Image, bootstrap};
use crate::shard::Inheritance;
use crate::shard::event::{DiskFailure, OffsetsFile};
use crate::types::{NodeId, ShardId, TopicPartition, Uuid};

/// Largest small file that is read at the start. Bytes.
const SMALL_FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
const META_PROPERTIES: &str = "meta.properties";
/// Offsets below which everything is in segments.
pub(super) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// The marker of a clean stop.
pub(super) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// The broker cannot start from its log directory.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system cannot do direct I/O.
    #[error(
        "the file system of {} does not support direct I/O (O_DIRECT), which millrace writes with: \
         put log.dirs on ext4, xfs or btrfs", path.display()
    )]
    NoDirectIo {
        /// The directory.
        path: PathBuf,
    },
    /// A disk operation of the engine failed.
    #[error(transparent)]
    Disk(#[from] DiskFailure),
    /// `meta.properties` belongs to another node.
    #[error(
        "the log directory {} belongs to node.id {found}, the configuration says {configured}: \
         correct node.id, or use another log directory", path.display()
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// In the file.
        found: NodeId,
        /// In the configuration.
        configured: NodeId,
    },
    /// A file's text is not what it should be.
    #[error("{} cannot be read: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A journal file was written by a newer version.
    #[error("{}: {source}", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Which version.
        source: FormatError,
    },
    /// The metadata log cannot be read or continued.
    #[error("the metadata log cannot be used: {0}")]
    Metadata(String),
}

/// What shard 0 hands out at the start.
pub(super) struct Inherited {
    pub(super) identity: Identity,
    pub(super) by_shard: Vec<Inheritance>,
    /// Redo of the metadata log.
    pub(super) metadata_redo: Vec<replay::Redo>,
    /// Journal files that are needed until every partition is open.
    pub(super) old_journals: Vec<PathBuf>,
    pub(super) was_clean: bool,
    /// What only Kafka's files say, by name: log start offsets and recovery points.
    pub(super) named: [OffsetsByName; 2],
}

pub(super) async fn inherit<E: Env>(
    env: &E,
    settings: &EngineSettings,
) -> Result<Inherited, BootError> {
    let io_error = |source| BootError::Io { path: settings.log_dir.clone(), source };
    env.create_dir(&settings.log_dir).await.map_err(io_error)?;
    // A killed process may have made and renamed files here, and not flushed that any more.
    env.sync_dir(&settings.log_dir).await.map_err(io_error)?;
    if let Some(parent) = settings.log_dir.parent()
        && let Err(error) = env.sync_dir(parent).await
    {
        // Who may not look into it has been given the directory by somebody else.
        tracing::debug!(path = %parent.display(), %error, "the parent directory is not flushed");
    }
    let entries = env.list_dir(&settings.log_dir).await.map_err(io_error)?;
    super::room::give_back(env, &settings.log_dir, &entries).await?;
    let identity = identity(env, settings, &entries).await?;
    let was_clean = entries.iter().any(|entry| entry.name == CLEAN_SHUTDOWN);
    if was_clean {
        // From here on a stop is unclean until it is finished.
        let path = settings.path(CLEAN_SHUTDOWN);
        env.remove_file(&path).await.map_err(io_error)?;
        env.sync_dir(&settings.log_dir).await.map_err(io_error)?;
    }
    remove_leftovers(env, &entries);
    let dir = &settings.log_dir;
    let log_starts = read_offsets(env, dir, OffsetsFile::LogStarts).await?;
    let recovery_points = read_offsets(env, dir, OffsetsFile::RecoveryPoints).await?;
    let named = [
        read_by_name(env, dir, LOG_START_OFFSETS).await?.filter(|_| log_starts.is_none()),
        read_by_name(env, dir, RECOVERY_POINTS).await?.filter(|_| recovery_points.is_none()),
    ];
    let journals = journals(env, settings, &entries).await?;
    let common = Inheritance {
        log_starts: log_starts.unwrap_or_default(),
        next_file_sequence: journals.next_sequence,
        was_clean,
        recovery_points: Arc::new(recovery_points.unwrap_or_default()),
        ..Inheritance::default()
    };
    let inherited = distribute(settings, identity, &common, journals);
    Ok(Inherited { named: named.map(Option::unwrap_or_default), ..inherited })
}

struct Journals {
    redo: RedoByPartition,
    next_sequence: u64,
    files: Vec<(ShardId, FileId, PathBuf, bool)>,
}

async fn journals<E: Env>(
    env: &E,
    settings: &EngineSettings,
    entries: &[DirEntry],
) -> Result<Journals, BootError> {
    let mut contents = Vec::new();
    let mut files = Vec::new();
    for entry in entries {
        let Some((shard, file)) = parse_journal_name(&entry.name) else { continue };
        let bytes: Bytes = read_journal(env, &entry.path).await.map_err(|source| {
            if DirectIo::is_unsupported(&source) {
                BootError::NoDirectIo { path: settings.log_dir.clone() }
            } else {
                BootError::Io { path: entry.path.clone(), source }
            }
        })?;
        let is_whole = bytes.len() as u64 == JOURNAL_FILE_BYTES;
        files.push((shard, file, entry.path.clone(), is_whole));
        match replay::read_file(&bytes) {
            Ok(content) => {
                for position in &content.damaged {
                    tracing::error!(file = %entry.path.display(), position,
                        "an entry of the journal is damaged; what it held may still be in segments");
                }
                contents.push(content);
            }
            Err(FormatError::NoSuperblock) => {}
            Err(source @ FormatError::Newer { .. }) => {
                return Err(BootError::Newer { path: entry.path.clone(), source });
            }
        }
    }
    let (redo, highest) = replay::merge(contents);
    Ok(Journals { redo, next_sequence: highest + 1, files })
}

/// Gives every shard what concerns it.
fn distribute(
    settings: &EngineSettings,
    identity: Identity,
    common: &Inheritance,
    journals: Journals,
) -> Inherited {
    let was_clean = common.was_clean;
    let is_needed = !was_clean;
    let mut by_shard: Vec<Inheritance> = (0..settings.shards)
        .map(|shard| {
            let mine = journals.files.iter().filter(|(of, ..)| *of == shard);
            let next_file = mine.clone().map(|(_, file, ..)| file + 1).max().unwrap_or(0);
            let reusable = mine
                .filter(|(_, _, _, is_whole)| !is_needed && *is_whole)
                .map(|(_, file, ..)| *file)
                .collect();
            Inheritance { next_file, reusable, ..common.clone() }
        })
        .collect();
    let mut metadata_redo = Vec::new();
    if is_needed {
        for (partition, redo) in journals.redo {
            if partition.topic_id == Uuid::METADATA_TOPIC {
                metadata_redo = redo;
                continue;
            }
            let shard = usize::from(shard_of(partition, settings.shards));
            if let Some(inheritance) = by_shard.get_mut(shard) {
                inheritance.redo.insert(partition, redo);
            }
        }
    }
    let old_journals = journals
        .files
        .into_iter()
        .filter(|(shard, _, _, is_whole)| is_needed || !*is_whole || *shard >= settings.shards)
        .map(|(_, _, path, _)| path)
        .collect();
    let named = Default::default();
    Inherited { identity, by_shard, metadata_redo, old_journals, was_clean, named }
}

async fn identity<E: Env>(
    env: &E,
    settings: &EngineSettings,
    entries: &[DirEntry],
) -> Result<Identity, BootError> {
    let path = settings.path(META_PROPERTIES);
    let mut random = || u128::from(env.random()) << 64 | u128::from(env.random());
    let malformed = |reason: String| BootError::Malformed { path: path.clone(), reason };
    let mut found = MetaProperties {
        version: 1,
        cluster_id: None,
        node_id: Some(settings.node_id),
        directory_id: None,
    };
    if entries.iter().any(|entry| entry.name == META_PROPERTIES) {
        let bytes = read_small(env, &path).await?;
        let text = String::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        found = MetaProperties::from_text(&text).map_err(|error| malformed(error.to_string()))?;
    }
    if let Some(node_id) = found.node_id.filter(|id| *id != settings.node_id) {
        let path = settings.log_dir.clone();
        return Err(BootError::OtherNode { path, found: node_id, configured: settings.node_id });
    }
    let cluster_id =
        found.cluster_id.clone().unwrap_or_else(|| bootstrap::new_id(&mut random).to_string());
    let directory_id = found.directory_id.unwrap_or_else(|| bootstrap::new_id(&mut random));
    let complete = MetaProperties {
        version: 1,
        cluster_id: Some(cluster_id.clone()),
        node_id: Some(settings.node_id),
        directory_id: Some(directory_id),
    };
    if complete != found {
        let text = Bytes::from(complete.to_text());
        env.write_small(&path, text).await.map_err(|source| BootError::Io { path, source })?;
    }
    Ok(Identity { cluster_id, directory_id })
}

/// What Kafka's files say by name, by partition, once the metadata are known. Written under ids before
/// anything else happens, as names may be used again.
pub(super) async fn take_over_named<E: Env>(
    env: &E,
    settings: &EngineSettings,
    image: &Image,
    named: [OffsetsByName; 2],
    shards: &mut [Inheritance],
) -> Result<(), BootError> {
    let by_id = |named: OffsetsByName| {
        let ids = named.into_iter().filter_map(|((topic, partition), offset)| {
            let topic_id = image.topics.id_of(&topic)?;
            Some((TopicPartition { topic_id, partition }, offset))
        });
        ids.collect::<OffsetsById>()
    };
    let [starts, points] = named.map(by_id);
    let starts_name = offsets_name(OffsetsFile::LogStarts, 0);
    for (name, offsets) in [(starts_name.as_str(), &starts), (RECOVERY_POINTS_BY_ID, &points)] {
        if offsets.is_empty() {
            continue;
        }
        let path = settings.path(name);
        let text = format_offsets_by_id(offsets.iter().map(|(id, offset)| (*id, *offset)));
        let written = env.write_small(&path, Bytes::from(text)).await;
        written.map_err(|source| BootError::Io { path, source })?;
    }
    let points = Arc::new(points);
    for shard in shards {
        shard.log_starts.extend(starts.iter().map(|(id, offset)| (*id, *offset)));
        // Those of topics that are gone would be written again and again.
        shard.log_starts.retain(|id, _| image.topics.partition(*id).is_some());
        if !points.is_empty() {
            shard.recovery_points = Arc::clone(&points);
        }
    }
    Ok(())
}

async fn read_small<E: Env>(env: &E, path: &Path) -> Result<Vec<u8>, BootError> {
    env.read_small(path, SMALL_FILE_BYTES_MAX)
        .await
        .map_err(|source| BootError::Io { path: path.to_owned(), source })
}

/// Directories of deleted partitions that the last run had no time to remove.
fn remove_leftovers<E: Env>(env: &E, entries: &[DirEntry]) {
    for entry in entries.iter().filter(|entry| entry.is_dir && entry.name.ends_with("-delete")) {
        let (env, path) = (env.clone(), entry.path.clone());
        env.clone().spawn(async move {
            if let Err(error) = env.remove_dir(&path).await {
                tracing::warn!(path = %path.display(), %error, "a deleted partition's directory stays");
            }
        });
    }
}
