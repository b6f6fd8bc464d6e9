//! Reads a segment file batch by batch: large aligned reads, headers looked at, nothing copied.

use std::collections::VecDeque;
use std::path::PathBuf;

use bytes::Bytes;

use super::{damage, failure};
use crate::io::File;
use crate::limits::{BATCH_BYTES_MAX, READ_BYTES_MAX};
use crate::memory::{align_down, align_up};
use crate::record::batch::BatchHeader;
use crate::record::layout::{ATTRIBUTES, HEADER_BYTES};
use crate::shard::event::DiskFailure;

/// Bytes of the file that were read.
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// See the module. What it holds is contiguous.
pub struct SegmentReader<F> {
    file: F,
    path: PathBuf,
    /// The content ends here.
    to: u64,
    /// Bytes of one read operation.
    step: usize,
    chunks: VecDeque<Chunk>,
}

impl<F: File> SegmentReader<F> {
    /// A reader of the first `to` bytes of a file, in reads of up to `step` bytes.
    pub fn new(file: F, path: PathBuf, to: u64, step: usize) -> Self {
        let step = step.min(READ_BYTES_MAX);
        Self { file, path, to, step, chunks: VecDeque::new() }
    }

    /// Where the content ends.
    pub fn to(&self) -> u64 {
        self.to
    }

    /// Takes bytes that were read before.
    pub fn give(&mut self, start: u64, bytes: &Bytes) {
        let len = usize::try_from(self.to.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = bytes.slice(..bytes.len().min(len));
        if !bytes.is_empty() {
            self.chunks.clear();
            self.chunks.push_back(Chunk { start, bytes });
        }
    }

    /// What is at hand ends here.
    pub fn available(&self) -> u64 {
        self.chunks.back().map_or(0, Chunk::end)
    }

    /// Lets go of what lies wholly before `position`.
    pub fn forget_before(&mut self, position: u64) {
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= position) {
            self.chunks.pop_front();
        }
    }

    /// Makes sure that `from..to` is at hand.
    pub async fn fill(&mut self, from: u64, to: u64) -> Result<(), DiskFailure> {
        let begins_before = self.chunks.front().is_some_and(|chunk| chunk.start <= from);
        if !begins_before || self.available() < from {
            self.chunks.clear();
        }
        while self.chunks.is_empty() || self.available() < to {
            let next = if self.chunks.is_empty() { from } else { self.available() };
            let chunk = self.read(next).await?;
            if chunk.end() <= next {
                let reason = format!("the file ends at {}, before {to}", chunk.end());
                return Err(damage("read", &self.path, reason));
            }
            self.chunks.push_back(chunk);
        }
        Ok(())
    }

    /// Reads from `next` on.
    async fn read(&self, next: u64) -> Result<Chunk, DiskFailure> {
        let start = align_down(next);
        let len = align_up(self.to).saturating_sub(start).min(self.step as u64);
        let len = usize::try_from(len).unwrap_or(self.step);
        let read = self.file.read_at(start, len).await;
        let bytes = read.map_err(|error| failure("read", &self.path, error))?;
        let skip = usize::try_from(next - start).unwrap_or_default().min(bytes.len());
        let keep = usize::try_from(self.to.saturating_sub(start)).unwrap_or(usize::MAX);
        let keep = keep.min(bytes.len()).max(skip);
        Ok(Chunk { start: start + skip as u64, bytes: bytes.slice(skip..keep) })
    }

    /// The header of the batch at `position`, with its size checked against the content; none at the
    /// content's end.
    pub async fn header(&mut self, position: u64) -> Result<Option<BatchHeader>, DiskFailure> {
        if position >= self.to {
            return Ok(None);
        }
        let at = format!("at position {position}");
        let left = self.to - position;
        if left < HEADER_BYTES as u64 {
            return Err(damage("read", &self.path, format!("no whole batch stands {at}")));
        }
        self.fill(position, position + HEADER_BYTES as u64).await?;
        let mut head = [0; HEADER_BYTES];
        self.copy(position, &mut head);
        let header = BatchHeader::parse(&head)
            .map_err(|error| damage("read", &self.path, format!("{error} {at}")))?;
        let size = header.size_bytes();
        let is_sound = size <= BATCH_BYTES_MAX
            && size as u64 <= left
            && header.base_offset >= 0
            && header.last_offset_delta >= 0;
        if !is_sound {
            let reason = format!("the batch header {at} cannot be right");
            return Err(damage("read", &self.path, reason));
        }
        Ok(Some(header))
    }

    /// Copies bytes that are at hand.
    fn copy(&self, from: u64, target: &mut [u8]) {
        let to = from + target.len() as u64;
        let mut filled = 0;
        for part in self.slices(from, to) {
            if let Some(place) = target.get_mut(filled..filled + part.len()) {
                place.copy_from_slice(&part);
            }
            filled += part.len();
        }
    }

    /// What is at hand of `from..to`, shared.
    pub fn slices(&self, from: u64, to: u64) -> Vec<Bytes> {
        let index = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        for chunk in &self.chunks {
            let (begin, end) = (from.max(chunk.start), to.min(chunk.end()));
            if begin < end {
                let range = index(begin - chunk.start)..index(end - chunk.start);
                parts.push(chunk.bytes.slice(range));
            }
        }
        parts
    }

    /// `from..to` as one piece: copied only where it lies in more than one read.
    pub fn piece(&self, from: u64, to: u64) -> Bytes {
        let mut parts = self.slices(from, to);
        match parts.len() {
            0 => Bytes::new(),
            1 => parts.swap_remove(0),
            _ => Bytes::from(parts.concat()),
        }
    }

    /// Whether a batch that is at hand has the checksum that its header says.
    pub fn is_intact(&self, position: u64, header: &BatchHeader) -> bool {
        let end = position + header.size_bytes() as u64;
        let parts = self.slices(position + ATTRIBUTES as u64, end);
        parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part)) == header.crc
    }

    /// What is told of a batch whose checksum is another one.
    pub fn bad_checksum(&self, position: u64) -> DiskFailure {
        let reason = format!("the checksum of the batch at position {position} differs");
        damage("read", &self.path, reason)
    }

    /// What is told where the content ends before a batch that should be in it.
    pub fn absence(&self, end: u64, offset: i64) -> DiskFailure {
        let reason = format!("offset {offset} is not in the content up to position {end}");
        damage("read", &self.path, reason)
    }

    /// What is told of a batch that does not follow on the one before.
    pub fn disorder(&self, position: u64, expected: i64, found: i64) -> DiskFailure {
        let reason = format!(
            "the batch at position {position} has offset {found} where {expected} should stand"
        );
        damage("read", &self.path, reason)
    }
}
