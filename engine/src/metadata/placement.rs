//! Which shard owns a partition.

use crate::types::{ShardId, TopicId, TopicPartition};

/// The shard that owns `at` where there are `shards` of them, at least one.
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
