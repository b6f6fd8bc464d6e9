//! The offset index and the time index of a segment, in the bytes of Kafka's files.
//!
//! ```text
//! .index      entries of 8 bytes:  4 offset minus base offset, 4 file position
//! .timeindex  entries of 12 bytes: 8 max timestamp so far, 4 offset minus base offset
//! ```
//!
//! The offset of an index entry is the last offset of the batch that begins at the position. About
//! every `index.interval.bytes` of batches get one entry in each index. A time entry says that up
//! to its offset no timestamp is larger than its own. Both indexes are hints: whoever looks up
//! reads on in the log from the position found, and an index that is missing or doubtful is built
//! again from the log.

use std::sync::Arc;

use crate::record::batch::BatchHeader;
use crate::types::{Offset, TimestampMs};

/// Bytes of an offset index entry.
pub const OFFSET_ENTRY_BYTES: usize = 8;
/// Bytes of a time index entry.
pub const TIME_ENTRY_BYTES: usize = 12;

const NO_TIMESTAMP: TimestampMs = -1;

/// An offset, and the file position of the batch that ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Last offset of the batch.
    pub offset: Offset,
    /// Position of the batch in the segment file.
    pub position: u32,
}

/// A timestamp, and the last offset of the batch that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The largest timestamp up to that batch.
    pub timestamp: TimestampMs,
    /// Last offset of the batch.
    pub offset: Offset,
}

/// Why an index file cannot be used; it must be built again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The size is not a multiple of an entry's.
    #[error("index of {0} bytes does not consist of whole entries")]
    Size(usize),
    /// An entry does not rise above the one before, or lies before the segment. Space that was
    /// allocated but never written reads so too.
    #[error("index entry {0} is out of order")]
    Order(usize),
    /// An entry points behind the segment's end.
    #[error("index entry {0} points behind the end of the segment")]
    Beyond(usize),
}

/// The entries of an offset index, wherever their bytes lie.
#[derive(Debug, Clone, Copy)]
pub struct OffsetIndex<'a> {
    base_offset: Offset,
    entries: &'a [[u8; OFFSET_ENTRY_BYTES]],
}

impl<'a> OffsetIndex<'a> {
    /// Over whole entries in `bytes`; a rest is left out.
    #[must_use]
    pub const fn new(base_offset: Offset, bytes: &'a [u8]) -> Self {
        Self { base_offset, entries: bytes.as_chunks().0 }
    }

    /// Over the bytes of a file, checked against the segment's size.
    pub fn load(base_offset: Offset, bytes: &'a [u8], log_bytes: u64) -> Result<Self, IndexError> {
        if !bytes.len().is_multiple_of(OFFSET_ENTRY_BYTES) {
            return Err(IndexError::Size(bytes.len()));
        }
        let index = Self::new(base_offset, bytes);
        let mut before: Option<(i32, u32)> = None;
        for (i, entry) in index.entries.iter().enumerate() {
            let (relative, position) = split_offset_entry(*entry);
            // An entry is made once some bytes lie before its batch, so the position is never 0.
            if relative < 0 || position == 0 {
                return Err(IndexError::Order(i));
            }
            if before.is_some_and(|(r, p)| relative <= r || position <= p) {
                return Err(IndexError::Order(i));
            }
            if u64::from(position) >= log_bytes {
                return Err(IndexError::Beyond(i));
            }
            before = Some((relative, position));
        }
        Ok(index)
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An entry by its number.
    #[must_use]
    pub fn entry(&self, n: usize) -> Option<OffsetPosition> {
        let (relative, position) = split_offset_entry(*self.entries.get(n)?);
        Some(OffsetPosition { offset: self.base_offset + i64::from(relative), position })
    }

    /// From where to read on for `offset`: the last entry with an offset of at most that, else the
    /// segment's begin.
    #[must_use]
    pub fn lookup(&self, offset: Offset) -> OffsetPosition {
        let above = self.entries.partition_point(|entry| {
            self.base_offset + i64::from(split_offset_entry(*entry).0) <= offset
        });
        let found = above.checked_sub(1).and_then(|n| self.entry(n));
        found.unwrap_or(OffsetPosition { offset: self.base_offset, position: 0 })
    }

    /// The first entry at `position` or behind it: all before its batch has smaller offsets.
    #[must_use]
    pub fn first_at(&self, position: u32) -> Option<OffsetPosition> {
        self.entry(self.entries.partition_point(|entry| split_offset_entry(*entry).1 < position))
    }

    /// How many entries lie below `offset`, and so stay when the log is cut there.
    fn below(&self, offset: Offset) -> usize {
        self.entries.partition_point(|entry| {
            self.base_offset + i64::from(split_offset_entry(*entry).0) < offset
        })
    }
}

/// The entries of a time index, wherever their bytes lie.
#[derive(Debug, Clone, Copy)]
pub struct TimeIndex<'a> {
    base_offset: Offset,
    entries: &'a [[u8; TIME_ENTRY_BYTES]],
}

