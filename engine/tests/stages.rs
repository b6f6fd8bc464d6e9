//! The times of stages that a shard reports: the shard is driven by hand, and the time is a number.

#![expect(clippy::unwrap_used, reason = "a test fails where its world cannot be made")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millrace_engine::group::GroupConfig;
use millrace_engine::io::Env;
use millrace_engine::io::sim::Sim;
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::limits::DIRECT_APPEND_BYTES;
use millrace_engine::machine::Token;
use millrace_engine::memory::Pool;
use millrace_engine::metadata::apply::Delta;
use millrace_engine::metadata::image::Provenance;
use millrace_engine::metadata::record::{self, MetadataRecord};
use millrace_engine::partition::admit::Now;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::shard::call::{Acks, Answer, Append, AppendItem, Call, ReplyTo};
use millrace_engine::shard::event::{Effect, Event, Job, Written};
use millrace_engine::shard::scrub::ScrubSettings;
use millrace_engine::shard::stages::AppendTimes;
use millrace_engine::shard::stats::ShardStats;
use millrace_engine::shard::{Inheritance, Shard, ShardSettings};
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{Nanos, TopicPartition, Uuid};

const LOG_DIR: &str = "/d";
const TOPIC: Uuid = Uuid(77);
const PARTITIONS: i32 = 2;

const fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic_id: TOPIC, partition: index }
}

/// A shard whose writes end when the test says so.
struct ByHand {
    sim: Sim,
    shard: Shard,
    effects: Vec<Effect>,
    /// Writes under way.
    writes: Vec<Job>,
    /// Answers to appends, by the number of the append.
    answers: Vec<(u64, Option<AppendTimes>)>,
    stats: Option<ShardStats>,
}

impl ByHand {
    /// A shard with two open partitions and room in its journal.
    fn new() -> Self {
        let settings = ShardSettings {
            shard: 0,
            shards: 1,
            node_id: 1,
            log_dir: Arc::from(Path::new(LOG_DIR)),
            is_flushed: true,
            is_deep: true,
            memory_bytes: 64 << 20,
            journal_files_max: 4,
            topic_defaults: Arc::new(TopicConfig::default()),
            group: GroupConfig::default(),
            retention_check_ms: 300_000,
            checkpoint_interval_ms: 60_000,
            scrub: ScrubSettings { interval_ms: 0, bytes_per_second: 1 << 20 },
        };
        // After a clean stop the journal may grow at once.
        let inherited = Inheritance { was_clean: true, ..Inheritance::default() };
        let shard = Shard::new(settings, Pool::new(0), inherited);
        let sim = Sim::new(1);
        let (effects, writes, answers) = (Vec::new(), Vec::new(), Vec::new());
        let mut hand = Self { sim, shard, effects, writes, answers, stats: None };
        let mut image = Delta::from_nothing(&Default::default());
        image.apply(record::Topic { name: "orders".into(), topic_id: TOPIC }.into()).unwrap();
        for partition_id in 0..PARTITIONS {
            image.apply(Self::partition_record(partition_id)).unwrap();
        }
        let provenance = Provenance { offset: 0, epoch: 1, timestamp_ms: 0 };
        let (image, _) = image.finish(provenance);
        hand.call(0, 0, Call::Publish(Arc::new(image)));
        // The journal asks for its files when a turn ends.
        hand.end_turn(0);
        hand.end_turn(0);
        hand
    }

    fn partition_record(partition_id: i32) -> MetadataRecord {
        let topic_id = TOPIC;
        let (replicas, isr, directories) = (vec![1], vec![1], vec![Uuid(9)]);
        record::Partition {
            partition_id,
            topic_id,
            replicas,
            isr,
            leader: 1,
            directories,
            ..record::Partition::default()
        }
        .into()
    }

    fn now(at: u64) -> Now {
        Now { now: Nanos(at), wall_ms: 1_000 }
    }

    fn event(&mut self, at: u64, event: Event) {
        self.shard.on_event(Self::now(at), event, &mut self.effects);
        self.carry_out(at);
    }

    fn call(&mut self, at: u64, number: u64, call: Call) {
        let reply = ReplyTo { shard: 0, token: Token(number) };
        self.event(at, Event::Call(reply, call));
    }

    fn append(&mut self, at: u64, number: u64, batches: &[(i32, usize)]) {
        let item = |&(index, bytes): &(i32, usize)| {
            let mut builder = BatchBuilder::new(BatchOptions::default());
            builder.push(1_000, None, Some(&vec![7; bytes]), &[]).unwrap();
            AppendItem { partition: partition(index), records: builder.finish() }
        };
        let items = batches.iter().map(item).collect();
        self.call(at, number, Call::Append(Append { items, acks: Acks::All, zstd_allowed: true }));
    }

    fn end_turn(&mut self, at: u64) {
        self.shard.end_turn(Self::now(at), &mut self.effects);
        self.carry_out(at);
    }

