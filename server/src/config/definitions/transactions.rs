//! Transactions.

use super::*;

definitions! {
    "transaction.max.timeout.ms" Int "900000" [AtLeast(1)] High unsupported TXN
        "The longest transaction timeout a producer may ask for.";
    "transaction.state.log.load.buffer.size" Int "5242880" [AtLeast(1)] High unsupported TXN
        "How much of the transaction topic is read at a time.";
    "transaction.state.log.min.isr" Int "2" [AtLeast(1)] High unsupported TXN
        "How many replicas of the transaction topic must be in sync.";
    "transaction.state.log.num.partitions" Int "50" [AtLeast(1)] High unsupported TXN
        "How many partitions `__transaction_state` gets.";
    "transaction.state.log.replication.factor" Short "3" [AtLeast(1)] High unsupported TXN
        "How many replicas `__transaction_state` gets.";
    "transaction.state.log.segment.bytes" Int "104857600" [AtLeast(1)] High unsupported TXN
        "The segment size of `__transaction_state`.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms" Int "10000" [AtLeast(1)] Low unsupported TXN
        "How often timed-out transactions are looked for.";
    "transaction.remove.expired.transaction.cleanup.interval.ms" Int "3600000" [AtLeast(1)] Low unsupported TXN
        "How often expired transactional ids are looked for.";
    "transaction.partition.verification.enable" Boolean "true" [Any] Low unsupported TXN
        "Whether a transactional write is checked against its coordinator.";
    "transaction.two.phase.commit.enable" Boolean "false" [Any] Low unsupported TXN
        "Whether a transaction may wait for an outside coordinator (KIP-939).";
    "transactional.id.expiration.ms" Int "604800000" [AtLeast(1)] High unsupported TXN
        "How long an idle transactional id is remembered.";
    "add.partitions.to.txn.retry.backoff.ms" Int "20" [AtLeast(1)] High unsupported TXN
        "How soon adding a partition to a transaction is tried again.";
    "add.partitions.to.txn.retry.backoff.max.ms" Int "100" [AtLeast(0)] High unsupported TXN
        "How long adding a partition to a transaction is retried.";
}