impl<'a> TimeIndex<'a> {
    /// Over whole entries in `bytes`; a rest is left out.
    #[must_use]
    pub const fn new(base_offset: Offset, bytes: &'a [u8]) -> Self {
        Self { base_offset, entries: bytes.as_chunks().0 }
    }

    /// Over the bytes of a file, checked. `next_offset` is the segment's end, exclusive.
    pub fn load(
        base_offset: Offset,
        bytes: &'a [u8],
        next_offset: Offset,
    ) -> Result<Self, IndexError> {
        if !bytes.len().is_multiple_of(TIME_ENTRY_BYTES) {
            return Err(IndexError::Size(bytes.len()));
        }
        let index = Self::new(base_offset, bytes);
        let mut before = (NO_TIMESTAMP, -1);
        for (i, entry) in index.entries.iter().enumerate() {
            let (timestamp, relative) = split_time_entry(*entry);
            if timestamp <= before.0 || relative < before.1.max(0) {
                return Err(IndexError::Order(i));
            }
            if base_offset.saturating_add(i64::from(relative)) >= next_offset {
                return Err(IndexError::Beyond(i));
            }
            before = (timestamp, relative);
        }
        Ok(index)
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An entry by its number.
    #[must_use]
    pub fn entry(&self, n: usize) -> Option<TimestampOffset> {
        let (timestamp, relative) = split_time_entry(*self.entries.get(n)?);
        Some(TimestampOffset { timestamp, offset: self.base_offset + i64::from(relative) })
    }

    /// The last entry; in a sealed segment its largest timestamp.
    #[must_use]
    pub fn last(&self) -> Option<TimestampOffset> {
        self.entry(self.len().checked_sub(1)?)
    }

    /// The offset up to which no timestamp reaches `timestamp`: reading for the first record of
    /// that time begins there. It is the offset of the last entry below `timestamp`, else the base
    /// offset.
    #[must_use]
    pub fn lookup(&self, timestamp: TimestampMs) -> Offset {
        let above = self.entries.partition_point(|entry| split_time_entry(*entry).0 < timestamp);
        above.checked_sub(1).and_then(|n| self.entry(n)).map_or(self.base_offset, |e| e.offset)
    }

    /// How many entries lie below `offset`, and so stay when the log is cut there.
    fn below(&self, offset: Offset) -> usize {
        self.entries.partition_point(|entry| {
            self.base_offset + i64::from(split_time_entry(*entry).1) < offset
        })
    }
}

fn split_offset_entry(entry: [u8; OFFSET_ENTRY_BYTES]) -> (i32, u32) {
    let [a, b, c, d, e, f, g, h] = entry;
    (i32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

fn split_time_entry(entry: [u8; TIME_ENTRY_BYTES]) -> (TimestampMs, i32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = entry;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]), i32::from_be_bytes([i, j, k, l]))
}

/// How often and how much is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRules {
    /// `index.interval.bytes`.
    pub interval_bytes: u32,
    /// `segment.index.bytes`: neither file grows beyond it.
    pub file_bytes_max: u32,
}

/// Both indexes of the active segment, growing with it. No heap memory before the first entry.
#[derive(Debug, Clone)]
pub struct SegmentIndex {
    base_offset: Offset,
    rules: IndexRules,
    offsets: Vec<u8>,
    times: Vec<u8>,
    /// Bytes of batches since the last entry.
    since_entry: u64,
    largest: TimestampOffset,
    last_indexed_timestamp: TimestampMs,
}

impl SegmentIndex {
    /// The indexes of an empty segment.
    #[must_use]
    pub const fn new(base_offset: Offset, rules: IndexRules) -> Self {
        Self {
            base_offset,
            rules,
            offsets: Vec::new(),
            times: Vec::new(),
            since_entry: 0,
            largest: TimestampOffset { timestamp: NO_TIMESTAMP, offset: base_offset },
            last_indexed_timestamp: NO_TIMESTAMP,
        }
    }

