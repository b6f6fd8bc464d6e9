//! What the last run left in the log directories.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{EngineSettings, Identity};
use crate::io::together::together;
use crate::io::{DirEntry, Env};
use crate::job::DirectIo;
use crate::job::checkpoints::{
    OffsetsById, OffsetsByName, RECOVERY_POINTS_BY_ID, format_offsets_by_id, offsets_name,
    read_by_name, read_offsets,
};
use crate::job::journal_file::{parse_journal_name, read_journal};
use crate::job::waypoints::{is_waypoints_name, read_waypoints, remove_waypoints};
use crate::journal::format::FormatError;
use crate::journal::plan::FileId;
use crate::journal::replay::{self, FileContent, RedoByPartition};
use crate::limits::JOURNAL_FILE_BYTES;
use crate::log::checkpoint::{LOG_START_OFFSETS, MetaProperties};
use crate::metadata::Image;
use crate::metadata::placement::Directories;
use crate::partition::waypoint::Waypoint;
use crate::shard::Inheritance;
use crate::shard::controller_host::METADATA_PARTITION;
use crate::shard::event::{DiskFailure, OffsetsFile};
use crate::types::{NodeId, ShardId, TopicPartition, Uuid};

/// Largest small file that is read at the start. Bytes.
const SMALL_FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
pub(super) const META_PROPERTIES: &str = "meta.properties";
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
    /// `meta.properties` belongs to another cluster than that of the first directory.
    #[error(
        "the log directory {} belongs to the cluster {found}, {} to {expected}: take one of them out of \
         log.dirs", path.display(), first.display()
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// In its file.
        found: String,
        /// The first directory.
        first: PathBuf,
        /// In its file.
        expected: String,
    },
    /// Two directories have the same id.
    #[error(
        "the log directories {} and {} have the same directory.id: one is a copy of the other, or both \
         are the same; take one of them out of log.dirs", first.display(), second.display()
    )]
    SameDirectory {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The metadata log is not in the first directory.
    #[error(
        "the metadata log is in {}, which must be the first of log.dirs instead of {}",
        found.display(), first.display()
    )]
    MetadataElsewhere {
        /// Where it is.
        found: PathBuf,
        /// Where it has to be.
        first: PathBuf,
    },
    /// The first directory is new, another one is not.
    #[error(
        "{} is the first of log.dirs, where the metadata log has to be, but it was never used, and {} \
         belongs to the cluster {cluster_id}: name the directory with __cluster_metadata-0 first",
        first.display(), used.display()
    )]
    MetadataMissing {
        /// The first.
        first: PathBuf,
        /// The other.
        used: PathBuf,
        /// Its cluster.
        cluster_id: String,
    },
    /// A partition is in two directories.
    #[error(
        "partition {partition} of topic {topic} is in two log directories, {} and {}: move one of them \
         away", first.display(), second.display()
    )]
    FoundTwice {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Here.
        first: PathBuf,
        /// And there.
        second: PathBuf,
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
    /// The cluster uses features that are not built yet.
    #[error(
        "the metadata log is finalized at {features}, which this version does not support: let Apache Kafka run on \
        these log directories once more, set each of them to 0 (kafka-features.sh downgrade --feature NAME=0), stop \
        it, and start again"
    )]
    Features {
        /// Names and levels.
        features: String,
    },
    /// The metadata log cannot be read or continued.
    #[error("the metadata log cannot be used: {0}")]
    Metadata(String),
}

/// What the last run left, for shard 0 to hand out.
pub(super) struct Inherited {
    pub(super) identity: Identity,
    /// Log directories that cannot be used.
    pub(super) failed: Vec<usize>,
    /// No broker has had these directories before.
    pub(super) is_first_start: bool,
    /// What concerns every shard.
    pub(super) common: Inheritance,
    /// Redo of the metadata log.
    pub(super) metadata_redo: Vec<replay::Redo>,
    redo: RedoByPartition,
    journals: Vec<JournalFound>,
    /// Waypoints, and the directories that they were found in.
    waypoints: Vec<(usize, TopicPartition, Waypoint)>,
    /// Journal files that are needed until every partition is open.
    pub(super) old_journals: Vec<PathBuf>,
    /// What only Kafka's files say, by directory and name: log start offsets and recovery points.
    pub(super) named: Vec<(usize, [OffsetsByName; 2])>,
}

struct JournalFound {
    /// Which directory it is in.
    directory: usize,
    shard: ShardId,
    file: FileId,
    path: PathBuf,
    is_whole: bool,
}

