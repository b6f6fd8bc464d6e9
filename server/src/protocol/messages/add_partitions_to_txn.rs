//! AddPartitionsToTxn, API key 24. Versions 0 to 5, flexible from 3.
//!
//! Up to 3 for clients, from 4 between brokers: several transactions, or only a check (KIP-890).

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Adds partitions to transactions.
    pub struct AddPartitionsToTxnRequest(0..=5, flexible 3..) {
        transactions: Vec<AddPartitionsToTxnRequestTransaction> [4..],
        v3_and_below_transactional_id: Str [..=3],
        v3_and_below_producer_id: i64 [..=3],
        v3_and_below_producer_epoch: i16 [..=3],
        v3_and_below_topics: Vec<AddPartitionsToTxnRequestTopic> [..=3],
    }

    /// An element of [`AddPartitionsToTxnRequest::transactions`].
    pub struct AddPartitionsToTxnRequestTransaction {
        transactional_id: Str,
        producer_id: i64,
        producer_epoch: i16,
        verify_only: bool,
        topics: Vec<AddPartitionsToTxnRequestTopic>,
    }

    /// An element of [`AddPartitionsToTxnRequestTransaction::topics`].
    pub struct AddPartitionsToTxnRequestTopic {
        name: Str,
        partitions: Vec<i32>,
    }

    /// Per partition, whether it was added.
    pub struct AddPartitionsToTxnResponse(0..=5, flexible 3..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        /// 0 is success.
        error_code: i16 [4..],
        results_by_transaction: Vec<AddPartitionsToTxnResponseTransaction> [4..],
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnResponseTopic> [..=3],
    }

    /// An element of [`AddPartitionsToTxnResponse::results_by_transaction`].
    pub struct AddPartitionsToTxnResponseTransaction {
        transactional_id: Str,
        topic_results: Vec<AddPartitionsToTxnResponseTopic>,
    }

    /// An element of [`AddPartitionsToTxnResponseTransaction::topic_results`].
    pub struct AddPartitionsToTxnResponseTopic {
        name: Str,
        results_by_partition: Vec<AddPartitionsToTxnResponsePartition>,
    }

    /// An element of [`AddPartitionsToTxnResponseTopic::results_by_partition`].
    pub struct AddPartitionsToTxnResponsePartition {
        partition_index: i32,
        partition_error_code: i16,
    }
}
