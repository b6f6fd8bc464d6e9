//! Writes on their way to the log, oldest first, and what happens when each is durable.

use std::collections::VecDeque;

use super::offsets::OffsetKey;
use super::{GroupAnswer, GroupId};
use crate::machine::Token;

/// The number of a write; they become durable in this order.
pub(super) type WriteNumber = u64;

/// What changes when a write is durable.
#[derive(Debug, Default)]
pub(super) struct AfterWrite {
    /// Offsets that readers may see from then on.
    pub(super) offsets: Vec<OffsetKey>,
    /// The assignment that members get from then on.
    pub(super) assigned: Option<Assigned>,
}

/// An assignment that is being stored.
#[derive(Debug)]
pub(super) struct Assigned {
    /// Whose.
    pub(super) group_id: GroupId,
    /// For which generation; nothing happens if the group has moved on.
    pub(super) generation: i32,
}

/// One write on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Its number.
    pub(super) number: WriteNumber,
    /// What changes.
    pub(super) after: AfterWrite,
    /// Reads that showed what this write stores, and must not be answered before.
    pub(super) reads: Vec<(Token, GroupAnswer)>,
}

/// All writes on their way.
#[derive(Debug, Default)]
pub(super) struct Writes {
    next: WriteNumber,
    in_flight: VecDeque<InFlight>,
}

impl Writes {
    /// The number of the next write.
    pub(super) fn next(&self) -> WriteNumber {
        self.next
    }

    /// Takes note of a write that was ordered just now.
    pub(super) fn push(&mut self, after: AfterWrite) {
        self.in_flight.push_back(InFlight { number: self.next, after, reads: Vec::new() });
        self.next += 1;
    }

    /// The oldest write, which is durable now.
    pub(super) fn pop(&mut self) -> Option<InFlight> {
        self.in_flight.pop_front()
    }

    /// Holds a read until write `number` is durable; gives it back if that is so already.
    pub(super) fn hold(
        &mut self,
        number: WriteNumber,
        token: Token,
        answer: GroupAnswer,
    ) -> Option<GroupAnswer> {
        let first = self.in_flight.front().map_or(self.next, |write| write.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.in_flight.get_mut(index)) {
            Some(write) => {
                write.reads.push((token, answer));
                None
            }
            None => Some(answer),
        }
    }

    /// How many writes are on their way.
    pub(super) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Forgets all writes and gives the tokens that waited.
    pub(super) fn clear(&mut self) -> Vec<(Token, GroupAnswer)> {
        self.in_flight.drain(..).flat_map(|write| write.reads).collect()
    }
}
