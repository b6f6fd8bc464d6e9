//! Commits: what a turn appended becomes durable, through the journal or straight in the segments.

use std::path::Path;
use std::sync::Arc;

use super::call::Answer;
use super::event::{Commit, DiskFailure, Effect, Job, JournalWrite, Written};
use super::{Shard, Slot, Waiter};
use crate::journal::entry::{EntryBuilder, EntrySize, Run};
use crate::journal::plan::{FileId, Place};
use crate::limits::{FLUSH_BYTES, JOURNAL_ENTRY_BYTES_MAX};
use crate::partition::AppendError;
use crate::partition::admit::Now;
use crate::partition::commit::{CommitPart, JournalRange, SegmentWrite};
use crate::types::{Offset, TopicPartition};

/// The commit that is under way.
#[derive(Debug)]
pub struct RunningCommit {
    /// Partitions in the journal entry, and the end that becomes durable.
    journaled: Vec<(TopicPartition, Offset)>,
}

impl Shard {
    /// Ends a turn: whatever was appended is put into a commit, unless one is running.
    pub fn end_turn(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // In this order: whoever waits for memory that is let go now is not woken again.
        self.relieve(effects);
        self.append_deferred(now, effects);
        self.stages.admitted(now.now, &mut self.appends);
        if !self.is_offline && !self.dirty.is_empty() {
            self.begin_commit(effects);
        }
        self.relieve_journal(effects);
        if self.may_grow_journal
            && !self.is_offline
            && self.deadlines.may_make_file(now.now)
            && let Some(file) = self.journal.wants_file()
        {
            effects.push(Effect::Run(Job::CreateJournalFile(file)));
        }
        self.stages.begin(now.now, effects);
    }

    /// Takes up what was appended: large amounts go straight to their segments, each on its own; all
    /// others go into one journal entry, of which only one is under way.
    fn begin_commit(&mut self, effects: &mut Vec<Effect>) {
        let can_journal = self.commit.is_none();
        let mut ranges: Vec<(TopicPartition, JournalRange)> = Vec::new();
        let mut size = EntrySize::default();
        for id in std::mem::take(&mut self.dirty) {
            let Some(Slot::Open(partition)) = self.partitions.get_mut(&id) else { continue };
            if self.deadlines.is_stalled(id) {
                // Its write is tried again by the clock; later bytes must not overtake it.
                continue;
            }
            match partition.plan_commit(can_journal) {
                CommitPart::Later => {
                    self.dirty.insert(id);
                }
                CommitPart::Direct(writes) => {
                    let dir = partition.dir.clone();
                    effects.push(self.direct_write(id, dir, writes));
                }
                CommitPart::Journal(range) => {
                    let larger = size.with(&run(id, range));
                    if larger.bytes() > JOURNAL_ENTRY_BYTES_MAX {
                        partition.unplan(range);
                        self.dirty.insert(id);
                    } else {
                        size = larger;
                        ranges.push((id, range));
                    }
                }
            }
        }
        if ranges.is_empty() {
            return;
        }
        let Some(journal) = self.journal_write(&ranges, size) else {
            self.commit_without_journal(&ranges, effects);
            return;
        };
        let journaled = ranges.iter().map(|&(id, range)| (id, range.to_offset)).collect();
        self.commit = Some(RunningCommit { journaled });
        let is_flushed = self.settings.is_flushed;
        effects.push(Effect::Run(Job::Commit(Commit { journal, is_flushed })));
    }

    /// The journal has no room: straight to the segments, or later.
    fn commit_without_journal(
        &mut self,
        ranges: &[(TopicPartition, JournalRange)],
        effects: &mut Vec<Effect>,
    ) {
        for &(id, range) in ranges {
            let Some(Slot::Open(partition)) = self.partitions.get_mut(&id) else { continue };
            partition.unplan(range);
            if partition.can_write() {
                let (dir, writes) = (partition.dir.clone(), partition.commit_directly());
                effects.push(self.direct_write(id, dir, writes));
            } else {
                self.dirty.insert(id);
            }
        }
    }

