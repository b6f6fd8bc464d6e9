//! The bytes of a journal file.
//!
//! ```text
//! file   := superblock (1 block) entry*            every entry starts at a block boundary
//! framed := magic u64 BE | length u32 BE | crc32c u32 BE of what follows | rkyv archive (length bytes)
//! superblock := framed(Superblock), zeros to the end of the block
//! entry  := framed(EntryHeader), zeros to a multiple of 16, packed items, zeros to a multiple of the block,
//!           items set aside
//! ```
//!
//! Packed items stand one behind the other. One that is set aside has whole blocks of its own, in which its
//! bytes stand as in the blocks of its segment, so that they are written from where they are; what else those
//! blocks hold means nothing. Version 1 knew packed items only, and is read as well.
//!
//! An entry belongs to the file only if its `file_sequence` is the superblock's: what a recycled file
//! still holds from its earlier life ends the file. The checksums are CRC-32C.

use rkyv::rancor::Error;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use crate::limits::BLOCK_BYTES;
use crate::memory::align_down;

/// First bytes of a superblock: "millrJ01".
pub const SUPERBLOCK_MAGIC: u64 = 0x6d69_6c6c_724a_3031;
/// First bytes of an entry: "millrE01".
pub const ENTRY_MAGIC: u64 = 0x6d69_6c6c_7245_3031;
/// The version this code writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 2;

const FRAME_BYTES: usize = 16;

/// Block 0 of a journal file.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Superblock {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// The shard that wrote it.
    pub shard: u16,
    /// Which life of which file: rises with every file begun, over restarts and recycling.
    pub file_sequence: u64,
}

/// What stands before the payload of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct EntryHeader {
    /// The superblock's file sequence.
    pub file_sequence: u64,
    /// Position of this entry among those of its file, from 0, without gaps.
    pub entry_sequence: u64,
    /// Length of the whole entry in bytes: the next one begins behind it.
    pub entry_bytes: u64,
    /// Bytes of all items.
    pub payload_bytes: u64,
    /// CRC-32C of the items' bytes, in the order of the items.
    pub payload_crc: u32,
    /// Where the bytes belong.
    pub items: Vec<EntryItem>,
}

/// A run of bytes of one segment.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct EntryItem {
    /// Topic id, big-endian.
    pub topic_id: [u8; 16],
    /// Partition index.
    pub partition: i32,
    /// Base offset of the segment, which names its file.
    pub segment: i64,
    /// Byte position in the segment file.
    pub position: u64,
    /// Length in bytes.
    pub bytes: u32,
    /// Whether it has blocks of its own.
    pub is_aside: bool,
}

impl EntryItem {
    /// Length of the blocks in which it stands if it is set aside. None if it cannot stand anywhere.
    #[must_use]
    pub fn aside_bytes(&self) -> Option<usize> {
        let end = self.position.checked_add(u64::from(self.bytes))?;
        let end = end.checked_next_multiple_of(BLOCK_BYTES as u64)?;
        usize::try_from(end - align_down(self.position)).ok()
    }

    /// Where its bytes begin in those blocks.
    #[must_use]
    pub fn aside_start(&self) -> usize {
        usize::try_from(self.position % BLOCK_BYTES as u64).expect("less than a block")
    }
}

/// A journal file is not readable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// There is no superblock, or it is torn: the file was never begun.
    #[error("there is no valid superblock")]
    NoSuperblock,
    /// Written by a newer version.
    #[error(
        "the journal has format version {found}, this build reads up to {FORMAT_VERSION}: start the newer version that wrote it"
    )]
    Newer {
        /// The file's version.
        found: u32,
    },
}

fn frame(magic: u64, archive: &[u8], target: &mut [u8]) {
    let length = u32::try_from(archive.len()).expect("headers are far smaller than 4 GiB");
    let (head, body) = target.split_at_mut(FRAME_BYTES);
    let fields = [
        &magic.to_be_bytes()[..],
        &length.to_be_bytes()[..],
        &crc32c::crc32c(archive).to_be_bytes()[..],
    ];
    head.copy_from_slice(&fields.concat());
    let (archived, padding) = body.split_at_mut(archive.len());
    archived.copy_from_slice(archive);
    padding.fill(0);
}

/// The archive of a frame, copied to aligned memory, if magic, length and checksum are right.
fn unframe(magic: u64, source: &[u8]) -> Option<AlignedVec> {
    let (found, rest) = source.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    if u64::from_be_bytes(*found) != magic {
        return None;
    }
    let archive = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    if crc32c::crc32c(archive) != u32::from_be_bytes(*crc) {
        return None;
    }
    let mut aligned = AlignedVec::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    Some(aligned)
}

/// Writes a superblock into a block.
///
/// # Panics
/// If `target` is not one block.
pub fn write_superblock(superblock: &Superblock, target: &mut [u8]) {
    assert_eq!(target.len(), BLOCK_BYTES);
    let archive = rkyv::to_bytes::<Error>(superblock).expect("serialising to memory cannot fail");
    frame(SUPERBLOCK_MAGIC, &archive, target);
}

/// Reads a superblock from the first block of a file.
///
/// # Errors
/// If there is none, or it is of a newer format.
pub fn read_superblock(source: &[u8]) -> Result<Superblock, FormatError> {
    let archive = unframe(SUPERBLOCK_MAGIC, source).ok_or(FormatError::NoSuperblock)?;
    let superblock = rkyv::from_bytes::<Superblock, Error>(&archive)
        .map_err(|_invalid: Error| FormatError::NoSuperblock)?;
    if superblock.format_version > FORMAT_VERSION {
        return Err(FormatError::Newer { found: superblock.format_version });
    }
    Ok(superblock)
}

/// Serialises an entry's header. Its length decides where the payload stands: see [`payload_at`].
#[must_use]
pub fn entry_archive(header: &EntryHeader) -> AlignedVec {
    rkyv::to_bytes::<Error>(header).expect("serialising to memory cannot fail")
}

/// Position of the packed items in an entry whose archive has this length.
#[must_use]
pub const fn payload_at(archive_bytes: usize) -> usize {
    (FRAME_BYTES + archive_bytes).next_multiple_of(16)
}

/// Length of the archive of a header with this many items.
#[must_use]
pub const fn archive_bytes(items: usize) -> usize {
    items * size_of::<ArchivedEntryItem>() + size_of::<ArchivedEntryHeader>()
}

/// Writes an entry's header before its packed items.
pub fn write_entry_header(archive: &[u8], target: &mut [u8]) {
    frame(ENTRY_MAGIC, archive, target);
}

/// Reads the header of the entry that begins `source`, and where its packed items begin. None where no
/// valid header stands.
#[must_use]
pub fn read_entry_header(source: &[u8]) -> Option<(EntryHeader, usize)> {
    let archive = unframe(ENTRY_MAGIC, source)?;
    let header = rkyv::from_bytes::<EntryHeader, Error>(&archive).ok()?;
    Some((header, payload_at(archive.len())))
}
