//! What happens by the clock: readers' deadlines, idle tails, retention, full disks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::call::Answer;
use super::event::{Effect, Job};
use super::{Shard, Slot, Waiter};
use crate::limits::{FULL_DISK_RETRY_MS, IDLE_MS, IDLE_SPARE_BYTES, JOURNAL_CALM_MS};
use crate::partition::Partition;
use crate::partition::admit::Now;
use crate::types::{Nanos, Offset, TopicPartition};

/// An offset of a partition, with its topic's name.
pub type NamedOffset = (Arc<str>, TopicPartition, Offset);

/// When the shard wants to be woken, beside its readers and coordinators.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// The last tick or event with a time.
    pub last: Nanos,
    idle_check: Option<Nanos>,
    retention_check: Option<Nanos>,
    /// Partitions whose disk is full, and when their write is tried again.
    stalled: BTreeMap<TopicPartition, Nanos>,
    /// When a journal file may be made again after the disk was found full.
    next_file: Option<Nanos>,
    /// The journal wanted to grow and could not, and that was told.
    is_file_missed: bool,
}

impl Deadlines {
    /// A partition's write found the disk full. Says whether that is news.
    pub fn stall(&mut self, now: Nanos, id: TopicPartition) -> bool {
        self.stalled.insert(id, now.plus_ms(FULL_DISK_RETRY_MS)).is_none()
    }

    /// A partition's write succeeded, or it is gone. Says whether it had no room before.
    pub fn unstall(&mut self, id: TopicPartition) -> bool {
        self.stalled.remove(&id).is_some()
    }

    /// A journal file found the disk full. Says whether that is news.
    pub fn no_room_for_file(&mut self) -> bool {
        !std::mem::replace(&mut self.is_file_missed, true)
    }

    /// A journal file was made.
    pub fn has_room_for_file(&mut self) {
        self.is_file_missed = false;
    }

    /// The log directory's disk was found full: whoever waits for room comes before the journal.
    pub fn no_room(&mut self, now: Nanos) {
        self.next_file = Some(now.plus_ms(JOURNAL_CALM_MS));
    }

    /// Whether a journal file may be made: nobody has found the disk full for a while.
    #[must_use]
    pub fn may_make_file(&self, now: Nanos) -> bool {
        self.next_file.is_none_or(|at| at <= now)
    }

    /// Brings the next look at what retention lets go forward.
    pub fn check_retention(&mut self, at: Nanos) {
        self.retention_check = Some(at);
    }

    /// Whether any partition waits for room on its disk.
    #[must_use]
    pub fn is_any_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    /// Whether appends to the partition are refused because the disk is full.
    #[must_use]
    pub fn is_stalled(&self, id: TopicPartition) -> bool {
        !self.stalled.is_empty() && self.stalled.contains_key(&id)
    }
}

