//! DeleteRecords, API key 21. Versions 0 to 2, flexible from 2.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Deletes records before an offset.
    pub struct DeleteRecordsRequest(0..=2, flexible 2..) {
        topics: Vec<DeleteRecordsRequestTopic>,
        timeout_ms: i32,
    }

    /// An element of [`DeleteRecordsRequest::topics`].
    pub struct DeleteRecordsRequestTopic {
        name: Str,
        partitions: Vec<DeleteRecordsRequestPartition>,
    }

    /// An element of [`DeleteRecordsRequestTopic::partitions`].
    pub struct DeleteRecordsRequestPartition {
        partition_index: i32,
        offset: i64,
    }

    /// The new log start offsets.
    pub struct DeleteRecordsResponse(0..=2, flexible 2..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsResponseTopic>,
    }

    /// An element of [`DeleteRecordsResponse::topics`].
    pub struct DeleteRecordsResponseTopic {
        name: Str,
        partitions: Vec<DeleteRecordsResponsePartition>,
    }

    /// An element of [`DeleteRecordsResponseTopic::partitions`].
    pub struct DeleteRecordsResponsePartition {
        partition_index: i32,
        low_watermark: i64,
        error_code: i16,
    }
}
