//! From the files of a partition and what the journal holds of it to a log that is complete up to its
//! end: first everything is looked at, and only when nothing speaks against it is anything changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::dirs::Dir;
use super::files::log_path;
use super::log_state::LogState;
use super::seal::write_companions;
use super::segment_scan::FoundSegment;
use super::waypoints::Followed;
use super::{Jobs, damage, failure};
use crate::io::{Env, File};
use crate::journal::replay::Redo;
use crate::limits::BLOCK_BYTES;
use crate::log::files::FileKind;
use crate::log::index::IndexRules;
use crate::log::scan::Stop;
use crate::log::segment::{OpenSegment, SealedSegment};
use crate::memory::align_down;
use crate::partition::commit::Seal;
use crate::partition::epochs::Epochs;
use crate::partition::producer_snapshot;
use crate::partition::producers::{ProducerEntry, Producers};
use crate::partition::waypoint::Waypoint;
use crate::shard::event::DiskFailure;
use crate::types::{LeaderEpoch, Offset, TimestampMs};

/// What the journal holds, in order, by the segment's base offset.
pub type RedoBySegment = BTreeMap<Offset, Vec<Redo>>;

/// What recovery begins with.
#[derive(Debug)]
pub struct Input {
    /// Base offsets of the `.log` files.
    pub segments: BTreeSet<Offset>,
    /// Offsets of the `.snapshot` files.
    pub snapshots: BTreeSet<Offset>,
    /// Leader epochs, where their file can be read.
    pub epochs: Option<Epochs>,
    /// What the journal holds of segments that are not gone: see [`by_segment`].
    pub redo: RedoBySegment,
    /// Where the log begins if there are no segments.
    pub first_offset: Offset,
    /// Everything before this had been flushed when the last run stopped.
    pub recovery_point: Option<Offset>,
    /// What the last run has left for this.
    pub waypoint: Option<Arc<Waypoint>>,
    /// How densely segments are indexed.
    pub rules: IndexRules,
    /// Offsets may be missing, as after compaction.
    pub gaps: bool,
    /// No batch can have a higher leader epoch.
    pub epoch_max: LeaderEpoch,
    /// The log is of no use if any of it is missing: damage is a failure, and nothing is changed.
    pub is_strict: bool,
}

/// A log that is complete up to its end.
#[derive(Debug)]
pub struct RecoveredLog {
    /// Closed segments, oldest first.
    pub sealed: Vec<SealedSegment>,
    /// The active segment.
    pub active: OpenSegment,
    /// What follows from the batches.
    pub state: LogState,
    /// Where the log ended at least, if its end is lost.
    pub lost_end: Option<Offset>,
}

/// A segment with the producers at its end.
struct Looked<F> {
    segment: FoundSegment<F>,
    producers_at_end: Bytes,
}

impl<E: Env> Jobs<E> {
    /// Recovers a partition's log.
    pub(super) async fn recover(
        &self,
        dir: &Dir,
        input: Input,
    ) -> Result<RecoveredLog, DiskFailure> {
        if let Some(log) = self.recover_clean(dir, &input).await? {
            return Ok(log);
        }
        if let Some(Followed { sealed, segment, state }) = self.follow_waypoint(dir, &input).await?
        {
            return self.complete(dir, &input, (sealed, state), (Vec::new(), segment)).await;
        }
        let (sealed, mut state) = self.start(dir, &input).await?;
        let scan_from = sealed.last().map_or(Offset::MIN, |last| last.next_offset);
        let files = input.segments.range(scan_from..).copied();
        let bases: BTreeSet<Offset> =
            files.chain(input.redo.range(scan_from..).map(|(base, _)| *base)).collect();
        let mut looked: Vec<Looked<E::File>> = Vec::new();
        for &base in &bases {
            let next = bases.range(base + 1..).next().copied();
            let before = looked.last_mut().map(|looked| &mut looked.segment);
            let segment = self.look(dir, &input, (base, next), before, &mut state).await?;
            let Some(segment) = segment else { break };
            let snapshot = producer_snapshot::encode(&state.producers.snapshot());
            looked.push(Looked { segment, producers_at_end: Bytes::from(snapshot) });
        }
        if state.is_contradicted {
            tracing::warn!(dir = %dir.path.display(),
                "leader-epoch-checkpoint does not agree with the batches: it is made anew from them");
            return Box::pin(self.recover(dir, Input { epochs: None, waypoint: None, ..input }))
                .await;
        }
        let Some(last) = looked.pop() else {
            let active = OpenSegment::new(state.next_offset, input.rules);
            let is_lost = |point: &Offset| *point > state.next_offset && self.settings().is_flushed;
            let lost_end = input.recovery_point.filter(is_lost);
            if input.is_strict && lost_end.is_some() {
                return Err(damage(
                    "recover",
                    &dir.path,
                    "the log is gone: restore it from a copy",
                ));
            }
            self.warn_lost_end(dir, state.next_offset, lost_end);
            return Ok(RecoveredLog { sealed, active, state, lost_end });
        };
        self.complete(dir, &input, (sealed, state), (looked, last.segment)).await
    }

