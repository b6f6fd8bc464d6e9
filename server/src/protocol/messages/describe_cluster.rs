//! DescribeCluster, API key 60. Versions 0 to 2, flexible.
//!
//! - 1: endpoint type (KIP-919).
//! - 2: fenced brokers (KIP-1073).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for the cluster's brokers (KIP-700).
    pub struct DescribeClusterRequest(0..=2, flexible 0..) {
        include_cluster_authorized_operations: bool,
        /// 1 brokers, 2 controllers.
        endpoint_type: i8 [1..] = 1,
        include_fenced_brokers: bool [2..],
    }

    /// The brokers.
    pub struct DescribeClusterResponse(0..=2, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        /// 1 brokers, 2 controllers.
        endpoint_type: i8 [1..] = 1,
        cluster_id: Str,
        controller_id: i32 = -1,
        brokers: Vec<DescribeClusterResponseBroker>,
        /// A bit per ACL operation; the lowest number if not asked for.
        cluster_authorized_operations: i32 = i32::MIN,
    }

    /// An element of [`DescribeClusterResponse::brokers`].
    pub struct DescribeClusterResponseBroker {
        broker_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str> [.., null ..],
        is_fenced: bool [2..],
    }
}
