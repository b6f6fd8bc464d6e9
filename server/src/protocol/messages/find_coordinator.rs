//! FindCoordinator, API key 10. Versions 0 to 6, flexible from 3.
//!
//! - 1: key type.
//! - 4: several keys in one request (KIP-699).
//! - 5: `TRANSACTION_ABORTABLE`.
//! - 6: share groups (KIP-932).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks which broker coordinates a group, a transactional id or a share partition.
    pub struct FindCoordinatorRequest(0..=6, flexible 3..) {
        key: Str [..=3],
        /// 0 group, 1 transactional id, 2 share partition.
        key_type: i8 [1..],
        coordinator_keys: Vec<Str> [4..],
    }

    /// The coordinators.
    pub struct FindCoordinatorResponse(0..=6, flexible 3..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32 [1..],
        /// 0 is success.
        error_code: i16 [..=3],
        error_message: Option<Str> [1..=3, null 1..=3],
        node_id: i32 [..=3],
        host: Str [..=3],
        port: i32 [..=3],
        coordinators: Vec<FindCoordinatorResponseCoordinator> [4..],
    }

    /// An element of [`FindCoordinatorResponse::coordinators`].
    pub struct FindCoordinatorResponseCoordinator {
        key: Str,
        node_id: i32,
        host: Str,
        port: i32,
        error_code: i16,
        error_message: Option<Str> [.., null ..],
    }
}
