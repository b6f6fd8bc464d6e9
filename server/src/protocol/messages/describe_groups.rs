//! DescribeGroups, API key 15. Versions 0 to 6, flexible from 5.
//!
//! - 3: authorized operations.
//! - 4: static members.
//! - 6: `GROUP_ID_NOT_FOUND` and a message (KIP-1043).

use bytes::Bytes;
use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for the state and members of classic groups.
    pub struct DescribeGroupsRequest(0..=6, flexible 5..) {
        groups: Vec<Str>,
        include_authorized_operations: bool [3..],
    }

    /// State and members.
    pub struct DescribeGroupsResponse(0..=6, flexible 5..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [1..],
        groups: Vec<DescribeGroupsResponseGroup>,
    }

    /// An element of [`DescribeGroupsResponse::groups`].
    pub struct DescribeGroupsResponseGroup {
        error_code: i16,
        error_message: Option<Str> [6.., null 6..],
        group_id: Str,
        group_state: Str,
        protocol_type: Str,
        protocol_data: Str,
        members: Vec<DescribeGroupsResponseMember>,
        /// A bit per ACL operation; the lowest number if not asked for.
        authorized_operations: i32 [3..] = i32::MIN,
    }

    /// An element of [`DescribeGroupsResponseGroup::members`].
    pub struct DescribeGroupsResponseMember {
        member_id: Str,
        group_instance_id: Option<Str> [4.., null 4..],
        client_id: Str,
        client_host: Str,
        member_metadata: Bytes,
        member_assignment: Bytes,
    }
}