    /// Makes the files what was found out that they should be: `looked`, and the `last` segment.
    async fn complete(
        &self,
        dir: &Dir,
        input: &Input,
        (mut sealed, mut state): (Vec<SealedSegment>, LogState),
        (looked, last): (Vec<Looked<E::File>>, FoundSegment<E::File>),
    ) -> Result<RecoveredLog, DiskFailure> {
        let mut segment = last;
        let lost_end = match self.settings().is_flushed {
            true => {
                let redo = input.redo.get(&segment.base_offset).map(Vec::as_slice);
                let redo = redo.unwrap_or_default();
                segment.judge_end(redo, input.recovery_point, &mut state).await?
            }
            false => None,
        };
        let ranges = looked.iter().map(|looked| &looked.segment).chain([&segment]);
        if let Some((segment, range)) =
            ranges.filter(|_| input.is_strict).find_map(|s| Some((s, s.damage.first()?)))
        {
            let reason = format!("{range}. Nothing was changed: restore the directory from a copy");
            return Err(damage("recover", &segment.path, reason));
        }
        for Looked { mut segment, producers_at_end } in looked {
            self.settle(dir, &mut segment).await?;
            let damage = std::mem::take(&mut segment.damage);
            self.0.damages.note(dir, segment.base_offset, damage);
            let (file_bytes, max_timestamp) = (segment.end, segment.max_timestamp);
            sealed.push(SealedSegment {
                base_offset: segment.base_offset,
                next_offset: segment.next_offset,
                bytes: file_bytes,
                max_timestamp,
            });
            write_companions(self, dir, seal_of(segment, producers_at_end)).await?;
        }
        segment.keep_room().await?;
        self.settle(dir, &mut segment).await?;
        let damage = std::mem::take(&mut segment.damage);
        self.0.damages.note(dir, segment.base_offset, damage);
        self.warn_lost_end(dir, segment.next_offset, lost_end);
        let active = self.active(segment).await?;
        Ok(RecoveredLog { sealed, active, state, lost_end })
    }

    fn warn_lost_end(&self, dir: &Dir, offset: Offset, lost_end: Option<Offset>) {
        let Some(lost_end) = lost_end else { return };
        let partition = dir.path.file_name().unwrap_or_default().to_string_lossy();
        tracing::error!(%partition, directory = %dir.path.display(), offset, lost_end,
            "the end of a log is lost, though it had been acknowledged up to lost_end: the partition takes \
             no records until its directory is restored from a copy, or the loss accepted with millrace-tools \
             repair");
    }

    /// After a clean stop everything is as its index and its snapshot say.
    async fn recover_clean(
        &self,
        dir: &Dir,
        input: &Input,
    ) -> Result<Option<RecoveredLog>, DiskFailure> {
        let Some(epochs) = input.epochs.clone().filter(|_| self.settings().was_clean) else {
            return Ok(None);
        };
        let Some(&last) = input.segments.last() else { return Ok(None) };
        if !input.redo.is_empty() || !input.snapshots.iter().any(|offset| *offset >= last) {
            return Ok(None);
        }
        let Some(sealed) = self.all_trusted(dir, input, &epochs).await? else { return Ok(None) };
        let segment = self.as_left(dir, last, input.rules, &epochs).await?;
        let Some(segment) = segment else { return Ok(None) };
        let next_offset = segment.next_offset;
        if input.recovery_point.is_some_and(|point| point > next_offset) {
            return Ok(None);
        }
        let Some(entries) = self.snapshot(dir, next_offset).await? else { return Ok(None) };
        let producers = self.producers(&entries);
        let state = LogState {
            next_offset,
            producers,
            epochs,
            epoch_max: input.epoch_max,
            ..LogState::offsets_only(next_offset)
        };
        let active = self.active(segment).await?;
        Ok(Some(RecoveredLog { sealed, active, state, lost_end: None }))
    }