/// A log directory that can be read.
pub(super) struct Seen {
    /// Which one.
    pub(super) index: usize,
    entries: Vec<DirEntry>,
    /// None if it was never used.
    pub(super) meta: Option<MetaProperties>,
}

impl Seen {
    /// Whether it is one of several that was added since the last run.
    fn is_new(&self) -> bool {
        self.index > 0 && self.meta.is_none()
    }

    /// Whether something of this name is in it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == name)
    }
}

/// Reads what is in the log directories. What only a failing disk explains takes a directory out, unless
/// it is the first one; anything else refuses the start.
pub(super) async fn inherit<E: Env>(
    env: &E,
    settings: &EngineSettings,
) -> Result<Inherited, BootError> {
    let mut seen = Vec::new();
    let mut failed = settings.log_dirs_failed.clone();
    for index in 0..settings.log_dirs.len() {
        if failed.contains(&index) {
            continue;
        }
        match look(env, settings, index).await {
            Ok(directory) => seen.push(directory),
            Err(error) => failed.push(set_aside(settings, index, error)?),
        }
    }
    let cluster_id = super::identity::cluster_id(env, settings, &seen)?;
    let mut inherited = Inherited {
        identity: Identity { cluster_id, directories: Directories::default() },
        failed: Vec::new(),
        is_first_start: seen.iter().all(|directory| directory.meta.is_none()),
        common: Inheritance {
            was_clean: seen.iter().all(|d| d.has(CLEAN_SHUTDOWN) || d.is_new()),
            ..Inheritance::default()
        },
        metadata_redo: Vec::new(),
        redo: RedoByPartition::new(),
        journals: Vec::new(),
        waypoints: Vec::new(),
        old_journals: Vec::new(),
        named: Vec::new(),
    };
    let mut ids = vec![None; settings.log_dirs.len()];
    let mut contents = Vec::new();
    for directory in &seen {
        let index = directory.index;
        match take(env, settings, directory, &mut inherited).await {
            Ok((id, found)) => {
                contents.extend(found);
                if let Some(slot) = ids.get_mut(index) {
                    *slot = Some(id);
                }
            }
            Err(error) => failed.push(set_aside(settings, index, error)?),
        }
    }
    let (mut redo, highest) = replay::merge(contents);
    if inherited.common.was_clean {
        redo.clear();
    }
    inherited.common.next_file_sequence = highest + 1;
    inherited.metadata_redo = redo.remove(&METADATA_PARTITION).unwrap_or_default();
    inherited.redo = redo;
    inherited.identity.directories = Directories::new(settings.node_id, ids);
    inherited.common.directories = inherited.identity.directories.clone();
    inherited.failed = failed;
    Ok(inherited)
}

/// Says loudly that a log directory is not used. An error if the broker cannot do without.
fn set_aside(
    settings: &EngineSettings,
    index: usize,
    error: BootError,
) -> Result<usize, BootError> {
    let is_disk = match &error {
        BootError::Io { .. } => true,
        BootError::Disk(failure) => !failure.is_damage,
        _ => false,
    };
    if index == 0 || !is_disk {
        return Err(error);
    }
    let log_dir = settings.log_dir(index).display();
    tracing::error!(%log_dir, %error,
        "THE LOG DIRECTORY IS OFFLINE: it cannot be used, nor can the partitions in it until the next start");
    Ok(index)
}

/// What is in a log directory. It is made if it is not there.
async fn look<E: Env>(env: &E, settings: &EngineSettings, index: usize) -> Result<Seen, BootError> {
    let dir = settings.log_dir(index);
    let io_error = |source| BootError::Io { path: dir.to_owned(), source };
    env.create_dir(dir).await.map_err(io_error)?;
    // A killed process may have made and renamed files here, and not flushed that any more.
    env.sync_dir(dir).await.map_err(io_error)?;
    if let Some(parent) = dir.parent()
        && let Err(error) = env.sync_dir(parent).await
    {
        // Who may not look into it has been given the directory by somebody else.
        tracing::debug!(path = %parent.display(), %error, "the parent directory is not flushed");
    }
    let entries = env.list_dir(dir).await.map_err(io_error)?;
    super::room::give_back(env, dir, &entries).await?;
    let mut meta = None;
    if entries.iter().any(|entry| entry.name == META_PROPERTIES) {
        let path = dir.join(META_PROPERTIES);
        let malformed = |reason: String| BootError::Malformed { path: path.clone(), reason };
        let bytes = read_small(env, &path).await?;
        let text = String::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let parsed = MetaProperties::from_text(&text);
        meta = Some(parsed.map_err(|error| malformed(error.to_string()))?);
    }
    Ok(Seen { index, entries, meta })
}

