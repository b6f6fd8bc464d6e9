//! ConsumerGroupHeartbeat, API key 68. Versions 0 to 1, flexible.
//!
//! - 1: subscription by regular expression; the member makes its own id (KIP-1082).

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Joins, keeps up and leaves a consumer group (KIP-848).
    pub struct ConsumerGroupHeartbeatRequest(0..=1, flexible 0..) {
        group_id: Str,
        member_id: Str,
        /// 0 joins, -1 leaves, -2 leaves for a while as a static member.
        member_epoch: i32,
        instance_id: Option<Str> [.., null ..],
        rack_id: Option<Str> [.., null ..],
        rebalance_timeout_ms: i32 = -1,
        subscribed_topic_names: Option<Vec<Str>> [.., null ..],
        subscribed_topic_regex: Option<Str> [1.., null 1..],
        server_assignor: Option<Str> [.., null ..],
        topic_partitions: Option<Vec<ConsumerGroupHeartbeatRequestTopic>> [.., null ..],
    }

    /// An element of [`ConsumerGroupHeartbeatRequest::topic_partitions`].
    pub struct ConsumerGroupHeartbeatRequestTopic {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    /// The member's epoch and, if it changed, its assignment.
    pub struct ConsumerGroupHeartbeatResponse(0..=1, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        member_id: Option<Str> [.., null ..],
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<ConsumerGroupHeartbeatResponseAssignment> [.., null ..],
    }

    /// The value of [`ConsumerGroupHeartbeatResponse::assignment`].
    pub struct ConsumerGroupHeartbeatResponseAssignment {
        topic_partitions: Vec<ConsumerGroupHeartbeatResponseTopic>,
    }

    /// An element of [`ConsumerGroupHeartbeatResponseAssignment::topic_partitions`].
    pub struct ConsumerGroupHeartbeatResponseTopic {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }
}
