//! The tail of an active segment: the newest batches, in aligned memory that both the disk and
//! readers use.
//!
//! Positions are byte positions in the segment file. The tail covers `start..end`; chunks lie
//! end to end, the first one begins at a block boundary. What is not yet in the segment file
//! (`written..end`) is only here and in the journal; the rest is a cache for consumers that are close
//! to the end.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::limits::{CHUNK_BYTES, OWN_CHECKSUM_BYTES_MIN};
use crate::memory::{Chunk, Piece, Pool, align_down};
use crate::record::crc::combine;
use crate::record::layout::{ATTRIBUTES, CRC};
use crate::types::{Offset, TimestampMs};

/// Where one batch of the tail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Offset of the batch's first record.
    pub base_offset: Offset,
    /// Position of the batch's first byte in the segment file.
    pub position: u64,
    /// Largest timestamp in the batch.
    pub max_timestamp: TimestampMs,
}

/// The newest bytes of one segment, in memory.
#[derive(Debug)]
pub struct Tail {
    chunks: VecDeque<Chunk>,
    /// Position of the first chunk's first byte; a multiple of the block.
    chunks_start: u64,
    /// Position behind the last byte.
    end: u64,
    /// First position that can be read from here: a batch boundary, or the first chunk's start.
    marks: VecDeque<Mark>,
    /// The bytes of the last, partial block while there is no chunk; they seed the next chunk.
    stub: Bytes,
}

impl Tail {
    /// An empty tail that goes on at `end`. `stub` holds the bytes from the last block boundary to
    /// `end`, as the segment file has them.
    ///
    /// # Panics
    /// If `stub` does not reach from the block boundary to `end`.
    #[must_use]
    pub fn new(end: u64, stub: Bytes) -> Self {
        assert_eq!(align_down(end) + stub.len() as u64, end, "the stub is the last partial block");
        Self {
            chunks: VecDeque::new(),
            chunks_start: align_down(end),
            end,
            marks: VecDeque::new(),
            stub,
        }
    }

