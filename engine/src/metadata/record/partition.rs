//! Records of topics and their partitions.

use crate::codec::Str;
use crate::message;
use crate::types::{NodeId, TopicId, Uuid};

message! {
    /// A topic exists, without partitions yet.
    pub struct Topic(0..=0, flexible 0..) {
        /// The name, unused until now.
        name: Str,
        /// The identity, never used before.
        topic_id: TopicId,
    }

    /// A topic is gone.
    pub struct RemoveTopic(0..=0, flexible 0..) {
        /// Which one.
        topic_id: TopicId,
    }

    /// A partition exists: the whole of its state.
    pub struct Partition(0..=2, flexible 0..) {
        /// Its index in its topic.
        partition_id: i32 = -1,
        /// Its topic.
        topic_id: TopicId,
        /// Who keeps it, the preferred leader first.
        replicas: Vec<NodeId>,
        /// Which of them are in sync.
        isr: Vec<NodeId>,
        /// Which of them are about to go.
        removing_replicas: Vec<NodeId>,
        /// Which of them are about to come.
        adding_replicas: Vec<NodeId>,
        /// Who leads; -1 is nobody.
        leader: NodeId = -1,
        /// How often the leader has changed.
        leader_epoch: i32 = -1,
        /// How often anything has changed.
        partition_epoch: i32 = -1,
        /// The log directory of each replica (KIP-858).
        directories: Vec<Uuid> [1..],
        /// 1 while a leader that was not in sync recovers.
        leader_recovery_state: i8 [.., tag 0],
        /// Replicas that may lead although not in sync (KIP-966).
        eligible_leader_replicas: Option<Vec<NodeId>> [2.., null 2.., tag 1],
        /// The last of them that were known.
        last_known_elr: Option<Vec<NodeId>> [2.., null 2.., tag 2],
    }

    /// A partition has changed: null is "as before".
    pub struct PartitionChange(0..=2, flexible 0..) {
        /// Its index in its topic.
        partition_id: i32 = -1,
        /// Its topic.
        topic_id: TopicId,
        /// The new in-sync replicas.
        isr: Option<Vec<NodeId>> [.., null 0.., tag 0],
        /// The new leader: -1 is nobody, -2 is no change.
        leader: NodeId [.., tag 1] = -2,
        /// The new replicas.
        replicas: Option<Vec<NodeId>> [.., null 0.., tag 2],
        /// The replicas that are now about to go.
        removing_replicas: Option<Vec<NodeId>> [.., null 0.., tag 3],
        /// The replicas that are now about to come.
        adding_replicas: Option<Vec<NodeId>> [.., null 0.., tag 4],
        /// The new recovery state; -1 is no change.
        leader_recovery_state: i8 [.., tag 5] = -1,
        /// The new eligible leader replicas.
        eligible_leader_replicas: Option<Vec<NodeId>> [2.., null 2.., tag 6],
        /// The last of them that were known.
        last_known_elr: Option<Vec<NodeId>> [2.., null 2.., tag 7],
        /// The new log directory of each replica.
        directories: Option<Vec<Uuid>> [1.., null 1.., tag 8],
    }

    /// The eligible leader replicas of a topic's partitions are forgotten.
    pub struct ClearElr(0..=0, flexible 0..) {
        /// The topic; empty for all.
        topic_name: Str,
    }
}