    pub(super) async fn all_trusted(
        &self,
        dir: &Dir,
        input: &Input,
        told: &Epochs,
    ) -> Result<Option<Vec<SealedSegment>>, DiskFailure> {
        let mut sealed = Vec::new();
        for (&base, &next) in input.segments.iter().zip(input.segments.iter().skip(1)) {
            match self.trusted(dir, base, next, (input.gaps, told)).await? {
                Some(segment) => sealed.push(segment),
                None => return Ok(None),
            }
        }
        Ok(Some(sealed))
    }

    /// Decides how many segments can be trusted, and from where on batches are followed: from the
    /// newest producer snapshot before the first segment that has to be scanned.
    async fn start(
        &self,
        dir: &Dir,
        input: &Input,
    ) -> Result<(Vec<SealedSegment>, LogState), DiskFailure> {
        let mut sealed = Vec::new();
        for (&base, &next) in input.segments.iter().zip(input.segments.iter().skip(1)) {
            let redo_end = input.redo.get(&base).into_iter().flatten().map(Redo::end).max();
            let trusted = match &input.epochs {
                Some(told) => self.trusted(dir, base, next, (input.gaps, told)).await?,
                // They have to be found in the batches.
                None => None,
            };
            match trusted.filter(|segment| redo_end.is_none_or(|end| end <= segment.bytes)) {
                Some(segment) => sealed.push(segment),
                None => break,
            }
        }
        let scan_from = sealed.last().map(|segment| segment.next_offset);
        let scan_from = scan_from.or(input.segments.first().copied()).unwrap_or(Offset::MIN);
        let mut producers = Producers::default();
        let mut producers_from = Offset::MIN;
        for &offset in input.snapshots.range(..=scan_from).rev() {
            if let Some(entries) = self.snapshot(dir, offset).await? {
                producers = self.producers(&entries);
                producers_from = offset;
                break;
            }
        }
        // What the snapshot does not know has to be scanned too.
        while sealed.last().is_some_and(|segment| segment.next_offset > producers_from) {
            sealed.pop();
        }
        let redone = input.redo.keys().next().copied();
        let next_offset = sealed
            .last()
            .map(|segment| segment.next_offset)
            .or(input.segments.first().copied())
            .or(redone)
            .unwrap_or(input.first_offset);
        let epochs = input.epochs.clone().unwrap_or_default();
        let state = LogState {
            producers,
            producers_from,
            told: epochs.clone(),
            epochs,
            epoch_max: input.epoch_max,
            ..LogState::offsets_only(next_offset)
        };
        Ok((sealed, state))
    }

    /// Looks at one segment, of which the next one's begin is known, that follows on what was looked at
    /// before. None if the log ends before it.
    async fn look(
        &self,
        dir: &Dir,
        input: &Input,
        (base, next): (Offset, Option<Offset>),
        before: Option<&mut FoundSegment<E::File>>,
        state: &mut LogState,
    ) -> Result<Option<FoundSegment<E::File>>, DiskFailure> {
        let path = log_path(dir, base);
        if base != state.next_offset {
            // Compaction may have taken the last batches of the segment before, but not torn it.
            let stop = before.as_ref().map(|before| before.stop);
            let is_whole = matches!(stop, None | Some(Stop::CleanEnd | Stop::ZeroTail));
            let is_file = input.segments.contains(&base);
            let is_gap = input.gaps && is_whole && is_file && base > state.next_offset;
            if !is_gap {
                if !self.settings().is_flushed && !is_file {
                    self.warn_lost(dir, base, state.next_offset);
                    return Ok(None);
                }
                let Some(before) = before.filter(|_| base > state.next_offset) else {
                    let reason = format!("the segments before it end at {}", state.next_offset);
                    return Err(damage("recover", &path, reason));
                };
                before.lose_rest(base);
            }
            state.next_offset = base;
        }
        let file = match input.segments.contains(&base) {
            true => self.0.files.segment(dir, base).await?,
            false => None,
        };
        let mut found = FoundSegment::new(base, input.rules, input.gaps, path, file).await?;
        let items = input.redo.get(&base).map(Vec::as_slice).unwrap_or_default();
        if self.settings().is_flushed {
            found.complete_over_damage(items, next, state).await?;
        } else if found.complete(items, state).await?.is_some() {
            self.warn_lost(dir, base, found.next_offset);
        }
        Ok(Some(found))
    }