    /// Position behind the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Memory held, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.chunks.len() * CHUNK_BYTES
    }

    /// The first batch that can be read from memory.
    #[must_use]
    pub fn first(&self) -> Option<&Mark> {
        self.marks.front()
    }

    /// Position of the first batch that can be read from memory, or the end if there is none.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.marks.front().map_or(self.end, |mark| mark.position)
    }

    /// Appends one batch, in pieces: the one copy of the payload.
    pub fn append(&mut self, pool: &Arc<Pool>, mark: Mark, pieces: &[&[u8]]) {
        assert_eq!(mark.position, self.end, "batches stand end to end");
        if self.chunks.is_empty() {
            let mut chunk = pool.chunk();
            chunk.append(&self.stub);
            self.stub = Bytes::new();
            self.chunks_start = align_down(self.end);
            self.chunks.push_back(chunk);
        }
        for piece in pieces {
            let mut rest: &[u8] = piece;
            while !rest.is_empty() {
                if self.chunks.back().is_none_or(|chunk| chunk.room() == 0) {
                    self.chunks.push_back(pool.chunk());
                }
                let chunk = self.chunks.back_mut().expect("a chunk with room was just made sure");
                let count = chunk.append(rest);
                rest = rest.get(count..).unwrap_or_default();
                self.end += count as u64;
            }
        }
        self.marks.push_back(mark);
    }

    /// The batch that holds `offset`, if it is in memory: the last one that begins at or before it.
    #[must_use]
    pub fn find(&self, offset: Offset) -> Option<usize> {
        self.marks.partition_point(|mark| mark.base_offset <= offset).checked_sub(1)
    }

    /// The mark at `index`.
    #[must_use]
    pub fn mark(&self, index: usize) -> Option<&Mark> {
        self.marks.get(index)
    }

    /// Marks from `index` on.
    pub fn marks_from(&self, index: usize) -> impl Iterator<Item = &Mark> {
        self.marks.range(index.min(self.marks.len())..)
    }

    /// The first batch whose largest timestamp is at least `timestamp`.
    #[must_use]
    pub fn find_timestamp(&self, timestamp: TimestampMs) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.max_timestamp >= timestamp)
    }

    /// Position of the first batch that begins at or behind `offset`, or the end.
    #[must_use]
    pub fn position_of(&self, offset: Offset) -> u64 {
        let index = self.marks.partition_point(|mark| mark.base_offset < offset);
        self.marks.get(index).map_or(self.end, |mark| mark.position)
    }

    /// The last batch boundary at or before `position`, 0 if none is in memory.
    #[must_use]
    pub fn boundary_before(&self, position: u64) -> u64 {
        if position >= self.end {
            return self.end;
        }
        let index = self.marks.partition_point(|mark| mark.position <= position);
        index.checked_sub(1).and_then(|i| self.marks.get(i)).map_or(0, |mark| mark.position)
    }

    /// Position behind the batch at `index`.
    #[must_use]
    pub fn batch_end(&self, index: usize) -> u64 {
        self.marks.get(index + 1).map_or(self.end, |mark| mark.position)
    }

    /// The bytes from one position to another, shared, in order.
    ///
    /// # Panics
    /// If the range is not in memory.
    #[must_use]
    pub fn slices(&self, from: u64, to: u64) -> Vec<Bytes> {
        self.each_part(from, to).map(|(chunk, range)| chunk.slice(range)).collect()
    }

    /// Copies the bytes from one position to another to the end of `target`, which has room for them.
    pub fn copy_to(&self, from: u64, to: u64, target: &mut [u8]) {
        let mut at = 0;
        for (chunk, range) in self.each_part(from, to) {
            let source = chunk.as_slice().get(range).expect("a part is within its chunk");
            target
                .get_mut(at..at + source.len())
                .expect("the target has room for the range")
                .copy_from_slice(source);
            at += source.len();
        }
    }

    /// What becomes of a CRC-32C when the bytes from one batch boundary to another are appended. Large batches
    /// are not read for it: their own checksums were checked when they came.
    #[must_use]
    pub fn append_checksum(&self, mut crc: u32, from: u64, to: u64) -> u32 {
        let mut at = from;
        let first = self.marks.partition_point(|mark| mark.position < from);
        let ends = self.marks.iter().skip(first + 1).map(|mark| mark.position).chain([self.end]);
        for end in ends.take_while(|&end| end <= to) {
            crc = self.append_batch_checksum(crc, at, end);
            at = end;
        }
        assert_eq!(at, to, "whole batches, all in memory");
        crc
    }

    fn append_batch_checksum(&self, crc: u32, from: u64, to: u64) -> u32 {
        let len = index(to - from);
        if len < OWN_CHECKSUM_BYTES_MIN {
            let parts = self.each_part(from, to);
            return parts.fold(crc, |crc, (chunk, range)| {
                crc32c::crc32c_append(crc, chunk.as_slice().get(range).unwrap_or_default())
            });
        }
        let mut head = [0; ATTRIBUTES];
        self.copy_to(from, from + ATTRIBUTES as u64, &mut head);
        let own = u32::from_be_bytes([head[CRC], head[CRC + 1], head[CRC + 2], head[CRC + 3]]);
        combine(crc32c::crc32c_append(crc, &head), own, len - ATTRIBUTES)
    }

    fn each_part(
        &self,
        from: u64,
        to: u64,
    ) -> impl Iterator<Item = (&Chunk, std::ops::Range<usize>)> {
        assert!(from <= to);
        assert!(to <= self.end);
        assert!(from == to || from >= self.chunks_start, "the range is in memory");
        let first = (from - self.chunks_start.min(from)) / CHUNK_BYTES as u64;
        self.chunks.iter().enumerate().skip(index(first)).map_while(move |(i, chunk)| {
            let start = self.chunks_start + (i * CHUNK_BYTES) as u64;
            let begin = from.max(start) - start;
            let end = to.min(start + CHUNK_BYTES as u64).checked_sub(start)?;
            (begin < end).then(|| (chunk, index(begin)..index(end)))
        })
    }

    /// Whole blocks that hold `from..to`, to be written to the segment file: the position of the first
    /// block, and the pieces. Zeros stand behind the end of the last batch.
    ///
    /// # Panics
    /// If the range is not in memory.
    pub fn pieces(&mut self, from: u64, to: u64) -> (u64, Vec<Piece>) {
        assert!(to <= self.end);
        assert!(from >= self.chunks_start, "the range is in memory");
        let chunks_start = self.chunks_start;
        let first = index((from - chunks_start) / CHUNK_BYTES as u64);
        let mut pieces = Vec::new();
        for (i, chunk) in self.chunks.iter_mut().enumerate().skip(first) {
            let start = chunks_start + (i * CHUNK_BYTES) as u64;
            if start >= to {
                break;
            }
            let begin = index(from.max(start) - start);
            let end = index(to.min(start + CHUNK_BYTES as u64) - start);
            pieces.push(chunk.piece(begin..end));
        }
        (align_down(from), pieces)
    }

    /// Lets go of memory before `position`, which the segment file holds durably, whole chunks at a
    /// time; the chunk that is being written stays. Returns the bytes let go.
    pub fn release_before(&mut self, position: u64) -> usize {
        let mut released = 0;
        while self.chunks.len() > 1 && self.chunks_start + CHUNK_BYTES as u64 <= position {
            self.chunks.pop_front();
            self.chunks_start += CHUNK_BYTES as u64;
            released += CHUNK_BYTES;
        }
        while self.marks.front().is_some_and(|mark| mark.position < self.chunks_start) {
            self.marks.pop_front();
        }
        released
    }

    /// Lets go of all memory but the last partial block; everything is durably in the segment file.
    pub fn release_all(&mut self) -> usize {
        let released = self.memory_bytes();
        if released > 0 {
            let mut stub = vec![0; index(self.end - align_down(self.end))];
            self.copy_to(align_down(self.end), self.end, &mut stub);
            self.stub = Bytes::from(stub);
            self.chunks.clear();
            self.chunks_start = align_down(self.end);
            self.marks = VecDeque::new();
        }
        released
    }
}

