//! EndTxn, API key 26. Versions 0 to 5, flexible from 3.
//!
//! - 4: `TRANSACTION_ABORTABLE`.
//! - 5: every end bumps the epoch, which is answered (KIP-890).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Commits or aborts a transaction.
    pub struct EndTxnRequest(0..=5, flexible 3..) {
        transactional_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }

    /// Whether it will be.
    pub struct EndTxnResponse(0..=5, flexible 3..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        producer_id: i64 [5..] = -1,
        producer_epoch: i16 [5..] = -1,
    }
}
