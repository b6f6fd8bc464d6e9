//! Calls that wait for something: which of their items are done.

use std::collections::BTreeMap;

use super::call::{Appended, FoundOffset, ReadError, ReadPart, ReplyTo};
use super::stages::AppendTimes;
use crate::partition::AppendError;

/// Calls with several items, each of which is done on its own.
#[derive(Debug)]
pub struct Pending<T, C = ()> {
    next: u64,
    waiting: BTreeMap<u64, Waiting<T, C>>,
}

#[derive(Debug)]
struct Waiting<T, C> {
    reply: ReplyTo,
    context: C,
    items: Vec<Option<T>>,
    left: usize,
}

/// Appends that wait to be durable.
/// The context is when they reached which stage.
pub type PendingAppends = Pending<Result<Appended, AppendError>, AppendTimes>;
/// Reads that wait for the disk.
/// The context is what is known already of the items that wait: the slot and all but the records.
pub type PendingReads = Pending<Result<ReadPart, ReadError>, Vec<(usize, ReadPart)>>;
/// Offset queries that wait for the disk.
pub type PendingQueries = Pending<Result<FoundOffset, ReadError>>;

impl<T, C> Default for Pending<T, C> {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }
}

impl<T, C> Pending<T, C> {
    /// The number that the next call gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Adds a call of which some items may be done already. Gives all items back if there is nothing
    /// to wait for.
    pub fn add(&mut self, reply: ReplyTo, context: C, items: Vec<Option<T>>) -> Option<Vec<T>> {
        let left = items.iter().filter(|item| item.is_none()).count();
        let id = self.next;
        self.next += 1;
        if left == 0 {
            return Some(items.into_iter().flatten().collect());
        }
        self.waiting.insert(id, Waiting { reply, context, items, left });
        None
    }

    /// An item is done; gives back who waits, the context and all items if it was the last one.
    pub fn done(&mut self, id: u64, slot: usize, item: T) -> Option<(ReplyTo, C, Vec<T>)> {
        let waiting = self.waiting.get_mut(&id)?;
        let place = waiting.items.get_mut(slot)?;
        if place.is_some() {
            return None;
        }
        *place = Some(item);
        waiting.left -= 1;
        if waiting.left > 0 {
            return None;
        }
        let waiting = self.waiting.remove(&id)?;
        Some((waiting.reply, waiting.context, waiting.items.into_iter().flatten().collect()))
    }

    /// What is known of a waiting call besides its items.
    pub fn context_mut(&mut self, id: u64) -> Option<&mut C> {
        self.waiting.get_mut(&id).map(|waiting| &mut waiting.context)
    }

    /// The same of all waiting calls from number `first` on.
    pub fn contexts_from(&mut self, first: u64) -> impl Iterator<Item = &mut C> {
        self.waiting.range_mut(first..).map(|(_, waiting)| &mut waiting.context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Token;

    #[test]
    fn a_call_is_done_with_its_last_item() {
        let reply = ReplyTo { shard: 0, token: Token(1) };
        let mut pending: Pending<char> = Pending::default();
        assert_eq!(pending.add(reply, (), vec![Some('a')]), Some(vec!['a']));
        let id = pending.next();
        assert_eq!(pending.add(reply, (), vec![None, Some('b'), None]), None);
        assert_eq!(pending.done(id, 2, 'c'), None);
        assert_eq!(pending.done(id, 2, 'x'), None);
        assert_eq!(pending.done(id, 0, 'a'), Some((reply, (), vec!['a', 'b', 'c'])));
        assert_eq!(pending.done(id, 0, 'a'), None);
    }
}
