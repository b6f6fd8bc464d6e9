//! Bits that rot and files that end early, against the test's own record of what it wrote: no wrong
//! byte is given to a reader, only what is damaged is refused, and nothing acknowledged is cut.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::mini::{
    ID, Mini, Model, batch, batches, config, file_bytes, journal_file, names, open, open_job,
    partition_dir, run, settings,
};
use bytes::Bytes;
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::journal::replay::{self, Redo};
use millrace_engine::log::scan::{ScanRules, SegmentScanner};
use millrace_engine::log::segment::SealedSegment;
use millrace_engine::partition::Partition;
use millrace_engine::partition::epochs::Epochs;
use millrace_engine::partition::find::Found;
use millrace_engine::record::layout::HEADER_BYTES;
use millrace_engine::shard::call::{Isolation, ReadError};
use millrace_engine::shard::event::{Event, Job, ScrubLog, Scrubbed};
use millrace_engine::types::Offset;

pub const SEGMENT_BYTES: i32 = 40_000;
pub const LEADER_EPOCH: i32 = 1;

/// The content of every file of the partition.
pub type Image = BTreeMap<String, Vec<u8>>;

/// A partition on a disk, and what was written to it.
pub struct Written {
    pub env: SimEnv,
    pub model: Rc<RefCell<Model>>,
    pub image: Image,
    /// Base offsets of its segments.
    pub bases: Vec<Offset>,
    sealed: Vec<SealedSegment>,
    epochs: Epochs,
    pub end: Offset,
}

/// What readers were told of a whole log.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Base offsets of the batches that were served, each as it was written.
    pub served: BTreeSet<Offset>,
    /// Offsets that were refused.
    pub refused: BTreeSet<Offset>,
    pub damaged_ranges: u64,
    pub lost_end: Option<Offset>,
    pub end: Offset,
}

pub async fn image(env: &SimEnv) -> Image {
    let mut image = Image::new();
    for name in names(env, &partition_dir()).await {
        let bytes = file_bytes(env, &partition_dir().join(&name)).await;
        image.insert(name, bytes);
    }
    image
}

impl Written {
    /// Some segments of batches, and a clean stop.
    pub async fn new(env: &SimEnv, count: usize) -> Self {
        let mut mini = Self::begin(env, count).await;
        mini.stop_cleanly().await;
        Self::of(&mini).await
    }

    /// Some batches: every tenth is committed with those before it.
    pub async fn begin(env: &SimEnv, count: usize) -> Mini {
        let model = Rc::new(RefCell::new(Model::default()));
        let start = Mini::start(
            env.clone(),
            settings(false),
            Rc::clone(&model),
            LEADER_EPOCH,
            SEGMENT_BYTES,
        );
        let mut mini = start.await.unwrap();
        for i in 0..count {
            env.sleep_until(env.now().plus_ms(1)).await;
            let sequence = model.borrow().sequences.get(&7).copied().unwrap_or(0);
            mini.append(&batch(env, 1 + i % 3, 200 + i * 37 % 900, Some((7, sequence))));
            if i % 10 == 0 && !mini.is_committing() {
                mini.commit();
                mini.quiet().await;
            }
        }
        mini
    }

    /// What a partition has written so far.
    pub async fn of(mini: &Mini) -> Self {
        let (env, model) = (mini.env.clone(), Rc::clone(&mini.model));
        let sealed = mini.partition.sealed().to_vec();
        let active = mini.partition.active().base_offset;
        let bases = sealed.iter().map(|segment| segment.base_offset).chain([active]).collect();
        let epochs = mini.partition.epochs.clone();
        let end = model.borrow().end();
        let image = image(&env).await;
        Self { env, model, image, bases, sealed, epochs, end }
    }

    /// Puts every file back, but for one, which is to have other content, or to be missing.
    pub async fn lay(&self, name: &str, bytes: Option<&[u8]>) {
        let dir = partition_dir();
        let (now, mut wanted) = (image(&self.env).await, self.image.clone());
        match bytes {
            Some(bytes) => drop(wanted.insert(name.to_owned(), bytes.to_vec())),
            None => drop(wanted.remove(name)),
        }
        for name in now.keys().filter(|name| !wanted.contains_key(*name)) {
            self.env.remove_file(&dir.join(name)).await.unwrap();
        }
        for (name, bytes) in wanted.iter().filter(|(name, bytes)| now.get(*name) != Some(*bytes)) {
            self.env.write_small(&dir.join(name), Bytes::copy_from_slice(bytes)).await.unwrap();
        }
    }

