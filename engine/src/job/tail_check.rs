//! What stands behind the valid end of a log: a write that never was complete, or records that were
//! acknowledged and cannot be reached any more.

use super::bounds::UNFLUSHED_BYTES_MAX;
use super::log_state::LogState;
use super::segment_scan::{FoundSegment, read_chunk};
use crate::io::File;
use crate::journal::replay::Redo;
use crate::limits::{BATCH_BYTES_MAX, BLOCK_BYTES};
use crate::log::scan::{ScanRules, SegmentScanner, Stop};
use crate::record::layout::PREFIX_BYTES;
use crate::shard::event::DiskFailure;
use crate::types::Offset;

/// What the rest of the last segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Nothing, or a write that was cut short: nobody was told that it was complete.
    Torn,
    /// Damage, and behind it the log goes on at this position with this offset.
    GoesOn(u64, Offset),
    /// Damage, and nothing says where the log ended, but for that it reached this offset.
    Lost(Offset),
}

impl<F: File> FoundSegment<F> {
    /// Takes up what stands behind damage in the last segment. Returns where the log ended at least, if
    /// its end is lost.
    pub async fn judge_end(
        &mut self,
        redo: &[Redo],
        recovery_point: Option<Offset>,
        state: &mut LogState,
    ) -> Result<Option<Offset>, DiskFailure> {
        let reached = redo.iter().map(Redo::end).max().unwrap_or_default();
        loop {
            match self.judge_rest(recovery_point, reached).await? {
                Rest::Torn => return Ok(None),
                Rest::GoesOn(position, offset) => {
                    self.skip_to(position, offset);
                    self.complete_over_damage(redo, None, state).await?;
                }
                Rest::Lost(end) => {
                    let (next_offset, valid) = (self.next_offset, self.end);
                    self.lose_rest(end);
                    (self.next_offset, self.end) = (next_offset, valid);
                    return Ok(Some(end));
                }
            }
        }
    }

    /// Judges what stands behind the valid end. `recovery_point` is an offset before which everything
    /// was flushed, `reached` such a position.
    async fn judge_rest(
        &self,
        recovery_point: Option<Offset>,
        reached: u64,
    ) -> Result<Rest, DiskFailure> {
        let point = recovery_point.unwrap_or(Offset::MIN);
        // The checksum does not cover the offset, and where a batch begins at the end of a sector a
        // write that was cut short may leave zeros there, so a smaller offset, but no larger one.
        let is_higher =
            matches!(self.stop, Stop::BadOffset { expected, found } if found > expected);
        let was_flushed = is_higher || point > self.next_offset || reached > self.end;
        match self.resync(self.file_bytes, Offset::MAX).await? {
            Some((position, offset)) => {
                let is_known = was_flushed
                    || offset < point
                    || self.reach(position, offset).await? - self.end > UNFLUSHED_BYTES_MAX;
                Ok(if is_known { Rest::GoesOn(position, offset) } else { Rest::Torn })
            }
            None if was_flushed => Ok(Rest::Lost(point.max(self.next_offset + 1))),
            None => Ok(Rest::Torn),
        }
    }

    /// Where behind the valid end something else than zeros begins.
    pub async fn first_of_rest(&self, file: &F) -> Result<Option<u64>, DiskFailure> {
        if self.stop != Stop::ZeroTail {
            return Ok((self.end < self.file_bytes).then_some(self.end));
        }
        let (mut at, to) = (self.end, self.written_end());
        while at < to {
            let chunk = read_chunk(file, &self.path, at, to).await?;
            if let Some(first) = first_not_zero(&chunk) {
                // Offset and length of a batch may begin with zeros.
                let before = (at + first as u64).saturating_sub(PREFIX_BYTES as u64);
                return Ok(Some(before.max(self.end)));
            }
            at += chunk.len() as u64;
        }
        Ok(None)
    }

    /// How far batches are valid from one on.
    async fn reach(&self, position: u64, base_offset: Offset) -> Result<u64, DiskFailure> {
        let Some(file) = &self.file else { return Ok(position) };
        let mut scanner = SegmentScanner::new(ScanRules {
            first_offset: base_offset,
            position,
            batch_bytes_max: BATCH_BYTES_MAX,
            gaps: true,
        });
        let mut at = position;
        while at < self.file_bytes {
            let chunk = read_chunk(file, &self.path, at, self.file_bytes).await?;
            at += chunk.len() as u64;
            if !scanner.feed(&chunk, |_| {}) {
                break;
            }
        }
        Ok(scanner.finish().position)
    }
}

/// Where the first byte stands that is not zero: most often none, so whole blocks are looked at first.
fn first_not_zero(bytes: &[u8]) -> Option<usize> {
    let is_zero = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) == 0;
    let block = bytes.chunks(BLOCK_BYTES).position(|block| !is_zero(block))?;
    let start = block * BLOCK_BYTES;
    bytes.get(start..)?.iter().position(|&byte| byte != 0).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_not_zero() {
        let mut bytes = vec![0; 3 * BLOCK_BYTES + 5];
        assert_eq!(first_not_zero(&bytes), None);
        for at in [3 * BLOCK_BYTES + 4, 2 * BLOCK_BYTES, BLOCK_BYTES + 7, 0] {
            bytes[at] = 1;
            assert_eq!(first_not_zero(&bytes), Some(at));
        }
    }
}