    /// Files are there at once; writes wait for the test.
    fn carry_out(&mut self, at: u64) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Answer(reply, Answer::Appended { results, times }) => {
                    assert!(results.iter().all(Result::is_ok), "{results:?}");
                    self.answers.push((reply.token.0, times));
                }
                Effect::Answer(_, Answer::Stats(stats)) => self.stats = Some(*stats),
                Effect::Run(write @ (Job::Commit(_) | Job::Flush { .. })) => {
                    self.writes.push(write)
                }
                Effect::Run(Job::CreateJournalFile(file)) => {
                    self.event(at, Event::JournalFile { file, result: Ok(()) });
                }
                Effect::Run(open @ Job::Open(_)) => {
                    let event = self.run(open);
                    self.event(at, event);
                }
                _ => {}
            }
        }
    }

    /// Has a job done on a simulated disk.
    fn run(&self, job: Job) -> Event {
        let env = self.sim.env(0);
        let event = self.sim.run(async move {
            env.create_dir(Path::new(LOG_DIR)).await.unwrap();
            let settings = JobSettings {
                cache_bytes: 16 << 20,
                shard: 0,
                log_dir: Arc::from(Path::new(LOG_DIR)),
                is_flushed: true,
                was_clean: true,
                producer_expiration_ms: 86_400_000,
                recovery_points: Arc::default(),
            };
            let event = std::cell::RefCell::new(None);
            let jobs = Jobs::new(env, settings);
            jobs.run(job, &|done| *event.borrow_mut() = Some(done)).await;
            event.into_inner()
        });
        event.unwrap().expect("a job ends in an event")
    }

    /// The oldest write ends, and the shard hears of it in a turn that begins at `at`.
    fn write_ends(&mut self, at: u64) {
        let event = match self.writes.remove(0) {
            Job::Commit(_) => Event::Committed(Ok(())),
            Job::Flush { partition, writes, .. } => {
                let written = writes.iter().map(Written::from).collect();
                Event::Flushed { partition, written, result: Ok(()) }
            }
            other => panic!("{other:?}"),
        };
        self.event(at, event);
    }
}

const fn times(queued: u64, admitted: u64, journaled: u64, flushed: u64) -> Option<AppendTimes> {
    Some(AppendTimes {
        queued: Nanos(queued),
        admitted: Nanos(admitted),
        journaled: Nanos(journaled),
        flushed: Nanos(flushed),
    })
}

#[test]
fn each_stage_gets_exactly_the_time_that_passed() {
    let mut hand = ByHand::new();
    // A turn from 1,000 to 1,040 takes up two appends, and its commit begins with its end.
    hand.append(1_000, 1, &[(0, 100)]);
    hand.append(1_000, 2, &[(1, 100)]);
    hand.end_turn(1_040);
    // The next turn's append waits for that commit.
    hand.append(1_100, 3, &[(0, 100)]);
    hand.end_turn(1_107);
    assert_eq!(hand.writes.len(), 1, "one commit at a time");
    assert_eq!(hand.answers, []);
    hand.write_ends(1_500);
    assert_eq!(
        std::mem::take(&mut hand.answers),
        [(1, times(1_000, 1_040, 1_040, 1_500)), (2, times(1_000, 1_040, 1_040, 1_500))]
    );
    hand.end_turn(1_503);
    hand.write_ends(2_000);
    assert_eq!(hand.answers, [(3, times(1_100, 1_107, 1_503, 2_000))]);
}

#[test]
fn the_write_that_ends_last_counts() {
    let mut hand = ByHand::new();
    let large = usize::try_from(DIRECT_APPEND_BYTES).unwrap() - 1_000;
    // One batch goes to its segment by itself, the other through the journal.
    hand.append(10, 1, &[(0, large), (0, 2_000), (1, 50)]);
    hand.end_turn(25);
    let is_direct = |write: &Job| matches!(write, Job::Flush { .. });
    assert_eq!(hand.writes.iter().filter(|write| is_direct(write)).count(), 1);
    assert_eq!(hand.writes.len(), 2);
    hand.writes.sort_by_key(is_direct);
    hand.write_ends(100);
    assert_eq!(hand.answers, [], "the segment is still being written");
    hand.end_turn(101);
    hand.write_ends(900);
    assert_eq!(hand.answers, [(1, times(10, 25, 25, 900))]);
    hand.call(901, 2, Call::Stats);
    let stats = hand.stats.expect("an answer");
    assert_eq!((stats.commits, stats.flushes), (1, 1));
    assert_eq!((stats.partitions_open, stats.partitions_failed), (2, 0));
    assert!(stats.tail_bytes > large, "{stats:?}");
}

#[test]
fn what_did_not_wait_for_the_disk_has_no_times() {
    let mut hand = ByHand::new();
    let item = AppendItem { partition: partition(0), records: Bytes::new() };
    let append = Append { items: vec![], acks: Acks::All, zstd_allowed: true };
    hand.call(5, 1, Call::Append(append));
    assert_eq!(hand.answers, [(1, None)]);
    let unheard = Append {
        items: vec![AppendItem { partition: partition(9), ..item }],
        acks: Acks::All,
        zstd_allowed: true,
    };
    let reply = ReplyTo { shard: 0, token: Token(2) };
    let mut effects = Vec::new();
    let event = Event::Call(reply, Call::Append(unheard));
    hand.shard.on_event(ByHand::now(6), event, &mut effects);
    match effects.as_slice() {
        [Effect::Answer(_, Answer::Appended { results, times: None })] => {
            assert!(results[0].is_err());
        }
        other => panic!("{other:?}"),
    }
}
