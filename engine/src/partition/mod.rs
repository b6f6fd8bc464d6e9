//! One partition: its log, offsets, producers, epochs and those who wait for it.
//!
//! Lives on the shard that owns it; only that shard changes it. Nothing here waits or does I/O: what
//! must be written or read is returned as data.

pub mod acks;
pub mod admit;
pub mod commit;
pub mod epochs;
pub mod find;
pub mod offsets;
pub mod producer_snapshot;
pub mod producers;
pub mod retain;
pub mod waypoint;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use acks::Acks;
pub use admit::{Admitted, AppendError};
use epochs::Epochs;
use offsets::Offsets;
use producers::Producers;

use crate::log::segment::{OpenSegment, SealedSegment};
use crate::topic_config::TopicConfig;
use crate::types::{LeaderEpoch, Nanos, Offset, TopicPartition};

/// What recovery found on disk, complete up to its end: from it a partition goes on.
#[derive(Debug)]
pub struct Recovered {
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// Closed segments, oldest first.
    pub sealed: Vec<SealedSegment>,
    /// The active segment.
    pub active: OpenSegment,
    /// Idempotent producers.
    pub producers: Producers,
    /// Leader epochs.
    pub epochs: Epochs,
    /// See [`Partition::lost_end`].
    pub lost_end: Option<Offset>,
}

/// One partition of a topic. `W` names those who wait for its appends.
#[derive(Debug)]
pub struct Partition<W> {
    /// Its identity.
    pub id: TopicPartition,
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its directory.
    pub dir: Arc<Path>,
    /// The topic's settings.
    pub config: Arc<TopicConfig>,
    /// The epoch in which this broker leads it.
    pub leader_epoch: LeaderEpoch,
    /// Start, end and what lies between.
    pub offsets: Offsets,
    /// Idempotent producers.
    pub producers: Producers,
    /// Leader epochs.
    pub epochs: Epochs,
    /// Where the log ended at least when records at its end were lost to damage. Where it really ended
    /// nobody knows, so nothing is appended and nothing cut until somebody has repaired it.
    pub lost_end: Option<Offset>,
    /// Who waits for durability.
    pub acks: Acks<W>,
    /// When something was appended last.
    pub last_append: Nanos,
    /// Whether bytes that are not durable yet are on their way straight to the segments.
    is_committing: bool,
    /// Room that is kept reserved behind the end of the active segment. Bytes.
    room_bytes: u64,
    sealed: Vec<SealedSegment>,
    /// Segments with bytes in memory, oldest first; the last one is active, the others are being
    /// closed.
    open: VecDeque<OpenSegment>,
}

impl<W> Partition<W> {
    /// A partition that goes on from what is on disk.
    #[must_use]
    pub fn new(
        id: TopicPartition,
        topic: Arc<str>,
        dir: Arc<Path>,
        config: Arc<TopicConfig>,
        leader_epoch: LeaderEpoch,
        recovered: Recovered,
    ) -> Self {
        let Recovered { log_start_offset, sealed, active, producers, mut epochs, lost_end } =
            recovered;
        let end = active.next_offset;
        epochs.assign(leader_epoch, end);
        let mut offsets = Offsets::new(log_start_offset.min(end), end);
        offsets.committed(end, producers.first_unstable_offset());
        Self {
            id,
            topic,
            dir,
            config,
            leader_epoch,
            offsets,
            producers,
            epochs,
            lost_end,
            acks: Acks::default(),
            last_append: Nanos::default(),
            is_committing: false,
            room_bytes: 0,
            sealed,
            open: VecDeque::from([active]),
        }
    }

    /// This broker leads the partition in a new epoch.
    pub fn lead(&mut self, epoch: LeaderEpoch) {
        self.leader_epoch = epoch;
        self.epochs.assign(epoch, self.offsets.end());
    }

    /// Room is kept reserved behind the end of the log from now on, so that it can go on when the
    /// disk is full.
    pub fn keep_room(&mut self, bytes: u64) {
        self.room_bytes = bytes;
    }

    /// Whether room is kept behind the end of the log.
    #[must_use]
    pub fn keeps_room(&self) -> bool {
        self.room_bytes > 0
    }

    /// The segment that is appended to.
    #[must_use]
    pub fn active(&self) -> &OpenSegment {
        self.open.back().expect("there is always an active segment")
    }

    fn active_mut(&mut self) -> &mut OpenSegment {
        self.open.back_mut().expect("there is always an active segment")
    }

    /// Closed segments, oldest first.
    #[must_use]
    pub fn sealed(&self) -> &[SealedSegment] {
        &self.sealed
    }

    /// Segments with bytes in memory, oldest first.
    pub fn open_segments(&self) -> impl Iterator<Item = &OpenSegment> {
        self.open.iter()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sealed.iter().map(|segment| segment.bytes).sum::<u64>()
            + self.open.iter().map(OpenSegment::bytes).sum::<u64>()
    }

    /// Memory held for the tail, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.open.iter().map(|segment| segment.tail.memory_bytes()).sum()
    }

    /// Bytes that are not in segment files yet.
    #[must_use]
    pub fn unwritten_bytes(&self) -> u64 {
        self.open.iter().map(OpenSegment::unwritten_bytes).sum()
    }

    /// Whether anything appended is not part of a commit yet.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.open.iter().any(|segment| segment.unplanned_bytes() > 0)
    }

    /// Lets go of memory whose bytes the segment files hold, keeping up to `keep` bytes for readers
    /// close to the end. Returns the bytes let go.
    pub fn release(&mut self, keep: u64) -> usize {
        let mut released = 0;
        for segment in &mut self.open {
            released += segment.release(segment.tail.end().saturating_sub(keep));
        }
        released
    }
}
