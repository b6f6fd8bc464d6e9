//! Which shard owns a partition: one of those that serve its log directory.

use std::sync::Arc;

use super::image::Image;
use super::topics::{DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, PartitionImage};
use crate::types::{NodeId, ShardId, TopicId, TopicPartition, Uuid};

/// The log directories of this broker, in the order of `log.dirs`. Of `D` directories the one at index
/// `d` is served by the shards whose number has the remainder `d` when divided by `D`, and by no others.
/// The metadata log is in the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directories {
    node_id: NodeId,
    /// Their ids; none of a directory that could not be used at the start. Empty is one directory,
    /// whatever its id.
    ids: Arc<[Option<Uuid>]>,
}

impl Directories {
    /// Of the broker `node_id`.
    #[must_use]
    pub fn new(node_id: NodeId, ids: Vec<Option<Uuid>>) -> Self {
        Self { node_id, ids: Arc::from(ids) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ids.len().max(1)
    }

    /// The id of the directory at an index; none if it could not be used at the start.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<Uuid> {
        self.ids.get(index).copied().flatten()
    }

    /// The directory that a shard serves.
    #[must_use]
    pub fn of_shard(&self, shard: ShardId) -> usize {
        usize::from(shard) % self.count()
    }

    /// The directory that an id in the metadata stands for; none if that is not here, or not to be used.
    /// Partitions without a directory are in the first, unless they may be in one that cannot be read.
    #[must_use]
    pub fn of_id(&self, id: Uuid) -> Option<usize> {
        let known = self.ids.iter().position(|known| *known == Some(id));
        let is_free = id == DIRECTORY_MIGRATING || id == DIRECTORY_UNASSIGNED;
        let is_first = self.ids.is_empty() || (is_free && self.ids.iter().all(Option::is_some));
        known.or_else(|| is_first.then_some(0))
    }

    /// The directory of a partition of this broker; none as in [`Directories::of_id`].
    #[must_use]
    pub fn of(&self, partition: &PartitionImage) -> Option<usize> {
        self.of_id(partition.directory_on(self.node_id).unwrap_or(DIRECTORY_UNASSIGNED))
    }

    /// The shard that owns `at` where there are `shards` of them. What is in no directory that is here
    /// belongs to the shards of the first.
    #[must_use]
    pub fn owner(&self, image: &Image, at: TopicPartition, shards: u16) -> ShardId {
        if self.ids.len() < 2 || at.topic_id == TopicId::METADATA_TOPIC {
            return shard_of(at, shards);
        }
        let index = image.topics.partition(at).and_then(|partition| self.of(partition));
        self.shard_in(index.unwrap_or(0), at, shards)
    }

    /// The shard among those of the directory at `index` that owns `at`.
    #[must_use]
    pub fn shard_in(&self, index: usize, at: TopicPartition, shards: u16) -> ShardId {
        let count = u16::try_from(self.count()).unwrap_or(u16::MAX);
        let index = u16::try_from(index).unwrap_or(u16::MAX).min(count - 1);
        let own = shards.saturating_sub(index).div_ceil(count);
        index + count * shard_of(at, own)
    }
}

/// The shard that owns `at` where there are `shards` of them, at least one, and one log directory.
///
/// The same at every start with as many shards. Partitions that follow each other in a topic stand
/// on shards that follow each other, so a topic is spread as evenly as it can be; where its first
/// partition stands follows from the topic's id, so many topics of one partition are spread by
/// chance. The metadata log is on shard 0, where the controller is.
#[must_use]
pub fn shard_of(at: TopicPartition, shards: u16) -> ShardId {
    let shards = u64::from(shards.max(1));
    if at.topic_id == TopicId::METADATA_TOPIC {
        return 0;
    }
    let index = u64::from(at.partition.unsigned_abs());
    let shard = (mixed(at.topic_id) % shards + index % shards) % shards;
    // Less than `shards`, which is 16 bits.
    shard as ShardId
}