    /// As it is, with everything known to have been flushed up to `point`.
    pub fn settings(&self, was_clean: bool, point: Offset) -> JobSettings {
        let recovery_points = Arc::new(BTreeMap::from([(ID, point)]));
        JobSettings { recovery_points, ..settings(was_clean) }
    }

    /// Opens the partition and reads all of it, from every offset that a reader comes to.
    pub async fn outcome(&self, settings: JobSettings, redo: Vec<Redo>) -> Outcome {
        let jobs = Jobs::new(self.env.clone(), settings);
        let recovered = open(&jobs, open_job(LEADER_EPOCH, redo, SEGMENT_BYTES)).await;
        let recovered = recovered.expect("it opens");
        let partition: Partition<()> = Partition::new(
            ID,
            Arc::from("orders"),
            partition_dir(),
            config(SEGMENT_BYTES),
            LEADER_EPOCH,
            recovered,
        );
        let mut outcome = Outcome {
            lost_end: partition.lost_end,
            end: partition.offsets.end(),
            ..Outcome::default()
        };
        let mut offset = 0;
        while offset < self.end {
            match read(&jobs, &partition, offset).await {
                Ok(Some(bytes)) => {
                    for (base, next, bytes) in batches(&bytes) {
                        let model = self.model.borrow();
                        let written = model.batches.iter().find(|batch| batch.1 > offset);
                        let written = written.expect("it was written");
                        assert_eq!((base, next), (written.0, written.1), "asked for {offset}");
                        assert!(bytes == written.2, "a wrong byte in the batch at {base}");
                        outcome.served.insert(base);
                        offset = next;
                    }
                }
                Ok(None) => break,
                Err(()) => {
                    outcome.refused.insert(offset);
                    offset += 1;
                }
            }
        }
        outcome.damaged_ranges = jobs.damaged_ranges();
        outcome
    }

    /// Offsets of the batches that have a byte of a segment's file in `at..`, or at `at` alone.
    pub fn hit(&self, base: Offset, at: usize, all_behind: bool) -> BTreeSet<Offset> {
        let mut position = 0;
        let mut hit = BTreeSet::new();
        let next = self.bases.iter().copied().find(|other| *other > base).unwrap_or(Offset::MAX);
        for (first, behind, bytes) in &self.model.borrow().batches {
            if (base..next).contains(first) {
                position += bytes.len();
                let is_hit = position > at && (all_behind || position - bytes.len() <= at);
                hit.extend((*first..*behind).filter(|_| is_hit));
            }
        }
        hit
    }

    /// What a reader must be told when just the records at these offsets are damaged.
    pub fn check(&self, outcome: &Outcome, hit: &BTreeSet<Offset>, what: &str) {
        assert_eq!(&outcome.refused, hit, "{what}: {outcome:?}");
        let model = self.model.borrow();
        let whole = model.batches.iter().map(|batch| batch.0).filter(|base| !hit.contains(base));
        assert_eq!(outcome.served, whole.collect(), "{what}");
    }
}

/// Reads once; none at the end.
async fn read(
    jobs: &Jobs<SimEnv>,
    partition: &Partition<()>,
    offset: Offset,
) -> Result<Option<Bytes>, ()> {
    match partition.find(offset, 5_000, true, Isolation::Uncommitted) {
        Ok(Found::Here(parts)) => Ok(Some(Bytes::from(parts.concat()))),
        Ok(Found::End) => Ok(None),
        Ok(Found::Cold(plan)) => {
            let job = Job::Read { read: 1, slot: 0, dir: partition_dir(), plan };
            match run(jobs, job).await.pop() {
                Some(Event::ReadDone { result: Ok(parts), .. }) => {
                    assert!(
                        !parts.is_empty(),
                        "at {offset} a reader would wait for ever: {plan:?}"
                    );
                    Ok(Some(Bytes::from(parts.concat())))
                }
                Some(Event::ReadDone { result: Err(failure), .. }) => {
                    assert!(failure.is_damage, "{failure}");
                    Err(())
                }
                other => panic!("{other:?}"),
            }
        }
        Err(ReadError::Damaged) => Err(()),
        // What was refused was all that there is.
        Err(ReadError::OutOfRange { log_end_offset, .. }) if offset > log_end_offset => Ok(None),
        Err(error) => panic!("{error}"),
    }
}

