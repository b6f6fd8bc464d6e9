//! A segment in which a read met something that cannot be right is read as a whole: what is damaged
//! is noted, and an index that led astray is made anew.

use bytes::Bytes;

use super::bounds::REBUILT_INDEX_BYTES_MAX;
use super::dirs::Dir;
use super::files::{log_path, path_of};
use super::log_state::LogState;
use super::seal::replace;
use super::segment_scan::FoundSegment;
use super::{Jobs, failure};
use crate::io::Env;
use crate::limits::INDEX_INTERVAL_BYTES_MIN;
use crate::log::damage::DamagedRange;
use crate::log::files::{FileKind, FileState, LogFile};
use crate::log::index::IndexRules;
use crate::shard::event::DiskFailure;
use crate::types::Offset;

/// A segment to be read as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Suspect {
    /// Its base offset.
    pub segment: Offset,
    /// The content ends here.
    pub to: u64,
    /// Offsets may be missing between batches.
    pub gaps: bool,
    /// Whether its indexes are in files: the segment is closed.
    pub is_sealed: bool,
}

impl<E: Env> Jobs<E> {
    /// Reads a segment as a whole, unless that was done just now. Says whether it was.
    pub(super) async fn examine(&self, dir: &Dir, suspect: Suspect) -> Result<bool, DiskFailure> {
        let permit = self.0.examinations.enter().await;
        let (damages, now) = (&self.0.damages, self.env().now());
        if !damages.is_examination_due(dir, suspect.segment, now) {
            return Ok(false);
        }
        damages.examined(dir, suspect.segment, now);
        let Some(found) = self.scan_whole(dir, suspect).await? else { return Ok(false) };
        let is_usable = self.sealed_index(dir, suspect.segment, suspect.to).await?.is_some();
        if suspect.is_sealed && (found.damage.is_empty() || !is_usable) {
            self.rebuild_index(dir, &found).await;
        }
        damages.note(dir, suspect.segment, found.damage);
        drop(permit);
        Ok(true)
    }

    /// Every batch of a segment with its checksum, over every damaged place. None if it has no file.
    pub(super) async fn scan_whole(
        &self,
        dir: &Dir,
        suspect: Suspect,
    ) -> Result<Option<FoundSegment<E::File>>, DiskFailure> {
        let base = suspect.segment;
        let Some(file) = self.0.files.segment(dir, base).await? else { return Ok(None) };
        let offset_end = self.next_base(dir, base).await?.unwrap_or(Offset::MAX);
        let rules = IndexRules {
            interval_bytes: INDEX_INTERVAL_BYTES_MIN,
            file_bytes_max: REBUILT_INDEX_BYTES_MAX,
        };
        let path = log_path(dir, base);
        let mut found = FoundSegment::new(base, rules, suspect.gaps, path, Some(file)).await?;
        found.file_bytes = found.file_bytes.min(suspect.to);
        found.scan_over_damage(offset_end, &mut LogState::offsets_only(base)).await?;
        let is_joined = found.next_offset == offset_end || suspect.gaps || !suspect.is_sealed;
        if found.end < suspect.to || (!is_joined && offset_end != Offset::MAX) {
            let stop = found.stop;
            found.damage.push(DamagedRange {
                position: found.end,
                end_position: suspect.to,
                first_offset: found.next_offset,
                next_offset: offset_end,
                reason: format!("the content ends there ({stop})"),
            });
        }
        Ok(Some(found))
    }

    /// Base offset of the segment behind another.
    async fn next_base(&self, dir: &Dir, base: Offset) -> Result<Option<Offset>, DiskFailure> {
        let entries = self.env().list_dir(&dir.path).await;
        let entries = entries.map_err(|error| failure("list", &dir.path, error))?;
        let logs = entries.iter().filter_map(|entry| LogFile::parse(&entry.name));
        let is_log = |file: &LogFile| file.kind == FileKind::Log && file.state == FileState::Live;
        Ok(logs.filter(is_log).map(|file| file.offset).filter(|offset| *offset > base).min())
    }

    /// Makes the indexes of a segment anew from what was read of it, where those on disk cannot be used
    /// or have led a read astray.
    async fn rebuild_index(&self, dir: &Dir, found: &FoundSegment<E::File>) {
        let base = found.base_offset;
        let index = found.index.clone().into_sealed();
        let path = path_of(dir, base, FileKind::OffsetIndex);
        let (offsets, times) = (index.offset_bytes(), index.time_bytes());
        let files = [
            (path.clone(), Bytes::copy_from_slice(offsets)),
            (path_of(dir, base, FileKind::TimeIndex), Bytes::copy_from_slice(times)),
        ];
        self.0.indexes.rebuilt(dir, base, index);
        tracing::warn!(file = %path.display(),
            "the indexes of a segment did not agree with it: they are made anew from the log");
        for (path, content) in files {
            // Readers have it already; the next start makes it again.
            if let Err(failure) = replace(self, &path, content).await {
                tracing::warn!(%failure, "an index that was made anew is not on disk");
                return;
            }
        }
    }
}
