//! What the journal files of a log directory hold.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use millrace_engine::journal::format::{FormatError, read_superblock};
use millrace_engine::journal::replay::{FileContent, Redo, RedoByPartition, merge, read_file};
use millrace_engine::limits::BLOCK_BYTES;
use millrace_engine::types::TopicPartition;

/// One journal file.
#[derive(Debug)]
pub struct JournalFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it holds, or why nothing can be read.
    pub content: Result<Content, String>,
}

/// The content of a readable journal file.
#[derive(Debug)]
pub enum Content {
    /// Written in full, never begun.
    Empty,
    /// Begun, with what is valid in it.
    Begun {
        /// The shard that wrote it.
        shard: u16,
        /// Which life of the file.
        file_sequence: u64,
        /// Runs of bytes for segments, in the order written.
        redo: Vec<(TopicPartition, Redo)>,
    },
}

/// Reads journal files, in any order.
#[must_use]
pub fn read(paths: &[PathBuf]) -> Vec<JournalFile> {
    paths
        .iter()
        .map(|path| match fs::read(path) {
            Ok(bytes) => {
                let length = bytes.len() as u64;
                JournalFile { path: path.clone(), bytes: length, content: content(bytes.into()) }
            }
            Err(error) => {
                JournalFile { path: path.clone(), bytes: 0, content: Err(error.to_string()) }
            }
        })
        .collect()
}

fn content(bytes: Bytes) -> Result<Content, String> {
    let superblock = match read_superblock(bytes.get(..BLOCK_BYTES).unwrap_or_default()) {
        Ok(superblock) => superblock,
        Err(FormatError::NoSuperblock) => return Ok(Content::Empty),
        Err(error @ FormatError::Newer { .. }) => return Err(error.to_string()),
    };
    let FileContent { file_sequence, redo } =
        read_file(&bytes).map_err(|error| error.to_string())?;
    Ok(Content::Begun { shard: superblock.shard, file_sequence, redo })
}

/// All redo of these files, by partition, in the order in which it is laid over segments.
#[must_use]
pub fn redo(files: &[JournalFile]) -> RedoByPartition {
    let contents = files.iter().filter_map(|file| match &file.content {
        Ok(Content::Begun { file_sequence, redo, .. }) => {
            Some(FileContent { file_sequence: *file_sequence, redo: redo.clone() })
        }
        _ => None,
    });
    merge(contents.collect()).0
}
