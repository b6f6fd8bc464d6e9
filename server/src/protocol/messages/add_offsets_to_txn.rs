//! AddOffsetsToTxn, API key 25. Versions 0 to 4, flexible from 3.
//!
//! - 4: `TRANSACTION_ABORTABLE` (KIP-890).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Adds a group's offsets to a transaction.
    pub struct AddOffsetsToTxnRequest(0..=4, flexible 3..) {
        transactional_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        group_id: Str,
    }

    /// Whether they were added.
    pub struct AddOffsetsToTxnResponse(0..=4, flexible 3..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
    }
}
