//! DeleteTopics, API key 20. Versions 1 to 6, flexible from 4.
//!
//! - 5: error messages, `THROTTLING_QUOTA_EXCEEDED` (KIP-599).
//! - 6: topics by name or by id.

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Deletes topics.
    pub struct DeleteTopicsRequest(1..=6, flexible 4..) {
        topics: Vec<DeleteTopicsRequestTopic> [6..],
        topic_names: Vec<Str> [..=5],
        timeout_ms: i32,
    }

    /// An element of [`DeleteTopicsRequest::topics`].
    pub struct DeleteTopicsRequestTopic {
        name: Option<Str> [.., null ..],
        topic_id: Uuid,
    }

    /// Per topic, whether it was deleted.
    pub struct DeleteTopicsResponse(1..=6, flexible 4..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        responses: Vec<DeleteTopicsResponseTopic>,
    }

    /// An element of [`DeleteTopicsResponse::responses`].
    pub struct DeleteTopicsResponseTopic {
        name: Option<Str> [.., null 6..],
        topic_id: Uuid [6..],
        error_code: i16,
        error_message: Option<Str> [5.., null 5..],
    }
}
