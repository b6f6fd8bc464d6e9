//! JoinGroup, API key 11. Versions 0 to 9, flexible from 6.
//!
//! - 1: rebalance timeout.
//! - 4: a first join without member id is sent back with one (KIP-394).
//! - 5: static members (KIP-345).
//! - 7: protocol type in the answer (KIP-559).
//! - 8: a reason (KIP-800).
//! - 9: the leader may be told to leave the assignment as it is (KIP-814).

use bytes::Bytes;
use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Joins a classic consumer group, or rejoins it.
    pub struct JoinGroupRequest(0..=9, flexible 6..) {
        group_id: Str,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32 [1..] = -1,
        member_id: Str,
        group_instance_id: Option<Str> [5.., null 5..],
        protocol_type: Str,
        protocols: Vec<JoinGroupRequestProtocol>,
        reason: Option<Str> [8.., null 8..],
    }

    /// An element of [`JoinGroupRequest::protocols`].
    pub struct JoinGroupRequestProtocol {
        name: Str,
        metadata: Bytes,
    }

    /// The new generation; the leader gets all members.
    pub struct JoinGroupResponse(0..=9, flexible 6..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [2..],
        /// 0 is success.
        error_code: i16,
        generation_id: i32 = -1,
        protocol_type: Option<Str> [7.., null 7..],
        protocol_name: Option<Str> [.., null 7..],
        leader: Str,
        skip_assignment: bool [9..],
        member_id: Str,
        members: Vec<JoinGroupResponseMember>,
    }

    /// An element of [`JoinGroupResponse::members`].
    pub struct JoinGroupResponseMember {
        member_id: Str,
        group_instance_id: Option<Str> [5.., null 5..],
        metadata: Bytes,
    }
}
