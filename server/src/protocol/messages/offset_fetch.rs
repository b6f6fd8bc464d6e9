//! OffsetFetch, API key 9. Versions 1 to 10, flexible from 6.
//!
//! - 2: a null array asks for all topics; a top-level error code.
//! - 5: leader epoch.
//! - 7: `require_stable` waits for open transactions (KIP-447).
//! - 8: several groups in one request.
//! - 9: member id and epoch for the new consumer protocol (KIP-848).
//! - 10: topics by id.

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Asks for committed offsets of one group (up to version 7) or several.
    pub struct OffsetFetchRequest(1..=10, flexible 6..) {
        group_id: Str [..=7],
        topics: Option<Vec<OffsetFetchRequestTopic>> [..=7, null 2..=7],
        groups: Vec<OffsetFetchRequestGroup> [8..],
        require_stable: bool [7..],
    }

    /// An element of [`OffsetFetchRequest::topics`].
    pub struct OffsetFetchRequestTopic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    /// An element of [`OffsetFetchRequest::groups`].
    pub struct OffsetFetchRequestGroup {
        group_id: Str,
        member_id: Option<Str> [9.., null 9..],
        member_epoch: i32 [9..] = -1,
        topics: Option<Vec<OffsetFetchRequestGroupTopic>> [.., null ..],
    }

    /// An element of [`OffsetFetchRequestGroup::topics`].
    pub struct OffsetFetchRequestGroupTopic {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partition_indexes: Vec<i32>,
    }

    /// The committed offsets.
    pub struct OffsetFetchResponse(1..=10, flexible 6..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetFetchResponseTopic> [..=7],
        /// 0 is success.
        error_code: i16 [2..=7],
        groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    /// An element of [`OffsetFetchResponse::topics`].
    pub struct OffsetFetchResponseTopic {
        name: Str,
        partitions: Vec<OffsetFetchResponsePartition>,
    }

    /// An element of [`OffsetFetchResponseTopic::partitions`].
    pub struct OffsetFetchResponsePartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [5..] = -1,
        metadata: Option<Str> [.., null ..],
        error_code: i16,
    }

    /// An element of [`OffsetFetchResponse::groups`].
    pub struct OffsetFetchResponseGroup {
        group_id: Str,
        topics: Vec<OffsetFetchResponseGroupTopic>,
        error_code: i16,
    }

    /// An element of [`OffsetFetchResponseGroup::topics`].
    pub struct OffsetFetchResponseGroupTopic {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetFetchResponseGroupTopicPartition>,
    }

    /// An element of [`OffsetFetchResponseGroupTopic::partitions`].
    pub struct OffsetFetchResponseGroupTopicPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 = -1,
        metadata: Option<Str> [.., null ..],
        error_code: i16,
    }
}
