//! The background scrub: closed segments read slowly, each batch with its checksum, and what stands
//! beside them compared with them.

use std::path::Path;
use std::sync::Arc;

use super::dirs::{Dir, DirUse};
use super::examine::Suspect;
use super::files::log_path;
use super::segment_scan::read_chunk;
use super::{Jobs, failure};
use crate::io::{Env, File};
use crate::limits::BATCH_BYTES_MAX;
use crate::log::damage::DamagedRange;
use crate::log::files::FileKind;
use crate::log::index_check::IndexCheck;
use crate::log::scan::{ScanRules, ScannedBatch, SegmentScanner, Stop};
use crate::log::segment::SealedSegment;
use crate::partition::epochs::Epochs;
use crate::partition::producer_snapshot;
use crate::shard::event::{DiskFailure, ScrubLog, Scrubbed};
use crate::types::LeaderEpoch;

/// A pass under way.
pub(super) struct Scrub<'a, E: Env> {
    jobs: &'a Jobs<E>,
    bytes_per_second: u64,
    done: Scrubbed,
}

/// Compares leader epochs, which no checksum covers, with those that the log knows.
struct EpochCheck<'a> {
    known: &'a Epochs,
    /// A batch of another epoch, until the next one has agreed with it or not.
    doubted: Option<(DamagedRange, LeaderEpoch)>,
    damaged: Vec<DamagedRange>,
}

impl<'a, E: Env> Scrub<'a, E> {
    pub(super) fn new(jobs: &'a Jobs<E>, bytes_per_second: u64) -> Self {
        Self { jobs, bytes_per_second: bytes_per_second.max(1), done: Scrubbed::default() }
    }

    /// Reads everything once. `lives` tells directories from later ones of their names.
    pub(super) async fn run(mut self, logs: Vec<ScrubLog>, lives: &[u64]) -> Scrubbed {
        for (log, life) in logs.into_iter().zip(lives) {
            for segment in &log.segments {
                // Held for a while only: who wants to remove the directory waits for it.
                let Some(dir) = self.enter(&log.dir, *life) else { break };
                if let Err(failure) = self.segment(&dir, &log, segment).await
                    && !dir.is_gone()
                {
                    tracing::error!(%failure, "a segment could not be checked");
                    self.done.failures += 1;
                }
            }
        }
        self.done
    }

    fn enter(&self, path: &Arc<Path>, life: u64) -> Option<DirUse> {
        let dir = self.jobs.0.dirs.enter(path);
        (dir.id == life && !dir.is_gone()).then_some(dir)
    }

    async fn segment(
        &mut self,
        dir: &Dir,
        log: &ScrubLog,
        segment: &SealedSegment,
    ) -> Result<(), DiskFailure> {
        let base = segment.base_offset;
        let Some(file) = self.jobs.0.files.segment(dir, base).await? else { return Ok(()) };
        let stored = self.jobs.index_files(dir, base).await?;
        let (offsets, times) =
            stored.as_ref().map_or((None, None), |(o, t)| (Some(&o[..]), Some(&t[..])));
        let mut indexes = IndexCheck::new(base, offsets, times).exact();
        let mut epochs = EpochCheck { known: &log.epochs, doubted: None, damaged: Vec::new() };
        let mut scanner = SegmentScanner::new(ScanRules {
            first_offset: base,
            position: 0,
            batch_bytes_max: BATCH_BYTES_MAX,
            gaps: log.gaps,
        });
        let path = log_path(dir, base);
        let size = file.size().await.map_err(|error| failure("look at", &path, error))?;
        let (mut at, to) = (0, segment.bytes.min(size));
        while at < to && !dir.is_gone() {
            let chunk = read_chunk(&file, &path, at, to).await?;
            at += chunk.len() as u64;
            let wants_more = scanner.feed(&chunk, |batch| {
                indexes.batch(&batch);
                epochs.batch(&batch);
            });
            let bytes = chunk.len() as u64;
            self.done.bytes += bytes;
            drop(chunk);
            if !wants_more {
                break;
            }
            self.pause(bytes.saturating_mul(1_000) / self.bytes_per_second).await;
        }
        if dir.is_gone() {
            return Ok(());
        }
        self.done.segments += 1;
        let end = scanner.finish();
        let is_whole = end.stop == Stop::CleanEnd
            && end.position == segment.bytes
            && (end.next_offset == segment.next_offset || log.gaps);
        let has_index = stored.is_some();
        let index_problem = indexes.finish(end.position, end.next_offset);
        if !is_whole || !has_index || index_problem.is_some() {
            let to = segment.bytes;
            let suspect = Suspect { segment: base, to, gaps: log.gaps, is_sealed: true };
            self.jobs.examine(dir, suspect).await?;
            self.done.indexes += u64::from(is_whole);
        }
        let damaged = epochs.finish();
        self.jobs.0.damages.note(dir, base, damaged);
        self.snapshot(dir, segment).await
    }

    /// The producers at the segment's end.
    async fn snapshot(&mut self, dir: &Dir, segment: &SealedSegment) -> Result<(), DiskFailure> {
        let offset = segment.next_offset;
        let content = self.jobs.small_file(dir, offset, FileKind::ProducerSnapshot).await?;
        let Some(Err(error)) = content.map(|content| producer_snapshot::decode(&content)) else {
            return Ok(());
        };
        self.done.snapshots += 1;
        tracing::warn!(dir = %dir.path.display(), offset, %error,
            "a producer snapshot is damaged: recovery takes an older one and the log");
        Ok(())
    }

    async fn pause(&self, ms: u64) {
        let env = self.jobs.env();
        env.sleep_until(env.now().plus_ms(ms)).await;
    }
}

impl EpochCheck<'_> {
    fn batch(&mut self, batch: &ScannedBatch<'_>) {
        let header = batch.header;
        let found = header.partition_leader_epoch;
        if let Some((range, epoch)) = self.doubted.take()
            && epoch != found
        {
            self.damaged.push(range);
        }
        let Some(known) = self.known.epoch_of(header.base_offset).filter(|epoch| *epoch != found)
        else {
            return;
        };
        self.doubted = Some((DamagedRange::of_epoch(batch.position, header, known), found));
    }

    fn finish(mut self) -> Vec<DamagedRange> {
        self.damaged.extend(self.doubted.map(|(range, _)| range));
        self.damaged
    }
}
