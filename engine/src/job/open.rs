//! Opens a partition: creates its directory, or recovers what is in it.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::bounds::SMALL_FILE_BYTES_MAX;
use super::dirs::{Dir, DirUse};
use super::recover::{Input, by_segment};
use super::seal::replace;
use super::{Jobs, damage, failure, found};
use crate::io::Env;
use crate::log::checkpoint::{
    PARTITION_METADATA, format_partition_metadata, parse_partition_metadata,
};
use crate::log::files::{DirectoryUse, FileKind, FileState, LogFile, renamed_directory};
use crate::partition::Recovered;
use crate::partition::admit::index_rules;
use crate::partition::epochs::{self, Epochs};
use crate::partition::waypoint::Waypoint;
use crate::shard::event::{DiskFailure, Open};
use crate::types::{LeaderEpoch, Offset, TopicId, Uuid};

/// What stands in a partition's directory.
#[derive(Debug, Default)]
struct Listing {
    /// Base offsets of the `.log` files.
    segments: BTreeSet<Offset>,
    /// Offsets of the `.snapshot` files.
    snapshots: BTreeSet<Offset>,
    /// Files that belong to a segment: index files.
    companions: Vec<LogFile>,
    /// Files that an interrupted deletion or compaction left.
    leftovers: Vec<String>,
}

/// Creates or recovers a partition.
pub(super) async fn open<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    open: Open,
) -> Result<Recovered, DiskFailure> {
    dir.ready().await;
    let permit = jobs.0.opens.enter_as(dir.id).await;
    let recovered = open_dir(jobs, dir, open).await;
    drop(permit);
    recovered
}

async fn open_dir<E: Env>(jobs: &Jobs<E>, dir: &Dir, open: Open) -> Result<Recovered, DiskFailure> {
    let wanted = open.partition.topic_id;
    let listed = found(jobs.env().list_dir(&dir.path).await);
    let mut listed = listed.map_err(|error| failure("list", &dir.path, error))?;
    let mut stored = None;
    if listed.is_some() {
        stored = topic_id_of(jobs, dir).await?;
        if let Some(other) = stored.filter(|stored| *stored != wanted) {
            put_aside(jobs, dir, &open, other).await?;
            (listed, stored) = (None, None);
        }
    }
    let is_new = listed.is_none();
    let listing = match listed {
        Some(entries) => classify(dir, entries.into_iter().map(|entry| entry.name))?,
        None => {
            let created = jobs.env().create_dir(&dir.path).await;
            created.map_err(|error| failure("create", &dir.path, error))?;
            Listing::default()
        }
    };
    if !is_new && !jobs.settings().was_clean && !is_durable(&listing, open.waypoint.as_deref()) {
        // A killed process may have made files here whose names are not durable yet.
        let synced = jobs.env().sync_dir(&dir.path).await;
        synced.map_err(|error| failure("flush directory", &dir.path, error))?;
    }
    if stored.is_none() {
        let text = Bytes::from(format_partition_metadata(wanted));
        replace(jobs, &dir.path.join(PARTITION_METADATA), text).await?;
    }
    remove_leftovers(jobs, dir, &listing).await?;
    let stored = read_epochs(jobs, dir).await?;
    let log = jobs
        .recover(
            dir,
            Input {
                redo: by_segment(&listing.segments, open.redo),
                segments: listing.segments,
                snapshots: listing.snapshots.clone(),
                epochs: stored.clone(),
                first_offset: open.log_start_offset.filter(|_| !is_new).unwrap_or(0).max(0),
                waypoint: open.waypoint,
                recovery_point: jobs.settings().recovery_points.get(&open.partition).copied(),
                rules: index_rules(&open.config),
                gaps: open.config.cleanup_policy.compact,
                epoch_max: match open.leader_epoch {
                    // That of the metadata log is not known yet.
                    -1 => LeaderEpoch::MAX,
                    epoch => epoch,
                },
                is_strict: open.partition.topic_id == TopicId::METADATA_TOPIC,
            },
        )
        .await?;
    let (sealed, active, mut state, lost_end) = (log.sealed, log.active, log.state, log.lost_end);
    let end = state.next_offset;
    let first = sealed.first().map_or(active.base_offset, |segment| segment.base_offset);
    let log_start_offset = open.log_start_offset.filter(|_| !is_new).unwrap_or(first);
    let log_start_offset = log_start_offset.max(first).min(end);
    // Everything found is on this broker's disk, and so below the high watermark.
    state.producers.advance(end);
    state.producers.expire(jobs.env().wall_ms(), jobs.settings().producer_expiration_ms);
    state.epochs.truncate_end(end);
    state.epochs.truncate_start(log_start_offset);
    if state.epochs.latest().is_none_or(|latest| latest.epoch < open.leader_epoch) {
        state.epochs.assign(open.leader_epoch, end);
    }
    if stored.as_ref() != Some(&state.epochs) {
        let text = Bytes::from(state.epochs.to_text());
        replace(jobs, &dir.path.join(epochs::FILE_NAME), text).await?;
    }
    let bases = sealed.iter().map(|segment| segment.base_offset).chain([active.base_offset]);
    remove_snapshots(jobs, dir, &listing.snapshots, &bases.collect(), end).await?;
    let (producers, epochs) = (state.producers, state.epochs);
    Ok(Recovered { log_start_offset, sealed, active, producers, epochs, lost_end })
}

