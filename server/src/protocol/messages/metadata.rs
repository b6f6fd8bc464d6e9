//! Metadata, API key 3. Versions 0 to 13, flexible from 9.
//!
//! - 0: an empty array asks for all topics; from 1, null does.
//! - 1: rack, controller, internal topics.
//! - 2: cluster id.
//! - 4: whether asking may create a topic.
//! - 5: offline replicas.
//! - 7: leader epoch.
//! - 8: authorized operations; the cluster's ended with 10 (KIP-700).
//! - 10: topic ids in the answer.
//! - 12: topics may be asked for by id.
//! - 13: a top-level error code (KIP-1102).

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Asks for the brokers of the cluster and for topics with their partitions.
    pub struct MetadataRequest(0..=13, flexible 9..) {
        topics: Option<Vec<MetadataRequestTopic>> [.., null 1..],
        allow_auto_topic_creation: bool [4..] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8..],
    }

    /// An element of [`MetadataRequest::topics`].
    pub struct MetadataRequestTopic {
        topic_id: Uuid [10..],
        name: Option<Str> [.., null 10..],
    }

    /// Brokers, topics and partitions.
    pub struct MetadataResponse(0..=13, flexible 9..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [3..],
        brokers: Vec<MetadataResponseBroker>,
        cluster_id: Option<Str> [2.., null 2..],
        controller_id: i32 [1..] = -1,
        topics: Vec<MetadataResponseTopic>,
        /// A bit per ACL operation; the lowest number if not asked for.
        cluster_authorized_operations: i32 [8..=10] = i32::MIN,
        /// 0 is success.
        error_code: i16 [13..],
    }

    /// An element of [`MetadataResponse::brokers`].
    pub struct MetadataResponseBroker {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str> [1.., null 1..],
    }

    /// An element of [`MetadataResponse::topics`].
    pub struct MetadataResponseTopic {
        error_code: i16,
        name: Option<Str> [.., null 12..],
        topic_id: Uuid [10..],
        is_internal: bool [1..],
        partitions: Vec<MetadataResponsePartition>,
        /// A bit per ACL operation; the lowest number if not asked for.
        topic_authorized_operations: i32 [8..] = i32::MIN,
    }

    /// An element of [`MetadataResponseTopic::partitions`].
    pub struct MetadataResponsePartition {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32 [7..] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [5..],
    }
}