impl Shard {
    /// When the shard wants an [`super::event::Event::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        let own = [self.deadlines.idle_check, self.deadlines.retention_check];
        let stalled = self.deadlines.stalled.values().min().copied();
        let own = own.into_iter().chain([stalled]).flatten().min().unwrap_or(Nanos::NEVER);
        own.min(self.scrubbing.next())
            .min(self.checkpointing.next())
            .min(self.watches.next_deadline())
            .min(self.next_group_deadline())
    }

    /// After each turn: makes sure that what the turn left behind is looked at in time.
    pub fn schedule(&mut self, now: Now) {
        self.deadlines.last = now.now;
        if self.deadlines.idle_check.is_none() && self.tail_bytes > 0 {
            self.deadlines.idle_check = Some(now.now.plus_ms(IDLE_MS));
        }
        if self.deadlines.retention_check.is_none() && !self.partitions.is_empty() {
            let interval = self.settings.retention_check_ms;
            self.deadlines.retention_check = Some(now.now.plus_ms(interval));
        }
        self.schedule_scrub(now);
        self.schedule_checkpoint(now);
    }

    pub(super) fn on_tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let expired = self.watches.expired(now.now);
        effects.extend(expired.into_iter().map(|reply| Effect::Answer(reply, Answer::Watched)));
        self.tick_groups(now, effects);
        if self.deadlines.idle_check.is_some_and(|at| at <= now.now) {
            self.deadlines.idle_check = None;
            self.settle_idle(now, effects);
            // A little is always there where a log is written now and then, such as the metadata log.
            if self.tail_bytes < IDLE_SPARE_BYTES {
                self.pool.rest(IDLE_SPARE_BYTES);
            }
        }
        if self.deadlines.retention_check.is_some_and(|at| at <= now.now) {
            self.deadlines.retention_check = None;
            let ids: Vec<_> = self.partitions.keys().copied().collect();
            for id in ids {
                self.retire_segments(now, id, effects);
            }
        }
        self.scrub_if_due(now, effects);
        self.checkpoint_if_due(now, effects);
        let due = self.deadlines.stalled.iter().filter(|(_, at)| **at <= now.now);
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.deadlines.stall(now.now, id);
            if matches!(self.partitions.get(&id), Some(Slot::Failed)) {
                self.reopen_partition(id, effects);
            } else {
                self.flush_if_large(id, 1, effects);
            }
        }
    }

    /// Writes tails that nobody has appended to for a while, cuts their files to their contents, and
    /// lets go of their memory.
    fn settle_idle(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for (id, slot) in &mut self.partitions {
            let Slot::Open(partition) = slot else { continue };
            let is_settled = partition.memory_bytes() == 0 && !partition.needs_settling();
            let is_recent = now.now.ms_since(partition.last_append) < IDLE_MS;
            if is_settled || is_recent || partition.is_dirty() {
                continue;
            }
            if partition.can_write() && partition.needs_settling() {
                effects.push(settle(*id, partition));
            } else if partition.unwritten_bytes() == 0 {
                self.tail_bytes -= partition.release(0);
            }
        }
    }

    /// At a clean stop: writes every tail to its segment.
    pub fn flush_all(&mut self, effects: &mut Vec<Effect>) {
        for (id, slot) in &mut self.partitions {
            let Slot::Open(partition) = slot else { continue };
            if !self.is_offline && partition.can_write() && partition.needs_settling() {
                effects.push(settle(*id, partition));
            }
        }
    }

    /// At a clean stop, when every tail is in its segment: completes every partition's other files.
    pub fn seal_all(&mut self, effects: &mut Vec<Effect>) {
        for slot in self.partitions.values_mut() {
            let Slot::Open(partition) = slot else { continue };
            // A file with damage behind what is known stays as it is.
            let is_known = partition.lost_end.is_none();
            if !self.is_offline && is_known && partition.unwritten_bytes() == 0 {
                let (dir, seal) = (partition.dir.clone(), partition.seal_active());
                effects.push(Effect::Run(Job::Seal { dir, seal }));
            }
        }
    }

    /// Whether something is on its way that must end before the shard may stop. What a full disk keeps
    /// from being written has been refused, and is not waited for.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let is_moving = self.dirty.iter().any(|id| !self.deadlines.is_stalled(*id));
        let is_dirty = !self.is_offline && (is_moving || !self.deferred.is_empty());
        self.commit.is_some() || is_dirty
    }

    /// Whether every partition's content is in its segments, so that the stop is a clean one.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.is_offline
            && self.partitions.values().all(|slot| match slot {
                Slot::Open(partition) => partition.unwritten_bytes() == 0,
                Slot::Opening(_) | Slot::Failed => false,
                Slot::Offline => true,
            })
    }

    /// Where every partition ends: what the checkpoint of recovery points says at a clean stop.
    #[must_use]
    pub fn ends(&self) -> Vec<NamedOffset> {
        let open = self.partitions.keys().filter_map(|id| {
            let partition = self.partition(*id)?;
            let end = partition.lost_end.unwrap_or(partition.offsets.end());
            Some((Arc::clone(&partition.topic), *id, end))
        });
        open.collect()
    }

    /// Log start offsets that no segment's name tells.
    #[must_use]
    pub fn log_starts(&self) -> Vec<NamedOffset> {
        let open = self.log_starts.iter().filter_map(|(id, start)| {
            let partition = self.partition(*id)?;
            Some((Arc::clone(&partition.topic), *id, *start))
        });
        open.collect()
    }

    /// A disk was found full, by this shard or another one: whatever may go does. Where it is the shard's own,
    /// the journal does not grow for a while.
    pub(super) fn on_disk_full(&mut self, now: Now, is_own: bool) {
        self.deadlines.check_retention(now.now);
        if is_own {
            self.deadlines.no_room(now.now);
            self.journal.hold_growth();
        }
    }

    /// Deletes segments that retention lets go.
    pub(super) fn retire_segments(
        &mut self,
        now: Now,
        id: TopicPartition,
        effects: &mut Vec<Effect>,
    ) {
        let Some(partition) = self.partition_mut(id) else { return };
        let segments = partition.retire(now.wall_ms);
        if segments.is_empty() {
            return;
        }
        tracing::info!(topic = %partition.topic, partition = id.partition, count = segments.len(),
            log_start_offset = partition.offsets.start(), "old segments are deleted");
        let delay_ms = u64::try_from(partition.config.file_delete_delay_ms).unwrap_or_default();
        let (dir, at) = (partition.dir.clone(), now.now.plus_ms(delay_ms));
        effects.push(Effect::Run(Job::Retire { dir, segments, at }));
    }
}

/// Writes a tail to its segments, and cuts the file to its content unless room is kept behind it.
fn settle(id: TopicPartition, partition: &mut Partition<Waiter>) -> Effect {
    let is_trimmed = !partition.keeps_room();
    let (dir, writes) = (partition.dir.clone(), partition.settle());
    Effect::Run(Job::Flush { partition: id, dir, writes, is_trimmed, is_flushed: true })
}
