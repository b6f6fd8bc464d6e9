//! When recovery points are written: offsets before which everything is durable, so that damage there is
//! never taken for a write that was cut short. With them, but less often, go waypoints
//! ([`crate::partition::waypoint`]), from which a start after a crash goes on.
//!
//! What the journal holds says so itself. Points are for what it holds no more: they are written some time
//! after anything became durable, and soon after a journal file was begun, as its earlier content is gone. A
//! start after a crash writes them before the journals of the last run are removed, as those may be all that
//! says that more had been acknowledged than segments hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{DiskFailure, Effect, Job, OffsetsFile};
use super::{Shard, Slot};
use crate::limits::{CHECKPOINTS_APART_MS, WAYPOINTS_APART_BYTES, WAYPOINTS_BYTES_MAX};
use crate::partition::admit::Now;
use crate::partition::waypoint;
use crate::types::{Nanos, Offset, TopicPartition};

/// When the points are written next.
#[derive(Debug, Default)]
pub struct Checkpointing {
    /// Something became durable since the last time.
    is_stale: bool,
    /// A journal file was begun since then.
    is_urgent: bool,
    at: Option<Nanos>,
    /// When they were written last.
    last: Option<Nanos>,
    /// Bytes written to segments since waypoints were.
    unmarked_bytes: u64,
    /// When those were written last.
    marked: Option<Nanos>,
    /// Those of the last run, for partitions that are not open.
    inherited: Arc<BTreeMap<TopicPartition, Offset>>,
    /// Whether points say all that journals of the last run do.
    handover: Handover,
}

/// See [`Checkpointing`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Handover {
    /// Not yet, and nobody waits for it.
    #[default]
    Open,
    /// Somebody waits for it.
    Awaited,
    /// There is nothing in journals that points do not say.
    Done,
}

impl Checkpointing {
    /// With the points of the last run.
    #[must_use]
    pub fn new(inherited: Arc<BTreeMap<TopicPartition, Offset>>, has_old_journals: bool) -> Self {
        let handover = if has_old_journals { Handover::Open } else { Handover::Done };
        Self { inherited, handover, ..Self::default() }
    }

    /// Whether journals of the last run may go, as far as this is concerned. If not, points that say what
    /// they do are written as soon as every partition is open, and [`Checkpointing::handed_over`] follows.
    pub fn hand_over(&mut self) -> bool {
        if self.handover == Handover::Open {
            self.handover = Handover::Awaited;
            (self.is_stale, self.is_urgent) = (true, true);
        }
        self.handover == Handover::Done
    }

    /// Points are on disk that were taken while [`Checkpointing::hand_over`] waited.
    pub fn handed_over(&mut self) {
        self.handover = Handover::Done;
    }

    /// Something became durable.
    pub fn advanced(&mut self) {
        self.is_stale = true;
    }

    /// A journal file was begun.
    pub fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Segment files hold so many bytes more.
    pub fn written(&mut self, bytes: u64) {
        self.unmarked_bytes += bytes;
        self.is_urgent |= self.unmarked_bytes >= WAYPOINTS_APART_BYTES;
    }

    /// A start has read so many bytes behind a waypoint: the next one need not.
    pub fn followed(&mut self, bytes: u64) {
        self.advanced();
        self.written(bytes);
    }

    /// Something could not be written; it may have been the points.
    pub fn failed(&mut self, failure: &DiskFailure) {
        self.is_stale |= failure.is_full;
        self.is_urgent |= failure.is_full && self.handover == Handover::Awaited;
    }

    /// When they are written next.
    #[must_use]
    pub fn next(&self) -> Nanos {
        self.at.unwrap_or(Nanos::NEVER)
    }
}

impl Shard {
    pub(super) fn schedule_checkpoint(&mut self, now: Now) {
        let interval_ms = self.settings.checkpoint_interval_ms;
        let checkpointing = &mut self.checkpointing;
        if !checkpointing.is_stale || (checkpointing.at.is_some() && !checkpointing.is_urgent) {
            return;
        }
        // Without flushes nothing is known to be durable.
        if !self.settings.is_flushed || self.is_offline {
            return;
        }
        let soonest = checkpointing.last.map(|last| last.plus_ms(CHECKPOINTS_APART_MS));
        let soonest = soonest.unwrap_or(now.now).max(now.now);
        let regular = now.now.plus_ms(interval_ms).max(soonest);
        let at = if checkpointing.is_urgent { soonest } else { regular };
        checkpointing.at = Some(checkpointing.next().min(at));
        checkpointing.is_urgent = false;
    }

    pub(super) fn checkpoint_if_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.checkpointing.at.is_none_or(|at| at > now.now) {
            return;
        }
        let checkpointing = &mut self.checkpointing;
        (checkpointing.is_stale, checkpointing.is_urgent) = (false, false);
        (checkpointing.at, checkpointing.last) = (None, Some(now.now));
        let is_awaited = checkpointing.handover == Handover::Awaited;
        if self.is_offline {
            return;
        }
        self.mark_if_due(now, effects);
        let inherited = &self.checkpointing.inherited;
        let point = |(id, slot): (&TopicPartition, &Slot)| match slot {
            Slot::Open(partition) => {
                Some((*id, partition.lost_end.unwrap_or(partition.offsets.durable())))
            }
            Slot::Opening(_) | Slot::Failed | Slot::Offline => {
                inherited.get(id).map(|point| (*id, *point))
            }
        };
        let entries = self.partitions.iter().filter_map(point).collect();
        let file = OffsetsFile::RecoveryPoints;
        effects.push(Effect::Run(Job::WriteOffsets { file, entries, is_awaited }));
    }

    fn mark_if_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let interval_ms = self.settings.checkpoint_interval_ms;
        let Checkpointing { unmarked_bytes, marked, .. } = self.checkpointing;
        let is_old = marked.is_none_or(|marked| now.now.ms_since(marked) >= interval_ms);
        if unmarked_bytes == 0 || (!is_old && unmarked_bytes < WAYPOINTS_APART_BYTES) {
            return;
        }
        if self.opening > 0 {
            // The last run's waypoints are of use to those that are not open yet.
            return;
        }
        (self.checkpointing.unmarked_bytes, self.checkpointing.marked) = (0, Some(now.now));
        let open = self.partitions.iter().filter_map(|(id, slot)| match slot {
            Slot::Open(partition) => Some((*id, partition.waypoint()?)),
            Slot::Opening(_) | Slot::Failed | Slot::Offline => None,
        });
        let mut bytes = 0;
        let open = open.take_while(|(_, waypoint)| {
            bytes += waypoint.bytes();
            bytes <= WAYPOINTS_BYTES_MAX
        });
        let content = waypoint::encode(open).into();
        effects.push(Effect::Run(Job::WriteWaypoints(content)));
    }
}