    fn direct_write(
        &self,
        partition: TopicPartition,
        dir: Arc<Path>,
        writes: Vec<SegmentWrite>,
    ) -> Effect {
        let is_flushed = self.settings.is_flushed;
        Effect::Run(Job::Flush { partition, dir, writes, is_trimmed: false, is_flushed })
    }

    /// Builds the journal entry of these ranges. None if the journal has no room.
    fn journal_write(
        &mut self,
        ranges: &[(TopicPartition, JournalRange)],
        size: EntrySize,
    ) -> Option<JournalWrite> {
        let place = self.journal.place(size.bytes())?;
        if place.begins_file {
            self.checkpointing.hurry();
        }
        for &(id, range) in ranges {
            self.journal.owe(id, place.file_sequence, range.to_offset);
        }
        Some(self.journal_entry(place, ranges, size))
    }

    fn journal_entry(
        &mut self,
        place: Place,
        ranges: &[(TopicPartition, JournalRange)],
        size: EntrySize,
    ) -> JournalWrite {
        let mut entry = EntryBuilder::new(&self.pool, self.journal.shard(), place, size);
        for &(id, range) in ranges {
            let (run, JournalRange { from, to, .. }) = (run(id, range), range);
            let partition = self.partition_mut(id).expect("a planned partition is open");
            if run.is_aside() {
                let pieces = partition.planned_pieces(range);
                let tail = &partition.active().tail;
                entry.set_aside(&run, pieces, |crc| tail.append_checksum(crc, from, to));
            } else {
                let tail = &partition.active().tail;
                entry.pack(&run, |target| tail.copy_to(from, to, target));
            }
        }
        JournalWrite { place, pieces: entry.finish() }
    }

    pub(super) fn on_committed(
        &mut self,
        now: Now,
        result: Result<(), DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(commit) = self.commit.take() else { return };
        if let Err(failure) = result {
            // A full disk cannot fail a file that was written in full; whatever it was, the entry
            // may be torn and those behind it unreachable.
            self.on_failure(&DiskFailure { is_full: false, ..failure }, effects);
            return;
        }
        for (id, end) in commit.journaled {
            self.on_durable(now, id, end, effects);
        }
    }

    /// Writes to segment files ended.
    pub(super) fn on_flushed(
        &mut self,
        now: Now,
        id: TopicPartition,
        written: &[Written],
        result: Result<(), DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(failure) = result {
            self.on_write_failed(now, id, written, &failure, effects);
            return;
        }
        let had_no_room = self.deadlines.unstall(id);
        let Some(partition) = self.partition_mut(id) else { return };
        if had_no_room {
            tracing::info!(topic = %partition.topic, partition = id.partition,
                "there is room again: appends to this partition go on");
        }
        let mut bytes = 0;
        for write in written {
            bytes += partition.written(write.segment, write.end, write.end_offset);
        }
        let end = partition.written_offset();
        let dir = partition.dir.clone();
        let before = partition.memory_bytes();
        while let Some(seal) = partition.seal() {
            effects.push(Effect::Run(Job::Seal { dir: dir.clone(), seal }));
        }
        let freed = before - partition.memory_bytes();
        self.tail_bytes -= freed;
        self.checkpointing.written(bytes);
        self.journal.settle(id, end);
        self.recount(id);
        self.on_durable(now, id, end, effects);
    }

    fn on_write_failed(
        &mut self,
        now: Now,
        id: TopicPartition,
        written: &[Written],
        failure: &DiskFailure,
        effects: &mut Vec<Effect>,
    ) {
        self.on_failure(failure, effects);
        if !failure.is_full {
            return;
        }
        let Some(partition) = self.partition_mut(id) else { return };
        let durable = partition.offsets.durable();
        for write in written {
            partition.not_written(write.segment);
        }
        if partition.planned_bytes() == 0 {
            // Its file was only to be cut: nothing waits for room.
            return;
        }
        // The bytes stay in memory and are tried again; who waits is told that they are not safe.
        let is_news = self.deadlines.stall(now.now, id);
        let Some(partition) = self.partition_mut(id) else { return };
        // Coordinators go on when their writes are durable after all.
        let is_client = |waiter: &Waiter| matches!(waiter, Waiter::Append { .. });
        let waiters = partition.acks.release_those(is_client);
        if is_news {
            tracing::warn!(%failure, topic = %partition.topic, partition = id.partition, durable,
                "the disk is full: appends to this partition are refused until there is room");
        }
        self.refuse_held(id, effects);
        self.refuse_planned(id, effects);
        for waiter in waiters {
            self.release(now, id, waiter, Err(AppendError::Storage), effects);
        }
    }

