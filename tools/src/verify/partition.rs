//! Checks one partition: its segments, what goes with them, and whether they follow each other.

use std::fs;
use std::io;

use millrace_engine::journal::replay::Redo;
use millrace_engine::log::files::{FileKind, LogFile, METADATA_TOPIC};
use millrace_engine::log::index_check::IndexCheck;
use millrace_engine::log::scan::{ScannedBatch, Stop};
use millrace_engine::metadata::image::Image;
use millrace_engine::partition::epochs::{self, EpochStart, Epochs};
use millrace_engine::partition::producer_snapshot;
use millrace_engine::record::records::{Records, plain_records};
use millrace_engine::types::Offset;

use super::report::Report;
use crate::directory::PartitionFiles;
use crate::metadata::may_have_gaps;
use crate::segment::{Behind, SegmentEnd, SegmentReader, segments};

/// Largest output of one compressed batch. Bytes.
const PLAIN_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What is known before a partition is looked at.
pub(super) struct Context<'a> {
    pub(super) is_clean: bool,
    pub(super) deep: bool,
    pub(super) redo: &'a [Redo],
    pub(super) recovery_point: Option<Offset>,
    pub(super) image: Option<&'a Image>,
}

/// One segment that is being checked.
struct Segment {
    base: Offset,
    is_last: bool,
    batches: u64,
    /// Where the leader epoch of its batches changes: epoch and first offset.
    epochs: Vec<EpochStart>,
    end: SegmentEnd,
    /// What is wrong where its content ends. What follows from that is told with it.
    damage: Option<String>,
}

pub(super) fn check(
    files: &PartitionFiles,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let before = report.summary.problems.len();
    report.summary.partitions += 1;
    let name = files.name();
    let mut expected: Option<Offset> = None;
    let mut total = (0, 0, 0);
    let mut epochs = Vec::new();
    let mut damage: Option<String> = None;
    let mut is_whole = true;
    let bases: Vec<_> = segments(files, context.redo).into_iter().collect();
    for (i, &base) in bases.iter().enumerate() {
        let is_last = i + 1 == bases.len();
        let segment = check_segment(files, base, is_last, context, report)?;
        let gap = expected.filter(|expected| {
            base < *expected || base > *expected && !may_have_gaps(context.image, &files.topic)
        });
        match (damage.take(), gap) {
            (Some(text), Some(expected)) => report.bad(
                &name,
                &format!("{text}; so the segment ends at {expected}, the next begins at {base}"),
            )?,
            (Some(text), None) => report.bad(&name, &text)?,
            (None, Some(expected)) => {
                let text =
                    format!("offsets {expected}..{base}: the segment before ends at {expected}");
                report.bad(&name, &text)?;
            }
            (None, None) => {}
        }
        is_whole &= segment.damage.is_none();
        damage = segment.damage;
        expected = Some(segment.end.next_offset);
        total.0 += segment.end.position;
        total.1 += segment.batches;
        total.2 += segment.end.from_journal;
        epochs.extend(segment.epochs);
    }
    check_end(files, context, expected, damage, report)?;
    check_companions(files, context, report)?;
    // Epochs of batches that cannot be read are not known.
    if is_whole {
        check_epochs(files, context, &epochs, expected, report)?;
    }
    report.summary.segments += bases.len();
    report.summary.bytes += total.0;
    report.summary.batches += total.1;
    if report.summary.problems.len() == before {
        let first = bases.first().copied().unwrap_or_default();
        let last = expected.unwrap_or_default();
        let (bytes, batches, from_journal) = total;
        let mut text = format!(
            "offsets {first}..{last}, {} segments, {batches} batches, {bytes} bytes",
            bases.len()
        );
        if from_journal > 0 {
            text += &format!(", {from_journal} of them still in the journal");
        }
        report.good(&name, &text)?;
    }
    Ok(())
}

