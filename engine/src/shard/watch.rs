//! Readers that wait for more: which partitions they watch, and until when.

use std::collections::{BTreeMap, BTreeSet};

use super::call::{Isolation, ReplyTo, Watch};
use crate::types::{Nanos, TopicPartition};

/// Waiting readers. Each is answered once: when a watched partition moves, or at its deadline.
#[derive(Debug, Default)]
pub struct Watches {
    by_partition: BTreeMap<TopicPartition, BTreeSet<ReplyTo>>,
    by_deadline: BTreeSet<(Nanos, ReplyTo)>,
    waiting: BTreeMap<ReplyTo, Watch>,
}

impl Watches {
    /// Adds a reader.
    pub fn add(&mut self, reply: ReplyTo, watch: Watch) {
        for (partition, _) in &watch.items {
            self.by_partition.entry(*partition).or_default().insert(reply);
        }
        self.by_deadline.insert((watch.deadline, reply));
        self.waiting.insert(reply, watch);
    }

    /// Whether any reader waits for more in `partition`.
    #[must_use]
    pub fn is_watched(&self, partition: TopicPartition) -> bool {
        self.by_partition.contains_key(&partition)
    }

    /// Takes out the readers for whom there is more in `partition`, given its visible ends.
    pub fn moved(
        &mut self,
        partition: TopicPartition,
        end: impl Fn(Isolation) -> i64,
    ) -> Vec<ReplyTo> {
        let Some(readers) = self.by_partition.get(&partition) else { return Vec::new() };
        let moved: Vec<_> = readers
            .iter()
            .copied()
            .filter(|reply| {
                self.waiting.get(reply).is_some_and(|watch| {
                    let seen = watch.items.iter().find(|(id, _)| *id == partition);
                    seen.is_some_and(|(_, seen)| end(watch.isolation) > *seen)
                })
            })
            .collect();
        for reply in &moved {
            self.remove(*reply);
        }
        moved
    }

    /// Takes out the readers of a partition that is gone.
    pub fn gone(&mut self, partition: TopicPartition) -> Vec<ReplyTo> {
        self.moved(partition, |_| i64::MAX)
    }

    /// Takes out the readers whose deadline has passed.
    pub fn expired(&mut self, now: Nanos) -> Vec<ReplyTo> {
        let mut expired = Vec::new();
        while let Some(&(deadline, reply)) = self.by_deadline.first()
            && deadline <= now
        {
            self.remove(reply);
            expired.push(reply);
        }
        expired
    }

    /// The next deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        self.by_deadline.first().map_or(Nanos::NEVER, |&(deadline, _)| deadline)
    }

    fn remove(&mut self, reply: ReplyTo) {
        let Some(watch) = self.waiting.remove(&reply) else { return };
        self.by_deadline.remove(&(watch.deadline, reply));
        for (partition, _) in &watch.items {
            if let Some(readers) = self.by_partition.get_mut(partition) {
                readers.remove(&reply);
                if readers.is_empty() {
                    self.by_partition.remove(partition);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Token;
    use crate::types::Uuid;

    #[test]
    fn a_reader_is_answered_once_by_whichever_comes_first() {
        let partition = |p| TopicPartition { topic_id: Uuid(1), partition: p };
        let reply = |t| ReplyTo { shard: 0, token: Token(t) };
        let mut watches = Watches::default();
        for token in 0..3 {
            let items = vec![(partition(0), 10), (partition(1), token as i64)];
            let deadline = Nanos(100 + token);
            let isolation = Isolation::Uncommitted;
            watches.add(reply(token), Watch { items, isolation, deadline });
        }
        assert_eq!(watches.moved(partition(0), |_| 10), []);
        assert_eq!(watches.moved(partition(1), |_| 1), [reply(0)]);
        assert_eq!(watches.next_deadline(), Nanos(101));
        assert_eq!(watches.expired(Nanos(101)), [reply(1)]);
        assert_eq!(watches.gone(partition(0)), [reply(2)]);
        assert_eq!(watches.next_deadline(), Nanos::NEVER);
        assert!(watches.by_partition.is_empty());
    }
}
