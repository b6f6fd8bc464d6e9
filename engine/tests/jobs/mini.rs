//! A shard of one partition, as small as can be: enough to write through jobs and to come back after
//! a crash.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use millrace_engine::io::sim::SimEnv;
use millrace_engine::io::{Env, File, OpenMode};
use millrace_engine::job::journal_file::{journal_name, list_journals, read_journal};
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::journal::entry::{EntryBuilder, EntrySize, Run};
use millrace_engine::journal::plan::{FileId, Journal};
use millrace_engine::journal::replay::{self, Redo};
use millrace_engine::limits::BLOCK_BYTES;
use millrace_engine::log::index::OffsetPosition;
use millrace_engine::memory::align_up;
use millrace_engine::partition::admit::{Now, produce_rules};
use millrace_engine::partition::commit::{CommitPart, JournalRange, SegmentWrite};
use millrace_engine::partition::find::Found;
use millrace_engine::partition::{Partition, Recovered};
use millrace_engine::record::batch::{BatchHeader, stamp_leader};
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::record::layout::HEADER_BYTES;
use millrace_engine::shard::call::Isolation;
use millrace_engine::shard::event::{Commit, DiskFailure, Event, Job, JournalWrite, Open, Written};
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{Offset, TopicPartition, Uuid};

pub const LOG_DIR: &str = "/d";
pub const ID: TopicPartition = TopicPartition { topic_id: Uuid(0x1234_5678), partition: 0 };

/// Where a read that knows nothing of a segment begins.
pub const BEGIN: OffsetPosition = OffsetPosition { offset: 0, position: 0 };

pub fn partition_dir() -> Arc<Path> {
    Arc::from(Path::new("/d/orders-0"))
}

pub fn config(segment_bytes: i32) -> Arc<TopicConfig> {
    Arc::new(TopicConfig { segment_bytes, segment_ms: i64::MAX, ..TopicConfig::default() })
}

pub fn settings(was_clean: bool) -> JobSettings {
    JobSettings {
        cache_bytes: 16 << 20,
        shard: 0,
        log_dir: Arc::from(Path::new(LOG_DIR)),
        is_flushed: true,
        was_clean,
        producer_expiration_ms: 86_400_000,
        recovery_points: Arc::default(),
    }
}

/// All events of a job.
pub async fn run(jobs: &Jobs<SimEnv>, job: Job) -> Vec<Event> {
    let events = RefCell::new(Vec::new());
    jobs.run(job, &|event| events.borrow_mut().push(event)).await;
    events.into_inner()
}

pub fn open_job(leader_epoch: i32, redo: Vec<Redo>, segment_bytes: i32) -> Job {
    Job::Open(Box::new(Open {
        partition: ID,
        topic: Arc::from("orders"),
        dir: partition_dir(),
        config: config(segment_bytes),
        leader_epoch,
        redo,
        log_start_offset: None,
        waypoint: None,
    }))
}

pub async fn open(jobs: &Jobs<SimEnv>, job: Job) -> Result<Recovered, DiskFailure> {
    match run(jobs, job).await.pop() {
        Some(Event::Opened { result, .. }) => result.map(|recovered| *recovered),
        other => panic!("{other:?}"),
    }
}

pub fn now(env: &SimEnv) -> Now {
    Now { now: env.now(), wall_ms: env.wall_ms() }
}