/// Sorts out what the names in a directory say.
fn classify(dir: &Dir, names: impl Iterator<Item = String>) -> Result<Listing, DiskFailure> {
    let mut listing = Listing::default();
    for name in names {
        let Some(file) = LogFile::parse(&name) else {
            if name.ends_with(".tmp") {
                listing.leftovers.push(name);
            }
            continue;
        };
        match (file.state, file.kind) {
            (FileState::Live, FileKind::Log) => {
                listing.segments.insert(file.offset);
            }
            (FileState::Live, FileKind::ProducerSnapshot) => {
                listing.snapshots.insert(file.offset);
            }
            (FileState::Live, _) => listing.companions.push(file),
            // It may be all that is left of the segments it was made from.
            (FileState::Swap, FileKind::Log) => {
                let reason = "an interrupted compaction of Apache Kafka left it: start and stop \
                              Apache Kafka on this directory once";
                return Err(damage("open", &dir.path.join(name), reason));
            }
            (FileState::Deleted | FileState::Cleaned | FileState::Swap, _) => {
                listing.leftovers.push(name);
            }
        }
    }
    Ok(listing)
}

/// Whether the names in a directory that matter are durable for sure: a segment gets a waypoint only when
/// something of it had been flushed, which is after its name and all older ones were. What was being
/// deleted or replaced when the process ended would have left another file.
fn is_durable(listing: &Listing, waypoint: Option<&Waypoint>) -> bool {
    let newest = listing.segments.last();
    listing.leftovers.is_empty() && waypoint.is_some_and(|w| newest == Some(&w.segment))
}

/// The topic that a directory belongs to, if it says so.
async fn topic_id_of<E: Env>(jobs: &Jobs<E>, dir: &Dir) -> Result<Option<TopicId>, DiskFailure> {
    let path = dir.path.join(PARTITION_METADATA);
    let read = found(jobs.env().read_small(&path, SMALL_FILE_BYTES_MAX).await);
    let Some(content) = read.map_err(|error| failure("read", &path, error))? else {
        return Ok(None);
    };
    let stored = parse_partition_metadata(&String::from_utf8_lossy(&content));
    stored.map(Some).map_err(|error| damage("open", &path, error.to_string()))
}

/// Puts a directory aside that another topic of the same name has left: it was deleted, and the
/// last run ended before its directory had another name.
async fn put_aside<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    open: &Open,
    stored: TopicId,
) -> Result<(), DiskFailure> {
    let unique = Uuid(u128::from(jobs.env().random()) << 64 | u128::from(jobs.env().random()));
    let (topic, partition) = (&open.topic, open.partition.partition);
    let name = renamed_directory(topic, partition, DirectoryUse::Stray, unique);
    let target = dir.path.with_file_name(name);
    tracing::warn!(directory = %dir.path.display(), renamed = %target.display(), topic_id = %stored,
        "a directory belongs to an earlier topic of its name: it is put aside and may be removed");
    let renamed = jobs.env().rename(&dir.path, &target).await;
    renamed.map_err(|error| failure("rename", &dir.path, error))?;
    let parent = target.parent().unwrap_or(&target);
    let synced = jobs.env().sync_dir(parent).await;
    synced.map_err(|error| failure("flush directory", parent, error))
}

/// Removes what nobody will use any more.
async fn remove_leftovers<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    listing: &Listing,
) -> Result<(), DiskFailure> {
    let orphans = listing.companions.iter().filter(|file| !listing.segments.contains(&file.offset));
    let names: Vec<String> =
        listing.leftovers.iter().cloned().chain(orphans.map(LogFile::to_string)).collect();
    for name in names {
        remove_file(jobs, dir, &name).await?;
    }
    Ok(())
}

async fn remove_file<E: Env>(jobs: &Jobs<E>, dir: &Dir, name: &str) -> Result<(), DiskFailure> {
    let path = dir.path.join(name);
    let removed = found(jobs.env().remove_file(&path).await);
    removed.map(|_| ()).map_err(|error| failure("remove", &path, error))
}

/// Removes producer snapshots that will not be wanted: beyond the log's end, before its start, and
/// those of earlier clean stops, which stand at no segment's begin.
async fn remove_snapshots<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    snapshots: &BTreeSet<Offset>,
    bases: &BTreeSet<Offset>,
    end: Offset,
) -> Result<(), DiskFailure> {
    for offset in snapshots.iter().filter(|offset| !bases.contains(offset) && **offset != end) {
        let file = LogFile::live(*offset, FileKind::ProducerSnapshot);
        remove_file(jobs, dir, &file.to_string()).await?;
    }
    Ok(())
}

/// The leader epochs; none if there is no file, or one that cannot be read.
async fn read_epochs<E: Env>(jobs: &Jobs<E>, dir: &Dir) -> Result<Option<Epochs>, DiskFailure> {
    let path = dir.path.join(epochs::FILE_NAME);
    let read = found(jobs.env().read_small(&path, SMALL_FILE_BYTES_MAX).await);
    let Some(content) = read.map_err(|error| failure("read", &path, error))? else {
        return Ok(None);
    };
    match Epochs::from_text(&String::from_utf8_lossy(&content)) {
        Ok(epochs) => Ok(Some(epochs)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error,
                "the leader epochs are read from the log instead");
            Ok(None)
        }
    }
}
