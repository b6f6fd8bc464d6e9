//! What of a partition may be deleted: by age, by size, by request.

use super::Partition;
use crate::log::segment::SealedSegment;
use crate::types::{Offset, TimestampMs};

impl<W> Partition<W> {
    /// Takes out closed segments that retention lets go (`retention.ms`, `retention.bytes`, and what is
    /// before the log start offset), oldest first; the log then starts behind them. The caller deletes
    /// their files.
    pub fn retire(&mut self, now_ms: TimestampMs) -> Vec<SealedSegment> {
        let config = std::sync::Arc::clone(&self.config);
        let mut bytes = self.bytes();
        let visible = self.offsets.high_watermark();
        let count = self
            .sealed
            .iter()
            .take_while(|segment| {
                let is_before_start = segment.next_offset <= self.offsets.start();
                let is_old = config.retention_ms >= 0
                    && segment.max_timestamp >= 0
                    && now_ms.saturating_sub(segment.max_timestamp) > config.retention_ms;
                let excess = bytes.saturating_sub(segment.bytes);
                let is_excess =
                    u64::try_from(config.retention_bytes).is_ok_and(|max| excess >= max);
                let goes =
                    is_before_start || (config.cleanup_policy.delete && (is_old || is_excess));
                bytes = excess;
                goes && segment.next_offset <= visible
            })
            .count();
        let retired: Vec<_> = self.sealed.drain(..count).collect();
        if let Some(last) = retired.last() {
            self.start_at(last.next_offset);
        }
        retired
    }

    /// Moves the log's start: records before `offset` are gone. Returns the new start.
    pub fn start_at(&mut self, offset: Offset) -> Offset {
        self.offsets.started(offset);
        self.epochs.truncate_start(self.offsets.start());
        self.offsets.start()
    }
}
