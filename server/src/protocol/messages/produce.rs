//! Produce, API key 0. Versions 3 to 13, flexible from 9.
//!
//! - 4: `KAFKA_STORAGE_ERROR` may be answered.
//! - 5: log start offset.
//! - 7: Zstandard may be used (KIP-110).
//! - 8: which records spoilt their batch (KIP-467).
//! - 10: the leader is named when it is another broker (KIP-951).
//! - 11: `TRANSACTION_ABORTABLE`.
//! - 12: a transaction's partitions are added by producing to them (KIP-890).
//! - 13: topics by id instead of name (KIP-516).

use millrace_engine::codec::{Records, Str};
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Appends record batches to partitions.
    pub struct ProduceRequest(3..=13, flexible 9..) {
        transactional_id: Option<Str> [.., null ..],
        /// 0: do not answer; 1: the leader has it; -1: all in-sync replicas have it.
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<ProduceRequestTopic>,
    }

    /// An element of [`ProduceRequest::topic_data`].
    pub struct ProduceRequestTopic {
        name: Str [..=12],
        topic_id: Uuid [13..],
        partition_data: Vec<ProduceRequestPartition>,
    }

    /// An element of [`ProduceRequestTopic::partition_data`].
    pub struct ProduceRequestPartition {
        index: i32,
        records: Option<Records> [.., null ..],
    }

    /// Where the batches were appended, or why they were not.
    pub struct ProduceResponse(3..=13, flexible 9..) {
        responses: Vec<ProduceResponseTopic>,
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        node_endpoints: Vec<ProduceResponseNodeEndpoint> [10.., tag 0],
    }

    /// An element of [`ProduceResponse::responses`].
    pub struct ProduceResponseTopic {
        name: Str [..=12],
        topic_id: Uuid [13..],
        partition_responses: Vec<ProduceResponsePartition>,
    }

    /// An element of [`ProduceResponseTopic::partition_responses`].
    pub struct ProduceResponsePartition {
        index: i32,
        error_code: i16,
        base_offset: i64,
        /// When the broker appended, or -1 if the records keep their own times.
        log_append_time_ms: i64 = -1,
        /// The first offset there is.
        log_start_offset: i64 [5..] = -1,
        record_errors: Vec<ProduceResponseRecordError> [8..],
        error_message: Option<Str> [8.., null 8..],
        current_leader: ProduceResponseCurrentLeader [10.., tag 0],
    }

    /// An element of [`ProduceResponsePartition::record_errors`].
    pub struct ProduceResponseRecordError {
        batch_index: i32,
        batch_index_error_message: Option<Str> [.., null ..],
    }

    /// The value of [`ProduceResponsePartition::current_leader`].
    pub struct ProduceResponseCurrentLeader {
        leader_id: i32 = -1,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32 = -1,
    }

    /// An element of [`ProduceResponse::node_endpoints`].
    pub struct ProduceResponseNodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str> [.., null ..],
    }
}
