//! The metadata log of a directory, folded as the broker folds it.

use std::fs;
use std::io;
use std::sync::Arc;

use millrace_engine::journal::replay::RedoByPartition;
use millrace_engine::log::files::{FileKind, METADATA_TOPIC};
use millrace_engine::metadata::image::Image;
use millrace_engine::metadata::loader::{Loaded, Loader};
use millrace_engine::metadata::snapshot::{self, SnapshotId};
use millrace_engine::types::{TopicId, TopicPartition};

use crate::directory::{LogDirectory, PartitionFiles};
use crate::segment::{SegmentReader, segments};

/// Folds the metadata log: its newest snapshot, then every batch behind it. None if the directory has
/// none.
///
/// # Errors
/// If a file cannot be read, or what it says cannot be folded.
pub fn load(dir: &LogDirectory, redo: &RedoByPartition) -> io::Result<Option<Loaded>> {
    let Some(files) = dir.partitions.iter().find(|files| files.topic == METADATA_TOPIC) else {
        return Ok(None);
    };
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut loader = newest_snapshot(files)?.unwrap_or_default();
    let id = TopicPartition { topic_id: TopicId::METADATA_TOPIC, partition: 0 };
    let redo = redo.get(&id).map(Vec::as_slice).unwrap_or_default();
    let mut failure = None;
    for base in segments(files, redo) {
        let reader = SegmentReader::open(&files.file(base, FileKind::Log))?;
        let redo: Vec<_> = redo.iter().filter(|item| item.segment == base).collect();
        reader.scan(base, &redo, |batch| {
            if failure.is_none() {
                failure = loader.feed(batch.bytes).err();
            }
        })?;
    }
    match failure {
        Some(error) => Err(invalid(error.to_string())),
        None => Ok(Some(loader.finish())),
    }
}

fn newest_snapshot(files: &PartitionFiles) -> io::Result<Option<Loader>> {
    let newest = files.others.iter().filter_map(|name| SnapshotId::from_file_name(name)).max();
    // The one of a new node says what the log's first batch says too.
    let Some(id) = newest.filter(|id| id.end_offset > 0) else { return Ok(None) };
    let bytes = fs::read(files.path.join(id.file_name()))?;
    let snapshot = snapshot::read(id, &bytes, &Image::default()).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", id.file_name()))
    })?;
    Ok(Some(Loader::after(id, snapshot)))
}

/// Whether offsets may be missing in a topic's log, as after compaction.
#[must_use]
pub fn may_have_gaps(image: Option<&Image>, topic: &str) -> bool {
    let configured = image.and_then(|image| image.configs.of_topic(topic).map(Arc::clone));
    match configured.as_deref().and_then(|configs| configs.get("cleanup.policy")) {
        Some(policy) => policy.contains("compact"),
        None => matches!(topic, "__consumer_offsets" | "__transaction_state"),
    }
}
