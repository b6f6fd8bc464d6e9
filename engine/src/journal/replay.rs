//! What a journal still holds after a stop: its valid entries, in the order they were written.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::format::{FormatError, read_entry_header, read_superblock};
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

/// All redo of one or more journals, by partition, in order.
pub type RedoByPartition = BTreeMap<TopicPartition, Vec<Redo>>;

/// What one journal file holds.
#[derive(Debug)]
pub struct FileContent {
    /// Which life of the file.
    pub file_sequence: u64,
    /// Valid entries, in order.
    pub redo: Vec<(TopicPartition, Redo)>,
}

/// Reads a whole journal file. The first entry that is not valid ends it: a torn last write, or what
/// an earlier life left.
///
/// # Errors
/// If the file has no superblock or is of a newer format.
pub fn read_file(file: &Bytes) -> Result<FileContent, FormatError> {
    let superblock = read_superblock(file.get(..BLOCK_BYTES).unwrap_or_default())?;
    let mut redo = Vec::new();
    let mut at = BLOCK_BYTES;
    for entry_sequence in 0.. {
        let Some(rest) = file.get(at..) else { break };
        let Some((header, payload_at)) = read_entry_header(rest) else { break };
        if header.file_sequence != superblock.file_sequence
            || header.entry_sequence != entry_sequence
        {
            break;
        }
        let Ok(payload_bytes) = usize::try_from(header.payload_bytes) else { break };
        let Some(payload) = rest.get(payload_at..).and_then(|p| p.get(..payload_bytes)) else {
            break;
        };
        if crc32c::crc32c(payload) != header.payload_crc {
            break;
        }
        let payload = file.slice_ref(payload);
        let mut from = 0;
        for item in &header.items {
            let to = from + item.bytes as usize;
            if to > payload.len() {
                break;
            }
            let partition = TopicPartition {
                topic_id: Uuid::from_bytes(item.topic_id),
                partition: item.partition,
            };
            let bytes = payload.slice(from..to);
            redo.push((partition, Redo { segment: item.segment, position: item.position, bytes }));
            from = to;
        }
        let Ok(entry_bytes) = usize::try_from(header.entry_bytes) else { break };
        if entry_bytes < payload_at + payload_bytes || !entry_bytes.is_multiple_of(BLOCK_BYTES) {
            break;
        }
        at += entry_bytes;
    }
    Ok(FileContent { file_sequence: superblock.file_sequence, redo })
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
