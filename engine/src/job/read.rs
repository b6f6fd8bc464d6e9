//! Cold reads: whole batches from a segment file, in the buffers that they were read into.

use bytes::Bytes;

use super::bounds::{COLD_READ_BYTES_MAX, COLD_STEP_BYTES_MIN};
use super::dirs::{Dir, DirUse};
use super::files::log_path;
use super::segment_reader::SegmentReader;
use super::{Jobs, damage};
use crate::io::{Env, File};
use crate::limits::{INDEX_INTERVAL_BYTES_MIN, READ_BYTES_MAX};
use crate::partition::find::ColdRead;
use crate::record::layout::HEADER_BYTES;
use crate::shard::event::DiskFailure;
use crate::types::Offset;

/// A run of whole batches.
struct Run {
    begin: u64,
    end: u64,
    next_offset: Offset,
}

/// Reads batches from the one that holds the wanted offset on.
pub(super) async fn read<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    plan: ColdRead,
) -> Result<Vec<Bytes>, DiskFailure> {
    let permit = jobs.0.reads.enter().await;
    let result = read_some(jobs, dir, plan).await;
    drop(permit);
    // Nobody is interested in what a deleted partition held.
    if dir.is_gone() { result.or(Ok(Vec::new())) } else { result }
}

async fn read_some<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    plan: ColdRead,
) -> Result<Vec<Bytes>, DiskFailure> {
    let Some(file) = jobs.0.files.segment(dir, plan.segment).await? else {
        return Err(damage("open", &log_path(dir, plan.segment), "the file is missing"));
    };
    let ahead = &jobs.0.ahead;
    let cursor = ahead.cursor(dir, plan.segment, plan.offset).filter(|at| *at < plan.to);
    let start = match cursor.or(plan.from) {
        Some(position) => position,
        None => {
            let index = jobs.sealed_index(dir, plan.segment, plan.to).await?;
            index.map_or(0, |index| u64::from(index.offsets().lookup(plan.offset).position))
        }
    };
    let budget = plan.bytes_max.min(COLD_READ_BYTES_MAX);
    let step = (budget + INDEX_INTERVAL_BYTES_MIN as usize).next_multiple_of(COLD_STEP_BYTES_MIN);
    let path = log_path(dir, plan.segment);
    let mut reader = SegmentReader::new(file.clone(), path, plan.to, step);
    if let Some((at, bytes)) = ahead.take(dir, plan.segment, start).await {
        reader.give(at, &bytes);
    }
    let Some(run) = find_run(&mut reader, start, &plan, budget as u64).await? else {
        return Ok(Vec::new());
    };
    reader.fill(run.begin, run.end).await?;
    ahead.ended(dir, plan.segment, run.next_offset, run.end);
    if cursor.is_some() {
        ahead.begin(dir, plan.segment, &file, run.end, plan.to);
    }
    Ok(reader.slices(run.begin, run.end))
}

/// Walks from `start`, a batch boundary, to the wanted batches.
async fn find_run<F: File>(
    reader: &mut SegmentReader<F>,
    start: u64,
    plan: &ColdRead,
    budget: u64,
) -> Result<Option<Run>, DiskFailure> {
    let mut run: Option<Run> = None;
    let mut at = start;
    let mut expected = plan.segment;
    loop {
        if let Some(run) = &run
            && !is_worth_reading(reader, at + HEADER_BYTES as u64, run, budget)
        {
            break;
        }
        let Some(header) = reader.header(at).await? else { break };
        if header.base_offset < expected {
            return Err(reader.disorder(at, expected, header.base_offset));
        }
        expected = header.next_offset();
        let end = at + header.size_bytes() as u64;
        if header.last_offset() < plan.offset {
            at = end;
            reader.forget_before(at);
            continue;
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
        run = Some(Run { begin, end, next_offset: expected });
        at = end;
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