/// Whether every position is tried, which takes minutes: see docs/DURABILITY.md.
fn is_full() -> bool {
    std::env::var_os("MILLRACE_EVERY_POSITION").is_some()
}

/// From one position that is tried to the next.
pub fn step(usual: usize) -> usize {
    if is_full() { 1 } else { usual }
}

/// Where to begin and which step to take, in each world: one has not the time for every position.
pub fn turns(usual: usize) -> Vec<(usize, usize)> {
    const WORLDS: usize = 128;
    if is_full() { (0..WORLDS).map(|begin| (begin, WORLDS)).collect() } else { vec![(0, usual)] }
}

/// Bits of the bytes in `range` to be flipped: every `step`th, and one of every byte of its `headers`.
pub fn bits(
    env: &SimEnv,
    range: Range<usize>,
    headers: impl Iterator<Item = Range<usize>>,
    (begin, step): (usize, usize),
) -> Vec<usize> {
    let begin = if is_full() { begin } else { env.random() as usize % step };
    let mut bits: BTreeSet<usize> =
        (range.start * 8 + begin..range.end * 8).step_by(step).collect();
    if !is_full() {
        bits.extend(headers.flatten().map(|byte| byte * 8 + env.random() as usize % 8));
    }
    bits.into_iter().collect()
}

/// Where the headers of a segment's batches stand.
pub fn batch_headers(log: &[u8]) -> Vec<Range<usize>> {
    let mut at = 0;
    let headers = batches(&Bytes::copy_from_slice(log)).into_iter().map(|(_, _, bytes)| {
        let header = at..at + HEADER_BYTES;
        at += bytes.len();
        header
    });
    headers.collect()
}

pub fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

pub fn log_name(base: Offset) -> String {
    format!("{base:020}.log")
}

/// Random single bits of closed segments and of what stands beside them.
fn bit_rot(flips: usize, seed: u64) {
    let sim = Sim::new(seed);
    let env = sim.env(0);
    let test = async move {
        let written = Written::new(&env, 400).await;
        assert!(written.bases.len() > 4, "{:?}", written.bases);
        let sealed = &written.bases[..written.bases.len() - 1];
        let names: Vec<String> = written.image.keys().cloned().collect();
        for i in 0..flips {
            let base = sealed[env.random() as usize % sealed.len()];
            let name = match i % 4 {
                // Any file at all, but for the segment that may end in a torn write.
                0 => names[env.random() as usize % names.len()].clone(),
                1 => log_name(base).replace(".log", ".index"),
                _ => log_name(base),
            };
            let is_last = name == log_name(*written.bases.last().unwrap());
            let bytes = &written.image[&name];
            if bytes.is_empty() || is_last || name == "partition.metadata" {
                continue;
            }
            let bit = env.random() as usize % (bytes.len() * 8);
            let what = format!("bit {bit} of {name}");
            for was_clean in [true, false] {
                written.lay(&name, Some(&flipped(bytes, bit))).await;
                let settings = written.settings(was_clean, written.end);
                let outcome = written.outcome(settings, Vec::new()).await;
                assert_eq!((outcome.end, outcome.lost_end), (written.end, None), "{what}");
                if let Some(base) = name.strip_suffix(".log") {
                    let hit = written.hit(base.parse().unwrap(), bit / 8, false);
                    written.check(&outcome, &hit, &what);
                    assert_eq!(outcome.damaged_ranges, 1, "{what}");
                } else {
                    written.check(&outcome, &BTreeSet::new(), &what);
                }
            }
        }
    };
    sim.run(test).expect("ends");
}

#[test]
fn no_rotten_bit_reaches_a_reader() {
    for seed in 0..if is_full() { 50 } else { 1 } {
        bit_rot(200, 1 + seed);
    }
}

