//! From a waypoint to a log's end: only what lies behind the waypoint is read.

use std::path::Path;

use bytes::Bytes;

use super::bounds::SMALL_FILE_BYTES_MAX;
use super::dirs::Dir;
use super::files::log_path;
use super::log_state::LogState;
use super::newest::Wish;
use super::recover::Input;
use super::seal::replace;
use super::segment_scan::FoundSegment;
use super::{Jobs, failure, found};
use crate::io::{Env, File};
use crate::journal::replay::Redo;
use crate::limits::BLOCK_BYTES;
use crate::log::segment::SealedSegment;
use crate::memory::align_down;
use crate::partition::epochs::{EpochStart, Epochs};
use crate::partition::waypoint::{self, Waypoint};
use crate::record::batch::BatchHeader;
use crate::record::layout::HEADER_BYTES;
use crate::shard::event::DiskFailure;
use crate::types::{ShardId, TopicPartition};

const PREFIX: &str = "millrace-waypoints-";

/// Whether this is the name of a file of waypoints.
#[must_use]
pub fn is_waypoints_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|shard| shard.parse::<ShardId>().is_ok())
}

/// Waypoints of a file in a log directory. One that is damaged has none: the logs have everything.
///
/// # Errors
/// If it cannot be read.
pub async fn read_waypoints<E: Env>(
    env: &E,
    path: &Path,
) -> Result<Vec<(TopicPartition, Waypoint)>, DiskFailure> {
    let read = found(env.read_small(path, SMALL_FILE_BYTES_MAX).await);
    let Some(content) = read.map_err(|error| failure("read", path, error))? else {
        return Ok(Vec::new());
    };
    let waypoints = waypoint::decode(&content);
    if waypoints.is_none() {
        tracing::warn!(path = %path.display(), "waypoints are damaged, or of another version: logs are \
            read instead");
    }
    Ok(waypoints.unwrap_or_default())
}

/// Writes the shard's waypoints, unless there is a newer wish.
pub(super) async fn write_waypoints<E: Env>(
    jobs: &Jobs<E>,
    wish: Wish,
    content: Bytes,
) -> Result<(), DiskFailure> {
    let Some(_permit) = jobs.0.offsets.waypoints.turn(wish).await else { return Ok(()) };
    let settings = jobs.settings();
    replace(jobs, &settings.log_dir.join(format!("{PREFIX}{}", settings.shard)), content).await
}

/// Removes all files of waypoints in a log directory, durably.
///
/// # Errors
/// If one cannot be removed.
pub async fn remove_waypoints<E: Env>(env: &E, log_dir: &Path) -> Result<(), DiskFailure> {
    let entries = env.list_dir(log_dir).await;
    let entries = entries.map_err(|error| failure("list", log_dir, error))?;
    let mut is_any = false;
    for entry in entries.iter().filter(|entry| is_waypoints_name(&entry.name)) {
        let removed = found(env.remove_file(&entry.path).await);
        removed.map_err(|error| failure("remove", &entry.path, error))?;
        is_any = true;
    }
    if is_any {
        let synced = env.sync_dir(log_dir).await;
        synced.map_err(|error| failure("flush directory", log_dir, error))?;
    }
    Ok(())
}

/// A log whose active segment was followed from its waypoint on.
pub(super) struct Followed<F> {
    /// Closed segments, oldest first.
    pub sealed: Vec<SealedSegment>,
    /// The active one.
    pub segment: FoundSegment<F>,
    /// What follows from the batches.
    pub state: LogState,
}

impl<E: Env> Jobs<E> {
    /// Follows a log from its waypoint on. None if there is none, or what is on the disk does not agree
    /// with it; then it is of no use to a later start either.
    pub(super) async fn follow_waypoint(
        &self,
        dir: &Dir,
        input: &Input,
    ) -> Result<Option<Followed<E::File>>, DiskFailure> {
        let Some(waypoint) = input.waypoint.as_ref() else { return Ok(None) };
        let settings = self.settings();
        if settings.is_flushed && !settings.was_clean && !input.is_strict {
            let followed = self.follow(dir, input, waypoint).await?;
            if followed.is_some() {
                return Ok(followed);
            }
            tracing::info!(dir = %dir.path.display(), offset = waypoint.offset,
                "a waypoint does not agree with the log, which is read instead");
        }
        self.forget_waypoints().await?;
        Ok(None)
    }

