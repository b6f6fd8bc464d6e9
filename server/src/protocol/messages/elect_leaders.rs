//! ElectLeaders, API key 43. Versions 0 to 2, flexible from 2.
//!
//! - 1: unclean elections too (KIP-460).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Triggers the election of partition leaders.
    pub struct ElectLeadersRequest(0..=2, flexible 2..) {
        /// 0 preferred, 1 unclean.
        election_type: i8 [1..],
        topic_partitions: Option<Vec<ElectLeadersRequestTopic>> [.., null ..],
        timeout_ms: i32 = 60_000,
    }

    /// An element of [`ElectLeadersRequest::topic_partitions`].
    pub struct ElectLeadersRequestTopic {
        topic: Str,
        partitions: Vec<i32>,
    }

    /// Per partition, the outcome.
    pub struct ElectLeadersResponse(0..=2, flexible 2..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16 [1..],
        replica_election_results: Vec<ElectLeadersResponseTopic>,
    }

    /// An element of [`ElectLeadersResponse::replica_election_results`].
    pub struct ElectLeadersResponseTopic {
        topic: Str,
        partition_result: Vec<ElectLeadersResponsePartition>,
    }

    /// An element of [`ElectLeadersResponseTopic::partition_result`].
    pub struct ElectLeadersResponsePartition {
        partition_id: i32,
        error_code: i16,
        error_message: Option<Str> [.., null ..],
    }
}
