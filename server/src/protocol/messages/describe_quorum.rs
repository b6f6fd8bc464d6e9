//! DescribeQuorum, API key 55. Versions 0 to 2, flexible.
//!
//! - 1: times of last fetches (KIP-836).
//! - 2: directory ids, nodes and error messages (KIP-853).

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Asks for the state of a KRaft quorum (KIP-595).
    pub struct DescribeQuorumRequest(0..=2, flexible 0..) {
        topics: Vec<DescribeQuorumRequestTopic>,
    }

    /// An element of [`DescribeQuorumRequest::topics`].
    pub struct DescribeQuorumRequestTopic {
        topic_name: Str,
        partitions: Vec<DescribeQuorumRequestPartition>,
    }

    /// An element of [`DescribeQuorumRequestTopic::partitions`].
    pub struct DescribeQuorumRequestPartition {
        partition_index: i32,
    }

    /// Voters and observers.
    pub struct DescribeQuorumResponse(0..=2, flexible 0..) {
        /// 0 is success.
        error_code: i16,
        error_message: Option<Str> [2.., null 2..],
        topics: Vec<DescribeQuorumResponseTopic>,
        nodes: Vec<DescribeQuorumResponseNode> [2..],
    }

    /// An element of [`DescribeQuorumResponse::topics`].
    pub struct DescribeQuorumResponseTopic {
        topic_name: Str,
        partitions: Vec<DescribeQuorumResponsePartition>,
    }

    /// An element of [`DescribeQuorumResponseTopic::partitions`].
    pub struct DescribeQuorumResponsePartition {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str> [2.., null 2..],
        leader_id: i32,
        /// How often the leader has changed; -1 unknown.
        leader_epoch: i32,
        /// The offset below which every in-sync replica has everything.
        high_watermark: i64,
        current_voters: Vec<DescribeQuorumResponseReplica>,
        observers: Vec<DescribeQuorumResponseReplica>,
    }

    /// An element of [`DescribeQuorumResponsePartition::current_voters`].
    pub struct DescribeQuorumResponseReplica {
        replica_id: i32,
        /// The follower's log directory (KIP-853).
        replica_directory_id: Uuid [2..],
        log_end_offset: i64,
        last_fetch_timestamp: i64 [1..] = -1,
        last_caught_up_timestamp: i64 [1..] = -1,
    }

    /// An element of [`DescribeQuorumResponse::nodes`].
    pub struct DescribeQuorumResponseNode {
        node_id: i32,
        listeners: Vec<DescribeQuorumResponseListener>,
    }

    /// An element of [`DescribeQuorumResponseNode::listeners`].
    pub struct DescribeQuorumResponseListener {
        name: Str,
        host: Str,
        port: u16,
    }
}
