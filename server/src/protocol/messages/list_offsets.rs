//! ListOffsets, API key 2. Versions 1 to 11, flexible from 6.
//!
//! - 2: isolation level.
//! - 4: leader epoch for fencing.
//! - 5: `OFFSET_NOT_AVAILABLE`.
//! - 7: timestamp -3 finds the record of the highest timestamp (KIP-734).
//! - 8: -4 finds the earliest on local disk (KIP-405).
//! - 9: -5 the latest tiered (KIP-1005).
//! - 10: a timeout (KIP-1075).
//! - 11: -6 finds the earliest not yet tiered (KIP-1023).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Finds offsets by timestamp: -1 is the latest offset, -2 the earliest.
    pub struct ListOffsetsRequest(1..=11, flexible 6..) {
        /// The follower's broker id, -1 from a client.
        replica_id: i32,
        /// 0: read uncommitted; 1: read committed (KIP-98).
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsRequestTopic>,
        timeout_ms: i32 [10..],
    }

    /// An element of [`ListOffsetsRequest::topics`].
    pub struct ListOffsetsRequestTopic {
        name: Str,
        partitions: Vec<ListOffsetsRequestPartition>,
    }

    /// An element of [`ListOffsetsRequestTopic::partitions`].
    pub struct ListOffsetsRequestPartition {
        partition_index: i32,
        /// The leader epoch that the client knows; -1 skips the check.
        current_leader_epoch: i32 [4..] = -1,
        timestamp: i64,
    }

    /// The offsets found.
    pub struct ListOffsetsResponse(1..=11, flexible 6..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [2..],
        topics: Vec<ListOffsetsResponseTopic>,
    }

    /// An element of [`ListOffsetsResponse::topics`].
    pub struct ListOffsetsResponseTopic {
        name: Str,
        partitions: Vec<ListOffsetsResponsePartition>,
    }

    /// An element of [`ListOffsetsResponseTopic::partitions`].
    pub struct ListOffsetsResponsePartition {
        partition_index: i32,
        error_code: i16,
        timestamp: i64 = -1,
        offset: i64 = -1,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32 [4..] = -1,
    }
}
