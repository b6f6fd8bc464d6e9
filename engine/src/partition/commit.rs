//! What a commit or a flush must write for one partition, and what becomes of it afterwards.

use super::Partition;
use super::producer_snapshot;
use crate::limits::{
    ALLOCATE_STEP_MAX, ALLOCATE_STEP_MIN, DIRECT_APPEND_BYTES, JOURNAL_ENTRY_BYTES_MAX,
};
use crate::log::segment::OpenSegment;
use crate::memory::{Piece, align_up};
use crate::types::Offset;

/// Bytes on their way to a segment file.
#[derive(Debug)]
pub struct SegmentWrite {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Position of the first block.
    pub position: u64,
    /// Whole blocks.
    pub pieces: Vec<Piece>,
    /// Length to reserve first, where the file is too short; if there is no room for that, as much as
    /// the write needs.
    pub allocate: Option<u64>,
    /// Content ends here once it is written.
    pub end: u64,
    /// Offset behind the last batch before `end`.
    pub end_offset: Offset,
}

/// Bytes of the active segment on their way to the journal: `from..to` of its tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalRange {
    /// Base offset of the segment.
    pub segment: Offset,
    /// First byte.
    pub from: u64,
    /// Offset of the batch that begins there.
    pub from_offset: Offset,
    /// Behind the last byte.
    pub to: u64,
    /// Offset behind the last batch before that.
    pub to_offset: Offset,
}

/// How the undurable bytes of a partition become durable.
#[derive(Debug)]
pub enum CommitPart {
    /// Through the journal, with those of other partitions.
    Journal(JournalRange),
    /// Straight to its segments, on its own.
    Direct(Vec<SegmentWrite>),
    /// Later: a write to its segment or the journal is running that must end first.
    Later,
}

/// A closed segment whose files are to be completed.
#[derive(Debug)]
pub struct Seal {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Exact length of its content.
    pub bytes: u64,
    /// Content of its `.index` file.
    pub offset_index: bytes::Bytes,
    /// Content of its `.timeindex` file.
    pub time_index: bytes::Bytes,
    /// Offset and content of the producer snapshot that goes with its end.
    pub snapshot: Option<(Offset, bytes::Bytes)>,
}

impl OpenSegment {
    /// A write of everything from `written` to `planned`, with `room_bytes` behind it.
    fn write_planned(&mut self, segment_bytes_max: u64, room_bytes: u64) -> SegmentWrite {
        assert!(!self.is_writing, "one write to a segment at a time");
        self.is_writing = true;
        let end = self.planned;
        let (position, pieces) = self.tail.pieces(self.written, end);
        let needed = align_up(end);
        let allocate = (needed + room_bytes / 2 > self.allocated).then(|| {
            let step = end.clamp(ALLOCATE_STEP_MIN, ALLOCATE_STEP_MAX).max(room_bytes);
            needed.max((end + step).min(align_up(segment_bytes_max)))
        });
        self.allocated = allocate.unwrap_or(self.allocated);
        let end_offset = self.planned_offset;
        SegmentWrite { segment: self.base_offset, position, pieces, allocate, end, end_offset }
    }
}

impl<W> Partition<W> {
    /// Takes up everything appended so far, one way or the other. `can_journal` is whether a journal
    /// entry may be begun now.
    pub fn plan_commit(&mut self, can_journal: bool) -> CommitPart {
        let bytes: u64 = self.open.iter().map(OpenSegment::unplanned_bytes).sum();
        let is_rolling = self.open.len() > 1 && self.closing_is_unplanned();
        if (bytes >= DIRECT_APPEND_BYTES || is_rolling) && self.can_write() {
            return CommitPart::Direct(self.commit_directly());
        }
        // What follows bytes that are on their way to the segment must not be durable before them:
        // recovery would find a gap.
        if is_rolling || self.is_committing || !can_journal || bytes > JOURNAL_ENTRY_BYTES_MAX / 2 {
            return CommitPart::Later;
        }
        let active = self.active_mut();
        let range = JournalRange {
            segment: active.base_offset,
            from: active.planned,
            from_offset: active.planned_offset,
            to: active.tail.end(),
            to_offset: active.next_offset,
        };
        active.plan(range.to, range.to_offset);
        CommitPart::Journal(range)
    }

    /// The blocks that hold a planned range.
    #[must_use]
    pub fn planned_pieces(&mut self, range: JournalRange) -> Vec<Piece> {
        self.active_mut().tail.pieces(range.from, range.to).1
    }

    /// Undoes the planning of a range for which the journal had no room.
    pub fn unplan(&mut self, range: JournalRange) {
        let active = self.active_mut();
        assert_eq!(active.base_offset, range.segment);
        assert_eq!(active.planned, range.to);
        active.plan(range.from, range.from_offset);
    }

    /// Takes up everything appended so far, to be written straight to the segments by a commit.
    ///
    /// # Panics
    /// If a write is running.
    pub fn commit_directly(&mut self) -> Vec<SegmentWrite> {
        for segment in &mut self.open {
            segment.plan(segment.tail.end(), segment.next_offset);
        }
        self.is_committing = true;
        self.write_planned()
    }