/// A position within memory as an index.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("what is in memory is indexed by usize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BLOCK_BYTES;
    use crate::record::layout::HEADER_BYTES;

    fn bytes_at(from: u64, len: usize) -> Vec<u8> {
        (from..from + len as u64).map(|i| (i % 251) as u8).collect()
    }

    fn mark(base_offset: Offset, position: u64) -> Mark {
        Mark { base_offset, position, max_timestamp: base_offset * 10 }
    }

    fn collect(slices: &[Bytes]) -> Vec<u8> {
        slices.iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn what_is_appended_is_read_found_and_written() {
        let pool = Pool::new(1 << 22);
        let stub = Bytes::from(bytes_at(4096, 100));
        let mut tail = Tail::new(4196, stub);
        let sizes = [10, 70_000, 1, 4096, 65_536, 200_000];
        for (i, size) in sizes.into_iter().enumerate() {
            let position = tail.end();
            let body = bytes_at(position, size);
            let (head, rest) = body.split_at(size.min(7));
            tail.append(&pool, mark(i as i64 * 10, position), &[head, rest]);
        }
        let end = tail.end();
        assert_eq!(collect(&tail.slices(4196, end)), bytes_at(4196, (end - 4196) as usize));
        assert_eq!(collect(&tail.slices(5000, 5001)), bytes_at(5000, 1));
        assert!(tail.slices(end, end).is_empty());
        let (position, pieces) = tail.pieces(4196, end);
        assert_eq!(position, 4096);
        let written: Vec<u8> = pieces.iter().flat_map(Piece::to_vec).collect();
        assert_eq!(written.len() % BLOCK_BYTES, 0);
        let (valid, zeros) = written.split_at((end - 4096) as usize);
        assert_eq!(valid, bytes_at(4096, valid.len()));
        assert!(zeros.iter().all(|&b| b == 0));
        assert_eq!(tail.find(0), Some(0));
        assert_eq!(tail.find(15), Some(1));
        assert_eq!(tail.find(-1), None);
        assert_eq!(tail.position_of(11), tail.mark(2).unwrap().position);
        assert_eq!(tail.position_of(1000), end);
        assert_eq!(tail.find_timestamp(101).map(|m| m.base_offset), Some(20));
    }

    /// As if the bytes had been read, whether a batch's own checksum is taken for it or not.
    #[test]
    fn checksums_are_those_of_the_bytes() {
        let pool = Pool::new(1 << 22);
        let mut tail = Tail::new(4196, Bytes::from(bytes_at(4096, 100)));
        let sizes = [61, OWN_CHECKSUM_BYTES_MIN, 100, 200_000, OWN_CHECKSUM_BYTES_MIN - 1, 70_001];
        let mut positions = Vec::new();
        for (size, i) in sizes.into_iter().zip(0..) {
            let position = tail.end();
            let mut batch = bytes_at(position, size);
            let own = crc32c::crc32c(&batch[ATTRIBUTES..]);
            batch[CRC..ATTRIBUTES].copy_from_slice(&own.to_be_bytes());
            let (head, body) = batch.split_at(HEADER_BYTES);
            tail.append(&pool, mark(i, position), &[head, body]);
            positions.push(position);
        }
        positions.push(tail.end());
        for (i, &from) in positions.iter().enumerate() {
            for &to in &positions[i..] {
                let read = crc32c::crc32c_append(77, &collect(&tail.slices(from, to)));
                assert_eq!(tail.append_checksum(77, from, to), read, "{from} {to}");
            }
        }
    }

    #[test]
    fn memory_is_released_in_whole_chunks_and_appending_goes_on() {
        let pool = Pool::new(1 << 22);
        let mut tail = Tail::new(0, Bytes::new());
        for i in 0..5_u64 {
            let position = tail.end();
            tail.append(&pool, mark(i as i64, position), &[&bytes_at(position, 40_000)]);
        }
        assert_eq!(tail.release_before(70_000), CHUNK_BYTES);
        assert_eq!(tail.start(), 80_000);
        assert_eq!(collect(&tail.slices(80_000, 200_000)), bytes_at(80_000, 120_000));
        tail.release_all();
        assert_eq!(tail.memory_bytes(), 0);
        assert_eq!(tail.start(), 200_000);
        tail.append(&pool, mark(5, 200_000), &[&bytes_at(200_000, 10)]);
        let (position, pieces) = tail.pieces(200_000, 200_010);
        assert_eq!(position, align_down(200_000));
        let written = pieces[0].to_vec();
        assert_eq!(
            written[..200_010 - position as usize],
            bytes_at(position, 200_010 - position as usize)
        );
    }
}
