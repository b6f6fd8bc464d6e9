//! An entry on its way to a journal file.
//!
//! Little is packed: copied into one piece of memory with the header. Much is set aside: written from the
//! memory where it is, in whole blocks, which costs up to two blocks of the file and no copy.

use std::sync::Arc;

use super::format::{
    EntryHeader, EntryItem, FORMAT_VERSION, Superblock, archive_bytes, entry_archive, payload_at,
    write_entry_header, write_superblock,
};
use super::plan::Place;
use crate::limits::{ASIDE_BYTES_MIN, BLOCK_BYTES};
use crate::memory::{Buffer, Piece, Pool, align_down, align_up};
use crate::types::{Offset, ShardId, TopicPartition};

/// A run of bytes of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Whose segment.
    pub partition: TopicPartition,
    /// Base offset of the segment.
    pub segment: Offset,
    /// Position of the first byte in the segment.
    pub from: u64,
    /// Position behind the last.
    pub to: u64,
}

impl Run {
    /// Length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.to - self.from
    }

    /// Whether it gets blocks of its own.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        self.bytes() >= ASIDE_BYTES_MIN
    }

    fn item(&self) -> EntryItem {
        EntryItem {
            topic_id: self.partition.topic_id.to_bytes(),
            partition: self.partition.partition,
            segment: self.segment,
            position: self.from,
            bytes: u32::try_from(self.bytes()).expect("an entry is smaller than 4 GiB"),
            is_aside: self.is_aside(),
        }
    }
}

/// How large an entry will be.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntrySize {
    items: usize,
    packed: u64,
    aside: u64,
}

impl EntrySize {
    /// With one more run.
    #[must_use]
    pub fn with(mut self, run: &Run) -> Self {
        self.items += 1;
        if run.is_aside() {
            self.aside += align_up(run.to) - align_down(run.from);
        } else {
            self.packed += run.bytes();
        }
        self
    }

    /// Length of the whole entry in the file. Bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.first_piece_bytes() + self.aside
    }

    fn first_piece_bytes(&self) -> u64 {
        align_up(payload_at(archive_bytes(self.items)) as u64 + self.packed)
    }
}

/// Puts an entry together: every run of the size that was asked for, in any order, then
/// [`EntryBuilder::finish`].
#[derive(Debug)]
pub struct EntryBuilder {
    header: EntryHeader,
    /// Superblock, header, and what is packed.
    buffer: Buffer,
    /// Where the entry begins.
    start: usize,
    /// Where the next packed bytes go.
    at: usize,
    aside: Vec<Piece>,
}

impl EntryBuilder {
    /// Begins an entry of this size at its place.
    #[must_use]
    pub fn new(pool: &Arc<Pool>, shard: ShardId, place: Place, size: EntrySize) -> Self {
        let start = if place.begins_file { BLOCK_BYTES } else { 0 };
        let first_piece = usize::try_from(size.first_piece_bytes()).expect("it fits into a file");
        let mut buffer = pool.buffer(start + first_piece);
        if place.begins_file {
            let (format_version, file_sequence) = (FORMAT_VERSION, place.file_sequence);
            let block = buffer.as_mut_slice().get_mut(..start).expect("room for a superblock");
            write_superblock(&Superblock { format_version, shard, file_sequence }, block);
        }
        let header = EntryHeader {
            file_sequence: place.file_sequence,
            entry_sequence: place.entry_sequence,
            entry_bytes: size.bytes(),
            payload_bytes: 0,
            payload_crc: 0,
            items: Vec::with_capacity(size.items),
        };
        let at = start + payload_at(archive_bytes(size.items));
        Self { header, buffer, start, at, aside: Vec::new() }
    }

    /// Adds a run that is packed; `copy` puts its bytes into the memory it is given.
    pub fn pack(&mut self, run: &Run, copy: impl FnOnce(&mut [u8])) {
        assert!(!run.is_aside());
        let end = self.at + usize::try_from(run.bytes()).expect("little");
        let target = self.buffer.as_mut_slice().get_mut(self.at..end);
        let target = target.expect("the entry was sized with this run");
        copy(target);
        let crc = crc32c::crc32c_append(self.header.payload_crc, target);
        self.at = end;
        self.add(run, crc);
    }

    /// Adds a run that is set aside: its blocks, and what becomes of a CRC-32C when the run is appended.
    pub fn set_aside(&mut self, run: &Run, pieces: Vec<Piece>, append: impl FnOnce(u32) -> u32) {
        assert!(run.is_aside());
        let crc = append(self.header.payload_crc);
        self.aside.extend(pieces);
        self.add(run, crc);
    }

    fn add(&mut self, run: &Run, crc: u32) {
        self.header.payload_crc = crc;
        self.header.payload_bytes += run.bytes();
        self.header.items.push(run.item());
    }

    /// The entry, and the superblock before it if it begins a file: what is to be written at its place.
    ///
    /// # Panics
    /// If other runs were added than it was sized for.
    #[must_use]
    pub fn finish(mut self) -> Vec<Piece> {
        let archive = entry_archive(&self.header);
        let target = self.buffer.as_mut_slice();
        let entry = target.len() - self.start;
        let header_end = self.start + payload_at(archive.len());
        let header = target.get_mut(self.start..header_end).expect("room for the header");
        write_entry_header(&archive, header);
        target.get_mut(self.at..).expect("the rest of the first piece").fill(0);
        let aside: usize = self.aside.iter().map(Piece::len).sum();
        assert_eq!((entry + aside) as u64, self.header.entry_bytes, "the runs it was sized for");
        let mut pieces = vec![self.buffer.into_piece()];
        pieces.extend(self.aside);
        pieces
    }
}
