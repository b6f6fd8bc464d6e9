//! What a shard has and does, in numbers.

use super::{Shard, Slot};
use crate::types::TimestampMs;

/// A shard's numbers at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Partitions that serve.
    pub partitions_open: usize,
    /// Partitions that are being opened.
    pub partitions_opening: usize,
    /// Partitions that could not be opened, or whose log directory is not here.
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
    /// Ranges of damaged records that are known; jobs know them, and the driver puts the number in.
    pub damaged_ranges: u64,
    /// Partitions that take no records because the end of their log is lost.
    pub lost_ends: usize,
    /// What scrubs have read since the start. Bytes.
    pub scrubbed_bytes: u64,
    /// When the last scrub ended, by the wall clock; none yet since the start.
    pub last_scrub_ms: Option<TimestampMs>,
}

impl Shard {
    pub(super) fn stats(&self) -> ShardStats {
        let mut stats = ShardStats {
            tail_bytes: self.tail_bytes,
            appends_deferred: self.deferred.len(),
            commits: self.stages.commits_begun,
            flushes: self.stages.flushes_begun,
            is_offline: self.is_offline,
            scrubbed_bytes: self.scrubbing.bytes,
            last_scrub_ms: self.scrubbing.last_ms,
            ..ShardStats::default()
        };
        for slot in self.partitions.values() {
            match slot {
                Slot::Open(partition) => {
                    stats.partitions_open += 1;
                    stats.lost_ends += usize::from(partition.lost_end.is_some());
                }
                Slot::Opening(_) => stats.partitions_opening += 1,
                Slot::Failed | Slot::Offline => stats.partitions_failed += 1,
            }
        }
        stats
    }
}