/// Takes over a log directory: its id, and what its journals hold.
async fn take<E: Env>(
    env: &E,
    settings: &EngineSettings,
    directory: &Seen,
    inherited: &mut Inherited,
) -> Result<(Uuid, Vec<FileContent>), BootError> {
    let dir = settings.log_dir(directory.index);
    let io_error = |source| BootError::Io { path: dir.to_owned(), source };
    let cluster_id = &inherited.identity.cluster_id;
    let id = super::identity::complete(env, settings, directory, cluster_id).await?;
    if directory.has(CLEAN_SHUTDOWN) {
        // Whoever had the directory since may have changed it.
        remove_waypoints(env, dir).await?;
        // From here on a stop is unclean until it is finished.
        env.remove_file(&dir.join(CLEAN_SHUTDOWN)).await.map_err(io_error)?;
        env.sync_dir(dir).await.map_err(io_error)?;
    }
    remove_leftovers(env, &directory.entries);
    let log_starts = read_offsets(env, dir, OffsetsFile::LogStarts).await?;
    let recovery_points = read_offsets(env, dir, OffsetsFile::RecoveryPoints).await?;
    let named = [
        read_by_name(env, dir, LOG_START_OFFSETS).await?.filter(|_| log_starts.is_none()),
        read_by_name(env, dir, RECOVERY_POINTS).await?.filter(|_| recovery_points.is_none()),
    ];
    for entry in directory.entries.iter().filter(|entry| is_waypoints_name(&entry.name)) {
        let found = read_waypoints(env, &entry.path).await?.into_iter();
        inherited.waypoints.extend(found.map(|(id, waypoint)| (directory.index, id, waypoint)));
    }
    let (files, contents) = journals(env, settings, directory).await?;
    let common = &mut inherited.common;
    raise(&mut common.log_starts, log_starts.unwrap_or_default());
    raise(Arc::make_mut(&mut common.recovery_points), recovery_points.unwrap_or_default());
    inherited.named.push((directory.index, named.map(Option::unwrap_or_default)));
    inherited.journals.extend(files);
    Ok((id, contents))
}

/// Adds offsets to others; they only rise.
fn raise(known: &mut OffsetsById, more: OffsetsById) {
    for (id, offset) in more {
        let at = known.entry(id).or_insert(offset);
        *at = offset.max(*at);
    }
}

/// The journals in a log directory, whichever shards they are of, and what they hold.
async fn journals<E: Env>(
    env: &E,
    settings: &EngineSettings,
    directory: &Seen,
) -> Result<(Vec<JournalFound>, Vec<FileContent>), BootError> {
    let named = directory.entries.iter().filter_map(|entry| {
        let (shard, file) = parse_journal_name(&entry.name)?;
        Some((shard, file, entry.path.as_path()))
    });
    let named: Vec<_> = named.collect();
    // As many at once as there are: the disk is what the start waits for.
    let read = together(named.iter().map(|(_, _, path)| async {
        let bytes: Bytes = read_journal(env, path).await.map_err(|source| {
            if DirectIo::is_unsupported(&source) {
                BootError::NoDirectIo { path: settings.log_dir(directory.index).to_owned() }
            } else {
                BootError::Io { path: path.to_path_buf(), source }
            }
        })?;
        Ok::<_, BootError>((bytes.len() as u64 == JOURNAL_FILE_BYTES, replay::read_file(&bytes)))
    }));
    let mut contents = Vec::new();
    let mut files = Vec::new();
    for (&(shard, file, path), read) in named.iter().zip(read.await) {
        let (is_whole, content) = read?;
        let (directory, path) = (directory.index, path.to_owned());
        match content {
            Ok(content) => {
                for position in &content.damaged {
                    tracing::error!(file = %path.display(), position,
                        "an entry of the journal is damaged; what it held may still be in segments");
                }
                contents.push(content);
            }
            Err(FormatError::NoSuperblock) => {}
            Err(source @ FormatError::Newer { .. }) => {
                return Err(BootError::Newer { path, source });
            }
        }
        files.push(JournalFound { directory, shard, file, path, is_whole });
    }
    Ok((files, contents))
}