    async fn follow(
        &self,
        dir: &Dir,
        input: &Input,
        waypoint: &Waypoint,
    ) -> Result<Option<Followed<E::File>>, DiskFailure> {
        let base = waypoint.segment;
        let is_last = input.segments.last() == Some(&base);
        if !is_last || input.redo.keys().next_back().is_some_and(|redo| *redo > base) {
            return Ok(None);
        }
        let Some(epochs) = joined(waypoint.epochs(), input.epochs.as_ref()) else {
            return Ok(None);
        };
        let Some(sealed) = self.all_trusted(dir, input, &epochs).await? else { return Ok(None) };
        let is_short = |segment: &SealedSegment| {
            let redo = input.redo.get(&segment.base_offset).into_iter().flatten();
            redo.map(Redo::end).max().is_some_and(|end| end > segment.bytes)
        };
        if sealed.iter().any(is_short) {
            return Ok(None);
        }
        let Ok(producers) = waypoint.producers() else { return Ok(None) };
        let Some(mut segment) = self.at_waypoint(dir, input, waypoint).await? else {
            return Ok(None);
        };
        let mut state = LogState {
            producers: self.producers(&producers),
            // What is before it, they know.
            producers_from: waypoint.offset,
            told: epochs.clone(),
            epochs,
            epoch_max: input.epoch_max,
            ..LogState::offsets_only(segment.next_offset)
        };
        let redo = input.redo.get(&base).map(Vec::as_slice).unwrap_or_default();
        segment.complete_over_damage(redo, None, &mut state).await?;
        let is_confirmed = segment.has_passed() && !state.is_contradicted;
        Ok(is_confirmed.then_some(Followed { sealed, segment, state }))
    }

    /// The segment as the waypoint has it, up to the batch that is read from. None if that is not there.
    async fn at_waypoint(
        &self,
        dir: &Dir,
        input: &Input,
        waypoint: &Waypoint,
    ) -> Result<Option<FoundSegment<E::File>>, DiskFailure> {
        let base = waypoint.segment;
        let path = log_path(dir, base);
        let Some(file) = self.0.files.segment(dir, base).await? else { return Ok(None) };
        let from = u64::from(waypoint.from);
        let mut found =
            FoundSegment::new(base, input.rules, input.gaps, path, Some(file.clone())).await?;
        let head_end = from + HEADER_BYTES as u64;
        if found.file_bytes < head_end {
            return Ok(None);
        }
        let head = file.read_at(align_down(from), 2 * BLOCK_BYTES).await;
        let head = head.map_err(|error| failure("read", &found.path, error))?;
        let at = usize::try_from(from - align_down(from)).unwrap_or_default();
        let Some(Ok(header)) = head.get(at..).map(BatchHeader::parse) else { return Ok(None) };
        if header.last_offset() != waypoint.from_last_offset {
            return Ok(None);
        }
        found.go_on_at(waypoint, header.base_offset, input.rules);
        Ok(Some(found))
    }

    /// Removes waypoints that have turned out not to be what is on the disk, before the log changes: it
    /// might come to agree with them by chance.
    async fn forget_waypoints(&self) -> Result<(), DiskFailure> {
        let permit = self.0.forgetting.enter().await;
        if !self.0.has_forgotten.get() {
            remove_waypoints(self.env(), self.log_dir()).await?;
            self.0.has_forgotten.set(true);
        }
        drop(permit);
        Ok(())
    }
}

/// The epochs of a waypoint with those that began behind it, as `leader-epoch-checkpoint` says. None if
/// that says something else of what is before it.
fn joined(mut epochs: Epochs, told: Option<&Epochs>) -> Option<Epochs> {
    let told = told?;
    let latest = epochs.latest().map_or(-1, |latest| latest.epoch);
    let is_other = |start: &&EpochStart| {
        // What is before the log's start may be gone from the file.
        told.epoch_of(start.start_offset).is_some_and(|epoch| epoch != start.epoch)
    };
    if epochs.starts().iter().any(|start| is_other(&start)) {
        return None;
    }
    for start in told.starts().iter().filter(|start| start.epoch > latest) {
        epochs.assign(start.epoch, start.start_offset);
    }
    Some(epochs)
}