/// The last segment cut at every `step`th byte, with and without something that says how far it was
/// flushed: both at every place, or in turns.
fn truncations(step: usize, is_full: bool) {
    let sim = Sim::new(2);
    let env = sim.env(0);
    let test = async move {
        let written = Written::new(&env, 75).await;
        let base = *written.bases.last().unwrap();
        assert!(base > 0, "a closed segment stands before it");
        let (name, whole) = (log_name(base), written.image[&log_name(base)].clone());
        let from = whole.len().saturating_sub(64 * 1024);
        for (i, at) in (from..whole.len()).step_by(step).enumerate() {
            let what = format!("cut at {at} of {}", whole.len());
            let lost = written.hit(base, at, true);
            let first = lost.first().copied().unwrap();
            // It was acknowledged: what is lost is refused, and not cut.
            written.lay(&name, Some(&whole[..at])).await;
            if is_full || i % 2 == 0 {
                let settings = written.settings(i % 4 == 0, written.end);
                let outcome = written.outcome(settings, Vec::new()).await;
                written.check(&outcome, &lost, &what);
                assert_eq!((outcome.end, outcome.lost_end), (first, Some(written.end)), "{what}");
                let left = file_bytes(&env, &partition_dir().join(&name)).await;
                assert!(left == whole[..at], "{what}: the file is as it was");
            }
            // Nothing says that it was flushed: a write that was cut short.
            if !is_full && i % 2 == 0 {
                continue;
            }
            let outcome = written.outcome(written.settings(false, first), Vec::new()).await;
            assert_eq!((outcome.end, outcome.lost_end), (first, None), "{what}");
            assert!(outcome.refused.is_empty(), "{what}");
        }
    };
    sim.run(test).expect("ends");
}

#[test]
fn a_tail_cut_at_every_seventh_byte() {
    truncations(step(7), is_full());
}

/// Bits of the last four batches, with and without something that says that they were flushed.
fn tail_flips(turn: (usize, usize)) {
    let sim = Sim::new(3);
    let env = sim.env(0);
    let test = async move {
        let written = Written::new(&env, 120).await;
        let base = *written.bases.last().unwrap();
        let (name, whole) = (log_name(base), written.image[&log_name(base)].clone());
        let last =
            written.model.borrow().batches.iter().rev().map(|b| b.2.len()).take(4).sum::<usize>();
        let from = whole.len() - last;
        let headers = batch_headers(&whole).into_iter().filter(|header| header.start >= from);
        for bit in bits(&env, from..whole.len(), headers, turn) {
            let what = format!("bit {bit} of {}", whole.len() * 8);
            let hit = written.hit(base, bit / 8, false);
            let first = *hit.first().unwrap();
            written.lay(&name, Some(&flipped(&whole, bit))).await;
            let was_clean = env.random().is_multiple_of(2);
            let outcome = written.outcome(written.settings(was_clean, written.end), vec![]).await;
            written.check(&outcome, &hit, &what);
            assert!(outcome.end == written.end || outcome.lost_end == Some(written.end), "{what}");
            let left = file_bytes(&env, &partition_dir().join(&name)).await;
            assert!(left == flipped(&whole, bit), "{what}: the file is as it was");
            // Nothing says that it was flushed: whatever is served is right, and nothing is refused
            // but what is damaged.
            let outcome = written.outcome(written.settings(false, first), Vec::new()).await;
            assert!(outcome.end >= first, "{what}");
            assert!(outcome.refused.is_subset(&hit), "{what}: {outcome:?}");
        }
    };
    sim.run(test).expect("ends");
}

#[test]
fn bits_of_the_last_four_batches() {
    turns(7 * 17).into_iter().for_each(tail_flips);
}

impl Written {
    /// One pass of the scrub: what it tells, and how many damaged ranges there are then.
    async fn scrub(&self) -> (Scrubbed, u64) {
        let jobs = Jobs::new(self.env.clone(), settings(true));
        let log = ScrubLog {
            dir: partition_dir(),
            segments: self.sealed.clone(),
            epochs: self.epochs.clone(),
            gaps: false,
        };
        let job = Job::Scrub { logs: vec![log], bytes_per_second: 1 << 20 };
        let Some(Event::Scrubbed(done)) = run(&jobs, job).await.pop() else { panic!() };
        assert_eq!((done.segments, done.failures), (self.sealed.len() as u64, 0));
        (done, jobs.damaged_ranges())
    }
}

