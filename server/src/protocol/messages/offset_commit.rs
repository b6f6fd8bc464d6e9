//! OffsetCommit, API key 8. Versions 2 to 10, flexible from 8.
//!
//! - 2 to 4: a retention time.
//! - 6: leader epoch.
//! - 7: static members (KIP-345).
//! - 9: for members of the new consumer protocol (KIP-848) as well.
//! - 10: topics by id.

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Commits offsets of a group.
    pub struct OffsetCommitRequest(2..=10, flexible 8..) {
        group_id: Str,
        generation_id_or_member_epoch: i32 = -1,
        member_id: Str,
        group_instance_id: Option<Str> [7.., null 7..],
        /// How long to keep the offset; -1 leaves it to the broker.
        retention_time_ms: i64 [..=4] = -1,
        topics: Vec<OffsetCommitRequestTopic>,
    }

    /// An element of [`OffsetCommitRequest::topics`].
    pub struct OffsetCommitRequestTopic {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// An element of [`OffsetCommitRequestTopic::partitions`].
    pub struct OffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6..] = -1,
        committed_metadata: Option<Str> [.., null ..],
    }

    /// Per partition, whether the offset was committed.
    pub struct OffsetCommitResponse(2..=10, flexible 8..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    /// An element of [`OffsetCommitResponse::topics`].
    pub struct OffsetCommitResponseTopic {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// An element of [`OffsetCommitResponseTopic::partitions`].
    pub struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
