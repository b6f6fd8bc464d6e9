//! CreateTopics, API key 19. Versions 2 to 7, flexible from 5.
//!
//! - 4: partitions and replication may be left to the broker (KIP-464).
//! - 5: configuration in the answer (KIP-525).
//! - 6: `THROTTLING_QUOTA_EXCEEDED` (KIP-599).
//! - 7: topic id in the answer.

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Creates topics.
    pub struct CreateTopicsRequest(2..=7, flexible 5..) {
        topics: Vec<CreateTopicsRequestTopic>,
        timeout_ms: i32 = 60_000,
        validate_only: bool,
    }

    /// An element of [`CreateTopicsRequest::topics`].
    pub struct CreateTopicsRequestTopic {
        name: Str,
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreateTopicsRequestAssignment>,
        configs: Vec<CreateTopicsRequestConfig>,
    }

    /// An element of [`CreateTopicsRequestTopic::assignments`].
    pub struct CreateTopicsRequestAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    /// An element of [`CreateTopicsRequestTopic::configs`].
    pub struct CreateTopicsRequestConfig {
        name: Str,
        value: Option<Str> [.., null ..],
    }

    /// Per topic, whether it was created.
    pub struct CreateTopicsResponse(2..=7, flexible 5..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        topics: Vec<CreateTopicsResponseTopic>,
    }

    /// An element of [`CreateTopicsResponse::topics`].
    pub struct CreateTopicsResponseTopic {
        name: Str,
        topic_id: Uuid [7..],
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        topic_config_error_code: i16 [5.., tag 0],
        num_partitions: i32 [5..] = -1,
        replication_factor: i16 [5..] = -1,
        configs: Option<Vec<CreateTopicsResponseConfig>> [5.., null 5..],
    }

    /// An element of [`CreateTopicsResponseTopic::configs`].
    pub struct CreateTopicsResponseConfig {
        name: Str,
        value: Option<Str> [.., null ..],
        read_only: bool,
        /// 1 topic, 2 broker, 3 all brokers, 4 static, 5 default, 6 logger, 7 client metrics, 8
        /// group.
        config_source: i8 = -1,
        is_sensitive: bool,
    }
}
