//! Keeps tails within the shard's memory: lets go of what segments hold, writes what they do not, and
//! lets appends wait when that is not enough.

use super::event::Effect;
use super::{Shard, Slot};
use crate::limits::TAIL_KEEP_BYTES;
use crate::types::TopicPartition;

impl Shard {
    /// Whether appends must wait.
    pub(super) fn is_memory_full(&self) -> bool {
        self.tail_bytes > self.settings.memory_bytes
    }

    /// Whether there is no memory and waiting for some is of no use: what is in memory cannot be written, as
    /// the disk is full, or has failed.
    pub(super) fn is_memory_stuck(&self) -> bool {
        self.is_memory_full() && (self.is_offline || self.deadlines.is_any_stalled())
    }

    /// When three quarters of the memory are used: lets go of what readers are least likely to want,
    /// and begins to write what only memory and journal hold.
    pub(super) fn relieve(&mut self, effects: &mut Vec<Effect>) {
        let target = self.settings.memory_bytes / 4 * 3;
        if self.tail_bytes <= target {
            return;
        }
        for keep in [TAIL_KEEP_BYTES, 0] {
            for slot in self.partitions.values_mut() {
                let Slot::Open(partition) = slot else { continue };
                self.tail_bytes -= partition.release(keep);
            }
            if self.tail_bytes <= target {
                return;
            }
        }
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids {
            self.relieve_partition(id, effects);
        }
    }

    /// Lets go of memory of one partition that readers close to the end will not want, if memory is
    /// getting short.
    pub(super) fn recount(&mut self, id: TopicPartition) {
        let is_short = self.tail_bytes > self.settings.memory_bytes / 2;
        if let Some(Slot::Open(partition)) = self.partitions.get_mut(&id)
            && is_short
        {
            self.tail_bytes -= partition.release(TAIL_KEEP_BYTES);
        }
    }

    /// Memory held for tails, in bytes.
    #[must_use]
    pub fn tail_bytes(&self) -> usize {
        self.tail_bytes
    }
}
