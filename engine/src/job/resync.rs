//! Over a damaged place of a segment to where its batches go on.

use super::damage;
use super::log_state::LogState;
use super::segment_scan::{FoundSegment, read_chunk};
use crate::io::File;
use crate::journal::replay::Redo;
use crate::limits::BATCH_BYTES_MAX;
use crate::log::damage::DamagedRange;
use crate::log::scan::{Damage, DamageProbe, ScanRules, SegmentScanner, Stop};
use crate::record::batch::BatchHeader;
use crate::shard::event::DiskFailure;
use crate::types::Offset;

impl<F: File> FoundSegment<F> {
    /// Scans to the file's end, over every damaged place. All of it is known to have been written, and
    /// the segment to end before `offset_end`.
    pub async fn scan_over_damage(
        &mut self,
        offset_end: Offset,
        state: &mut LogState,
    ) -> Result<(), DiskFailure> {
        loop {
            self.scan(state).await?;
            if self.end >= self.file_bytes {
                return Ok(());
            }
            match self.resync(self.file_bytes, offset_end).await? {
                Some((position, offset)) => self.skip_to(position, offset),
                None => return Ok(()),
            }
        }
    }

    /// As [`FoundSegment::complete`], over every damaged place that has something behind it: what the
    /// journal holds, or what closes the segment, which then ends at `offset_end`. What is behind the
    /// valid end of the last segment is left to be judged.
    pub async fn complete_over_damage(
        &mut self,
        redo: &[Redo],
        offset_end: Option<Offset>,
        state: &mut LogState,
    ) -> Result<(), DiskFailure> {
        loop {
            let missing = self.complete(redo, state).await?;
            let to = match (missing, offset_end) {
                (Some(item), _) => item.position.min(self.file_bytes),
                (None, Some(_)) => self.file_bytes,
                (None, None) => return Ok(()),
            };
            let next = self.resync(to, offset_end.unwrap_or(Offset::MAX)).await?;
            match (next, missing) {
                (Some((position, offset)), _) => self.skip_to(position, offset),
                (None, Some(item)) => {
                    let header = BatchHeader::parse(&item.bytes).map_err(|error| {
                        let reason = format!("the journal's bytes for {}: {error}", item.position);
                        damage("recover", &self.path, reason)
                    })?;
                    self.skip_to(item.position, header.base_offset);
                }
                (None, None) => return Ok(()),
            }
        }
    }

    /// The rest of the file is damaged: the log goes on at `offset`, in another file or nobody knows
    /// where.
    pub fn lose_rest(&mut self, offset: Offset) {
        let end = self.end;
        self.skip_to(self.file_bytes.max(end), offset);
        self.keeps_rest = true;
    }

    /// What lies between the valid end and `position`, where the batch with `offset` begins, is
    /// damaged; the log goes on there.
    pub fn skip_to(&mut self, position: u64, offset: Offset) {
        let reason = if position == self.end {
            format!("they are missing: the log goes on with offset {offset}")
        } else {
            self.stop.to_string()
        };
        self.damage.push(DamagedRange {
            position: self.end,
            end_position: position,
            first_offset: self.next_offset,
            next_offset: offset,
            reason,
        });
        self.end = position;
        self.next_offset = offset;
    }

    /// The first batch behind the valid end that the log goes on with: it begins before the position
    /// `to`, and its records are below `offset_end`.
    pub async fn resync(
        &self,
        to: u64,
        offset_end: Offset,
    ) -> Result<Option<(u64, Offset)>, DiskFailure> {
        let Some(file) = &self.file else { return Ok(None) };
        // A batch that is whole but has a false offset is not what the log goes on with.
        let Some(first) = self.first_of_rest(file).await? else { return Ok(None) };
        let mut from = first + u64::from(matches!(self.stop, Stop::BadOffset { .. }));
        let to = to.min(self.written_end());
        while from < to {
            let mut probe = DamageProbe::new(self.next_offset, from, BATCH_BYTES_MAX);
            let mut at = from;
            while at < to {
                let chunk = read_chunk(file, &self.path, at, self.file_bytes).await?;
                at += chunk.len() as u64;
                if !probe.feed(&chunk) {
                    break;
                }
            }
            let Damage::Middle { position, base_offset } = probe.finish() else { return Ok(None) };
            if position >= to {
                return Ok(None);
            }
            if self.is_followed(file, position, base_offset, offset_end).await? {
                return Ok(Some((position, base_offset)));
            }
            from = position + 1;
        }
        Ok(None)
    }

    /// Whether the batch at `position` is where it belongs: the checksum does not cover its offset, so
    /// the batch behind it decides.
    async fn is_followed(
        &self,
        file: &F,
        position: u64,
        base_offset: Offset,
        offset_end: Offset,
    ) -> Result<bool, DiskFailure> {
        let mut scanner = SegmentScanner::new(ScanRules {
            first_offset: base_offset,
            position,
            batch_bytes_max: BATCH_BYTES_MAX,
            gaps: self.gaps,
        });
        let (mut count, mut first_end) = (0, base_offset);
        let mut at = position;
        while at < self.file_bytes && count < 2 {
            let chunk = read_chunk(file, &self.path, at, self.file_bytes).await?;
            at += chunk.len() as u64;
            let wants_more = scanner.feed(&chunk, |batch| {
                if count == 0 {
                    first_end = batch.header.next_offset();
                }
                count += 1;
            });
            if !wants_more {
                break;
            }
        }
        let is_contradicted = count < 2 && matches!(scanner.finish().stop, Stop::BadOffset { .. });
        Ok(!is_contradicted && first_end <= offset_end)
    }
}
