//! Checks a whole log directory and says what is good and what is not.

mod partition;
mod report;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use millrace_engine::boot::lock::{DirLock, LockError};
use millrace_engine::job::checkpoints::is_offsets_name;
use millrace_engine::log::checkpoint::{
    HIGH_WATERMARKS, LOG_START_OFFSETS, META_PROPERTIES, MetaProperties, RECOVERY_POINTS, checked,
    parse_offsets,
};
use millrace_engine::metadata::image::Image;
use millrace_engine::metadata::topics::{DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED};
use millrace_engine::shard::event::OffsetsFile;

use crate::directory::{LogDirectory, is_points};
use crate::journals::{self, Content, JournalFile};
use crate::metadata;

use report::Report;
pub use report::Summary;

/// Name of the file that a broker locks.
const LOCK: &str = ".lock";

/// Checks the log directory `path` and prints what was found. `deep` also reads every record.
///
/// # Errors
/// If the directory cannot be read or is in use, or `out` cannot be written. What is wrong *in* the
/// directory is no error but part of the summary.
pub fn verify(path: &Path, deep: bool, out: &mut dyn Write) -> io::Result<Summary> {
    let dir = LogDirectory::read(path)?;
    let _lock = lock(path)?;
    let mut report = Report::new(out);
    let stopped = if dir.is_clean { "stopped cleanly" } else { "not stopped cleanly" };
    report.line(&format!("{}: {stopped}, {} partitions", path.display(), dir.partitions.len()))?;
    check_files(&dir, &mut report)?;
    let journals = journals::read(&dir.journals);
    check_journals(&journals, &mut report)?;
    // After a clean stop every segment is complete, and the broker does not look into journals.
    let redo = if dir.is_clean { Default::default() } else { journals::redo(&journals) };
    let image = match metadata::load(&dir, &redo) {
        Ok(loaded) => loaded.map(|loaded| loaded.image),
        Err(error) => {
            report
                .bad("__cluster_metadata-0", &format!("the metadata cannot be folded: {error}"))?;
            None
        }
    };
    let points = dir.recovery_points();
    for files in &dir.partitions {
        let context = partition::Context {
            is_clean: dir.is_clean,
            deep,
            redo: files.id().and_then(|id| redo.get(&id)).map(Vec::as_slice).unwrap_or_default(),
            recovery_point: points.of(files),
            image: image.as_ref(),
        };
        partition::check(files, &context, &mut report)?;
    }
    if let Some(image) = &image {
        check_presence(&dir, image, &mut report)?;
    }
    for name in &dir.others {
        report.note(name, "not a partition in use: passed over")?;
    }
    report.finish()
}

/// Holds the directory while it is read, where it has a lock.
fn lock(path: &Path) -> io::Result<Option<DirLock>> {
    if !path.join(LOCK).exists() {
        return Ok(None);
    }
    match DirLock::take(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ (LockError::InUse { .. } | LockError::Twice { .. })) => {
            Err(io::Error::other(error.to_string()))
        }
        // A copy that may only be read has no broker on it.
        Err(LockError::Io { .. }) => Ok(None),
    }
}

fn check_files(dir: &LogDirectory, report: &mut Report<'_>) -> io::Result<()> {
    let is_starts = |name: &&str| is_offsets_name(OffsetsFile::LogStarts, name);
    let ours =
        dir.files.iter().map(String::as_str).filter(|name| is_points(name) || is_starts(name));
    for name in [RECOVERY_POINTS, LOG_START_OFFSETS, HIGH_WATERMARKS].into_iter().chain(ours) {
        let Ok(text) = fs::read_to_string(dir.path.join(name)) else { continue };
        if let Err(error) = checked(&text).and_then(parse_offsets) {
            report.bad(name, &error.to_string())?;
        }
    }
    match fs::read_to_string(dir.path.join(META_PROPERTIES)) {
        Ok(text) => {
            if let Err(error) = MetaProperties::from_text(&text) {
                report.bad(META_PROPERTIES, &error.to_string())?;
            }
        }
        Err(error) => report.bad(META_PROPERTIES, &error.to_string())?,
    }
    Ok(())
}

fn check_journals(journals: &[JournalFile], report: &mut Report<'_>) -> io::Result<()> {
    for journal in journals {
        let name = journal.path.file_name().unwrap_or_default().to_string_lossy();
        match &journal.content {
            Ok(content) => {
                report.journal();
                if let Content::Begun { damaged, .. } = content {
                    for position in damaged {
                        let text = format!(
                            "the entry at position {position} is damaged; what segments lack of it is told \
                             with their partitions"
                        );
                        report.note(&name, &text)?;
                    }
                }
            }
            Err(error) => report.bad(&name, error)?,
        }
    }
    Ok(())
}

/// Partitions that the metadata has in the directory, and the directory lacks.
fn check_presence(dir: &LogDirectory, image: &Image, report: &mut Report<'_>) -> io::Result<()> {
    let text = fs::read_to_string(dir.path.join(META_PROPERTIES)).unwrap_or_default();
    let own =
        MetaProperties::from_text(&text).ok().and_then(|m| Some((m.node_id?, m.directory_id?)));
    for topic in image.topics.iter() {
        for index in 0.. {
            if topic.partition(index).is_none() {
                break;
            }
            let is_here = |files: &&crate::directory::PartitionFiles| {
                files.topic == *topic.name && files.partition == index
            };
            let is_elsewhere = topic.partition(index).is_some_and(|partition| {
                let recorded = own.and_then(|(node, id)| Some((partition.directory_on(node)?, id)));
                recorded.is_some_and(|(recorded, own)| {
                    recorded != own
                        && ![DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED].contains(&recorded)
                })
            });
            if !is_elsewhere && dir.partitions.iter().find(is_here).is_none() {
                let place = format!("{}-{index}", topic.name);
                let text = "the metadata has this partition, the directory does not";
                // It may have been created by the very last thing that the broker did.
                if dir.is_clean {
                    report.bad(&place, text)?;
                } else {
                    report.note(&place, text)?;
                }
            }
        }
    }
    Ok(())
}
