//! Makes a partition whole again where nothing brings its damaged records back: empty batches take their
//! offsets, so that readers go on behind them and no offset is given away twice. Only if it is asked to, and
//! with a copy of every file that it changes.

mod plain;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use millrace_engine::boot::lock::DirLock;
use millrace_engine::job::survey::{SegmentFile, SurveyedSegment, survey};
use millrace_engine::job::waypoints::is_waypoints_name;
use millrace_engine::log::damage::DamagedRange;
use millrace_engine::log::files::{FileKind, METADATA_TOPIC};
use millrace_engine::metadata::image::Image;
use millrace_engine::partition::epochs::{self, Epochs};
use millrace_engine::record::batch::{BatchHeader, checksum};
use millrace_engine::record::layout::{HEADER_BYTES, PREFIX_BYTES};
use millrace_engine::types::{LeaderEpoch, Offset};
use plain::{PlainFile, at_once};

use crate::directory::{LogDirectory, PartitionFiles};
use crate::journals;
use crate::metadata::{self, may_have_gaps};

/// What was found and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Ranges of damaged records.
    pub damaged: usize,
    /// Those that empty batches stand for now.
    pub repaired: usize,
}

/// Looks for damaged records in the log directory `path` and prints what was found; if the loss is accepted,
/// replaces them.
///
/// # Errors
/// If the directory is in use or cannot be read or written, or `out` cannot be written.
pub fn repair(path: &Path, is_accepted: bool, out: &mut dyn Write) -> io::Result<Summary> {
    let dir = LogDirectory::read(path)?;
    let _lock = DirLock::take(path).map_err(|error| io::Error::other(error.to_string()))?;
    let redo = match dir.is_clean {
        true => Default::default(),
        false => journals::redo(&journals::read(&dir.journals)),
    };
    let image = metadata::load(&dir, &redo).ok().flatten().map(|loaded| loaded.image);
    let points = dir.recovery_points();
    let mut summary = Summary::default();
    for files in &dir.partitions {
        let surveyed = look(files, image.as_ref(), points.of(files))?;
        let damaged: Vec<_> = surveyed.iter().filter(|found| !found.damage.is_empty()).collect();
        for found in &damaged {
            let log = files.file(found.base_offset, FileKind::Log);
            for range in &found.damage {
                writeln!(out, "{}: {}: {range}", files.name(), log.display())?;
            }
            summary.damaged += found.damage.len();
        }
        let in_journal = files.id().is_some_and(|id| redo.contains_key(&id));
        if damaged.is_empty() || !is_accepted {
            continue;
        }
        if files.topic == METADATA_TOPIC {
            let text = "left alone: its records depend on each other. Restore it from a copy";
            writeln!(out, "{}: {text}", files.name())?;
        } else if in_journal {
            let text = "left alone: the journals may hold these records. Start the broker and stop it \
                        once, then try again";
            writeln!(out, "{}: {text}", files.name())?;
        } else {
            forget_waypoints(&dir)?;
            for found in damaged {
                let copies = replace(files, found)?;
                let log = files.file(found.base_offset, FileKind::Log);
                let ranges = found.damage.len();
                let text = format!("{}: {ranges} empty batches instead", log.display());
                writeln!(out, "{}: {text}; copies: {}", files.name(), copies.join(", "))?;
                summary.repaired += ranges;
            }
        }
    }
    match summary.damaged - summary.repaired {
        0 if summary.damaged == 0 => writeln!(out, "nothing is damaged; nothing was changed")?,
        0 => writeln!(out, "repaired: their offsets have no records now")?,
        left if is_accepted => writeln!(out, "{left} damaged ranges are left")?,
        left => writeln!(
            out,
            "{left} damaged ranges; nothing was changed. Restore the files from a copy, or give these \
             records up with --accept-loss"
        )?,
    }
    Ok(summary)
}

/// Removes what a start would take in place of reading the segments that are changed now.
fn forget_waypoints(dir: &LogDirectory) -> io::Result<()> {
    for name in dir.files.iter().filter(|name| is_waypoints_name(name)) {
        match fs::remove_file(dir.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::File::open(&dir.path)?.sync_all()
}

fn look(
    files: &PartitionFiles,
    image: Option<&Image>,
    point: Option<Offset>,
) -> io::Result<Vec<SurveyedSegment>> {
    let mut segments = Vec::new();
    for &base_offset in files.segments.keys() {
        let path = files.file(base_offset, FileKind::Log);
        let file = PlainFile::open(&path)?;
        segments.push(SegmentFile { base_offset, path, file });
    }
    let gaps = may_have_gaps(image, &files.topic);
    let surveyed = at_once(survey(segments, gaps, point));
    surveyed.map_err(|failure| io::Error::other(failure.to_string()))
}

/// Writes a segment anew without its damaged ranges. Returns the names of the copies.
fn replace(files: &PartitionFiles, found: &SurveyedSegment) -> io::Result<Vec<String>> {
    let log = files.file(found.base_offset, FileKind::Log);
    let temporary = log.with_extension("log.tmp");
    let epochs = fs::read_to_string(files.path.join(epochs::FILE_NAME)).unwrap_or_default();
    let epochs = Epochs::from_text(&epochs).unwrap_or_default();
    let original = fs::read(&log)?;
    let part = |from: u64, to: u64| {
        let index = |position| usize::try_from(position).unwrap_or(usize::MAX);
        original.get(index(from)..index(to).min(original.len())).unwrap_or_default()
    };
    let mut file = fs::File::create(&temporary)?;
    let mut from = 0;
    for range in &found.damage {
        file.write_all(part(from, range.position))?;
        file.write_all(&empty_batches(range, epochs.epoch_of(range.first_offset).unwrap_or(-1)))?;
        from = range.end_position;
    }
    file.write_all(part(from, found.end.max(from)))?;
    file.sync_all()?;
    let mut copies = Vec::new();
    let kept = free_name(&log);
    fs::hard_link(&log, &kept)?;
    fs::rename(&temporary, &log)?;
    copies.push(kept);
    // The broker makes them anew.
    for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
        let index = files.file(found.base_offset, kind);
        if index.exists() {
            let kept = free_name(&index);
            fs::rename(&index, &kept)?;
            copies.push(kept);
        }
    }
    fs::File::open(&files.path)?.sync_all()?;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(copies.iter().map(name).collect())
}

/// A name beside a file that nothing has yet.
fn free_name(path: &Path) -> PathBuf {
    let named = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if n == 1 { ".damaged".to_owned() } else { format!(".damaged-{n}") });
        PathBuf::from(name)
    };
    (1..).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(u32::MAX))
}

/// Batches without records that have the offsets of a range, as compaction leaves them.
fn empty_batches(range: &DamagedRange, epoch: LeaderEpoch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut first = range.first_offset;
    while first < range.next_offset {
        let delta = i32::try_from(range.next_offset - 1 - first).unwrap_or(i32::MAX);
        let mut header = BatchHeader {
            base_offset: first,
            batch_length: (HEADER_BYTES - PREFIX_BYTES) as i32,
            partition_leader_epoch: epoch,
            crc: 0,
            attributes: 0,
            last_offset_delta: delta,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        };
        header.crc = checksum(&header.to_bytes(), &[]);
        bytes.extend_from_slice(&header.to_bytes());
        first = header.next_offset();
    }
    bytes
}
