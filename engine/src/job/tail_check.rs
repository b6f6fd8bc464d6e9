//! What stands behind the valid end of a log: a write that never was complete, or records that were
//! acknowledged and cannot be reached any more.

use super::bounds::UNFLUSHED_BYTES_MAX;
use super::damage;
use super::segment_scan::{FoundSegment, read_chunk};
use crate::io::File;
use crate::limits::BATCH_BYTES_MAX;
use crate::log::scan::{Damage, DamageProbe, ScanRules, SegmentScanner, Stop};
use crate::record::layout::PREFIX_BYTES;
use crate::shard::event::DiskFailure;
use crate::types::Offset;

impl<F: File> FoundSegment<F> {
    /// Refuses to let the rest of the file go if records in it are known to have been flushed:
    /// `recovery_point` is an offset before which everything was.
    pub async fn check_tail(&self, recovery_point: Option<Offset>) -> Result<(), DiskFailure> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Stop::BadOffset { expected, found } = self.stop
            && found > expected
        {
            // The checksum does not cover the offset, and where a batch begins at the end of a sector a
            // write that was cut short may leave zeros there, so a smaller offset, but no larger one.
            let reason = format!(
                "the batch at position {} has offset {found} where {expected} should stand",
                self.end
            );
            return Err(damage("recover", &self.path, reason));
        }
        let Some(begin) = self.first_of_rest(file).await? else { return Ok(()) };
        let mut probe = DamageProbe::new(self.next_offset, begin, BATCH_BYTES_MAX);
        let mut at = begin;
        while at < self.file_bytes {
            let chunk = read_chunk(file, &self.path, at, self.file_bytes).await?;
            at += chunk.len() as u64;
            if !probe.feed(&chunk) {
                break;
            }
        }
        let why = match probe.finish() {
            Damage::Tail => return Ok(()),
            Damage::Unclear if recovery_point.is_some_and(|point| point > self.next_offset) => {
                format!("records up to {} had been flushed", recovery_point.unwrap_or_default())
            }
            Damage::Unclear => return Ok(()),
            Damage::Middle { base_offset, .. }
                if recovery_point.is_some_and(|point| base_offset < point) =>
            {
                format!("the records behind it, from offset {base_offset} on, had been flushed")
            }
            Damage::Middle { position, base_offset } => {
                let reach = self.reach(file, position, base_offset).await?;
                if reach - self.end <= UNFLUSHED_BYTES_MAX {
                    return Ok(());
                }
                format!(
                    "valid records from offset {base_offset} on reach {reach}: that is more \
                    than one write"
                )
            }
        };
        let reason = format!(
            "damaged at position {} (offset {}, {:?}), and {why}. The file is left as it is: restore \
             the partition's directory from a copy, or cut the file there to lose what follows",
            self.end, self.next_offset, self.stop
        );
        Err(damage("recover", &self.path, reason))
    }

    /// Where behind the valid end something else than zeros begins.
    async fn first_of_rest(&self, file: &F) -> Result<Option<u64>, DiskFailure> {
        if self.stop != Stop::ZeroTail {
            return Ok((self.end < self.file_bytes).then_some(self.end));
        }
        let mut at = self.end;
        while at < self.file_bytes {
            let chunk = read_chunk(file, &self.path, at, self.file_bytes).await?;
            if let Some(first) = chunk.iter().position(|&byte| byte != 0) {
                // Offset and length of a batch may begin with zeros.
                let before = (at + first as u64).saturating_sub(PREFIX_BYTES as u64);
                return Ok(Some(before.max(self.end)));
            }
            at += chunk.len() as u64;
        }
        Ok(None)
    }

    /// How far batches are valid from one on.
    async fn reach(
        &self,
        file: &F,
        position: u64,
        base_offset: Offset,
    ) -> Result<u64, DiskFailure> {
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
