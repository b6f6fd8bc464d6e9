//! When closed segments are checked for rot.

use std::sync::Arc;

use super::event::{Effect, Job, ScrubLog, Scrubbed};
use super::{Shard, Slot};
use crate::partition::admit::Now;
use crate::types::{Nanos, TimestampMs};

/// When and how fast closed segments are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubSettings {
    /// From the start, and from the end of one pass, to the next one; 0 for never. Milliseconds.
    pub interval_ms: u64,
    /// How much is read in a second.
    pub bytes_per_second: u64,
}

/// Where the scrub is.
#[derive(Debug, Default)]
pub struct Scrubbing {
    at: Option<Nanos>,
    is_running: bool,
    /// What was read since the start.
    pub(super) bytes: u64,
    /// When the last pass ended, by the wall clock.
    pub(super) last_ms: Option<TimestampMs>,
}

impl Scrubbing {
    /// When the next pass begins.
    #[must_use]
    pub fn next(&self) -> Nanos {
        self.at.unwrap_or(Nanos::NEVER)
    }
}

impl Shard {
    pub(super) fn schedule_scrub(&mut self, now: Now) {
        let interval_ms = self.settings.scrub.interval_ms;
        let is_idle = self.scrubbing.at.is_none() && !self.scrubbing.is_running;
        if interval_ms > 0 && is_idle && !self.partitions.is_empty() {
            self.scrubbing.at = Some(now.now.plus_ms(interval_ms));
        }
    }

    pub(super) fn scrub_if_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.scrubbing.at.is_none_or(|at| at > now.now) {
            return;
        }
        (self.scrubbing.at, self.scrubbing.is_running) = (None, true);
        let open = self.partitions.values().filter_map(|slot| match slot {
            Slot::Open(partition) if !partition.sealed().is_empty() => Some(ScrubLog {
                dir: Arc::clone(&partition.dir),
                segments: partition.sealed().to_vec(),
                epochs: partition.epochs.clone(),
                gaps: partition.config.cleanup_policy.compact,
            }),
            _ => None,
        });
        let logs = open.collect();
        let bytes_per_second = self.settings.scrub.bytes_per_second;
        effects.push(Effect::Run(Job::Scrub { logs, bytes_per_second }));
    }

    pub(super) fn on_scrubbed(&mut self, now: Now, done: Scrubbed) {
        let Scrubbed { segments, bytes, indexes, snapshots, failures } = done;
        tracing::info!(
            segments,
            bytes,
            indexes,
            snapshots,
            failures,
            "closed segments were checked; damaged records were told where they were found"
        );
        self.scrubbing.is_running = false;
        self.scrubbing.bytes += bytes;
        self.scrubbing.last_ms = Some(now.wall_ms);
        self.schedule_scrub(now);
    }
}
