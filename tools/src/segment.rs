//! Reading a segment as recovery would: its file, and over it what the journals still hold.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use millrace_engine::job::bounds::UNFLUSHED_BYTES_MAX;
use millrace_engine::journal::replay::Redo;
use millrace_engine::limits::BATCH_BYTES_MAX;
use millrace_engine::log::scan::{
    Damage, DamageProbe, ScanRules, ScannedBatch, SegmentScanner, Stop,
};
use millrace_engine::types::Offset;

use crate::directory::PartitionFiles;

const READ_BYTES: usize = 1024 * 1024;

/// Where a segment's content ends, and what is behind that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEnd {
    /// Up to here everything is valid.
    pub position: u64,
    /// Offset behind the last valid batch.
    pub next_offset: Offset,
    /// Why the content ends there.
    pub stop: Stop,
    /// Bytes that came from the journals, because the file does not have them.
    pub from_journal: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// What of the journals does not follow the content: bytes are missing before it.
    pub stranded: Option<String>,
}

/// Base offsets of a partition's segments: of its files, and of what only the journals hold. What they
/// hold of segments before the first file was deleted by retention.
#[must_use]
pub fn segments(files: &PartitionFiles, redo: &[Redo]) -> BTreeSet<Offset> {
    let mut bases: BTreeSet<_> = files.segments.keys().copied().collect();
    let first = bases.first().copied();
    // Without any file: segments that do not begin in the journal were deleted.
    let mut is_begun = first.is_some();
    for item in redo {
        is_begun |= item.position == 0;
        if is_begun && first.is_none_or(|first| item.segment >= first) {
            bases.insert(item.segment);
        }
    }
    bases
}

/// Reads one segment.
#[derive(Debug)]
pub struct SegmentReader {
    /// None if only the journals have it.
    file: Option<File>,
    path: PathBuf,
    file_bytes: u64,
}

impl SegmentReader {
    /// Opens a `.log` file. One that is not there is empty.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let file_bytes = match &file {
            Some(file) => file.metadata()?.len(),
            None => 0,
        };
        Ok(Self { file, path: path.to_owned(), file_bytes })
    }

    /// Hands every valid batch to `each`: those of the file, and where it ends those of `redo`, in turns.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn scan(
        &self,
        base_offset: Offset,
        redo: &[&Redo],
        mut each: impl FnMut(ScannedBatch<'_>),
    ) -> io::Result<SegmentEnd> {
        let rules = |first_offset, position, gaps| ScanRules {
            first_offset,
            position,
            batch_bytes_max: BATCH_BYTES_MAX,
            gaps,
        };
        let (mut position, mut next_offset) = (0, base_offset);
        let mut from_journal = 0;
        loop {
            let mut scanner = SegmentScanner::new(rules(next_offset, position, true));
            self.feed(position, |chunk| scanner.feed(chunk, &mut each))?;
            let end = scanner.finish();
            (position, next_offset) = (end.position, end.next_offset);
            let mut result = SegmentEnd {
                position,
                next_offset,
                stop: end.stop,
                from_journal,
                file_bytes: self.file_bytes,
                stranded: None,
            };
            let length = |item: &Redo| item.bytes.len() as u64;
            let mut behind = redo.iter().filter(|item| item.position + length(item) > position);
            let Some(first) = behind.clone().next() else { return Ok(result) };
            let Some(item) = behind.find(|item| item.position <= position) else {
                result.stranded =
                    Some(format!("the journal goes on at position {}", first.position));
                return Ok(result);
            };
            let skip = usize::try_from(position - item.position).unwrap_or(usize::MAX);
            let rest = item.bytes.get(skip..).unwrap_or_default();
            let mut scanner = SegmentScanner::new(rules(next_offset, position, false));
            scanner.feed(rest, &mut each);
            let patched = scanner.finish();
            from_journal += patched.position - position;
            (position, next_offset) = (patched.position, patched.next_offset);
            if patched.stop != Stop::CleanEnd {
                let stop = patched.stop.to_string();
                result.stranded = Some(format!("the journal's bytes do not go on: {stop}"));
                return Ok(SegmentEnd { position, next_offset, from_journal, ..result });
            }
        }
    }

    /// What lies behind the place where a scan ended, if it is not zeros: a torn write, which the broker
    /// cuts off, or more. None if there is nothing that matters.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn behind(&self, end: &SegmentEnd, flushed_to: Option<Offset>) -> io::Result<Behind> {
        let mut first = None;
        self.feed(end.position, |chunk| {
            first = chunk.iter().position(|&byte| byte != 0);
            first.is_none()
        })?;
        if first.is_none() {
            let zeros = self.file_bytes.saturating_sub(end.position);
            return Ok(if zeros == 0 { Behind::Nothing } else { Behind::Zeros(zeros) });
        }
        let mut probe = DamageProbe::new(end.next_offset, end.position, BATCH_BYTES_MAX);
        self.feed(end.position, |chunk| probe.feed(chunk))?;
        Ok(match probe.finish() {
            Damage::Tail => Behind::Torn(self.file_bytes - end.position),
            Damage::Unclear => Behind::Records(end.position, end.next_offset),
            Damage::Middle { position, base_offset } => {
                let mut scanner = SegmentScanner::new(ScanRules {
                    first_offset: base_offset,
                    position,
                    batch_bytes_max: BATCH_BYTES_MAX,
                    gaps: true,
                });
                self.feed(position, |chunk| scanner.feed(chunk, |_| {}))?;
                let reach = scanner.finish().position - end.position;
                let was_flushed = flushed_to.is_some_and(|point| base_offset < point);
                if was_flushed || reach > UNFLUSHED_BYTES_MAX {
                    Behind::Records(position, base_offset)
                } else {
                    Behind::Torn(self.file_bytes - end.position)
                }
            }
        })
    }

    /// Reads on from `position` until `each` has enough or the file ends.
    fn feed(&self, mut position: u64, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut buffer = vec![0; READ_BYTES];
        while position < self.file_bytes {
            let read = file.read_at(&mut buffer, position).map_err(|error| {
                let text = format!("{} at {position}: {error}", self.path.display());
                io::Error::new(error.kind(), text)
            })?;
            if read == 0 || !each(buffer.get(..read).unwrap_or_default()) {
                break;
            }
            position += read as u64;
        }
        Ok(())
    }
}

/// What lies behind the valid content of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing.
    Nothing,
    /// So many zeros: reserved space.
    Zeros(u64),
    /// So many bytes of a write that was never complete; nobody was told that it was.
    Torn(u64),
    /// Records that can no longer be reached: the first of them at this position, with this offset.
    Records(u64, Offset),
}
