//! Cold reads: whole batches from a segment file, in the buffers that they were read into. No batch is
//! given to anybody before its checksum was computed.

use bytes::Bytes;

use super::bounds::{COLD_READ_BYTES_MAX, COLD_STEP_BYTES_MIN};
use super::damages::Readable;
use super::dirs::{Dir, DirUse};
use super::examine::Suspect;
use super::files::{log_path, path_of};
use super::segment_reader::SegmentReader;
use super::{Jobs, damage};
use crate::io::{Env, File};
use crate::limits::{INDEX_INTERVAL_BYTES_MIN, READ_BYTES_MAX};
use crate::log::damage::DamagedRange;
use crate::log::files::FileKind;
use crate::log::index::OffsetPosition;
use crate::partition::find::ColdRead;
use crate::record::batch::BatchHeader;
use crate::record::layout::HEADER_BYTES;
use crate::shard::event::DiskFailure;
use crate::types::{LeaderEpoch, Offset};

/// A run of whole batches.
#[derive(Debug, Clone, Copy)]
struct Run {
    begin: u64,
    end: u64,
    next_offset: Offset,
}

/// Where the walk to the wanted batches begins.
#[derive(Debug, Clone, Copy)]
struct Start {
    position: u64,
    /// Last offset of the batch there, as an index says.
    indexed: Option<Offset>,
    /// First offset that can stand there, where it is known.
    expected: Option<Offset>,
}

impl Start {
    /// At a batch whose first offset is known.
    fn exact(position: u64, offset: Offset) -> Self {
        Self { position, indexed: None, expected: Some(offset) }
    }

    /// Where an index says.
    fn indexed(OffsetPosition { offset, position }: OffsetPosition, segment: Offset) -> Self {
        match position {
            0 => Self::exact(0, segment),
            _ => Self { position: u64::from(position), indexed: Some(offset), expected: None },
        }
    }
}

/// Reads batches from the one that holds the wanted offset on.
pub(super) async fn read<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    plan: ColdRead,
) -> Result<Vec<Bytes>, DiskFailure> {
    let permit = jobs.0.reads.enter().await;
    let result = read_or_examine(jobs, dir, plan).await;
    drop(permit);
    // Nobody is interested in what a deleted partition held.
    if dir.is_gone() { result.or(Ok(Vec::new())) } else { result }
}

/// Reads; where that meets something that cannot be right, finds out what is damaged and reads around
/// it.
async fn read_or_examine<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    plan: ColdRead,
) -> Result<Vec<Bytes>, DiskFailure> {
    let damages = &jobs.0.damages;
    let readable = || damages.readable(dir, plan.segment, plan.offset, plan.to);
    match read_some(jobs, dir, plan, readable()?).await {
        Err(failure) if failure.is_damage => {
            let suspect = Suspect {
                segment: plan.segment,
                to: plan.to,
                gaps: plan.expected.gaps,
                is_sealed: plan.from.is_none(),
            };
            jobs.examine(dir, suspect).await?;
            read_some(jobs, dir, plan, readable()?).await
        }
        result => result,
    }
}

async fn read_some<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    plan: ColdRead,
    readable: Readable,
) -> Result<Vec<Bytes>, DiskFailure> {
    let content = plan.to;
    let plan = ColdRead { to: readable.to, ..plan };
    let Some(file) = jobs.0.files.segment(dir, plan.segment).await? else {
        return Err(damage("open", &log_path(dir, plan.segment), "the file is missing"));
    };
    let ahead = &jobs.0.ahead;
    let cursor = ahead.cursor(dir, plan.segment, plan.offset).filter(|at| *at < plan.to);
    let start = match (cursor, plan.from) {
        (Some(position), _) => Start::exact(position, plan.offset),
        (None, Some(indexed)) => Start::indexed(indexed, plan.segment),
        (None, None) => indexed_start(jobs, dir, &plan, content).await?,
    };
    let start = match readable.from {
        Some((position, offset)) if position > start.position => Start::exact(position, offset),
        _ => start,
    };
    let budget = plan.bytes_max.min(COLD_READ_BYTES_MAX);
    let step = (budget + INDEX_INTERVAL_BYTES_MIN as usize).next_multiple_of(COLD_STEP_BYTES_MIN);
    let path = log_path(dir, plan.segment);
    let mut reader = SegmentReader::new(file.clone(), path, plan.to, step);
    if let Some((at, bytes)) = ahead.take(dir, plan.segment, start.position).await {
        reader.give(at, &bytes);
    }
    let Some(run) = find_run(&mut reader, start, &plan, budget as u64).await? else {
        return Ok(Vec::new());
    };
    reader.fill(run.begin, run.end).await?;
    let run = match check(&mut reader, run, &plan).await? {
        Checked::Good(run) => run,
        Checked::Epoch(range) => {
            let failure = damage("read", &log_path(dir, plan.segment), range.to_string());
            jobs.0.damages.note(dir, plan.segment, vec![range]);
            return Err(failure);
        }
    };
    ahead.ended(dir, plan.segment, run.next_offset, run.end);
    if cursor.is_some() {
        ahead.begin(dir, plan.segment, &file, run.end, plan.to);
    }
    Ok(reader.slices(run.begin, run.end))
}

