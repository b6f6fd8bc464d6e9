//! InitProducerId, API key 22. Versions 0 to 6, flexible from 2.
//!
//! - 3: a producer may go on with a higher epoch (KIP-360).
//! - 4: `PRODUCER_FENCED`.
//! - 5: `TRANSACTION_ABORTABLE`.
//! - 6: two-phase commit (KIP-939), unstable in Kafka 4.3 and not advertised.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for a producer id and epoch (KIP-98).
    pub struct InitProducerIdRequest(0..=6, flexible 2..) {
        transactional_id: Option<Str> [.., null ..],
        transaction_timeout_ms: i32,
        producer_id: i64 [3..] = -1,
        producer_epoch: i16 [3..] = -1,
        enable2_pc: bool [6..],
        keep_prepared_txn: bool [6..],
    }

    /// Producer id and epoch.
    pub struct InitProducerIdResponse(0..=6, flexible 2..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16,
        producer_id: i64 = -1,
        producer_epoch: i16,
        ongoing_txn_producer_id: i64 [6..] = -1,
        ongoing_txn_producer_epoch: i16 [6..] = -1,
    }
}
