//! What a shard has and does, in numbers.

use super::{Shard, Slot};

/// A shard's numbers at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Partitions that serve.
    pub partitions_open: usize,
    /// Partitions that are being opened.
    pub partitions_opening: usize,
    /// Partitions that could not be opened.
    pub partitions_failed: usize,
    /// Memory of tails. Bytes.
    pub tail_bytes: usize,
    /// Appends that wait for memory.
    pub appends_deferred: usize,
    /// Writes to the journal since the start.
    pub commits: u64,
    /// Writes to segments since the start.
    pub flushes: u64,
    /// Whether the log directory failed.
    pub is_offline: bool,
}

impl Shard {
    pub(super) fn stats(&self) -> ShardStats {
        let mut stats = ShardStats {
            tail_bytes: self.tail_bytes,
            appends_deferred: self.deferred.len(),
            commits: self.stages.commits_begun,
            flushes: self.stages.flushes_begun,
            is_offline: self.is_offline,
            ..ShardStats::default()
        };
        for slot in self.partitions.values() {
            match slot {
                Slot::Open(_) => stats.partitions_open += 1,
                Slot::Opening(_) => stats.partitions_opening += 1,
                Slot::Failed => stats.partitions_failed += 1,
            }
        }
        stats
    }
}
