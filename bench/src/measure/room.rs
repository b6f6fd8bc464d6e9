//! Whose fault it is when records of an open loop go out late: the target's, that left no room, or the sender's own.

use std::ops::Range;

/// A send later than this behind its time counts as late, nanoseconds.
pub const LATE_NS: u64 = 1_000_000;

/// Since when a sender has had room for its next request, and when it did not run although it had.
#[derive(Debug, Default)]
pub struct Room {
    since_ns: u64,
    /// What became ready in here would have gone out, had the sender run.
    missed_ns: Range<u64>,
}

impl Room {
    /// There is room again.
    pub fn opened(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
    }

    /// What was ready at `ready_ns` goes out at `sent_ns`, in the order in which it became ready: whether that is late by
    /// the sender's own fault. What piles up while the sender does not run fills the room as soon as it does; that the rest
    /// then waits for room is its fault too.
    pub fn late_by_sender(&mut self, ready_ns: u64, sent_ns: u64) -> bool {
        let was_missed = self.missed_ns.contains(&ready_ns);
        let did_not_run = sent_ns > self.since_ns.max(ready_ns) + LATE_NS;
        if did_not_run {
            let start = if was_missed { self.missed_ns.start } else { self.since_ns };
            self.missed_ns = start..sent_ns - LATE_NS;
        }
        did_not_run || was_missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_waits_for_an_answer_is_not_late_by_the_sender() {
        let mut room = Room::default();
        for at_ms in 10..20 {
            room.opened(at_ms * MS);
            assert!(!room.late_by_sender((at_ms - 8) * MS, at_ms * MS + 5));
        }
    }

    #[test]
    fn what_piles_up_while_the_sender_sleeps_is_late_by_it() {
        let mut room = Room::default();
        room.opened(MS);
        assert!(!room.late_by_sender(9 * MS, 9 * MS));
        // It sleeps from 10 to 100, and then one goes out at a time.
        for due_ms in 10..98 {
            let at_ns = 100 * MS + due_ms * 1_000;
            assert!(room.late_by_sender(due_ms * MS, at_ns), "{due_ms}");
            room.opened(at_ns + 500);
        }
        assert!(!room.late_by_sender(100 * MS, 101 * MS));
    }

    #[test]
    fn a_short_sleep_does_not_excuse_a_target_that_is_behind() {
        let mut room = Room::default();
        // There is room from 1,000 on, the sender comes at 1,003, and half a second of records waits.
        room.opened(1_000 * MS);
        assert!(room.late_by_sender(500 * MS, 1_003 * MS));
        room.opened(1_010 * MS);
        for due_ms in 501..1_000 {
            assert!(!room.late_by_sender(due_ms * MS, 1_010 * MS), "{due_ms}");
        }
        assert!(room.late_by_sender(1_001 * MS, 1_010 * MS));
    }

    #[test]
    fn sleeping_twice_forgets_nothing() {
        let mut room = Room::default();
        room.opened(MS);
        assert!(room.late_by_sender(10 * MS, 100 * MS));
        room.opened(101 * MS);
        assert!(room.late_by_sender(11 * MS, 110 * MS));
        room.opened(111 * MS);
        assert!(room.late_by_sender(12 * MS, 111 * MS));
        assert!(room.late_by_sender(98 * MS, 111 * MS));
    }
}