    /// Whether its unplanned bytes can go straight to its segments now.
    #[must_use]
    pub fn can_write(&self) -> bool {
        !self.open.iter().any(|segment| segment.is_writing)
    }

    fn closing_is_unplanned(&self) -> bool {
        let closing = self.open.len() - 1;
        self.open.iter().take(closing).any(|segment| segment.unplanned_bytes() > 0)
    }

    /// Writes of everything that is in a commit, durable or running, and that the segment files do
    /// not hold. What no commit has taken up is left to the next one: it must not become durable
    /// behind the back of commits.
    ///
    /// # Panics
    /// If a write is running.
    pub fn write_planned(&mut self) -> Vec<SegmentWrite> {
        let segment_bytes = u64::try_from(self.config.segment_bytes_max()).unwrap_or(u64::MAX);
        let room_bytes = self.room_bytes;
        self.open
            .iter_mut()
            .filter(|segment| segment.planned > segment.written)
            .map(|segment| segment.write_planned(segment_bytes, room_bytes))
            .collect()
    }

    /// Bytes that a [`Partition::write_planned`] would write.
    #[must_use]
    pub fn planned_bytes(&self) -> u64 {
        self.open.iter().map(|segment| segment.planned - segment.written).sum()
    }

    /// Whether its active segment's file differs from its content: bytes are missing, or room is
    /// reserved behind them.
    #[must_use]
    pub fn needs_settling(&self) -> bool {
        let is_long = self.active().allocated > self.active().bytes();
        self.unwritten_bytes() > 0 || (is_long && !self.keeps_room())
    }

    /// Writes of everything that the segment files do not hold, and of the active segment in any
    /// case, after which its file is to be cut to its content, unless it keeps room behind that.
    ///
    /// # Panics
    /// If a write is running.
    pub fn settle(&mut self) -> Vec<SegmentWrite> {
        let mut writes = self.write_planned();
        if self.keeps_room() {
            return writes;
        }
        let active = self.active_mut();
        if !active.is_writing && active.written == active.bytes() {
            active.is_writing = true;
            writes.push(SegmentWrite {
                segment: active.base_offset,
                position: 0,
                pieces: Vec::new(),
                allocate: None,
                end: active.bytes(),
                end_offset: active.next_offset,
            });
        }
        active.allocated = active.bytes();
        writes
    }

    /// A write to a segment file failed for want of room; its bytes are still only in memory.
    pub fn not_written(&mut self, segment: Offset) {
        if let Some(open) = self.open.iter_mut().find(|open| open.base_offset == segment) {
            open.is_writing = false;
            open.allocated = open.written;
        }
        self.is_committing = false;
    }

    /// A write to a segment file is durable. Says how many bytes more the file holds.
    pub fn written(&mut self, segment: Offset, end: u64, end_offset: Offset) -> u64 {
        self.is_committing = false;
        let open = self.open.iter_mut().find(|open| open.base_offset == segment);
        open.map_or(0, |open| {
            let before = open.written;
            open.is_writing = false;
            open.note_written(end, end_offset);
            end - before
        })
    }

    /// Everything before this offset is in segment files.
    #[must_use]
    pub fn written_offset(&self) -> Offset {
        let first_unwritten = self.open.iter().find(|segment| segment.unwritten_bytes() > 0);
        first_unwritten.unwrap_or(self.active()).written_offset
    }

    /// Everything before `end` is durable: offsets rise.
    pub fn committed(&mut self, end: Offset) {
        let unstable = self.producers.first_unstable_offset();
        self.offsets.committed(end, unstable);
    }

    /// The oldest closing segment, if it is wholly in its file: what completes its other files. It
    /// counts as sealed from now on; its memory is let go.
    pub fn seal(&mut self) -> Option<Seal> {
        let oldest = self.open.front()?;
        if self.open.len() < 2 || oldest.unwritten_bytes() > 0 || oldest.is_writing {
            return None;
        }
        let mut closed = self.open.pop_front()?;
        self.sealed.push(closed.sealed());
        Some(Self::seal_of(&mut closed))
    }

    /// What completes the active segment's files at a clean stop.
    pub fn seal_active(&mut self) -> Seal {
        let snapshot = producer_snapshot::encode(&self.producers.snapshot()).into();
        let active = self.active_mut();
        active.snapshot_at_end = Some(snapshot);
        Self::seal_of(active)
    }

    fn seal_of(segment: &mut OpenSegment) -> Seal {
        segment.index.seal();
        let offset_index = segment.index.offset_bytes().to_vec().into();
        let time_index = segment.index.time_bytes().to_vec().into();
        segment.allocated = segment.bytes();
        Seal {
            segment: segment.base_offset,
            bytes: segment.bytes(),
            offset_index,
            time_index,
            snapshot: segment.snapshot_at_end.take().map(|bytes| (segment.next_offset, bytes)),
        }
    }
}