    /// Offset that entries count from.
    #[must_use]
    pub const fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Whether a batch with this last offset can stand in the segment: entries hold 31 bits.
    #[must_use]
    pub fn can_hold(&self, last_offset: Offset) -> bool {
        let relative = last_offset.checked_sub(self.base_offset);
        relative.is_some_and(|r| (0..=i64::from(i32::MAX)).contains(&r))
    }

    /// Whether a file has reached its bound, so that the segment must be rolled. One time entry is
    /// kept free for [`SegmentIndex::seal`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        let room = |entry| (self.rules.file_bytes_max as usize / entry) * entry;
        self.offsets.len() + OFFSET_ENTRY_BYTES > room(OFFSET_ENTRY_BYTES)
            || self.times.len() + 2 * TIME_ENTRY_BYTES > room(TIME_ENTRY_BYTES)
    }

    /// Notes a batch that was appended at `position`, with its offsets and timestamps as they
    /// stand in the log.
    pub fn append(&mut self, header: &BatchHeader, position: u32) {
        let (size, last_offset) = (header.size_bytes() as u64, header.last_offset());
        self.append_batch(header.max_timestamp, last_offset, position, size);
    }

    /// As [`SegmentIndex::append`], for a caller without the header at hand.
    pub fn append_batch(
        &mut self,
        max_timestamp: TimestampMs,
        last_offset: Offset,
        position: u32,
        size_bytes: u64,
    ) {
        if max_timestamp > self.largest.timestamp {
            self.largest = TimestampOffset { timestamp: max_timestamp, offset: last_offset };
        }
        if self.since_entry > u64::from(self.rules.interval_bytes) {
            if !self.is_full()
                && let Some(relative) = self.relative(last_offset)
            {
                self.offsets.extend_from_slice(&relative.to_be_bytes());
                self.offsets.extend_from_slice(&position.to_be_bytes());
                self.append_time();
            }
            self.since_entry = 0;
        }
        self.since_entry += size_bytes;
    }

    /// Adds the last time entry, when the segment is rolled or closed. May be repeated.
    pub fn seal(&mut self) {
        self.append_time();
    }

    fn append_time(&mut self) {
        let TimestampOffset { timestamp, offset } = self.largest;
        if timestamp > self.last_indexed_timestamp
            && let Some(relative) = self.relative(offset)
        {
            self.times.extend_from_slice(&timestamp.to_be_bytes());
            self.times.extend_from_slice(&relative.to_be_bytes());
            self.last_indexed_timestamp = timestamp;
        }
    }

    fn relative(&self, offset: Offset) -> Option<i32> {
        offset.checked_sub(self.base_offset).and_then(|r| i32::try_from(r).ok())
    }

    /// The largest timestamp, with the last offset of the first batch that holds it; timestamp -1
    /// if there is none.
    #[must_use]
    pub const fn largest(&self) -> TimestampOffset {
        self.largest
    }

    /// The offset index; its bytes are those of the file.
    #[must_use]
    pub fn offsets(&self) -> OffsetIndex<'_> {
        OffsetIndex::new(self.base_offset, &self.offsets)
    }

    /// The time index; its bytes are those of the file.
    #[must_use]
    pub fn times(&self) -> TimeIndex<'_> {
        TimeIndex::new(self.base_offset, &self.times)
    }

    /// The bytes of `.index`.
    #[must_use]
    pub fn offset_bytes(&self) -> &[u8] {
        &self.offsets
    }

    /// The bytes of `.timeindex`.
    #[must_use]
    pub fn time_bytes(&self) -> &[u8] {
        &self.times
    }

    /// Bytes of batches since the last entry.
    #[must_use]
    pub const fn since_entry(&self) -> u64 {
        self.since_entry
    }

    /// Both indexes with no more than so many entries each, evenly spread, the last one among them.
    #[must_use]
    pub fn sampled(&self, entries_max: usize) -> (Vec<u8>, Vec<u8>) {
        let offsets = sample::<OFFSET_ENTRY_BYTES>(&self.offsets, entries_max);
        (offsets, sample::<TIME_ENTRY_BYTES>(&self.times, entries_max))
    }

    /// The last entry of such an offset index whose batch begins before `position`.
    #[must_use]
    pub fn last_sampled_before(&self, offsets: &[u8], position: u64) -> Option<OffsetPosition> {
        let index = OffsetIndex::new(self.base_offset, offsets);
        let is_before = |entry: &OffsetPosition| u64::from(entry.position) < position;
        (0..index.len()).rev().filter_map(|n| index.entry(n)).find(is_before)
    }

    /// Takes up the indexes of a segment that is opened again. `offsets` and `times` are the
    /// checked bytes of both files, `since_entry` the bytes of batches from the last entry's
    /// position to the segment's end. Batches that the time index does not cover yet must have
    /// been looked at for `largest`; by default it is the last time entry.
    pub fn resume(
        base_offset: Offset,
        rules: IndexRules,
        files: (Vec<u8>, Vec<u8>),
        since_entry: u64,
        largest: Option<TimestampOffset>,
    ) -> Self {
        let (offsets, times) = files;
        let mut index = Self { offsets, times, since_entry, ..Self::new(base_offset, rules) };
        let last = index.times().last();
        if let Some(last) = last {
            index.last_indexed_timestamp = last.timestamp;
        }
        if let Some(found) = largest.or(last) {
            index.largest = found;
        }
        index
    }

    /// Forgets entries from `offset` on, when the log is cut there. `largest` is the largest
    /// timestamp of what is left, `since_entry` as for [`SegmentIndex::resume`].
    pub fn truncate(&mut self, offset: Offset, since_entry: u64, largest: TimestampOffset) {
        let offsets = self.offsets().below(offset) * OFFSET_ENTRY_BYTES;
        let times = self.times().below(offset) * TIME_ENTRY_BYTES;
        self.offsets.truncate(offsets);
        self.times.truncate(times);
        self.last_indexed_timestamp = self.times().last().map_or(NO_TIMESTAMP, |e| e.timestamp);
        self.since_entry = since_entry;
        self.largest = largest;
    }

    /// Seals both indexes and gives them up in their smallest form, for a segment that will not
    /// grow any more.
    #[must_use]
    pub fn into_sealed(mut self) -> SealedIndex {
        self.seal();
        SealedIndex {
            base_offset: self.base_offset,
            largest: self.largest,
            offsets: self.offsets.into(),
            times: self.times.into(),
        }
    }
}

