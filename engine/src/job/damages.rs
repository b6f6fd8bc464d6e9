//! What is known to be damaged in segments: readers are led around it, and only who asks for it is
//! told.

use std::collections::BTreeMap;

use super::bounds::EXAMINE_AGAIN_MS;
use super::dirs::Dir;
use super::files::log_path;
use super::{Shared, damage};
use crate::log::damage::DamagedRange;
use crate::shard::event::DiskFailure;
use crate::types::{Nanos, Offset};

/// A directory's life and a base offset.
type Key = (u64, Offset);

#[derive(Debug, Default)]
struct Segment {
    /// In the order of their positions.
    ranges: Vec<DamagedRange>,
    /// When all of it was read last.
    examined: Option<Nanos>,
}

/// The part of a segment around an offset that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readable {
    /// It begins at this batch boundary, with this offset; none for the segment's begin,
    pub from: Option<(u64, Offset)>,
    /// and ends at this one.
    pub to: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Damages {
    segments: Shared<BTreeMap<Key, Segment>>,
}

impl Damages {
    /// Notes ranges; those that were not known are told in the log.
    pub fn note(&self, dir: &Dir, segment: Offset, ranges: Vec<DamagedRange>) {
        if ranges.is_empty() {
            return;
        }
        let mut segments = self.segments.borrow_mut();
        let known = &mut segments.entry((dir.id, segment)).or_default().ranges;
        for range in ranges {
            let is_known = known.iter().any(|other| other.position == range.position);
            if is_known {
                continue;
            }
            let partition = dir.path.file_name().unwrap_or_default().to_string_lossy();
            tracing::error!(%partition, file = %log_path(dir, segment).display(),
                position = range.position, end_position = range.end_position,
                first_offset = range.first_offset, last_offset = range.next_offset - 1,
                reason = range.reason, "records are damaged: reads of them fail, all others are served");
            known.push(range);
        }
        known.sort_by_key(|range| range.position);
    }

    /// How many ranges are known.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.segments.borrow().values().map(|segment| segment.ranges.len() as u64).sum()
    }

    /// What of a segment with content up to `to` can be read around `offset`.
    pub fn readable(
        &self,
        dir: &Dir,
        segment: Offset,
        offset: Offset,
        to: u64,
    ) -> Result<Readable, DiskFailure> {
        let segments = self.segments.borrow();
        let mut readable = Readable { from: None, to };
        let Some(known) = segments.get(&(dir.id, segment)) else { return Ok(readable) };
        for range in &known.ranges {
            if range.has(offset) {
                return Err(damage("read", &log_path(dir, segment), range.to_string()));
            }
            if range.next_offset <= offset {
                readable.from = readable.from.max(Some((range.end_position, range.next_offset)));
            } else {
                readable.to = readable.to.min(range.position);
            }
        }
        Ok(readable)
    }

    /// Whether a segment that a read failed in is to be read as a whole now: not again at once, where
    /// that has explained nothing.
    pub fn is_examination_due(&self, dir: &Dir, segment: Offset, now: Nanos) -> bool {
        let segments = self.segments.borrow();
        let last = segments.get(&(dir.id, segment)).and_then(|known| known.examined);
        last.is_none_or(|at| now.ms_since(at) >= EXAMINE_AGAIN_MS)
    }

    /// A segment was read as a whole.
    pub fn examined(&self, dir: &Dir, segment: Offset, now: Nanos) {
        self.segments.borrow_mut().entry((dir.id, segment)).or_default().examined = Some(now);
    }

    /// A segment is deleted.
    pub fn forget(&self, dir: &Dir, segment: Offset) {
        self.segments.borrow_mut().remove(&(dir.id, segment));
    }

    /// A directory is deleted.
    pub fn forget_dir(&self, dir: &Dir) {
        self.segments.borrow_mut().retain(|(id, _), _| *id != dir.id);
    }
}
