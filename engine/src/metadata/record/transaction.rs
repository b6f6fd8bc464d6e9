//! Records that change nothing themselves: metadata transactions, the passing of time, old
//! migrations.

use crate::codec::Str;
use crate::message;

message! {
    /// What follows counts only if the transaction ends.
    pub struct BeginTransaction(0..=0, flexible 0..) {
        /// What it is for.
        name: Option<Str> [.., null 0.., tag 0],
    }

    /// The open transaction counts.
    pub struct EndTransaction(0..=0, flexible 0..) {
    }

    /// The open transaction does not count.
    pub struct AbortTransaction(0..=0, flexible 0..) {
        /// Why.
        reason: Option<Str> [.., null 0.., tag 0],
    }

    /// Nothing; a controller writes it to let its log move on.
    pub struct NoOp(0..=0, flexible 0..) {
    }

    /// Where a migration from ZooKeeper stands; of no effect.
    pub struct ZkMigrationState(0..=0, flexible 0..) {
        /// 0 none, 1 migration, 2 pre-migration, 3 post-migration.
        zk_migration_state: i8,
    }
}
