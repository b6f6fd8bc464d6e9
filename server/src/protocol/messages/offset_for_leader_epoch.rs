//! OffsetForLeaderEpoch, API key 23. Versions 2 to 4, flexible from 4.
//!
//! - 3: replica id, -2 for consumers.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks where leader epochs end.
    pub struct OffsetForLeaderEpochRequest(2..=4, flexible 4..) {
        replica_id: i32 [3..] = -2,
        topics: Vec<OffsetForLeaderEpochRequestTopic>,
    }

    /// An element of [`OffsetForLeaderEpochRequest::topics`].
    pub struct OffsetForLeaderEpochRequestTopic {
        topic: Str,
        partitions: Vec<OffsetForLeaderEpochRequestPartition>,
    }

    /// An element of [`OffsetForLeaderEpochRequestTopic::partitions`].
    pub struct OffsetForLeaderEpochRequestPartition {
        partition: i32,
        /// The leader epoch that the client knows; -1 skips the check.
        current_leader_epoch: i32 = -1,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32,
    }

    /// The end offsets.
    pub struct OffsetForLeaderEpochResponse(2..=4, flexible 4..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderEpochResponseTopic>,
    }

    /// An element of [`OffsetForLeaderEpochResponse::topics`].
    pub struct OffsetForLeaderEpochResponseTopic {
        topic: Str,
        partitions: Vec<OffsetForLeaderEpochResponsePartition>,
    }

    /// An element of [`OffsetForLeaderEpochResponseTopic::partitions`].
    pub struct OffsetForLeaderEpochResponsePartition {
        error_code: i16,
        partition: i32,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }
}
