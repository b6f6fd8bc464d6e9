//! One segment of a log: still open (its newest bytes are in memory) or sealed (all on disk).

use super::index::{IndexRules, SegmentIndex};
use super::tail::{Mark, Tail};
use crate::types::{Offset, TimestampMs};

/// A segment to which nothing is appended any more; its files are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedSegment {
    /// Offset of its first record; names its files.
    pub base_offset: Offset,
    /// Offset behind its last record.
    pub next_offset: Offset,
    /// Length of its `.log` file in bytes.
    pub bytes: u64,
    /// Largest timestamp in it, -1 if there is none.
    pub max_timestamp: TimestampMs,
}

/// A segment whose newest bytes are in memory: the active one, or one that is being closed.
///
/// Positions: what is before `written` is durably in the segment file; what is before `planned` is
/// durable or on its way to be; what is before the tail's end is appended.
#[derive(Debug)]
pub struct OpenSegment {
    /// Offset of its first record; names its files.
    pub base_offset: Offset,
    /// Offset behind its last record.
    pub next_offset: Offset,
    /// The newest bytes.
    pub tail: Tail,
    /// Its sparse indexes.
    pub index: SegmentIndex,
    /// Position up to which the segment file holds the bytes durably.
    pub written: u64,
    /// Offset of the first batch at or behind `written`.
    pub written_offset: Offset,
    /// Position up to which bytes are durable (here or in the journal) or in a running commit.
    pub planned: u64,
    /// Offset of the first batch at or behind `planned`.
    pub planned_offset: Offset,
    /// Length of the segment file: what lies behind `written` is reserved, not content.
    pub allocated: u64,
    /// Whether a write to the segment file is running; there is never more than one, so that an
    /// older image of the last block cannot overwrite a newer one.
    pub is_writing: bool,
    /// Largest timestamp, -1 if there is none.
    pub max_timestamp: TimestampMs,
    /// Largest timestamp among the batches that are no longer in memory, -1 if there is none.
    pub cold_max_timestamp: TimestampMs,
    /// Timestamp of the first batch, which the age of the segment is counted from.
    pub first_timestamp: Option<TimestampMs>,
    /// Once it is closed: the producers at its end, in the format of the snapshot file.
    pub snapshot_at_end: Option<bytes::Bytes>,
}

impl OpenSegment {
    /// An empty segment.
    #[must_use]
    pub fn new(base_offset: Offset, rules: IndexRules) -> Self {
        Self {
            base_offset,
            next_offset: base_offset,
            tail: Tail::new(0, bytes::Bytes::new()),
            index: SegmentIndex::new(base_offset, rules),
            written: 0,
            written_offset: base_offset,
            planned: 0,
            planned_offset: base_offset,
            allocated: 0,
            is_writing: false,
            max_timestamp: -1,
            cold_max_timestamp: -1,
            first_timestamp: None,
            snapshot_at_end: None,
        }
    }

    /// A segment whose file holds everything up to `end`, exactly, when a partition is opened again.
    /// `stub` holds the bytes from the last block boundary to `end`; `timestamps` are the largest one
    /// (-1 if there is none) and that of the first batch.
    #[must_use]
    pub fn resumed(
        index: SegmentIndex,
        next_offset: Offset,
        end: u64,
        stub: bytes::Bytes,
        timestamps: (TimestampMs, Option<TimestampMs>),
    ) -> Self {
        let (max_timestamp, first_timestamp) = timestamps;
        Self {
            base_offset: index.base_offset(),
            next_offset,
            tail: Tail::new(end, stub),
            index,
            written: end,
            written_offset: next_offset,
            planned: end,
            planned_offset: next_offset,
            allocated: end,
            is_writing: false,
            max_timestamp,
            cold_max_timestamp: max_timestamp,
            first_timestamp,
            snapshot_at_end: None,
        }
    }

    /// Length of the content in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tail.end()
    }

    /// Bytes that no commit has taken up yet.
    #[must_use]
    pub fn unplanned_bytes(&self) -> u64 {
        self.tail.end() - self.planned
    }

    /// Bytes that the segment file does not hold yet.
    #[must_use]
    pub fn unwritten_bytes(&self) -> u64 {
        self.tail.end() - self.written
    }

    /// Notes a batch that was just appended to the tail.
    pub fn note(&mut self, mark: Mark, next_offset: Offset, batch_bytes: u64) {
        let position = u32::try_from(mark.position).expect("a segment is smaller than 4 GiB");
        self.index.append_batch(mark.max_timestamp, next_offset - 1, position, batch_bytes);
        self.next_offset = next_offset;
        self.max_timestamp = self.max_timestamp.max(mark.max_timestamp);
        self.first_timestamp.get_or_insert(mark.max_timestamp);
    }

    /// Everything before `position` is durable or on its way to be.
    pub fn plan(&mut self, position: u64, offset: Offset) {
        self.planned = position;
        self.planned_offset = offset;
    }

    /// The segment file holds everything before `position` durably.
    pub fn note_written(&mut self, position: u64, offset: Offset) {
        assert!(position >= self.written, "what is written does not shrink");
        assert!(position <= self.tail.end());
        self.written = position;
        self.written_offset = offset;
        if self.planned < position {
            self.plan(position, offset);
        }
    }

    /// Lets go of memory that the segment file holds too, all of it or whole chunks before
    /// `position`. Returns bytes let go.
    pub fn release(&mut self, position: u64) -> usize {
        let before = self.tail.first().copied();
        let released = if position >= self.tail.end() && self.written == self.tail.end() {
            self.tail.release_all()
        } else {
            self.tail.release_before(position.min(self.written))
        };
        if released > 0 && before != self.tail.first().copied() {
            // Which batches left is not kept; the segment's maximum is a safe upper bound.
            self.cold_max_timestamp = self.max_timestamp;
        }
        released
    }

    /// What remains of it once all its bytes are in its file.
    #[must_use]
    pub fn sealed(&self) -> SealedSegment {
        SealedSegment {
            base_offset: self.base_offset,
            next_offset: self.next_offset,
            bytes: self.tail.end(),
            max_timestamp: self.max_timestamp,
        }
    }
}