/// 64 well mixed bits of an id (the finalizer of splitmix64 over both halves).
const fn mixed(id: TopicId) -> u64 {
    let mut z = (id.0 >> 64) as u64 ^ (id.0 as u64).rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::Uuid;

    proptest! {
        #[test]
        fn partitions_of_a_topic_take_turns(
            id: u128, first in 0..100_000_i32, shards in 1..64_u16,
        ) {
            let at = |partition| shard_of(TopicPartition { topic_id: Uuid(id), partition }, shards);
            if Uuid(id) != Uuid::METADATA_TOPIC {
                let mut counts = vec![0; usize::from(shards)];
                for i in 0..i32::from(shards) {
                    counts[usize::from(at(first + i))] += 1;
                }
                prop_assert!(counts.iter().all(|&count| count == 1));
            }
            prop_assert!(at(i32::MIN) < shards);
        }
    }

    #[test]
    fn each_directory_has_shards_of_its_own() {
        for (count, shards) in [(1, 1), (1, 4), (2, 2), (2, 3), (3, 8), (5, 5)] {
            let ids = (0..).take(count).map(|index| Some(Uuid(1_000 + index))).collect();
            let directories = Directories::new(1, ids);
            for (index, n) in (0..count).flat_map(|index| (0..100_u16).map(move |n| (index, n))) {
                let topic_id = Uuid(u128::from(n) << 64 | 7);
                let at = TopicPartition { topic_id, partition: i32::from(n % 3) };
                let shard = directories.shard_in(index, at, shards);
                assert!(shard < shards, "{shard} of {shards}");
                assert_eq!(directories.of_shard(shard), index);
                if count == 1 {
                    assert_eq!(shard, shard_of(at, shards));
                }
            }
        }
    }

    #[test]
    fn an_id_that_is_not_here_is_no_directory() {
        let both = Directories::new(1, vec![Some(Uuid(500)), Some(Uuid(501))]);
        let one = Directories::new(1, vec![Some(Uuid(500)), None]);
        for (id, of_both, of_one) in [
            (Uuid(500), Some(0), Some(0)),
            (Uuid(501), Some(1), None),
            (Uuid(502), None, None),
            (DIRECTORY_UNASSIGNED, Some(0), None),
            (DIRECTORY_MIGRATING, Some(0), None),
            (crate::metadata::topics::DIRECTORY_LOST, None, None),
        ] {
            assert_eq!((both.of_id(id), one.of_id(id)), (of_both, of_one), "{id}");
            assert_eq!(Directories::default().of_id(id), Some(0));
        }
    }

    #[test]
    fn topics_of_one_partition_are_spread() {
        for shards in [2, 3, 8] {
            let mut counts = vec![0; usize::from(shards)];
            for i in 0..10_000_u128 {
                let random = i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834);
                if let Some(topic_id) = Uuid::from_random(random) {
                    let at = TopicPartition { topic_id, partition: 0 };
                    counts[usize::from(shard_of(at, shards))] += 1;
                }
            }
            let mean = 10_000 / usize::from(shards);
            assert!(counts.iter().all(|&count| count > mean * 9 / 10), "{counts:?}");
        }
    }

    #[test]
    fn placement_is_what_it_was() {
        // Partitions would look for their journal entries on another shard if this changed.
        let at = |id, partition| TopicPartition { topic_id: Uuid(id), partition };
        let shards: Vec<_> = (0..4).map(|p| shard_of(at(0x1234_5678 << 64 | 99, p), 4)).collect();
        assert_eq!(shards, [PINNED, (PINNED + 1) % 4, (PINNED + 2) % 4, (PINNED + 3) % 4]);
        assert_eq!(shard_of(at(1, 0), 8), 0);
        assert_eq!(shard_of(at(7, 5), 1), 0);
        assert_eq!(shard_of(at(7, 5), 0), 0);
    }

    const PINNED: ShardId = 3;
}