/// Whole entries of `N` bytes, thinned out evenly from the end on.
fn sample<const N: usize>(bytes: &[u8], entries_max: usize) -> Vec<u8> {
    let entries = bytes.as_chunks::<N>().0;
    let step = entries.len().div_ceil(entries_max.max(1)).max(1);
    let first = entries.len().saturating_sub(1) % step;
    entries.iter().skip(first).step_by(step).flatten().copied().collect()
}

/// Both indexes of a sealed segment. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct SealedIndex {
    base_offset: Offset,
    largest: TimestampOffset,
    offsets: Arc<[u8]>,
    times: Arc<[u8]>,
}

impl SealedIndex {
    /// From the bytes of both files, checked against the segment.
    pub fn load(
        base_offset: Offset,
        offsets: &[u8],
        times: &[u8],
        log_bytes: u64,
        next_offset: Offset,
    ) -> Result<Self, IndexError> {
        OffsetIndex::load(base_offset, offsets, log_bytes)?;
        let time_index = TimeIndex::load(base_offset, times, next_offset)?;
        let none = TimestampOffset { timestamp: NO_TIMESTAMP, offset: base_offset };
        let largest = time_index.last().unwrap_or(none);
        Ok(Self { base_offset, largest, offsets: offsets.into(), times: times.into() })
    }

    /// The largest timestamp of the segment, -1 if there is none.
    #[must_use]
    pub const fn largest(&self) -> TimestampOffset {
        self.largest
    }

    /// The offset index.
    #[must_use]
    pub fn offsets(&self) -> OffsetIndex<'_> {
        OffsetIndex::new(self.base_offset, &self.offsets)
    }

    /// The time index.
    #[must_use]
    pub fn times(&self) -> TimeIndex<'_> {
        TimeIndex::new(self.base_offset, &self.times)
    }

    /// The bytes of `.index`.
    #[must_use]
    pub fn offset_bytes(&self) -> &[u8] {
        &self.offsets
    }

    /// The bytes of `.timeindex`.
    #[must_use]
    pub fn time_bytes(&self) -> &[u8] {
        &self.times
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