    fn warn_lost(&self, dir: &Dir, segment: Offset, offset: Offset) {
        tracing::warn!(dir = %dir.path.display(), segment, offset,
            "records from this offset on were lost: they were acknowledged without being flushed");
    }

    /// Makes a segment's file what was found out that it should be.
    async fn settle(
        &self,
        dir: &Dir,
        segment: &mut FoundSegment<E::File>,
    ) -> Result<(), DiskFailure> {
        // Also that of a segment that only a damaged entry of the journal tells of: its name keeps the offsets
        // before it from being given out again.
        if segment.file.is_none() {
            segment.file = Some(self.0.files.segment_or_new(dir, segment.base_offset).await?);
        }
        let (before, after, restored) = (segment.file_bytes, segment.end, segment.patches.len());
        if segment.repair(self.env()).await? {
            tracing::info!(file = %segment.path.display(), before, after, restored,
                stop = ?segment.stop, "a segment was completed from the journal or cut to its content");
        }
        Ok(())
    }

    /// The active segment, going on where its file ends.
    async fn active(&self, segment: FoundSegment<E::File>) -> Result<OpenSegment, DiskFailure> {
        let block = align_down(segment.end);
        let stub = match &segment.file {
            Some(file) if segment.end > block => {
                let read = file.read_at(block, BLOCK_BYTES).await;
                let bytes = read.map_err(|error| failure("read", &segment.path, error))?;
                let len = usize::try_from(segment.end - block).unwrap_or_default();
                let stub = bytes.get(..len).ok_or_else(|| {
                    let reason = format!("the file ends before position {}", segment.end);
                    damage("read", &segment.path, reason)
                })?;
                if plant!(DropLastPartialBlock) {
                    Bytes::from(vec![0; stub.len()])
                } else {
                    // A copy: the stub stays, the buffer need not.
                    Bytes::copy_from_slice(stub)
                }
            }
            _ => Bytes::new(),
        };
        let times = (segment.max_timestamp, segment.first_timestamp);
        let end = segment.end;
        let allocated = if segment.keeps_room { segment.file_bytes } else { end };
        let mut active = OpenSegment::resumed(segment.index, segment.next_offset, end, stub, times);
        active.allocated = allocated;
        Ok(active)
    }

    /// The producers in a snapshot file; none if it cannot be used.
    async fn snapshot(
        &self,
        dir: &Dir,
        offset: Offset,
    ) -> Result<Option<Vec<ProducerEntry>>, DiskFailure> {
        let bytes = self.small_file(dir, offset, FileKind::ProducerSnapshot).await?;
        let Some(bytes) = bytes else { return Ok(None) };
        match producer_snapshot::decode(&bytes) {
            Ok(entries) => Ok(Some(entries)),
            Err(error) => {
                tracing::warn!(dir = %dir.path.display(), offset, %error,
                    "a producer snapshot is not usable: an older one is taken");
                Ok(None)
            }
        }
    }

    pub(super) fn producers(&self, entries: &[ProducerEntry]) -> Producers {
        let mut producers = Producers::default();
        let now: TimestampMs = self.env().wall_ms();
        if !plant!(ForgetProducerState) {
            producers.load(entries, now, self.settings().producer_expiration_ms);
        }
        producers
    }
}

/// Orders redo by segment, without what belongs to segments that are gone, given those that are there.
pub fn by_segment(segments: &BTreeSet<Offset>, redo: Vec<Redo>) -> RedoBySegment {
    let first = segments.first().copied();
    // Without any file: segments that do not begin in the journal were deleted.
    let mut is_begun = first.is_some();
    let mut by_segment = RedoBySegment::new();
    for item in redo {
        is_begun |= item.position == 0;
        let is_there = first.is_none_or(|first| item.segment >= first);
        if is_begun && (is_there || plant!(ReplayOldJournalEntries)) {
            by_segment.entry(item.segment).or_default().push(item);
        }
    }
    by_segment
}

/// What completes the other files of a segment that is closed.
fn seal_of<F>(segment: FoundSegment<F>, producers_at_end: Bytes) -> Seal {
    let index = segment.index.into_sealed();
    Seal {
        segment: segment.base_offset,
        bytes: segment.end,
        offset_index: Bytes::copy_from_slice(index.offset_bytes()),
        time_index: Bytes::copy_from_slice(index.time_bytes()),
        snapshot: Some((segment.next_offset, producers_at_end)),
    }
}
