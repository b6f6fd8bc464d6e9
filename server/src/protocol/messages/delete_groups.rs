//! DeleteGroups, API key 42. Versions 0 to 2, flexible from 2.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Deletes groups.
    pub struct DeleteGroupsRequest(0..=2, flexible 2..) {
        groups_names: Vec<Str>,
    }

    /// Per group, whether it was deleted.
    pub struct DeleteGroupsResponse(0..=2, flexible 2..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        results: Vec<DeleteGroupsResponseGroup>,
    }

    /// An element of [`DeleteGroupsResponse::results`].
    pub struct DeleteGroupsResponseGroup {
        group_id: Str,
        error_code: i16,
    }
}