fn check_segment(
    files: &PartitionFiles,
    base: Offset,
    is_last: bool,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> io::Result<Segment> {
    let path = files.file(base, FileKind::Log);
    let offsets = fs::read(files.file(base, FileKind::OffsetIndex)).ok();
    let times = fs::read(files.file(base, FileKind::TimeIndex)).ok();
    // The active segment's indexes are made anew after a stop that was not clean.
    let is_indexed = context.is_clean || !is_last;
    let file = |bytes: &Option<Vec<u8>>| bytes.clone().filter(|_| is_indexed);
    let (offsets, times) = (file(&offsets), file(&times));
    let mut indexes = IndexCheck::new(base, offsets.as_deref(), times.as_deref());
    let reader = SegmentReader::open(&path)?;
    let redo: Vec<_> = context.redo.iter().filter(|item| item.segment == base).collect();
    let mut batches = 0;
    let mut epochs: Vec<EpochStart> = Vec::new();
    let mut gap: Option<(Offset, Offset)> = None;
    let mut next: Option<Offset> = None;
    let mut unreadable: Option<String> = None;
    let end = reader.scan(base, &redo, |batch| {
        batches += 1;
        let header = batch.header;
        let expected = next.unwrap_or(base);
        if header.base_offset > expected {
            gap.get_or_insert((expected, header.base_offset));
        }
        next = Some(header.next_offset());
        let epoch = header.partition_leader_epoch;
        if epochs.last().is_none_or(|last| last.epoch != epoch) {
            epochs.push(EpochStart { epoch, start_offset: header.base_offset });
        }
        indexes.batch(&batch);
        if context.deep && unreadable.is_none() {
            unreadable = unreadable_records(&batch);
        }
    })?;
    let mut segment = Segment { base, is_last, batches, epochs, end, damage: None };
    let name = files.name();
    let log = LogFile::live(base, FileKind::Log);
    if let Some(text) = unreadable {
        report.bad(&name, &format!("{log}: {text}"))?;
    }
    let gap = gap.filter(|_| !may_have_gaps(context.image, &files.topic));
    let gap = gap.map(|(from, to)| format!("offsets {from}..{to}: missing in {log}"));
    let tail = check_tail(files, &reader, &segment, context, report)?;
    let found: Vec<_> = gap.into_iter().chain(tail).collect();
    segment.damage = (!found.is_empty()).then(|| found.join("; "));
    // Indexes of what cannot be read are not known to be wrong.
    if segment.damage.is_none()
        && let Some(text) = indexes.finish(segment.end.position, segment.end.next_offset)
    {
        report.bad(&name, &format!("{base:020}{text}"))?;
    }
    if is_indexed && segment.batches > 0 && (offsets.is_none() || times.is_none()) {
        let text =
            format!("{base:020}: an index is missing; it is made anew when the log is opened");
        report.note(&name, &text)?;
    }
    Ok(segment)
}

/// What a batch's records have against being read.
fn unreadable_records(batch: &ScannedBatch<'_>) -> Option<String> {
    let header = batch.header;
    let at = |text: String| {
        Some(format!("offset {} at position {}: {text}", header.base_offset, batch.position))
    };
    let plain = match plain_records(header, batch.bytes, PLAIN_BYTES_MAX) {
        Ok(plain) => plain,
        Err(error) => return at(error.to_string()),
    };
    match Records::new(&plain, header.record_count).find_map(Result::err) {
        Some(error) => at(error.to_string()),
        None => None,
    }
}

/// Judges where a segment's content ends: says what is wrong, and reports what is no loss.
fn check_tail(
    files: &PartitionFiles,
    reader: &SegmentReader,
    segment: &Segment,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> io::Result<Option<String>> {
    let SegmentEnd { position, next_offset, stop, .. } = segment.end;
    let name = files.name();
    let log = LogFile::live(segment.base, FileKind::Log);
    let place = format!("offsets {next_offset}..: {log} at position {position}");
    if let Some(text) = &segment.end.stranded {
        return Ok(Some(format!("{place}: {text}")));
    }
    if stop == Stop::CleanEnd {
        return Ok(None);
    }
    let why = stop.to_string();
    let note = match reader.behind(&segment.end, context.recovery_point)? {
        Behind::Nothing => return Ok(None),
        Behind::Records(at, offset) => {
            return Ok(Some(format!(
                "{place}: {why}; records from offset {offset} on stand behind it at {at}"
            )));
        }
        Behind::Zeros(bytes) if !context.is_clean => {
            format!("{place}: {bytes} bytes are reserved behind the content")
        }
        Behind::Torn(bytes) if segment.is_last && !context.is_clean => {
            format!(
                "{place}: {bytes} bytes of a write that was never complete ({why}); they are cut off"
            )
        }
        Behind::Zeros(bytes) | Behind::Torn(bytes) => {
            return Ok(Some(format!("{place}: {why}, {bytes} bytes before the file's end")));
        }
    };
    report.note(&name, &note)?;
    Ok(None)
}

/// Whether the log reaches as far as it is known to have been flushed; `damage` is what its last segment has.
fn check_end(
    files: &PartitionFiles,
    context: &Context<'_>,
    end: Option<Offset>,
    damage: Option<String>,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let end = end.unwrap_or_default();
    let missing = context.recovery_point.filter(|point| *point > end);
    let missing =
        missing.map(|point| format!("offsets {end}..{point}: had been flushed, and are missing"));
    let found: Vec<_> = damage.into_iter().chain(missing).collect();
    if found.is_empty() {
        return Ok(());
    }
    report.bad(&files.name(), &found.join("; "))
}

/// Checks the small files beside the segments.
fn check_companions(
    files: &PartitionFiles,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let name = files.name();
    match files.topic_id() {
        Err(error) => report.bad(&name, &error)?,
        Ok(id) if files.topic != METADATA_TOPIC => {
            let known = context.image.and_then(|image| image.topics.id_of(&files.topic));
            if known != Some(id) && context.image.is_some() {
                let text =
                    format!("its topic id is {id}, the metadata has {known:?}: a deleted topic's");
                report.note(&name, &text)?;
            }
        }
        Ok(_) => {}
    }
    for &offset in &files.snapshots {
        let path = files.file(offset, FileKind::ProducerSnapshot);
        if let Err(error) = producer_snapshot::decode(&fs::read(path)?) {
            report.bad(&name, &format!("{offset:020}.snapshot: {error}"))?;
        }
    }
    Ok(())
}

/// Compares the checkpoint of leader epochs with the epochs of the batches.
fn check_epochs(
    files: &PartitionFiles,
    context: &Context<'_>,
    found: &[EpochStart],
    end: Option<Offset>,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let Ok(text) = fs::read_to_string(files.path.join(epochs::FILE_NAME)) else { return Ok(()) };
    let name = files.name();
    let known = match Epochs::from_text(&text) {
        Ok(known) => known,
        Err(error) => return report.bad(&name, &format!("{}: {error}", epochs::FILE_NAME)),
    };
    let Some(first) = found.first().map(|start| start.start_offset) else { return Ok(()) };
    let is_unknown = |start: &&EpochStart| {
        start.epoch >= 0 && known.epoch_of(start.start_offset) != Some(start.epoch)
    };
    let is_made_up = |start: &&EpochStart| {
        let has_batches = start.start_offset > first && Some(start.start_offset) < end;
        has_batches && !found.contains(start)
    };
    if let Some(start) = known.starts().iter().find(is_made_up).filter(|_| context.is_clean) {
        let EpochStart { epoch, start_offset } = start;
        let file = epochs::FILE_NAME;
        let text =
            format!("offset {start_offset}: {file} says leader epoch {epoch}, no batch does");
        return report.bad(&name, &text);
    }
    // After another stop the newest epoch may not be in the file yet.
    match found.iter().find(is_unknown).filter(|_| context.is_clean) {
        Some(EpochStart { epoch, start_offset }) => {
            let says = known.epoch_of(*start_offset);
            let says = says.map_or("none".to_owned(), |epoch| epoch.to_string());
            let text = format!(
                "offset {start_offset}: its batch is of leader epoch {epoch}, {} says {says}",
                epochs::FILE_NAME
            );
            report.bad(&name, &text)
        }
        None => Ok(()),
    }
}