impl Inherited {
    /// Gives every shard what concerns it. `moved` are partitions that are in another directory than the
    /// metadata say.
    pub(super) fn distribute(
        &mut self,
        settings: &EngineSettings,
        image: &Image,
        moved: &BTreeMap<TopicPartition, Uuid>,
    ) -> Vec<Inheritance> {
        let is_needed = !self.common.was_clean;
        let directories = &self.common.directories;
        let is_of = |journal: &JournalFound, shard| {
            journal.shard == shard && journal.directory == directories.of_shard(shard)
        };
        let mut by_shard: Vec<Inheritance> = (0..settings.shards)
            .map(|shard| {
                let mine = self.journals.iter().filter(|journal| is_of(journal, shard));
                let next_file = mine.clone().map(|journal| journal.file + 1).max().unwrap_or(0);
                let reusable = mine.filter(|journal| !is_needed && journal.is_whole);
                let reusable = reusable.map(|journal| journal.file).collect();
                let has_old_journals = is_needed && !self.journals.is_empty();
                Inheritance { next_file, reusable, has_old_journals, ..self.common.clone() }
            })
            .collect();
        let index_of = |partition| {
            let found = moved.get(&partition).map(|id| directories.of_id(*id));
            let recorded = || image.topics.partition(partition).map(|image| directories.of(image));
            found.or_else(recorded).flatten()
        };
        let shard_in =
            |index, partition| usize::from(directories.shard_in(index, partition, settings.shards));
        for (partition, redo) in std::mem::take(&mut self.redo) {
            let shard = shard_in(index_of(partition).unwrap_or(0), partition);
            if let Some(inheritance) = by_shard.get_mut(shard) {
                inheritance.redo.insert(partition, redo);
            }
        }
        for (index, partition, waypoint) in std::mem::take(&mut self.waypoints) {
            // One that was left in another directory is of an earlier time.
            if index_of(partition) == Some(index)
                && let Some(inheritance) = by_shard.get_mut(shard_in(index, partition))
            {
                let known = inheritance.waypoints.entry(partition);
                let known = known.or_insert_with(|| Arc::new(waypoint.clone()));
                if known.offset < waypoint.offset {
                    *known = Arc::new(waypoint);
                }
            }
        }
        let is_reused = |journal: &JournalFound| {
            !is_needed
                && journal.is_whole
                && journal.shard < settings.shards
                && is_of(journal, journal.shard)
        };
        let old = self.journals.iter().filter(|journal| !is_reused(journal));
        self.old_journals = old.map(|journal| journal.path.clone()).collect();
        by_shard
    }
}

/// What Kafka's files say by name, by partition, once the metadata are known. Written under ids before
/// anything else happens, as names may be used again.
pub(super) async fn take_over_named<E: Env>(
    env: &E,
    settings: &EngineSettings,
    image: &Image,
    named: Vec<(usize, [OffsetsByName; 2])>,
    shards: &mut [Inheritance],
) -> Result<(), BootError> {
    let by_id = |named: OffsetsByName| {
        let ids = named.into_iter().filter_map(|((topic, partition), offset)| {
            let topic_id = image.topics.id_of(&topic)?;
            Some((TopicPartition { topic_id, partition }, offset))
        });
        ids.collect::<OffsetsById>()
    };
    let (mut all_starts, mut all_points) = (OffsetsById::new(), OffsetsById::new());
    for (index, named) in named {
        let [starts, points] = named.map(by_id);
        // The first shard of the directory has its number.
        let starts_name =
            offsets_name(OffsetsFile::LogStarts, ShardId::try_from(index).unwrap_or_default());
        for (name, offsets) in [(starts_name.as_str(), &starts), (RECOVERY_POINTS_BY_ID, &points)] {
            if offsets.is_empty() {
                continue;
            }
            let path = settings.log_dir(index).join(name);
            let text = format_offsets_by_id(offsets.iter().map(|(id, offset)| (*id, *offset)));
            let written = env.write_small(&path, Bytes::from(text)).await;
            written.map_err(|source| BootError::Io { path, source })?;
        }
        raise(&mut all_starts, starts);
        raise(&mut all_points, points);
    }
    if let Some(common) = shards.first() {
        raise(&mut all_points, common.recovery_points.as_ref().clone());
    }
    let points = Arc::new(all_points);
    for shard in shards {
        shard.log_starts.extend(all_starts.iter().map(|(id, offset)| (*id, *offset)));
        // Those of topics that are gone would be written again and again.
        shard.log_starts.retain(|id, _| image.topics.partition(*id).is_some());
        shard.recovery_points = Arc::clone(&points);
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
