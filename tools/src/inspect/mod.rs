//! Prints what is in a log directory, a partition's directory or a file, in words.

mod records;
mod segment;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use millrace_engine::job::journal_file::parse_journal_name;
use millrace_engine::log::checkpoint::{META_PROPERTIES, PARTITION_METADATA};
use millrace_engine::log::files::{FileKind, LogFile, PartitionDirectory};
use millrace_engine::log::index::{OffsetIndex, TimeIndex};
use millrace_engine::metadata::quorum_state::QuorumState;
use millrace_engine::metadata::snapshot::SnapshotId;
use millrace_engine::partition::producer_snapshot;

use crate::directory::{LogDirectory, PartitionFiles};
use crate::journals::{self, Content};

/// How much is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detail {
    /// Every batch and every entry of an index or a journal.
    pub batches: bool,
    /// Every record.
    pub records: bool,
}

/// Prints what is at `path`.
///
/// # Errors
/// If it cannot be read, or `out` cannot be written.
pub fn inspect(path: &Path, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let name = name_of(path);
    if !path.is_dir() {
        return file(path, detail, out);
    }
    match PartitionDirectory::parse(&name) {
        Some(parsed) if !path.join(META_PROPERTIES).exists() => {
            let files = PartitionFiles::read(path, parsed.topic, parsed.partition)?;
            partition(&files, detail, out)
        }
        _ => log_directory(path, detail, out),
    }
}

fn name_of(path: &Path) -> String {
    let name = path.canonicalize().ok().and_then(|path| path.file_name().map(ToOwned::to_owned));
    name.unwrap_or_default().to_string_lossy().into_owned()
}

fn log_directory(path: &Path, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let dir = LogDirectory::read(path)?;
    let stopped = if dir.is_clean { "stopped cleanly" } else { "running, or not stopped cleanly" };
    writeln!(out, "log directory {}: {stopped}", path.display())?;
    for name in dir.files.iter().filter(|name| !name.starts_with('.')) {
        text(&path.join(name), name, out)?;
    }
    for journal in &dir.journals {
        journal_file(journal, detail, out)?;
    }
    for name in &dir.others {
        writeln!(out, "{name}: not a partition in use")?;
    }
    for files in &dir.partitions {
        partition(files, Detail::default(), out)?;
    }
    Ok(())
}

fn partition(files: &PartitionFiles, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    match files.topic_id() {
        Ok(id) => writeln!(out, "partition {}: topic id {id}", files.name())?,
        Err(error) => writeln!(out, "partition {}: {error}", files.name())?,
    }
    for (&base, &bytes) in &files.segments {
        writeln!(out, "  segment {}: {bytes} bytes", LogFile::live(base, FileKind::Log))?;
        if detail.batches {
            segment::print(&files.file(base, FileKind::Log), base, &files.topic, detail, out)?;
        }
    }
    for &offset in &files.snapshots {
        let path = files.file(offset, FileKind::ProducerSnapshot);
        if detail.batches {
            file(&path, detail, out)?;
        } else {
            writeln!(out, "  producers at offset {offset}: {}", name_of(&path))?;
        }
    }
    for name in files.others.iter().filter(|name| *name != PARTITION_METADATA) {
        if detail.batches {
            file(&files.path.join(name), detail, out)?;
        } else {
            writeln!(out, "  {name}")?;
        }
    }
    Ok(())
}

fn file(path: &Path, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let name = name_of(path);
    if let Some(log_file) = LogFile::parse(&name) {
        let base = log_file.offset;
        return match log_file.kind {
            FileKind::Log => {
                let topic = path.canonicalize().ok().and_then(|path| path.parent().map(name_of));
                let topic = topic.and_then(|name| PartitionDirectory::parse(&name));
                let topic = topic.map(|parsed| parsed.topic).unwrap_or_default();
                segment::print(path, base, &topic, Detail { batches: true, ..detail }, out)
            }
            FileKind::OffsetIndex => offset_index(base, &fs::read(path)?, out),
            FileKind::TimeIndex => time_index(base, &fs::read(path)?, out),
            FileKind::ProducerSnapshot => producers(&name, &fs::read(path)?, out),
            FileKind::TransactionIndex => {
                writeln!(out, "{name}: {} bytes, not decoded", fs::metadata(path)?.len())
            }
        };
    }
    if parse_journal_name(&name).is_some() {
        return journal_file(path, Detail { batches: true, ..detail }, out);
    }
    if SnapshotId::from_file_name(&name).is_some() {
        return segment::print_snapshot(path, out);
    }
    text(path, &name, out)
}

/// A small file of text, as it is.
fn text(path: &Path, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let Ok(text) = fs::read_to_string(path) else {
        return writeln!(out, "{name}: not text");
    };
    writeln!(out, "{name}:")?;
    if name == "quorum-state"
        && let Ok(state) = QuorumState::parse(&text)
    {
        let QuorumState { leader_id, leader_epoch, voted_id } = state;
        return writeln!(out, "  leader {leader_id}, epoch {leader_epoch}, voted for {voted_id}");
    }
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}

fn offset_index(base: i64, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let index = OffsetIndex::new(base, bytes);
    (0..index.len()).filter_map(|n| index.entry(n)).try_for_each(|entry| {
        writeln!(out, "  offset {} in the batch at position {}", entry.offset, entry.position)
    })
}

fn time_index(base: i64, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let index = TimeIndex::new(base, bytes);
    (0..index.len()).filter_map(|n| index.entry(n)).try_for_each(|entry| {
        writeln!(out, "  up to offset {} no timestamp is above {}", entry.offset, entry.timestamp)
    })
}

fn producers(name: &str, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    match producer_snapshot::decode(bytes) {
        Err(error) => writeln!(out, "{name}: {error}"),
        Ok(entries) => {
            writeln!(out, "{name}: {} producers", entries.len())?;
            entries.iter().try_for_each(|entry| {
                let batch = entry.last_batch.map_or_else(String::new, |batch| {
                    format!(
                        ", last sequence {} at offset {}",
                        batch.last_sequence, batch.last_offset
                    )
                });
                let open = entry
                    .transaction_first_offset
                    .map_or_else(String::new, |first| format!(", transaction open from {first}"));
                let (id, epoch, time) = (entry.producer_id, entry.epoch, entry.last_timestamp);
                writeln!(out, "  producer {id}, epoch {epoch}, timestamp {time}{batch}{open}")
            })
        }
    }
}

fn journal_file(path: &Path, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    for journal in journals::read(&[path.to_owned()]) {
        let (name, bytes) = (name_of(path), journal.bytes);
        match journal.content {
            Err(error) => writeln!(out, "journal {name}: {error}")?,
            Ok(Content::Empty) => writeln!(out, "journal {name}: {bytes} bytes, never begun")?,
            Ok(Content::Begun { shard, file_sequence, redo, damaged }) => {
                let payload: usize = redo.iter().map(|(_, item)| item.bytes.len()).sum();
                writeln!(
                    out,
                    "journal {name}: {bytes} bytes, shard {shard}, file sequence {file_sequence}, {} \
                     runs with {payload} bytes",
                    redo.len()
                )?;
                for position in damaged {
                    writeln!(out, "  the entry at position {position} is damaged")?;
                }
                for (partition, item) in redo.iter().filter(|_| detail.batches) {
                    writeln!(
                        out,
                        "  topic id {} partition {}: segment {:020}, position {}, {} bytes",
                        partition.topic_id,
                        partition.partition,
                        item.segment,
                        item.position,
                        item.bytes.len()
                    )?;
                }
            }
        }
    }
    Ok(())
}
