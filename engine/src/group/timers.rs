//! The deadlines of one group machine: at most one per key, exact, so that the host sleeps until the
//! next and never polls.

use std::collections::{BTreeMap, BTreeSet};

use super::{GroupId, MemberId};
use crate::types::Nanos;

/// What falls due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// Looking for expired offsets and empty groups.
    Sweep,
    /// A join phase ends.
    Join(GroupId),
    /// Members of this generation that have not synced are removed.
    Sync(GroupId),
    /// A member's session, or the time a pending member may take to come back, ends.
    Member(GroupId, MemberId),
}

/// All deadlines of a machine.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_key: BTreeMap<TimerKey, Nanos>,
    by_time: BTreeSet<(Nanos, TimerKey)>,
}

impl Timers {
    /// Sets the deadline of `key`, replacing an earlier one.
    pub(super) fn set(&mut self, key: TimerKey, at: Nanos) {
        if let Some(old) = self.by_key.insert(key.clone(), at) {
            if old == at {
                return;
            }
            self.by_time.remove(&(old, key.clone()));
        }
        self.by_time.insert((at, key));
    }

    /// Removes the deadline of `key`, if there is one.
    pub(super) fn cancel(&mut self, key: &TimerKey) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    /// Whether `key` has a deadline.
    pub(super) fn is_set(&self, key: &TimerKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Nanos {
        self.by_time.first().map_or(Nanos::NEVER, |(at, _)| *at)
    }

    /// What is due at `now`, earliest first; nothing is removed.
    pub(super) fn due(&self, now: Nanos) -> Vec<(Nanos, TimerKey)> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).cloned().collect()
    }

    /// Removes the deadline of `key` if it still is `at`, and says whether it was.
    pub(super) fn take(&mut self, at: Nanos, key: &TimerKey) -> bool {
        let is_due = self.by_key.get(key) == Some(&at);
        if is_due {
            self.cancel(key);
        }
        is_due
    }

    /// Removes every deadline.
    pub(super) fn clear(&mut self) {
        self.by_key.clear();
        self.by_time.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_deadline_per_key() {
        let join = TimerKey::Join("g".into());
        let mut timers = Timers::default();
        assert_eq!(timers.next(), Nanos::NEVER);
        timers.set(join.clone(), Nanos(5));
        timers.set(TimerKey::Sweep, Nanos(7));
        timers.set(join.clone(), Nanos(9));
        assert_eq!(timers.next(), Nanos(7));
        assert_eq!(timers.due(Nanos(8)), [(Nanos(7), TimerKey::Sweep)]);
        assert!(!timers.take(Nanos(5), &join), "an old deadline does not fire");
        assert!(timers.take(Nanos(9), &join));
        assert!(!timers.is_set(&join));
        timers.cancel(&TimerKey::Sweep);
        assert_eq!(timers.next(), Nanos::NEVER);
        assert!(timers.by_key.is_empty());
    }
}
