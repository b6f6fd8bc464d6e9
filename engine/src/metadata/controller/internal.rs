//! The topics that the broker makes for itself when first needed.

use super::call::NewTopic;
use super::name::{CONSUMER_OFFSETS, SHARE_GROUP_STATE, TRANSACTION_STATE};

/// How an internal topic is made; the server takes it from `offsets.topic.*` and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternalTopic {
    /// How many partitions, fixed for ever: a group's partition follows from it.
    pub partitions: i32,
    /// How many replicas of each.
    pub replication_factor: i16,
    /// Segment size in bytes.
    pub segment_bytes: i32,
    /// How many replicas must be in sync; of no meaning for `__consumer_offsets`.
    pub min_insync_replicas: i32,
}

fn new_topic(name: &str, topic: &InternalTopic, configs: &[(&str, String)]) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        assignments: Vec::new(),
        configs: configs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Some(value.clone())))
            .collect(),
    }
}

/// `__consumer_offsets`: groups and their offsets.
#[must_use]
pub fn consumer_offsets(topic: &InternalTopic) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", topic.segment_bytes.to_string()),
    ];
    new_topic(CONSUMER_OFFSETS, topic, &configs)
}

/// `__transaction_state`: transactional ids and their transactions.
#[must_use]
pub fn transaction_state(topic: &InternalTopic) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "uncompressed".to_owned()),
        ("min.insync.replicas", topic.min_insync_replicas.to_string()),
        ("segment.bytes", topic.segment_bytes.to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ];
    new_topic(TRANSACTION_STATE, topic, &configs)
}

/// `__share_group_state`: the progress of share groups.
#[must_use]
pub fn share_group_state(topic: &InternalTopic) -> NewTopic {
    let configs = [
        ("cleanup.policy", "delete".to_owned()),
        ("min.insync.replicas", topic.min_insync_replicas.to_string()),
        ("retention.ms", "-1".to_owned()),
        ("segment.bytes", topic.segment_bytes.to_string()),
    ];
    new_topic(SHARE_GROUP_STATE, topic, &configs)
}