/// One pass of the scrub finds every rotten bit of closed segments, indexes and snapshots.
#[test]
fn a_scrub_finds_every_rotten_bit() {
    let sim = Sim::new(6);
    let env = sim.env(0);
    let test = async move {
        let written = Written::new(&env, 300).await;
        let begin = env.now();
        assert_eq!(written.scrub().await.1, 0);
        let bytes: u64 = written.sealed.iter().map(|segment| segment.bytes).sum();
        let least_ms = bytes * 1_000 / (1 << 20);
        assert!(env.now().ms_since(begin) >= least_ms, "no faster than it may");
        for i in 0..200 {
            let segment = written.sealed[env.random() as usize % written.sealed.len()];
            let (offset, kind) = match i % 5 {
                0 => (segment.base_offset, "index"),
                1 => (segment.base_offset, "timeindex"),
                2 => (segment.next_offset, "snapshot"),
                _ => (segment.base_offset, "log"),
            };
            let name = format!("{offset:020}.{kind}");
            let bytes = &written.image[&name];
            let bit = env.random() as usize % (bytes.len() * 8);
            written.lay(&name, Some(&flipped(bytes, bit))).await;
            let (done, ranges) = written.scrub().await;
            let found = match kind {
                "log" => ranges,
                "snapshot" => done.snapshots,
                _ => done.indexes,
            };
            assert_eq!(found, 1, "bit {bit} of {name}: {done:?}");
            // An index is as it should be again.
            if kind.ends_with("index") {
                assert_eq!(written.scrub().await.0.indexes, 0, "bit {bit} of {name}");
            }
        }
    };
    sim.run(test).expect("ends");
}

/// What stands beside the segments is made anew from them, be it damaged, cut or missing.
#[test]
fn indexes_snapshots_and_checkpoints_are_made_anew() {
    let sim = Sim::new(4);
    let env = sim.env(0);
    let test = async move {
        let written = Written::new(&env, 200).await;
        let companions: Vec<_> = written
            .image
            .iter()
            .filter(|(name, _)| !name.ends_with(".log") && *name != "partition.metadata")
            .map(|(name, bytes)| (name.clone(), bytes.clone()))
            .collect();
        assert!(companions.len() > 8, "{companions:?}");
        for (i, (name, bytes)) in companions.iter().enumerate() {
            let middle = bytes.len() / 2;
            let bit = env.random() as usize % (bytes.len() * 8 + 1);
            let mut kinds = vec![None, Some(Vec::new()), Some(bytes[..middle].to_vec())];
            if bit / 8 < bytes.len() {
                kinds.push(Some(flipped(bytes, bit)));
            }
            for content in kinds {
                let what = format!("{name} with {:?} bytes", content.as_ref().map(Vec::len));
                written.lay(name, content.as_deref()).await;
                let settings = written.settings(i % 2 == 0, written.end);
                let outcome = written.outcome(settings, Vec::new()).await;
                written.check(&outcome, &BTreeSet::new(), &what);
                assert_eq!((outcome.end, outcome.damaged_ranges), (written.end, 0), "{what}");
            }
        }
    };
    sim.run(test).expect("ends");
}

/// A bit of the journal where segments have all that it holds.
#[test]
fn a_damaged_journal_is_no_loss_where_segments_have_it() {
    let sim = Sim::new(5);
    let env = sim.env(0);
    let test = async move {
        let written = Written::new(&env, 60).await;
        let dir = Path::new(crate::mini::LOG_DIR);
        let files = names(&env, dir).await;
        let name = files.iter().find(|name| name.starts_with("millrace-journal")).unwrap().clone();
        assert!(journal_file(0).ends_with(&name), "{name}");
        let whole = file_bytes(&env, &dir.join(&name)).await;
        let count = |bytes: &[u8]| {
            let content = replay::read_file(&Bytes::copy_from_slice(bytes));
            let (redo, _) = replay::merge(content.into_iter().collect());
            redo.get(&ID).map_or(0, Vec::len)
        };
        let (all, used) = (count(&whole), whole.iter().rposition(|byte| *byte != 0).unwrap());
        assert!(all > 3, "{all} items");
        for bit in (0..used * 8).step_by(used * 8 / 60) {
            let damaged = Bytes::from(flipped(&whole, bit));
            let redo = match replay::read_file(&damaged) {
                Ok(content) => replay::merge(vec![content]).0.remove(&ID).unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            assert!(redo.len() <= all + 1);
            let mut valid = 0;
            for item in redo.iter().filter(|item| !item.bytes.is_empty()) {
                let mut scanner = SegmentScanner::new(ScanRules {
                    first_offset: 0,
                    position: item.position,
                    batch_bytes_max: 1 << 20,
                    gaps: true,
                });
                scanner.feed(&item.bytes, |_| valid += 1);
                assert_eq!(scanner.finish().position, item.position + item.bytes.len() as u64);
            }
            assert!(valid > 0 || redo.is_empty());
            written.lay("", None).await;
            let outcome = written.outcome(written.settings(false, 0), redo).await;
            written.check(&outcome, &BTreeSet::new(), &format!("bit {bit} of the journal"));
        }
    };
    sim.run(test).expect("ends");
}
