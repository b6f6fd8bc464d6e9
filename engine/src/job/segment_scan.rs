//! A segment as recovery finds it: what of its file is valid, its indexes made anew on the way.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::bounds::SEGMENT_FILE_BYTES_MAX;
use super::log_state::LogState;
use super::{damage, failure};
use crate::io::File;
use crate::limits::{BATCH_BYTES_MAX, READ_BYTES_MAX};
use crate::log::damage::DamagedRange;
use crate::log::index::{IndexRules, SegmentIndex};
use crate::log::scan::{ScanRules, ScannedBatch, SegmentScanner, Stop};
use crate::memory::{align_down, align_up};
use crate::partition::waypoint::Waypoint;
use crate::shard::event::DiskFailure;
use crate::types::{Offset, TimestampMs};

/// Bytes that a segment must hold and its file does not.
#[derive(Debug)]
pub struct Patch {
    /// Where they belong.
    pub position: u64,
    /// What they are, one behind the other.
    pub parts: Vec<Bytes>,
    /// Behind the last one.
    pub end: u64,
}

/// See the module.
pub struct FoundSegment<F> {
    /// Offset of its first record; names its files.
    pub base_offset: Offset,
    /// Offset behind its last record.
    pub next_offset: Offset,
    /// Its `.log` file.
    pub path: PathBuf,
    /// The same, open; none if there is none yet.
    pub file: Option<F>,
    /// Length of the file.
    pub file_bytes: u64,
    /// Behind this the file has only zeros, once it was looked at.
    written_end: Option<u64>,
    /// Content that is valid, patches included, ends here.
    pub end: u64,
    /// Why the scan ended there.
    pub stop: Stop,
    /// Its indexes.
    pub index: SegmentIndex,
    /// Largest timestamp, -1 if there is none.
    pub max_timestamp: TimestampMs,
    /// Largest timestamp of the first batch.
    pub first_timestamp: Option<TimestampMs>,
    /// What is to be written to the file.
    pub patches: Vec<Patch>,
    /// Places that cannot be read, with batches behind them.
    pub damage: Vec<DamagedRange>,
    /// Nothing of the file is cut off, whatever it is.
    pub keeps_rest: bool,
    /// The room that is reserved behind the content stays.
    pub keeps_room: bool,
    /// Offsets may be missing, as after compaction.
    pub gaps: bool,
    /// The waypoint that it was followed from.
    passing: Option<Passing>,
}

/// A waypoint on the way of a scan.
#[derive(Debug, Clone, Copy)]
struct Passing {
    position: u64,
    offset: Offset,
    /// Whether the scan came to this position with this offset.
    is_passed: bool,
}

impl<F: File> FoundSegment<F> {
    /// A segment of which nothing has been looked at yet.
    pub async fn new(
        base_offset: Offset,
        rules: IndexRules,
        gaps: bool,
        path: PathBuf,
        file: Option<F>,
    ) -> Result<Self, DiskFailure> {
        let file_bytes = match &file {
            Some(file) => file.size().await.map_err(|error| failure("look at", &path, error))?,
            None => 0,
        };
        if file_bytes > SEGMENT_FILE_BYTES_MAX {
            return Err(damage("open", &path, "the segment is larger than 4 GiB"));
        }
        Ok(Self {
            base_offset,
            next_offset: base_offset,
            path,
            file,
            file_bytes,
            written_end: None,
            end: 0,
            stop: Stop::CleanEnd,
            index: SegmentIndex::new(base_offset, rules),
            max_timestamp: -1,
            first_timestamp: None,
            patches: Vec::new(),
            damage: Vec::new(),
            keeps_rest: false,
            keeps_room: false,
            gaps,
            passing: None,
        })
    }

