//! ListGroups, API key 16. Versions 0 to 5, flexible from 3.
//!
//! - 4: filter by state, state in the answer (KIP-518).
//! - 5: filter by type, type in the answer (KIP-848).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for all groups of this coordinator.
    pub struct ListGroupsRequest(0..=5, flexible 3..) {
        states_filter: Vec<Str> [4..],
        types_filter: Vec<Str> [5..],
    }

    /// The groups.
    pub struct ListGroupsResponse(0..=5, flexible 3..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [1..],
        /// 0 is success.
        error_code: i16,
        groups: Vec<ListGroupsResponseGroup>,
    }

    /// An element of [`ListGroupsResponse::groups`].
    pub struct ListGroupsResponseGroup {
        group_id: Str,
        protocol_type: Str,
        group_state: Str [4..],
        group_type: Str [5..],
    }
}