/// A batch of an idempotent producer (or of none).
pub fn batch(env: &SimEnv, records: usize, bytes: usize, producer: Option<(i64, i32)>) -> Bytes {
    let (producer_id, base_sequence) = producer.unwrap_or((-1, -1));
    let producer_epoch = if producer_id < 0 { -1 } else { 0 };
    let options =
        BatchOptions { producer_id, producer_epoch, base_sequence, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    let salt = env.random();
    let value: Vec<u8> =
        (0..bytes as u64).map(|i| (i.wrapping_mul(salt | 1) >> 13) as u8).collect();
    for i in 0..records {
        let time = env.wall_ms() + i as i64;
        builder.push(time, Some(b"key"), Some(&value), &[]).unwrap();
    }
    builder.finish()
}

/// What survives crashes, to compare with.
#[derive(Default)]
pub struct Model {
    /// Stored batches with their base offsets and next offsets.
    pub batches: Vec<(Offset, Offset, Bytes)>,
    /// Acknowledged up to here.
    pub acked: Offset,
    /// Next sequence of each producer.
    pub sequences: BTreeMap<i64, i32>,
}

impl Model {
    pub fn end(&self) -> Offset {
        self.batches.last().map_or(0, |batch| batch.1)
    }

    /// What was not kept is forgotten.
    pub fn cut(&mut self, end: Offset) {
        self.batches.retain(|batch| batch.1 <= end);
        assert_eq!(self.end(), end, "the log ends between batches that were appended");
        self.sequences.clear();
        for (_, _, bytes) in &self.batches {
            let header = BatchHeader::parse(bytes).unwrap();
            if header.has_producer_id() {
                self.sequences.insert(header.producer_id, header.last_sequence() + 1);
            }
        }
        self.acked = end;
    }
}

pub struct Mini {
    pub env: SimEnv,
    pub jobs: Jobs<SimEnv>,
    pub partition: Partition<()>,
    pub journal: Journal,
    pub model: Rc<RefCell<Model>>,
    pub events: Rc<RefCell<VecDeque<Event>>>,
    committing: Option<Offset>,
    pub failures: Vec<DiskFailure>,
    segment_bytes: i32,
}

impl Mini {
    /// Recovers from what is on disk; old journals are removed once the partition is open.
    pub async fn start(
        env: SimEnv,
        settings: JobSettings,
        model: Rc<RefCell<Model>>,
        leader_epoch: i32,
        segment_bytes: i32,
    ) -> Result<Self, DiskFailure> {
        env.create_dir(Path::new(LOG_DIR)).await.unwrap();
        let old = list_journals(&env, Path::new(LOG_DIR)).await.unwrap();
        let mut contents = Vec::new();
        for (_, _, path) in &old {
            let bytes = read_journal(&env, path).await.unwrap();
            contents.extend(replay::read_file(&bytes).ok());
        }
        let (mut redo, highest) = replay::merge(contents);
        let jobs = Jobs::new(env.clone(), settings);
        let redo = redo.remove(&ID).unwrap_or_default();
        let recovered = open(&jobs, open_job(leader_epoch, redo, segment_bytes)).await?;
        let mut next_file = 0;
        for (_, file, path) in old {
            next_file = next_file.max(file + 1);
            env.remove_file(&path).await.unwrap();
        }
        env.sync_dir(Path::new(LOG_DIR)).await.unwrap();
        let mut journal = Journal::new(0, 8, highest + 1, next_file + 2);
        for file in next_file..next_file + 2 {
            let made = run(&jobs, Job::CreateJournalFile(file)).await;
            assert!(matches!(made[..], [Event::JournalFile { result: Ok(()), .. }]), "{made:?}");
            journal.add_file(file);
        }
        let partition = Partition::new(
            ID,
            Arc::from("orders"),
            partition_dir(),
            config(segment_bytes),
            leader_epoch,
            recovered,
        );
        let events = Rc::default();
        let (committing, failures) = (None, Vec::new());
        Ok(Self {
            env,
            jobs,
            partition,
            journal,
            model,
            events,
            committing,
            failures,
            segment_bytes,
        })
    }

    pub fn spawn(&self, job: Job) {
        let (jobs, events) = (self.jobs.clone(), Rc::clone(&self.events));
        let accepted = jobs.accept(job);
        self.env.spawn(async move {
            jobs.run_accepted(accepted, &|event| events.borrow_mut().push_back(event)).await;
        });
    }

    pub fn append(&mut self, records: &Bytes) {
        let pool = Arc::clone(self.env.pool());
        let rules = produce_rules(&config(self.segment_bytes), false, true);
        let rules = millrace_engine::record::validate::ProduceRules {
            batch_bytes_max: usize::MAX,
            ..rules
        };
        let now = now(&self.env);
        let admitted = self.partition.append(&pool, now, records, &rules).unwrap();
        let (head, body) = records.split_first_chunk::<HEADER_BYTES>().unwrap();
        let mut head = *head;
        stamp_leader(&mut head, admitted.base_offset, self.partition.leader_epoch);
        let stored = Bytes::from([&head[..], body].concat());
        let mut model = self.model.borrow_mut();
        assert_eq!(model.end(), admitted.base_offset);
        model.batches.push((admitted.base_offset, admitted.end, stored));
        let header = BatchHeader::parse(records).unwrap();
        if header.has_producer_id() {
            model.sequences.insert(header.producer_id, header.last_sequence() + 1);
        }
    }

    pub fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    /// Begins a commit of what was appended.
    pub fn commit(&mut self) {
        assert!(self.committing.is_none());
        let end = self.partition.offsets.end();
        let direct = match self.partition.plan_commit(true) {
            CommitPart::Later => return,
            CommitPart::Direct(writes) => writes,
            CommitPart::Journal(range) => {
                if self.journal_range(range, end) {
                    return;
                }
                self.partition.unplan(range);
                if !self.partition.can_write() {
                    return;
                }
                self.partition.commit_directly()
            }
        };
        self.spawn(Job::Flush {
            partition: ID,
            dir: partition_dir(),
            writes: direct,
            is_trimmed: false,
            is_flushed: true,
        });
    }

    fn journal_range(&mut self, range: JournalRange, end: Offset) -> bool {
        let JournalRange { segment, from, to, .. } = range;
        let run = Run { partition: ID, segment, from, to };
        let size = EntrySize::default().with(&run);
        let Some(place) = self.journal.place(size.bytes()) else { return false };
        self.journal.owe(ID, place.file_sequence, end);
        let mut entry = EntryBuilder::new(self.env.pool(), 0, place, size);
        if run.is_aside() {
            let pieces = self.partition.planned_pieces(range);
            let tail = &self.partition.active().tail;
            entry.set_aside(&run, pieces, |crc| {
                tail.slices(from, to).iter().fold(crc, |crc, part| crc32c::crc32c_append(crc, part))
            });
        } else {
            let tail = &self.partition.active().tail;
            entry.pack(&run, |target| tail.copy_to(from, to, target));
        }
        self.committing = Some(end);
        let journal = JournalWrite { place, pieces: entry.finish() };
        self.spawn(Job::Commit(Commit { journal, is_flushed: true }));
        true
    }

    pub fn flush(&mut self, is_trimmed: bool) {
        if !self.partition.can_write() {
            return;
        }
        let writes: Vec<SegmentWrite> =
            if is_trimmed { self.partition.settle() } else { self.partition.write_planned() };
        if !writes.is_empty() {
            let (partition, dir) = (ID, partition_dir());
            self.spawn(Job::Flush { partition, dir, writes, is_trimmed, is_flushed: true });
        }
    }

    /// Takes up what has happened.
    pub fn take_events(&mut self) {
        loop {
            let event = self.events.borrow_mut().pop_front();
            let Some(event) = event else { return };
            match event {
                Event::Committed(result) => {
                    let end = self.committing.take().unwrap();
                    match result {
                        Ok(()) => self.durable(end),
                        Err(failure) => self.failures.push(failure),
                    }
                }
                Event::Flushed { written, result, .. } => self.flushed(&written, result),
                Event::JobFailed(failure) => self.failures.push(failure),
                other => panic!("{other:?}"),
            }
        }
    }

    fn flushed(&mut self, written: &[Written], result: Result<(), DiskFailure>) {
        if let Err(failure) = result {
            for write in written {
                self.partition.not_written(write.segment);
            }
            self.failures.push(failure);
            return;
        }
        for write in written {
            self.partition.written(write.segment, write.end, write.end_offset);
        }
        while let Some(seal) = self.partition.seal() {
            self.spawn(Job::Seal { dir: partition_dir(), seal });
        }
        let end = self.partition.written_offset();
        self.journal.settle(ID, end);
        self.durable(end);
    }

    fn durable(&mut self, end: Offset) {
        let end = end.max(self.partition.offsets.durable());
        self.partition.committed(end);
        let mut model = self.model.borrow_mut();
        model.acked = model.acked.max(end);
    }

    /// Waits until nothing runs.
    pub async fn quiet(&mut self) {
        loop {
            self.take_events();
            if self.jobs.running() == 0 && self.events.borrow().is_empty() {
                return;
            }
            self.env.sleep_until(self.env.now().plus_ms(1)).await;
        }
    }

    /// Everything durable, every file complete.
    pub async fn stop_cleanly(&mut self) {
        self.quiet().await;
        while self.partition.is_dirty() {
            self.commit();
            self.quiet().await;
        }
        self.flush(false);
        self.quiet().await;
        let seal = self.partition.seal_active();
        self.spawn(Job::Seal { dir: partition_dir(), seal });
        self.quiet().await;
    }

    /// Reads from `offset` on, as a consumer would.
    pub async fn read(&self, offset: Offset, bytes_max: usize) -> Bytes {
        let found = self.partition.find(offset, bytes_max, true, Isolation::Uncommitted).unwrap();
        match found {
            Found::End => Bytes::new(),
            Found::Here(parts) => Bytes::from(parts.concat()),
            Found::Cold(plan) => {
                let job = Job::Read { read: 1, slot: 0, dir: partition_dir(), plan };
                match run(&self.jobs, job).await.pop() {
                    Some(Event::ReadDone { result, .. }) => {
                        let bytes = Bytes::from(result.unwrap().concat());
                        assert!(!bytes.is_empty(), "at least one batch: {plan:?}");
                        bytes
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// Splits bytes into batches.
pub fn batches(bytes: &Bytes) -> Vec<(Offset, Offset, Bytes)> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let header = BatchHeader::parse(&bytes[at..]).unwrap();
        let end = at + header.size_bytes();
        out.push((header.base_offset, header.next_offset(), bytes.slice(at..end)));
        at = end;
    }
    out
}

/// The bytes of a file.
pub async fn file_bytes(env: &SimEnv, path: &Path) -> Vec<u8> {
    let file = env.open(path, OpenMode::ReadOnly).await.unwrap();
    let size = file.size().await.unwrap();
    file.read_at(0, align_up(size) as usize).await.unwrap().to_vec()
}

/// Writes into a file, regardless of what it means.
pub async fn overwrite(env: &SimEnv, path: &Path, at: usize, with: &[u8]) {
    let mut bytes = file_bytes(env, path).await;
    let size = bytes.len();
    bytes[at..at + with.len()].copy_from_slice(with);
    let mut buffer = env.pool().buffer(size.next_multiple_of(BLOCK_BYTES));
    buffer.as_mut_slice().fill(0);
    buffer.as_mut_slice()[..size].copy_from_slice(&bytes);
    let file = env.open(path, OpenMode::ReadWrite).await.unwrap();
    file.write_at(0, vec![buffer.into_piece()]).await.unwrap();
    file.truncate(size as u64).await.unwrap();
    file.sync_data().await.unwrap();
}

pub async fn names(env: &SimEnv, dir: &Path) -> Vec<String> {
    env.list_dir(dir).await.unwrap().into_iter().map(|entry| entry.name).collect()
}

pub fn journal_file(file: FileId) -> PathBuf {
    Path::new(LOG_DIR).join(journal_name(0, file))
}
