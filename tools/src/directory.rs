//! What stands in a log directory: partitions, segments, journal files, by name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use millrace_engine::job::checkpoints::{RECOVERY_POINTS_BY_ID, is_offsets_name};
use millrace_engine::job::journal_file::parse_journal_name;
use millrace_engine::log::checkpoint::{
    CLEAN_SHUTDOWN, META_PROPERTIES, PARTITION_METADATA, PartitionOffset, RECOVERY_POINTS, checked,
    parse_offsets, parse_partition_metadata,
};
use millrace_engine::log::files::{
    DirectoryUse, FileKind, FileState, LogFile, METADATA_TOPIC, PartitionDirectory,
};
use millrace_engine::shard::event::OffsetsFile;
use millrace_engine::types::{Offset, TopicId, TopicPartition};

/// Names that a log directory has, and what they are.
#[derive(Debug)]
pub struct LogDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Whether the last stop was clean: then segments are complete without the journals.
    pub is_clean: bool,
    /// Partitions in use, by topic and index.
    pub partitions: Vec<PartitionFiles>,
    /// Directories of partitions that are being deleted, moved or were found astray.
    pub others: Vec<String>,
    /// Journal files.
    pub journals: Vec<PathBuf>,
    /// Other files, by name.
    pub files: Vec<String>,
}

/// The files of one partition.
#[derive(Debug)]
pub struct PartitionFiles {
    /// Topic name.
    pub topic: String,
    /// Partition index.
    pub partition: i32,
    /// Its directory.
    pub path: PathBuf,
    /// Base offsets of its segments, rising, with the lengths of their `.log` files.
    pub segments: BTreeMap<Offset, u64>,
    /// Offsets of its producer snapshots, rising.
    pub snapshots: Vec<Offset>,
    /// Files by other names, and those that are being deleted or made.
    pub others: Vec<String>,
}

impl PartitionFiles {
    /// Topic and index as they are written everywhere.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    /// The path of one of its files.
    #[must_use]
    pub fn file(&self, offset: Offset, kind: FileKind) -> PathBuf {
        self.path.join(LogFile::live(offset, kind).to_string())
    }

    /// The topic's id, as `partition.metadata` has it; what is wrong with that file otherwise.
    ///
    /// # Errors
    /// A sentence.
    pub fn topic_id(&self) -> Result<TopicId, String> {
        if self.topic == METADATA_TOPIC {
            return Ok(TopicId::METADATA_TOPIC);
        }
        let text = fs::read_to_string(self.path.join(PARTITION_METADATA))
            .map_err(|error| format!("{PARTITION_METADATA}: {error}"))?;
        parse_partition_metadata(&text).map_err(|error| format!("{PARTITION_METADATA}: {error}"))
    }

    /// Its identity, if its topic's id is known.
    #[must_use]
    pub fn id(&self) -> Option<TopicPartition> {
        let topic_id = self.topic_id().ok()?;
        Some(TopicPartition { topic_id, partition: self.partition })
    }

    /// Reads the names in a partition's directory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path, topic: String, partition: i32) -> io::Result<Self> {
        let mut files = Self {
            topic,
            partition,
            path: path.to_owned(),
            segments: BTreeMap::new(),
            snapshots: Vec::new(),
            others: Vec::new(),
        };
        for (name, path) in names(path)? {
            match LogFile::parse(&name) {
                Some(LogFile { offset, kind, state: FileState::Live }) => match kind {
                    FileKind::Log => {
                        files.segments.insert(offset, fs::metadata(path)?.len());
                    }
                    FileKind::ProducerSnapshot => files.snapshots.push(offset),
                    FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TransactionIndex => {}
                },
                _ => files.others.push(name),
            }
        }
        Ok(files)
    }
}

impl LogDirectory {
    /// Reads the names in a log directory.
    ///
    /// # Errors
    /// If it cannot be read, or is not a log directory.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut dir = Self {
            path: path.to_owned(),
            is_clean: path.join(CLEAN_SHUTDOWN).exists(),
            partitions: Vec::new(),
            others: Vec::new(),
            journals: Vec::new(),
            files: Vec::new(),
        };
        for (name, path) in names(path)? {
            match PartitionDirectory::parse(&name) {
                Some(parsed) if path.is_dir() && parsed.usage == DirectoryUse::Current => {
                    let files = PartitionFiles::read(&path, parsed.topic, parsed.partition)?;
                    dir.partitions.push(files);
                }
                _ if path.is_dir() => dir.others.push(name),
                _ if parse_journal_name(&name).is_some() => dir.journals.push(path),
                _ => dir.files.push(name),
            }
        }
        dir.partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        if dir.partitions.is_empty() && !dir.files.iter().any(|name| name == META_PROPERTIES) {
            let text = format!(
                "{} is not a log directory: it has no {META_PROPERTIES} and no partitions",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(dir)
    }

    /// Offsets below which everything is known to have been flushed: the largest of those that stand in
    /// this broker's files; where it has none, what Kafka's file says.
    #[must_use]
    pub fn recovery_points(&self) -> RecoveryPoints {
        let ours: Vec<_> = self.files.iter().map(String::as_str).filter(is_points).collect();
        let is_by_id = !ours.is_empty();
        let mut points = BTreeMap::new();
        for name in if is_by_id { ours } else { vec![RECOVERY_POINTS] } {
            let text = fs::read_to_string(self.path.join(name)).unwrap_or_default();
            for PartitionOffset { topic, partition, offset } in
                checked(&text).and_then(parse_offsets).unwrap_or_default()
            {
                let known = points.entry((topic, partition)).or_insert(offset);
                *known = offset.max(*known);
            }
        }
        RecoveryPoints { is_by_id, points }
    }
}

/// Whether this is the name of one of this broker's files of recovery points.
#[must_use]
pub fn is_points(name: &&str) -> bool {
    *name == RECOVERY_POINTS_BY_ID || is_offsets_name(OffsetsFile::RecoveryPoints, name)
}

/// Recovery points, by topic id or name.
#[derive(Debug, Default)]
pub struct RecoveryPoints {
    is_by_id: bool,
    points: BTreeMap<(String, i32), Offset>,
}

impl RecoveryPoints {
    /// That of a partition.
    #[must_use]
    pub fn of(&self, files: &PartitionFiles) -> Option<Offset> {
        let topic = match self.is_by_id {
            true => files.id()?.topic_id.to_string(),
            false => files.topic.clone(),
        };
        self.points.get(&(topic, files.partition)).copied()
    }
}

/// Names in a directory, sorted.
fn names(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        names.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    names.sort();
    Ok(names)
}
