//! What the journal files of a log directory hold.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use millrace_engine::job::journal_file::parse_journal_name;
use millrace_engine::journal::format::FormatError;
use millrace_engine::journal::replay::{FileContent, Redo, RedoByPartition, merge, read_file};
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
        /// Positions of entries that are damaged.
        damaged: Vec<u64>,
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
                let content = content(path, &bytes.into());
                JournalFile { path: path.clone(), bytes: length, content }
            }
            Err(error) => {
                JournalFile { path: path.clone(), bytes: 0, content: Err(error.to_string()) }
            }
        })
        .collect()
}

fn content(path: &Path, bytes: &Bytes) -> Result<Content, String> {
    let FileContent { file_sequence, redo, damaged } = match read_file(bytes) {
        Ok(content) => content,
        Err(FormatError::NoSuperblock) => return Ok(Content::Empty),
        Err(error @ FormatError::Newer { .. }) => return Err(error.to_string()),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (shard, _) = parse_journal_name(&name).ok_or("it has not the name of a journal file")?;
    Ok(Content::Begun { shard, file_sequence, redo, damaged })
}

/// All redo of these files, by partition, in the order in which it is laid over segments.
#[must_use]
pub fn redo(files: &[JournalFile]) -> RedoByPartition {
    let contents = files.iter().filter_map(|file| match &file.content {
        Ok(Content::Begun { file_sequence, redo, .. }) => Some(FileContent {
            file_sequence: *file_sequence,
            redo: redo.clone(),
            damaged: Vec::new(),
        }),
        _ => None,
    });
    merge(contents.collect()).0
}
