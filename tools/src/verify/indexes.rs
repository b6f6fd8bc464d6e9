//! Compares the index files of a segment with its batches, while these are read.

use millrace_engine::log::index::{OffsetIndex, TimeIndex};
use millrace_engine::log::scan::ScannedBatch;
use millrace_engine::types::{Offset, TimestampMs};

/// A comparison under way; both files are at hand, or missing.
pub struct IndexCheck<'a> {
    base_offset: Offset,
    offsets: Option<&'a [u8]>,
    times: Option<&'a [u8]>,
    next_offset_entry: usize,
    next_time_entry: usize,
    /// Largest timestamp so far.
    largest: TimestampMs,
    problem: Option<String>,
}

impl<'a> IndexCheck<'a> {
    pub fn new(base_offset: Offset, offsets: Option<&'a [u8]>, times: Option<&'a [u8]>) -> Self {
        Self {
            base_offset,
            offsets,
            times,
            next_offset_entry: 0,
            next_time_entry: 0,
            largest: -1,
            problem: None,
        }
    }

    /// The next batch of the segment.
    pub fn batch(&mut self, batch: &ScannedBatch<'_>) {
        if self.problem.is_none() {
            self.offset_entries(batch);
            self.time_entries(batch.header.last_offset());
            self.largest = self.largest.max(batch.header.max_timestamp);
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

    /// Up to an entry's offset no timestamp is larger than its own. Called before a batch that ends with
    /// `last_offset` counts.
    fn time_entries(&mut self, last_offset: Offset) {
        let Some(bytes) = self.times else { return };
        let index = TimeIndex::new(self.base_offset, bytes);
        while let Some(entry) = index.entry(self.next_time_entry) {
            if entry.offset >= last_offset {
                return;
            }
            if self.largest > entry.timestamp {
                self.problem = Some(format!(
                    ".timeindex entry {} says that up to offset {} no timestamp is above {}; there is {}",
                    self.next_time_entry, entry.offset, entry.timestamp, self.largest
                ));
                return;
            }
            self.next_time_entry += 1;
        }
    }

    /// What is wrong, given where the segment ends.
    pub fn finish(mut self, bytes: u64, next_offset: Offset) -> Option<String> {
        self.time_entries(Offset::MAX);
        let offsets = self
            .offsets
            .and_then(|file| OffsetIndex::load(self.base_offset, file, bytes).err())
            .map(|error| format!(".index: {error}"));
        let times = self
            .times
            .and_then(|file| TimeIndex::load(self.base_offset, file, next_offset).err())
            .map(|error| format!(".timeindex: {error}"));
        // The files' own faults explain what was found on the way.
        offsets.or(times).or(self.problem)
    }
}
