//! Segments that need no full scan, as their indexes say where they end.

use super::dirs::Dir;
use super::files::log_path;
use super::segment_scan::{FoundSegment, read_chunk};
use super::{Jobs, failure};
use crate::io::{Env, File, OpenMode};
use crate::limits::{BATCH_BYTES_MAX, READ_BYTES_MAX};
use crate::log::index::{IndexRules, SealedIndex, SegmentIndex};
use crate::log::scan::{ScanRules, SegmentScanner, Stop};
use crate::log::segment::SealedSegment;
use crate::partition::epochs::Epochs;
use crate::record::batch::BatchHeader;
use crate::shard::event::DiskFailure;
use crate::types::{LeaderEpoch, Offset, TimestampMs};

/// What the batches behind the last index entry say.
struct Rest {
    /// Where they begin.
    begin: u64,
    next_offset: Offset,
    max_timestamp: TimestampMs,
    /// Their leader epochs, and where these begin.
    epochs: Vec<(LeaderEpoch, Offset)>,
}

impl Rest {
    fn agrees(&self, told: &Epochs) -> bool {
        self.epochs.iter().all(|&(epoch, offset)| epoch < 0 || told.epoch_of(offset) == Some(epoch))
    }
}

impl<E: Env> Jobs<E> {
    /// A closed segment whose indexes are complete: they agree with its length, with where the next
    /// segment begins, and with the batches behind their last entry. None if it must be scanned.
    pub(super) async fn trusted(
        &self,
        dir: &Dir,
        base: Offset,
        next_base: Offset,
        (gaps, told): (bool, &Epochs),
    ) -> Result<Option<SealedSegment>, DiskFailure> {
        let Some((offsets, times)) = self.index_files(dir, base).await? else { return Ok(None) };
        let (file, bytes) = self.existing(dir, base).await?;
        let Ok(index) = SealedIndex::load(base, &offsets, &times, bytes, next_base) else {
            return Ok(None);
        };
        let Some(rest) = self.rest(dir, &file, base, &index, bytes).await? else { return Ok(None) };
        let is_joined = rest.next_offset == next_base || (gaps && rest.next_offset < next_base);
        let max_timestamp = index.largest().timestamp;
        let is_complete = is_joined && rest.max_timestamp <= max_timestamp && rest.agrees(told);
        Ok(is_complete.then_some(SealedSegment {
            base_offset: base,
            next_offset: next_base,
            bytes,
            max_timestamp,
        }))
    }

    /// The last segment after a clean stop: as it was left.
    pub(super) async fn as_left(
        &self,
        dir: &Dir,
        base: Offset,
        rules: IndexRules,
        told: &Epochs,
    ) -> Result<Option<FoundSegment<E::File>>, DiskFailure> {
        let Some((offsets, times)) = self.index_files(dir, base).await? else { return Ok(None) };
        let (file, bytes) = self.existing(dir, base).await?;
        let Ok(index) = SealedIndex::load(base, &offsets, &times, bytes, Offset::MAX) else {
            return Ok(None);
        };
        let Some(rest) = self.rest(dir, &file, base, &index, bytes).await? else { return Ok(None) };
        let max_timestamp = index.largest().timestamp;
        if rest.max_timestamp > max_timestamp || !rest.agrees(told) {
            return Ok(None);
        }
        let path = log_path(dir, base);
        let first_timestamp = match bytes {
            0 => None,
            _ => BatchHeader::parse(&read_chunk(&file, &path, 0, bytes).await?)
                .ok()
                .map(|header| header.max_timestamp),
        };
        let mut found = FoundSegment::new(base, rules, false, path, Some(file)).await?;
        found.next_offset = rest.next_offset;
        found.end = bytes;
        found.index = SegmentIndex::resume(base, rules, (offsets, times), bytes - rest.begin, None);
        found.max_timestamp = max_timestamp;
        found.first_timestamp = first_timestamp;
        Ok(Some(found))
    }

    async fn existing(&self, dir: &Dir, base: Offset) -> Result<(E::File, u64), DiskFailure> {
        let path = log_path(dir, base);
        let opened = self.env().open(&path, OpenMode::ReadWrite).await;
        let file = opened.map_err(|error| failure("open", &path, error))?;
        let bytes = file.size().await.map_err(|error| failure("look at", &path, error))?;
        Ok((file, bytes))
    }

    /// Reads what the indexes do not cover. None if it does not end exactly with the file, or is more
    /// than a complete index would leave.
    async fn rest(
        &self,
        dir: &Dir,
        file: &E::File,
        base: Offset,
        index: &SealedIndex,
        bytes: u64,
    ) -> Result<Option<Rest>, DiskFailure> {
        let last = index.offsets().len().checked_sub(1).and_then(|n| index.offsets().entry(n));
        let begin = last.map_or(0, |entry| u64::from(entry.position));
        if bytes - begin > (BATCH_BYTES_MAX + READ_BYTES_MAX) as u64 {
            return Ok(None);
        }
        let mut scanner = SegmentScanner::new(ScanRules {
            first_offset: base,
            position: begin,
            batch_bytes_max: BATCH_BYTES_MAX,
            gaps: true,
        });
        let (mut first_bytes, mut max_timestamp) = (None, -1);
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        let mut at = begin;
        while at < bytes {
            let chunk = read_chunk(file, &log_path(dir, base), at, bytes).await?;
            at += chunk.len() as u64;
            scanner.feed(&chunk, |batch| {
                first_bytes.get_or_insert(batch.header.size_bytes() as u64);
                max_timestamp = max_timestamp.max(batch.header.max_timestamp);
                let epoch = batch.header.partition_leader_epoch;
                if epochs.last().is_none_or(|last| last.0 != epoch) {
                    epochs.push((epoch, batch.header.base_offset));
                }
            });
        }
        let end = scanner.finish();
        let behind = bytes - begin - first_bytes.unwrap_or_default();
        let is_covered = behind <= READ_BYTES_MAX as u64;
        let is_whole = end.stop == Stop::CleanEnd && end.position == bytes && is_covered;
        let next_offset = end.next_offset;
        Ok(is_whole.then_some(Rest { begin, next_offset, max_timestamp, epochs }))
    }
}
