//! Compares the index files of a segment with its batches, while these are read.

use super::index::{OffsetIndex, TimeIndex};
use super::scan::ScannedBatch;
use crate::types::{Offset, TimestampMs};

/// A comparison under way; both files are at hand, or missing.
pub struct IndexCheck<'a> {
    base_offset: Offset,
    offsets: Option<&'a [u8]>,
    times: Option<&'a [u8]>,
    next_offset_entry: usize,
    next_time_entry: usize,
    /// Largest timestamp so far.
    largest: TimestampMs,
    is_exact: bool,
    problem: Option<String>,
}

impl<'a> IndexCheck<'a> {
    /// A comparison of the segment that begins at `base_offset`.
    #[must_use]
    pub fn new(base_offset: Offset, offsets: Option<&'a [u8]>, times: Option<&'a [u8]>) -> Self {
        Self {
            base_offset,
            offsets,
            times,
            next_offset_entry: 0,
            next_time_entry: 0,
            largest: -1,
            is_exact: false,
            problem: None,
        }
    }

    /// The next batch of the segment.
    pub fn batch(&mut self, batch: &ScannedBatch<'_>) {
        if self.problem.is_none() {
            self.offset_entries(batch);
            self.largest = self.largest.max(batch.header.max_timestamp);
            self.time_entries(batch.header.last_offset());
        }
    }

    /// An entry points at the begin of a batch and says its last offset.
    fn offset_entries(&mut self, batch: &ScannedBatch<'_>) {
        let Some(bytes) = self.offsets else { return };
        let index = OffsetIndex::new(self.base_offset, bytes);
        while let Some(entry) = index.entry(self.next_offset_entry) {
            let position = u64::from(entry.position);
            if position > batch.position {
                return;
            }
            let last_offset = batch.header.last_offset();
            if position < batch.position || entry.offset != last_offset {
                self.problem = Some(format!(
                    ".index entry {} says offset {} at position {position}; the batch at {} ends with \
                     offset {last_offset}",
                    self.next_offset_entry, entry.offset, batch.position
                ));
                return;
            }
            self.next_offset_entry += 1;
        }
    }

    /// An entry says the largest timestamp so far, and where it stands.
    fn time_entries(&mut self, last_offset: Offset) {
        let Some(bytes) = self.times else { return };
        let index = TimeIndex::new(self.base_offset, bytes);
        while let Some(entry) = index.entry(self.next_time_entry) {
            if entry.offset > last_offset {
                return;
            }
            // Kafka may name any record of the batch.
            let is_elsewhere = self.is_exact && entry.offset != last_offset;
            if self.largest != entry.timestamp || is_elsewhere {
                self.problem = Some(format!(
                    ".timeindex entry {} says that up to offset {} no timestamp is above {}; in the batch \
                     that ends with offset {last_offset} there is {}",
                    self.next_time_entry, entry.offset, entry.timestamp, self.largest
                ));
                return;
            }
            self.next_time_entry += 1;
        }
    }

    /// Entries stand where this broker puts them, and the last one tells the largest timestamp.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    /// What is wrong with the newest entry of a segment that is closed.
    fn last_time(&self) -> Option<String> {
        let last = self.times.map(|bytes| TimeIndex::new(self.base_offset, bytes).last());
        let told = last?.map_or(-1, |last| last.timestamp);
        (self.is_exact && told != self.largest).then(|| {
            format!(".timeindex ends with timestamp {told}; the largest is {}", self.largest)
        })
    }

    /// What is wrong, given where the segment ends.
    #[must_use]
    pub fn finish(self, bytes: u64, next_offset: Offset) -> Option<String> {
        let offsets = self
            .offsets
            .and_then(|file| OffsetIndex::load(self.base_offset, file, bytes).err())
            .map(|error| format!(".index: {error}"));
        let times = self
            .times
            .and_then(|file| TimeIndex::load(self.base_offset, file, next_offset).err())
            .map(|error| format!(".timeindex: {error}"));
        // The files' own faults explain what was found on the way.
        offsets.or(times).or_else(|| self.problem.clone()).or_else(|| self.last_time())
    }
}
