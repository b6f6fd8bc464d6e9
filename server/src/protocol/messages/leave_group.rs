//! LeaveGroup, API key 13. Versions 0 to 5, flexible from 4.
//!
//! - 3: several members, static ones too (KIP-345).
//! - 5: a reason (KIP-800).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Takes members out of a classic group.
    pub struct LeaveGroupRequest(0..=5, flexible 4..) {
        group_id: Str,
        member_id: Str [..=2],
        members: Vec<LeaveGroupRequestMember> [3..],
    }

    /// An element of [`LeaveGroupRequest::members`].
    pub struct LeaveGroupRequestMember {
        member_id: Str,
        group_instance_id: Option<Str> [.., null ..],
        reason: Option<Str> [5.., null 5..],
    }

    /// Per member, whether it left.
    pub struct LeaveGroupResponse(0..=5, flexible 4..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [1..],
        /// 0 is success.
        error_code: i16,
        members: Vec<LeaveGroupResponseMember> [3..],
    }

    /// An element of [`LeaveGroupResponse::members`].
    pub struct LeaveGroupResponseMember {
        member_id: Str,
        group_instance_id: Option<Str> [.., null ..],
        error_code: i16,
    }
}
