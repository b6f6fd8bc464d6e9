//! What a journal still holds after a stop: its valid entries, in the order they were written.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::format::{EntryHeader, EntryItem, FormatError, read_entry_header, read_superblock};
use crate::limits::BLOCK_BYTES;
use crate::types::{Offset, TopicPartition, Uuid};

/// A run of bytes that must stand in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redo {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Byte position in the segment file.
    pub position: u64,
    /// What must stand there.
    pub bytes: Bytes,
}

impl Redo {
    /// Position behind the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }
}

/// All redo of one or more journals, by partition, in order.
pub type RedoByPartition = BTreeMap<TopicPartition, Vec<Redo>>;

/// What one journal file holds.
#[derive(Debug)]
pub struct FileContent {
    /// Which life of the file.
    pub file_sequence: u64,
    /// Valid entries, in order. Of a damaged one that others follow only where its bytes began and ended,
    /// each with no bytes: they had been acknowledged.
    pub redo: Vec<(TopicPartition, Redo)>,
    /// Positions of entries that are damaged, and 0 for the superblock.
    pub damaged: Vec<u64>,
}

/// An entry whose header is valid.
struct Entry {
    items: Vec<(TopicPartition, Redo)>,
    is_whole: bool,
    bytes: usize,
}

/// Reads a whole journal file. An entry without a valid header ends it: a torn last write, or what an
/// earlier life left. No entry is written before the one before it was flushed, so one whose payload alone
/// is not valid is damaged if another entry follows.
///
/// # Errors
/// If the file was never begun or is of a newer format.
pub fn read_file(file: &Bytes) -> Result<FileContent, FormatError> {
    let mut damaged = Vec::new();
    let file_sequence = match read_superblock(file.get(..BLOCK_BYTES).unwrap_or_default()) {
        Ok(superblock) => superblock.file_sequence,
        Err(error @ FormatError::Newer { .. }) => return Err(error),
        // Its first entry knows it too. Where the begin of a new life was torn these are entries of the
        // one before, which segments have: to lay them over once more changes nothing.
        Err(error @ FormatError::NoSuperblock) => {
            let first = file.get(BLOCK_BYTES..).and_then(read_entry_header);
            let first = first.filter(|(header, _)| header.entry_sequence == 0).ok_or(error)?;
            damaged.push(0);
            first.0.file_sequence
        }
    };
    let mut content = FileContent { file_sequence, redo: Vec::new(), damaged };
    let mut doubted: Option<(u64, Entry)> = None;
    let (mut at, mut sequence) = (BLOCK_BYTES, 0);
    while let Some(entry) = read_entry(file, at, (file_sequence, sequence)) {
        sequence += 1;
        if let Some((position, entry)) = doubted.take() {
            content.damaged.push(position);
            content.redo.extend(entry.items);
        }
        let position = at as u64;
        at += entry.bytes;
        if entry.is_whole {
            content.redo.extend(entry.items);
        } else {
            doubted = Some((position, entry));
        }
    }
    // Entries behind one without a valid header are told, but not believed: who can make it torn might
    // have sent them as records.
    let is_later = |at: usize| {
        let header = file.get(at..).and_then(read_entry_header);
        header.is_some_and(|(header, _)| {
            header.file_sequence == file_sequence && header.entry_sequence > sequence
        })
    };
    if (at..file.len()).step_by(BLOCK_BYTES).skip(1).any(is_later) {
        content.damaged.push(at as u64);
    }
    Ok(content)
}

/// The entry at a position, if it is the one that belongs there.
fn read_entry(
    file: &Bytes,
    at: usize,
    (file_sequence, entry_sequence): (u64, u64),
) -> Option<Entry> {
    let rest = file.get(at..)?;
    let (header, payload_at) = read_entry_header(rest)?;
    let is_old = header.file_sequence != file_sequence;
    if is_old && !plant!(ReplayOldJournalEntries) || header.entry_sequence != entry_sequence {
        return None;
    }
    let bytes = usize::try_from(header.entry_bytes).ok()?;
    let places = places(&header, payload_at, bytes)?;
    let payload: Option<Vec<_>> = places
        .iter()
        .map(|place| rest.get(place.clone()).map(|part| file.slice_ref(part)))
        .collect();
    let payload = payload.filter(|parts| {
        let crc = parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
        crc == header.payload_crc
    });
    let is_whole = payload.is_some();
    let mut items = Vec::with_capacity(header.items.len());
    let mut parts = payload.into_iter().flatten();
    for item in &header.items {
        let partition =
            TopicPartition { topic_id: Uuid::from_bytes(item.topic_id), partition: item.partition };
        let end = item.position.checked_add(u64::from(item.bytes))?;
        let redo = |position, bytes| Redo { segment: item.segment, position, bytes };
        match parts.next() {
            Some(bytes) => items.push((partition, redo(item.position, bytes))),
            None => {
                let ends = [item.position, end];
                items.extend(ends.map(|position| (partition, redo(position, Bytes::new()))));
            }
        }
    }
    Some(Entry { items, is_whole, bytes })
}

/// Where the bytes of each item stand in an entry. None if that cannot be.
fn places(header: &EntryHeader, payload_at: usize, bytes: usize) -> Option<Vec<Range<usize>>> {
    let aside = header.items.iter().filter(|item| item.is_aside);
    let mut aside_bytes = aside.map(EntryItem::aside_bytes);
    let aside_bytes = aside_bytes.try_fold(0_usize, |sum, bytes| sum.checked_add(bytes?))?;
    let packed_end = bytes.checked_sub(aside_bytes)?;
    let (mut packed, mut aside) = (payload_at, packed_end);
    let mut places = Vec::with_capacity(header.items.len());
    for item in &header.items {
        let len = item.bytes as usize;
        if item.is_aside {
            let start = aside + item.aside_start();
            places.push(start..start + len);
            aside += item.aside_bytes()?;
        } else {
            places.push(packed..packed.checked_add(len)?);
            packed += len;
        }
    }
    let payload_bytes: u64 = header.items.iter().map(|item| u64::from(item.bytes)).sum();
    let is_possible = packed <= packed_end
        && payload_bytes == header.payload_bytes
        && bytes.is_multiple_of(BLOCK_BYTES);
    is_possible.then_some(places)
}

/// Merges the files of one shard's journal. Returns the redo and the highest file sequence.
#[must_use]
pub fn merge(mut files: Vec<FileContent>) -> (RedoByPartition, u64) {
    files.sort_by_key(|file| file.file_sequence);
    let highest = files.last().map_or(0, |file| file.file_sequence);
    let mut merged = RedoByPartition::new();
    for (partition, redo) in files.into_iter().flat_map(|file| file.redo) {
        merged.entry(partition).or_default().push(redo);
    }
    (merged, highest)
}
