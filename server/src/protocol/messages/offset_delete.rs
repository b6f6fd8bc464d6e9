//! OffsetDelete, API key 47. Version 0, never flexible.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Deletes committed offsets of a group (KIP-496).
    pub struct OffsetDeleteRequest(0..=0) {
        group_id: Str,
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// An element of [`OffsetDeleteRequest::topics`].
    pub struct OffsetDeleteRequestTopic {
        name: Str,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// An element of [`OffsetDeleteRequestTopic::partitions`].
    pub struct OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    /// Per partition, whether the offset was deleted.
    pub struct OffsetDeleteResponse(0..=0) {
        /// 0 is success.
        error_code: i16,
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// An element of [`OffsetDeleteResponse::topics`].
    pub struct OffsetDeleteResponseTopic {
        name: Str,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// An element of [`OffsetDeleteResponseTopic::partitions`].
    pub struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