    /// Scans the file from the valid end on.
    pub async fn scan(&mut self, state: &mut LogState) -> Result<(), DiskFailure> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        if self.end >= self.file_bytes {
            self.stop = Stop::CleanEnd;
            return Ok(());
        }
        let to = self.find_written_end(&file).await?;
        let mut scanner = self.scanner(self.gaps);
        let mut at = self.end;
        while at < to {
            let chunk = read_chunk(&file, &self.path, at, to).await?;
            at += chunk.len() as u64;
            if !scanner.feed(&chunk, |batch| self.take(&batch, state)) {
                break;
            }
        }
        self.stop = match scanner.finish().stop {
            // A batch may end in zeros that were never written: then the file says no more than its bytes.
            Stop::Torn if to < self.file_bytes => {
                self.written_end = Some(self.file_bytes);
                return Box::pin(self.scan(state)).await;
            }
            Stop::CleanEnd if self.end < self.file_bytes => Stop::ZeroTail,
            stop => stop,
        };
        Ok(())
    }

    /// Finds out where what was ever written ends: space that is only reserved need not be read, and there
    /// is as much of it as of the content.
    async fn find_written_end(&mut self, file: &F) -> Result<u64, DiskFailure> {
        if self.written_end.is_none() {
            let end = file.written_end().await;
            self.written_end = Some(end.map_err(|error| failure("look at", &self.path, error))?);
        }
        Ok(self.written_end())
    }

    /// Behind this the file has only zeros.
    pub fn written_end(&self) -> u64 {
        self.written_end.map_or(self.file_bytes, |end| end.min(self.file_bytes))
    }

    /// A scanner that goes on at the valid end.
    pub fn scanner(&self, gaps: bool) -> SegmentScanner {
        SegmentScanner::new(ScanRules {
            first_offset: self.next_offset,
            position: self.end,
            batch_bytes_max: BATCH_BYTES_MAX,
            gaps,
        })
    }

    /// Makes it what a waypoint knows of it; the scan goes on at the batch it is read from, which begins
    /// with `first_offset`.
    pub fn go_on_at(&mut self, waypoint: &Waypoint, first_offset: Offset, rules: IndexRules) {
        self.index = waypoint.index(rules);
        self.max_timestamp = waypoint.max_timestamp;
        self.first_timestamp = waypoint.first_timestamp;
        self.end = u64::from(waypoint.from);
        self.next_offset = first_offset;
        let (position, offset) = (waypoint.position, waypoint.offset);
        self.passing = Some(Passing { position, offset, is_passed: false });
    }

    /// Whether the batches have come to the waypoint, with no damage before it.
    pub fn has_passed(&self) -> bool {
        let passed = self.passing.filter(|passing| passing.is_passed);
        passed.is_some_and(|passing| {
            self.damage.first().is_none_or(|range| range.position >= passing.position)
        })
    }

    /// Takes a valid batch up.
    pub fn take(&mut self, batch: &ScannedBatch<'_>, state: &mut LogState) {
        let header = batch.header;
        // The file's length was checked against what positions can hold.
        let position = u32::try_from(batch.position).unwrap_or(u32::MAX);
        let is_known = self.passing.is_some_and(|passing| batch.position < passing.position);
        if !is_known {
            self.index.append(header, position);
            self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
            self.first_timestamp.get_or_insert(header.max_timestamp);
        }
        self.end = batch.position + header.size_bytes() as u64;
        self.next_offset = header.next_offset();
        if let Some(passing) = &mut self.passing {
            passing.is_passed |= (self.end, self.next_offset) == (passing.position, passing.offset);
        }
        state.follow(batch);
    }
}

/// The bytes of a file from `at` on: up to one large read, and not beyond `to`.
pub async fn read_chunk<F: File>(
    file: &F,
    path: &Path,
    at: u64,
    to: u64,
) -> Result<Bytes, DiskFailure> {
    let start = align_down(at);
    let len = align_up(to).saturating_sub(start).min(READ_BYTES_MAX as u64);
    let len = usize::try_from(len).unwrap_or(READ_BYTES_MAX);
    let read = file.read_at(start, len).await;
    let bytes = read.map_err(|error| failure("read", path, error))?;
    let index = |position: u64| usize::try_from(position - start).unwrap_or(usize::MAX);
    let end = bytes.len().min(index(to));
    let begin = index(at);
    if begin >= end {
        return Err(damage("read", path, format!("the file ends before position {to}")));
    }
    Ok(bytes.slice(begin..end))
}
