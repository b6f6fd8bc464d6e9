//! DescribeTransactions, API key 65. Version 0, flexible.

use millrace_engine::codec::Str;
use millrace_engine::message;

message! {
    /// Asks for the state of transactions (KIP-664).
    pub struct DescribeTransactionsRequest(0..=0, flexible 0..) {
        transactional_ids: Vec<Str>,
    }

    /// The state of transactions.
    pub struct DescribeTransactionsResponse(0..=0, flexible 0..) {
        /// For how long the client's connection is held back by a quota.
        throttle_time_ms: i32,
        transaction_states: Vec<DescribeTransactionsResponseTransaction>,
    }

    /// An element of [`DescribeTransactionsResponse::transaction_states`].
    pub struct DescribeTransactionsResponseTransaction {
        error_code: i16,
        transactional_id: Str,
        transaction_state: Str,
        transaction_timeout_ms: i32,
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        topics: Vec<DescribeTransactionsResponseTopic>,
    }

    /// An element of [`DescribeTransactionsResponseTransaction::topics`].
    pub struct DescribeTransactionsResponseTopic {
        topic: Str,
        partitions: Vec<i32>,
    }
}
