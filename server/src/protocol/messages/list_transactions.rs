//! ListTransactions, API key 66. Versions 0 to 2, flexible.
//!
//! - 1: filter by duration (KIP-994).
//! - 2: filter by a pattern of ids (KIP-1152).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for transactions by state (KIP-664).
    pub struct ListTransactionsRequest(0..=2, flexible 0..) {
        state_filters: Vec<Str>,
        producer_id_filters: Vec<i64>,
        duration_filter: i64 [1..] = -1,
        transactional_id_pattern: Option<Str> [2.., null 2..],
    }

    /// The transactions.
    pub struct ListTransactionsResponse(0..=2, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        unknown_state_filters: Vec<Str>,
        transaction_states: Vec<ListTransactionsResponseTransaction>,
    }

    /// An element of [`ListTransactionsResponse::transaction_states`].
    pub struct ListTransactionsResponseTransaction {
        transactional_id: Str,
        producer_id: i64,
        transaction_state: Str,
    }
}
