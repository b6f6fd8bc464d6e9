//! When appends reached which stage on their way to the disk: taken up, admitted, being written,
//! durable.
//!
//! The clock is read twice a turn, not per append: what a turn takes up has the turn's beginning, what it
//! has admitted its end, and what a write makes durable the beginning of that write and of the turn that
//! heard of its end.

use std::collections::{BTreeMap, VecDeque};

use super::event::{Effect, Event, Job};
use super::pending::PendingAppends;
use crate::types::{Nanos, TopicPartition};

/// When one append reached each stage, none before the one in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendTimes {
    /// The shard took it up: the turn began, or memory that it waited for was there.
    pub queued: Nanos,
    /// Its batches are in the log's memory: the turn ended.
    pub admitted: Nanos,
    /// The write that made the last of it durable began, in the journal or in a segment.
    pub journaled: Nanos,
    /// That write is durable.
    pub flushed: Nanos,
}

impl AppendTimes {
    /// Taken up just now.
    #[must_use]
    pub const fn queued(now: Nanos) -> Self {
        Self { queued: now, admitted: now, journaled: now, flushed: now }
    }
}

/// What is known of the turn and of the writes under way.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// The first append that no turn's end has seen.
    first: u64,
    /// When the journal writes under way began, in order.
    commits: VecDeque<Nanos>,
    /// When writes to segments began.
    flushes: BTreeMap<TopicPartition, Nanos>,
    /// When the write whose end is being taken up began; zero if that is not known.
    ended: Nanos,
    /// Writes to the journal so far.
    pub(super) commits_begun: u64,
    /// Writes to segments so far.
    pub(super) flushes_begun: u64,
}

impl Stages {
    /// A turn ends: what it took up is admitted.
    pub(super) fn admitted(&mut self, now: Nanos, appends: &mut PendingAppends) {
        for times in appends.contexts_from(self.first) {
            times.admitted = now.max(times.queued);
        }
        self.first = appends.next();
    }

    /// The writes among these effects begin.
    pub(super) fn begin(&mut self, now: Nanos, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Run(Job::Commit(_)) => {
                    self.commits.push_back(now);
                    self.commits_begun += 1;
                }
                Effect::Run(Job::Flush { partition, .. }) => {
                    self.flushes.insert(*partition, now);
                    self.flushes_begun += 1;
                }
                _ => {}
            }
        }
    }

    /// If this is the end of a write, it is what makes appends durable from now on.
    pub(super) fn end(&mut self, event: &Event) {
        let began = match event {
            Event::Committed(_) => self.commits.pop_front(),
            Event::Flushed { partition, .. } => self.flushes.remove(partition),
            _ => return,
        };
        self.ended = began.unwrap_or_default();
    }

    /// The times of an append whose last batch the write that has just ended made durable.
    pub(super) fn durable(&self, times: AppendTimes, now: Nanos) -> AppendTimes {
        let flushed = now.max(times.admitted);
        AppendTimes { journaled: self.ended.clamp(times.admitted, flushed), flushed, ..times }
    }
}
