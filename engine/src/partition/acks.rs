//! Who waits for which offset to be durable.

use std::collections::VecDeque;

use crate::types::Offset;

/// Answers that wait for the log to be durable up to an offset, in order of that offset.
#[derive(Debug)]
pub struct Acks<W> {
    waiting: VecDeque<(Offset, W)>,
}

impl<W> Default for Acks<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<W> Acks<W> {
    /// `waiter` is to be released when everything before `end` is durable.
    pub fn wait(&mut self, end: Offset, waiter: W) {
        // A duplicate may wait for an older offset than the newest waiter.
        let at = self.waiting.partition_point(|(other, _)| *other <= end);
        self.waiting.insert(at, (end, waiter));
    }

    /// Takes out one waiter whose offset is durable.
    pub fn release(&mut self, durable: Offset) -> Option<W> {
        let (end, _) = self.waiting.front()?;
        if *end > durable {
            return None;
        }
        self.waiting.pop_front().map(|(_, waiter)| waiter)
    }

    /// Takes out those of whom `is_wanted` holds, in order.
    pub fn release_those(&mut self, is_wanted: impl Fn(&W) -> bool) -> Vec<W> {
        let (out, left) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, waiter)| is_wanted(waiter));
        self.waiting = left;
        let out: VecDeque<(Offset, W)> = out;
        out.into_iter().map(|(_, waiter)| waiter).collect()
    }

    /// Takes out everyone: the log failed.
    pub fn release_all(&mut self) -> impl Iterator<Item = W> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, waiter)| waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_are_released_in_order_of_their_offsets() {
        let mut acks = Acks::default();
        acks.wait(5, 'b');
        acks.wait(9, 'c');
        acks.wait(3, 'a');
        assert_eq!(acks.release(2), None);
        assert_eq!(acks.release(5), Some('a'));
        assert_eq!(acks.release(5), Some('b'));
        assert_eq!(acks.release(5), None);
        acks.wait(11, 'd');
        acks.wait(12, 'e');
        assert_eq!(acks.release_those(|waiter| *waiter == 'd'), ['d']);
        assert_eq!(acks.release_all().collect::<Vec<_>>(), ['c', 'e']);
    }
}
