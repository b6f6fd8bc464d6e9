//! Heartbeat, API key 12. Versions 0 to 4, flexible from 4.
//!
//! - 3: static members (KIP-345).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Tells the coordinator that a member lives.
    pub struct HeartbeatRequest(0..=4, flexible 4..) {
        group_id: Str,
        generation_id: i32,
        member_id: Str,
        group_instance_id: Option<Str> [3.., null 3..],
    }

    /// Whether the member is still part of the generation.
    pub struct HeartbeatResponse(0..=4, flexible 4..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [1..],
        /// 0 is success.
        error_code: i16,
    }
}
