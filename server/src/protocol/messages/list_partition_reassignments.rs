//! ListPartitionReassignments, API key 46. Version 0, flexible.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for reassignments under way (KIP-455).
    pub struct ListPartitionReassignmentsRequest(0..=0, flexible 0..) {
        timeout_ms: i32 = 60_000,
        topics: Option<Vec<ListPartitionReassignmentsRequestTopic>> [.., null ..],
    }

    /// An element of [`ListPartitionReassignmentsRequest::topics`].
    pub struct ListPartitionReassignmentsRequestTopic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    /// The reassignments.
    pub struct ListPartitionReassignmentsResponse(0..=0, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        topics: Vec<ListPartitionReassignmentsResponseTopic>,
    }

    /// An element of [`ListPartitionReassignmentsResponse::topics`].
    pub struct ListPartitionReassignmentsResponseTopic {
        name: Str,
        partitions: Vec<ListPartitionReassignmentsResponsePartition>,
    }

    /// An element of [`ListPartitionReassignmentsResponseTopic::partitions`].
    pub struct ListPartitionReassignmentsResponsePartition {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
