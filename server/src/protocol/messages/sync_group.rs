//! SyncGroup, API key 14. Versions 0 to 5, flexible from 4.
//!
//! - 3: static members (KIP-345).
//! - 5: protocol type and name are checked (KIP-559).

use bytes::Bytes;
use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for a member's assignment; the leader brings those of all.
    pub struct SyncGroupRequest(0..=5, flexible 4..) {
        group_id: Str,
        generation_id: i32,
        member_id: Str,
        group_instance_id: Option<Str> [3.., null 3..],
        protocol_type: Option<Str> [5.., null 5..],
        protocol_name: Option<Str> [5.., null 5..],
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// An element of [`SyncGroupRequest::assignments`].
    pub struct SyncGroupRequestAssignment {
        member_id: Str,
        assignment: Bytes,
    }

    /// The member's assignment.
    pub struct SyncGroupResponse(0..=5, flexible 4..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [1..],
        /// 0 is success.
        error_code: i16,
        protocol_type: Option<Str> [5.., null 5..],
        protocol_name: Option<Str> [5.., null 5..],
        assignment: Bytes,
    }
}
