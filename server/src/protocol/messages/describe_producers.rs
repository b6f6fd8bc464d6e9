//! DescribeProducers, API key 61. Version 0, flexible.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for the producers a partition knows (KIP-664).
    pub struct DescribeProducersRequest(0..=0, flexible 0..) {
        topics: Vec<DescribeProducersRequestTopic>,
    }

    /// An element of [`DescribeProducersRequest::topics`].
    pub struct DescribeProducersRequestTopic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    /// The producers.
    pub struct DescribeProducersResponse(0..=0, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        topics: Vec<DescribeProducersResponseTopic>,
    }

    /// An element of [`DescribeProducersResponse::topics`].
    pub struct DescribeProducersResponseTopic {
        name: Str,
        partitions: Vec<DescribeProducersResponsePartition>,
    }

    /// An element of [`DescribeProducersResponseTopic::partitions`].
    pub struct DescribeProducersResponsePartition {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        active_producers: Vec<DescribeProducersResponseActiveProducer>,
    }

    /// An element of [`DescribeProducersResponsePartition::active_producers`].
    pub struct DescribeProducersResponseActiveProducer {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        last_timestamp: i64 = -1,
        coordinator_epoch: i32,
        current_txn_start_offset: i64 = -1,
    }
}
