//! DescribeTopicPartitions, API key 75. Version 0, flexible.

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Asks for topics with their partitions, page by page (KIP-966).
    pub struct DescribeTopicPartitionsRequest(0..=0, flexible 0..) {
        topics: Vec<DescribeTopicPartitionsRequestTopic>,
        response_partition_limit: i32 = 2000,
        cursor: Option<DescribeTopicPartitionsRequestCursor> [.., null ..],
    }

    /// An element of [`DescribeTopicPartitionsRequest::topics`].
    pub struct DescribeTopicPartitionsRequestTopic {
        name: Str,
    }

    /// The value of [`DescribeTopicPartitionsRequest::cursor`].
    pub struct DescribeTopicPartitionsRequestCursor {
        topic_name: Str,
        partition_index: i32,
    }

    /// Topics, partitions, and where the next page begins.
    pub struct DescribeTopicPartitionsResponse(0..=0, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        topics: Vec<DescribeTopicPartitionsResponseTopic>,
        next_cursor: Option<DescribeTopicPartitionsResponseNextCursor> [.., null ..],
    }

    /// An element of [`DescribeTopicPartitionsResponse::topics`].
    pub struct DescribeTopicPartitionsResponseTopic {
        error_code: i16,
        name: Option<Str> [.., null ..],
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        /// A bit per ACL operation; the lowest number if not asked for.
        topic_authorized_operations: i32 = i32::MIN,
    }

    /// An element of [`DescribeTopicPartitionsResponseTopic::partitions`].
    pub struct DescribeTopicPartitionsResponsePartition {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>> [.., null ..],
        last_known_elr: Option<Vec<i32>> [.., null ..],
        offline_replicas: Vec<i32>,
    }

    /// The value of [`DescribeTopicPartitionsResponse::next_cursor`].
    pub struct DescribeTopicPartitionsResponseNextCursor {
        topic_name: Str,
        partition_index: i32,
    }
}
