//! Fetch, API key 1. Versions 4 to 18, flexible from 12.
//!
//! - 5: log start offset.
//! - 7: incremental sessions (KIP-227).
//! - 9: leader epoch for fencing (KIP-320).
//! - 10: Zstandard may be answered (KIP-110).
//! - 11: rack, and a preferred read replica (KIP-392).
//! - 12: last fetched epoch, diverging epoch and current leader.
//! - 13: topics by id (KIP-516).
//! - 15: replica state replaces the replica id (KIP-903).
//! - 16: node endpoints (KIP-951).
//! - 17: replica directory (KIP-853).
//! - 18: the follower's high watermark (KIP-1166).

use millrace_engine::codec::{Records, Str};
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Reads record batches from partitions, on a session or without one (KIP-227).
    pub struct FetchRequest(4..=18, flexible 12..) {
        cluster_id: Option<Str> [12.., null 12.., tag 0],
        /// The follower's broker id, -1 from a client.
        replica_id: i32 [..=14] = -1,
        replica_state: FetchRequestReplicaState [15.., tag 1],
        /// How long the broker may wait for `min_bytes`.
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        /// 0: read uncommitted; 1: read committed (KIP-98).
        isolation_level: i8,
        /// 0: no session.
        session_id: i32 [7..],
        /// -1: no session; 0: begin one; else the number of this request in its session.
        session_epoch: i32 [7..] = -1,
        topics: Vec<FetchRequestTopic>,
        forgotten_topics_data: Vec<FetchRequestForgottenTopic> [7..],
        rack_id: Str [11..],
    }

    /// The value of [`FetchRequest::replica_state`].
    pub struct FetchRequestReplicaState {
        /// The follower's broker id, -1 from a client.
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    /// An element of [`FetchRequest::topics`].
    pub struct FetchRequestTopic {
        topic: Str [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<FetchRequestPartition>,
    }

    /// An element of [`FetchRequestTopic::partitions`].
    pub struct FetchRequestPartition {
        partition: i32,
        /// The leader epoch that the client knows; -1 skips the check.
        current_leader_epoch: i32 [9..] = -1,
        fetch_offset: i64,
        last_fetched_epoch: i32 [12..] = -1,
        /// The first offset there is.
        log_start_offset: i64 [5..] = -1,
        /// A limit that the first batch may exceed.
        partition_max_bytes: i32,
        /// The follower's log directory (KIP-853).
        replica_directory_id: Uuid [17.., tag 0],
        /// The follower's high watermark; the highest number if it does not say (KIP-1166).
        high_watermark: i64 [18.., tag 1] = i64::MAX,
    }

    /// An element of [`FetchRequest::forgotten_topics_data`].
    pub struct FetchRequestForgottenTopic {
        topic: Str [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<i32>,
    }

    /// The record batches, or why there are none.
    pub struct FetchResponse(4..=18, flexible 12..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16 [7..],
        /// 0: no session.
        session_id: i32 [7..],
        responses: Vec<FetchResponseTopic>,
        node_endpoints: Vec<FetchResponseNodeEndpoint> [16.., tag 0],
    }

    /// An element of [`FetchResponse::responses`].
    pub struct FetchResponseTopic {
        topic: Str [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<FetchResponsePartition>,
    }

    /// An element of [`FetchResponseTopic::partitions`].
    pub struct FetchResponsePartition {
        partition_index: i32,
        error_code: i16,
        /// The offset below which every in-sync replica has everything.
        high_watermark: i64,
        /// The offset below which every transaction has ended.
        last_stable_offset: i64 = -1,
        /// The first offset there is.
        log_start_offset: i64 [5..] = -1,
        diverging_epoch: FetchResponseDivergingEpoch [12.., tag 0],
        current_leader: FetchResponseCurrentLeader [12.., tag 1],
        snapshot_id: FetchResponseSnapshotId [12.., tag 2],
        aborted_transactions: Option<Vec<FetchResponseAbortedTransaction>> [.., null ..],
        preferred_read_replica: i32 [11..] = -1,
        records: Option<Records> [.., null ..],
    }

    /// The value of [`FetchResponsePartition::diverging_epoch`].
    pub struct FetchResponseDivergingEpoch {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    /// The value of [`FetchResponsePartition::current_leader`].
    pub struct FetchResponseCurrentLeader {
        leader_id: i32 = -1,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32 = -1,
    }

    /// The value of [`FetchResponsePartition::snapshot_id`].
    pub struct FetchResponseSnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    /// An element of [`FetchResponsePartition::aborted_transactions`].
    pub struct FetchResponseAbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }

    /// An element of [`FetchResponse::node_endpoints`].
    pub struct FetchResponseNodeEndpoint {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str> [.., null ..],
    }
}