/// Where the index file says that reading begins.
async fn indexed_start<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    plan: &ColdRead,
    content: u64,
) -> Result<Start, DiskFailure> {
    let Some(index) = jobs.sealed_index(dir, plan.segment, content).await? else {
        let path = path_of(dir, plan.segment, FileKind::OffsetIndex);
        return Err(damage("read", &path, "the index cannot be used"));
    };
    Ok(Start::indexed(index.offsets().lookup(plan.offset), plan.segment))
}

/// Walks from `start`, a batch boundary, to the wanted batches.
async fn find_run<F: File>(
    reader: &mut SegmentReader<F>,
    start: Start,
    plan: &ColdRead,
    budget: u64,
) -> Result<Option<Run>, DiskFailure> {
    let mut run: Option<Run> = None;
    let mut at = start.position;
    let mut expected = start.expected;
    let mut indexed = start.indexed;
    loop {
        if let Some(run) = &run
            && !is_worth_reading(reader, at + HEADER_BYTES as u64, run, budget)
        {
            break;
        }
        let header = match reader.header(at).await {
            Ok(Some(header)) => header,
            Ok(None) => break,
            // What was found before it can be had.
            Err(failure) if failure.is_damage && run.is_some() => break,
            Err(failure) => return Err(failure),
        };
        let least = expected.unwrap_or(plan.segment);
        let is_out_of_order = header.base_offset < least
            || (header.base_offset > least && expected.is_some() && !plan.expected.gaps);
        if is_out_of_order {
            if run.is_some() {
                break;
            }
            return Err(reader.disorder(at, least, header.base_offset));
        }
        if let Some(last) = indexed.take()
            && last != header.last_offset()
        {
            return Err(reader.disorder(at, last, header.last_offset()));
        }
        expected = Some(header.next_offset());
        let end = at + header.size_bytes() as u64;
        if header.last_offset() < plan.offset {
            at = end;
            reader.forget_before(at);
            continue;
        }
        // Before the limit is looked at, which a false offset may lie behind.
        if run.is_none() && header.base_offset > plan.offset && !plan.expected.gaps {
            return Err(reader.disorder(at, plan.offset, header.base_offset));
        }
        if header.base_offset >= plan.limit {
            break;
        }
        if let Some(run) = &run
            && (end - run.begin > budget || !is_worth_reading(reader, end, run, budget))
        {
            break;
        }
        let begin = run.map_or(at, |run| run.begin);
        run = Some(Run { begin, end, next_offset: header.next_offset() });
        at = end;
    }
    if run.is_none() && !plan.expected.gaps && at >= plan.to {
        return Err(reader.absence(plan.to, plan.offset));
    }
    Ok(run)
}

/// Whether another read operation is made for one more batch up to `end`: not for the last bit of
/// what was asked for, which the next read will begin with anyway.
fn is_worth_reading<F: File>(reader: &SegmentReader<F>, end: u64, run: &Run, budget: u64) -> bool {
    let is_at_hand = end <= reader.available();
    let left = budget.saturating_sub(run.end - run.begin);
    is_at_hand || (left >= READ_BYTES_MAX as u64 / 4 && end <= reader.to())
}

enum Checked {
    /// So much of the run is as it was written.
    Good(Run),
    /// The first batch is whole, but not of the epoch that it should be of.
    Epoch(DamagedRange),
}

/// Computes the checksums of a run that is at hand: up to the first batch that is not as it was
/// written, which is a failure only if nothing stands before it.
async fn check<F: File>(
    reader: &mut SegmentReader<F>,
    run: Run,
    plan: &ColdRead,
) -> Result<Checked, DiskFailure> {
    let mut good = Run { end: run.begin, ..run };
    while good.end < run.end {
        let Some(header) = reader.header(good.end).await? else { break };
        let end = good.end + header.size_bytes() as u64;
        let is_intact = reader.is_intact(good.end, &header);
        let wrong_epoch = wrong_epoch(reader, &header, end, plan).await;
        if good.end == run.begin {
            if !is_intact {
                return Err(reader.bad_checksum(good.end));
            }
            if let Some(known) = wrong_epoch {
                let range = DamagedRange::of_epoch(good.end, &header, known);
                return Ok(Checked::Epoch(range));
            }
        } else if !is_intact || wrong_epoch.is_some() {
            break;
        }
        good.end = end;
        good.next_offset = header.next_offset();
    }
    Ok(Checked::Good(good))
}

/// What a batch's leader epoch should be, if it is neither that nor the one of the batch behind it, which
/// begins at `end`. Two batches that agree are right, and the checkpoint that
/// the epochs came from is not.
async fn wrong_epoch<F: File>(
    reader: &mut SegmentReader<F>,
    header: &BatchHeader,
    end: u64,
    plan: &ColdRead,
) -> Option<LeaderEpoch> {
    let epoch = plan.expected.epoch.filter(|epoch| *epoch != header.partition_leader_epoch)?;
    let found = header.partition_leader_epoch;
    if let Ok(Some(next)) = reader.header(end).await
        && next.partition_leader_epoch == found
    {
        tracing::warn!(
            offset = header.base_offset,
            found,
            expected = epoch,
            "leader-epoch-checkpoint does not agree with the batches, which count"
        );
        return None;
    }
    Some(epoch)
}
