//! ConsumerGroupDescribe, API key 69. Versions 0 to 1, flexible.
//!
//! - 1: member type (KIP-1099).

use millrace_engine::codec::Str;
use millrace_engine::message;
use millrace_engine::types::Uuid;

message! {
    /// Asks for the state and members of consumer groups (KIP-848).
    pub struct ConsumerGroupDescribeRequest(0..=1, flexible 0..) {
        group_ids: Vec<Str>,
        include_authorized_operations: bool,
    }

    /// State and members.
    pub struct ConsumerGroupDescribeResponse(0..=1, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        groups: Vec<ConsumerGroupDescribeResponseGroup>,
    }

    /// An element of [`ConsumerGroupDescribeResponse::groups`].
    pub struct ConsumerGroupDescribeResponseGroup {
        error_code: i16,
        error_message: Option<Str> [.., null ..],
        group_id: Str,
        group_state: Str,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: Str,
        members: Vec<ConsumerGroupDescribeResponseMember>,
        /// A bit per ACL operation; the lowest number if not asked for.
        authorized_operations: i32 = i32::MIN,
    }

    /// An element of [`ConsumerGroupDescribeResponseGroup::members`].
    pub struct ConsumerGroupDescribeResponseMember {
        member_id: Str,
        instance_id: Option<Str> [.., null ..],
        rack_id: Option<Str> [.., null ..],
        member_epoch: i32,
        client_id: Str,
        client_host: Str,
        subscribed_topic_names: Vec<Str>,
        subscribed_topic_regex: Option<Str> [.., null ..],
        assignment: ConsumerGroupDescribeResponseAssignment,
        target_assignment: ConsumerGroupDescribeResponseAssignment,
        /// -1 unknown, 0 classic, 1 consumer.
        member_type: i8 [1..] = -1,
    }

    /// The value of [`ConsumerGroupDescribeResponseMember::assignment`].
    pub struct ConsumerGroupDescribeResponseAssignment {
        topic_partitions: Vec<ConsumerGroupDescribeResponseTopic>,
    }

    /// An element of [`ConsumerGroupDescribeResponseAssignment::topic_partitions`].
    pub struct ConsumerGroupDescribeResponseTopic {
        topic_id: Uuid,
        topic_name: Str,
        partitions: Vec<i32>,
    }
}