    /// Everything of a partition before `end` is durable.
    fn on_durable(&mut self, now: Now, id: TopicPartition, end: Offset, effects: &mut Vec<Effect>) {
        self.checkpointing.advanced();
        let Some(partition) = self.partition_mut(id) else { return };
        let durable = end.max(partition.offsets.durable());
        partition.committed(durable);
        let mut next = partition.acks.release(durable);
        if partition.is_dirty() {
            self.dirty.insert(id);
        }
        while let Some(waiter) = next {
            self.release(now, id, waiter, Ok(()), effects);
            let partition = self.partition_mut(id);
            next = partition.and_then(|partition| partition.acks.release(durable));
        }
        self.wake_watchers(id, effects);
        self.flush_if_large(id, FLUSH_BYTES, effects);
    }

    /// Starts writing a tail to its segments if there are at least `bytes` to write, or any of a segment that
    /// is being closed.
    pub(super) fn flush_if_large(
        &mut self,
        id: TopicPartition,
        bytes: u64,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_offline {
            return;
        }
        let Some(partition) = self.partition_mut(id) else { return };
        let is_rolling = partition.open_segments().count() > 1;
        let bytes = if is_rolling { 1 } else { bytes };
        if partition.planned_bytes() < bytes || !partition.can_write() {
            return;
        }
        let writes = partition.write_planned();
        let dir = partition.dir.clone();
        let flush = Job::Flush { partition: id, dir, writes, is_trimmed: false, is_flushed: true };
        effects.push(Effect::Run(flush));
    }

    /// Writes tails to their segments so that journal files become free: few at a time, so that the
    /// disk is there for commits, and more the fuller the journal is.
    fn relieve_journal(&mut self, effects: &mut Vec<Effect>) {
        for id in self.journal.oldest_debtors(self.journal.relief()) {
            self.relieve_partition(id, effects);
        }
    }

    /// Starts writing a tail to its segments so that memory or journal files become free. What found the
    /// disk full is tried again by the clock, not as fast as it fails.
    pub(super) fn relieve_partition(&mut self, id: TopicPartition, effects: &mut Vec<Effect>) {
        if !self.deadlines.is_stalled(id) {
            self.flush_if_large(id, 1, effects);
        }
    }

    pub(super) fn on_journal_file(
        &mut self,
        file: FileId,
        result: Result<(), DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        match result {
            Ok(()) => {
                self.journal.add_file(file);
                self.deadlines.has_room_for_file();
            }
            Err(failure) => {
                self.journal.creation_failed();
                if failure.is_full && self.deadlines.no_room_for_file() {
                    tracing::warn!(%failure, "the journal cannot grow: the disk is full");
                }
                self.on_failure(&failure, effects);
            }
        }
    }

    /// Nobody gets an acknowledgement any more.
    pub(super) fn fail_everyone(&mut self, effects: &mut Vec<Effect>) {
        let now = Now { now: self.deadlines.last, wall_ms: 0 };
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids {
            let Some(partition) = self.partition_mut(id) else { continue };
            let waiters: Vec<_> = partition.acks.release_all().collect();
            for waiter in waiters {
                self.release(now, id, waiter, Err(AppendError::Storage), effects);
            }
        }
        let deferred = std::mem::take(&mut self.deferred);
        for (reply, append) in deferred {
            let results = append.items.iter().map(|_| Err(AppendError::Storage)).collect();
            effects.push(Effect::Answer(reply, Answer::Appended { results, times: None }));
        }
    }
}

/// What a journal entry says of a range.
fn run(partition: TopicPartition, range: JournalRange) -> Run {
    Run { partition, segment: range.segment, from: range.from, to: range.to }
}
