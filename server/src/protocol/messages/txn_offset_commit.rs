//! TxnOffsetCommit, API key 28. Versions 0 to 5, flexible from 3.
//!
//! - 2: leader epoch.
//! - 3: group members are fenced (KIP-447).
//! - 5: the group is added to the transaction by this (KIP-890).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Commits offsets of a group within a transaction.
    pub struct TxnOffsetCommitRequest(0..=5, flexible 3..) {
        transactional_id: Str,
        group_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        generation_id: i32 [3..] = -1,
        member_id: Str [3..],
        group_instance_id: Option<Str> [3.., null 3..],
        topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    /// An element of [`TxnOffsetCommitRequest::topics`].
    pub struct TxnOffsetCommitRequestTopic {
        name: Str,
        partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    /// An element of [`TxnOffsetCommitRequestTopic::partitions`].
    pub struct TxnOffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [2..] = -1,
        committed_metadata: Option<Str> [.., null ..],
    }

    /// Per partition, whether the offset was taken.
    pub struct TxnOffsetCommitResponse(0..=5, flexible 3..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    /// An element of [`TxnOffsetCommitResponse::topics`].
    pub struct TxnOffsetCommitResponseTopic {
        name: Str,
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    /// An element of [`TxnOffsetCommitResponseTopic::partitions`].
    pub struct TxnOffsetCommitResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
