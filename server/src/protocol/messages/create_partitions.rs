//! CreatePartitions, API key 37. Versions 0 to 3, flexible from 2.
//!
//! - 3: `THROTTLING_QUOTA_EXCEEDED` (KIP-599).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Raises the number of partitions of topics.
    pub struct CreatePartitionsRequest(0..=3, flexible 2..) {
        topics: Vec<CreatePartitionsRequestTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    /// An element of [`CreatePartitionsRequest::topics`].
    pub struct CreatePartitionsRequestTopic {
        name: Str,
        count: i32,
        assignments: Option<Vec<CreatePartitionsRequestAssignment>> [.., null ..],
    }

    /// An element of [`CreatePartitionsRequestTopic::assignments`].
    pub struct CreatePartitionsRequestAssignment {
        broker_ids: Vec<i32>,
    }

    /// Per topic, whether it was raised.
    pub struct CreatePartitionsResponse(0..=3, flexible 2..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsResponseTopic>,
    }

    /// An element of [`CreatePartitionsResponse::results`].
    pub struct CreatePartitionsResponseTopic {
        name: Str,
        error_code: i16,
        error_message: Option<Str> [.., null ..],
    }
}
