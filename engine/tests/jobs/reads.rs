//! Cold reads, searches and streamed logs, against a plain list of batches.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::mini::{Mini, Model, batch, batches, open_job, partition_dir, run, settings};
use bytes::Bytes;
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Fault, OpKind, Rule, Sim, SimEnv};
use millrace_engine::job::Jobs;
use millrace_engine::partition::find::{ColdRead, ColdSearch, Expected, OffsetFound};
use millrace_engine::record::batch::BatchHeader;
use millrace_engine::shard::call::{FoundOffset, Isolation, OffsetWish};
use millrace_engine::shard::event::{Event, Job};
use millrace_engine::types::Offset;

const SEGMENT_BYTES: i32 = 3_000_000;

/// A log of several segments, all in files, opened anew so that nothing is in memory.
async fn log(env: &SimEnv, model: &Rc<RefCell<Model>>, sizes: &[usize]) -> Mini {
    let start = Mini::start(env.clone(), settings(false), Rc::clone(model), 1, SEGMENT_BYTES).await;
    let mut mini = start.unwrap();
    for (i, size) in sizes.iter().enumerate() {
        env.sleep_until(env.now().plus_ms(env.random() % 50)).await;
        mini.append(&batch(env, 1 + i % 3, size / (1 + i % 3), None));
        if i % 7 == 0 {
            mini.quiet().await;
            mini.commit();
        }
    }
    mini.stop_cleanly().await;
    let start = Mini::start(env.clone(), settings(true), Rc::clone(model), 2, SEGMENT_BYTES).await;
    start.unwrap()
}

fn sizes(env: &SimEnv, count: usize) -> Vec<usize> {
    let size = |_| match env.random() % 12 {
        0 => env.random() % 1_500_000,
        1..4 => env.random() % 100_000,
        _ => env.random() % 5_000,
    };
    (0..count).map(size).map(|size| size as usize).collect()
}

/// What a read must give: whole batches from the one with the offset on.
fn check_read(model: &Model, offset: Offset, limit: Offset, bytes_max: usize, got: &Bytes) {
    let got = batches(got);
    let first = model.batches.iter().position(|batch| batch.1 > offset).unwrap();
    let wanted = &model.batches[first..];
    assert!(!got.is_empty());
    let mut total = 0;
    for (i, (base, next, bytes)) in got.iter().enumerate() {
        assert_eq!((*base, *next), (wanted[i].0, wanted[i].1));
        assert!(*bytes == wanted[i].2);
        assert!(*base < limit);
        total += bytes.len();
        assert!(i == 0 || total <= bytes_max);
    }
}

#[test]
fn reads_give_whole_batches_from_any_offset() {
    for seed in 0..4 {
        let sim = Sim::new(seed);
        let env = sim.env(0);
        let test = async move {
            let model = Rc::new(RefCell::new(Model::default()));
            let sizes = sizes(&env, 200);
            let mini = log(&env, &model, &sizes).await;
            let model = model.borrow();
            assert!(mini.partition.sealed().len() > 1);
            for _ in 0..150 {
                let offset = (env.random() % model.end() as u64) as i64;
                let bytes_max = 1 << (env.random() % 22);
                let got = mini.read(offset, bytes_max).await;
                check_read(&model, offset, model.end(), bytes_max, &got);
            }
            // The same with a limit, and from a position before the batch.
            let segment = mini.partition.sealed()[1];
            for _ in 0..50 {
                let span = (segment.next_offset - segment.base_offset) as u64;
                let offset = segment.base_offset + (env.random() % span) as i64;
                let limit = offset + 1 + (env.random() % 20) as i64;
                let plan = ColdRead {
                    segment: segment.base_offset,
                    from: (env.random().is_multiple_of(2)).then_some(crate::mini::BEGIN),
                    to: segment.bytes,
                    offset,
                    limit,
                    bytes_max: 1 << (env.random() % 22),
                    expected: Expected::default(),
                };
                let job = Job::Read { read: 7, slot: 3, dir: partition_dir(), plan };
                match run(&mini.jobs, job).await.pop() {
                    Some(Event::ReadDone { read: 7, slot: 3, result }) => {
                        let got = Bytes::from(result.unwrap().concat());
                        check_read(&model, offset, limit, plan.bytes_max, &got);
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        sim.run(test).expect("ends");
    }
}

#[test]
fn a_sequential_reader_is_read_ahead_for() {
    let sim = Sim::new(5);
    let env = sim.env(0);
    let test = async move {
        let model = Rc::new(RefCell::new(Model::default()));
        let sizes: Vec<usize> = (0..600).map(|i| 10_000 + i % 3_000).collect();
        let mini = log(&env, &model, &sizes).await;
        let (mut offset, mut reads) = (0, 0_u64);
        while offset < model.borrow().end() {
            let got = mini.read(offset, 500_000).await;
            check_read(&model.borrow(), offset, Offset::MAX, 500_000, &got);
            offset = batches(&got).last().unwrap().1;
            reads += 1;
        }
        let segments = mini.partition.sealed().len() as u64 + 1;
        // The first two reads of each segment find nothing yet.
        assert!(mini.jobs.read_ahead_hits() + 2 * segments >= reads, "of {reads}");
    };
    sim.run(test).expect("ends");
}

#[test]
fn a_missing_or_damaged_index_is_no_obstacle() {
    let sim = Sim::new(9);
    let env = sim.env(0);
    let test = async move {
        let model = Rc::new(RefCell::new(Model::default()));
        let sizes = sizes(&env, 150);
        let mini = log(&env, &model, &sizes).await;
        let sealed = mini.partition.sealed().to_vec();
        let dir = partition_dir();
        let index = dir.join(format!("{:020}.index", sealed[0].base_offset));
        env.remove_file(&index).await.unwrap();
        let times = dir.join(format!("{:020}.timeindex", sealed[1].base_offset));
        env.write_small(&times, Bytes::from_static(b"not an index")).await.unwrap();
        for segment in &sealed[..2] {
            let offset = (segment.base_offset + segment.next_offset) / 2;
            let got = mini.read(offset, 1000).await;
            check_read(&model.borrow(), offset, Offset::MAX, 1000, &got);
        }
        // Recovery makes them anew.
        drop(mini);
        let jobs = Jobs::new(env.clone(), settings(true));
        let recovered =
            crate::mini::open(&jobs, open_job(3, Vec::new(), SEGMENT_BYTES)).await.unwrap();
        assert_eq!(recovered.sealed, sealed);
        assert!(env.read_small(&index, 1 << 20).await.unwrap().len().is_multiple_of(8));
        assert!(env.read_small(&times, 1 << 20).await.unwrap().len().is_multiple_of(12));
    };
    sim.run(test).expect("ends");
}

#[test]
fn damage_is_an_error_and_not_a_wrong_answer() {
    let sim = Sim::new(11);
    let env = sim.env(0);
    let test = async move {
        let model = Rc::new(RefCell::new(Model::default()));
        let mini = log(&env, &model, &[1_500_000, 1_000, 2_000, 900_000, 900_000, 900_000]).await;
        let segment = mini.partition.sealed()[0];
        let dir = partition_dir();
        let path = dir.join(format!("{:020}.log", segment.base_offset));
        let second = model.borrow().batches[0].2.len();
        for (at, with) in [(second + 8, [0xff; 4]), (second + 8, [0; 4]), (second + 4, [0; 4])] {
            let before = crate::mini::file_bytes(&env, &path).await[at..at + 4].to_vec();
            crate::mini::overwrite(&env, &path, at, &with).await;
            let plan = ColdRead {
                segment: segment.base_offset,
                from: Some(crate::mini::BEGIN),
                to: segment.bytes,
                offset: model.borrow().batches[2].0,
                limit: Offset::MAX,
                bytes_max: 100,
                expected: Expected::default(),
            };
            let jobs = Jobs::new(env.clone(), settings(false));
            let job = Job::Read { read: 1, slot: 0, dir: Arc::clone(&dir), plan };
            let done = run(&jobs, job).await.pop();
            let Some(Event::ReadDone { result: Ok(records), .. }) = done else {
                panic!("{at} {with:?}: {done:?}")
            };
            assert!(records.concat() == model.borrow().batches[2].2, "what is behind it is served");
            let plan = ColdRead { offset: model.borrow().batches[1].0, ..plan };
            let job = Job::Read { read: 1, slot: 0, dir: Arc::clone(&dir), plan };
            let done = run(&jobs, job).await.pop();
            let is_refused = matches!(done, Some(Event::ReadDone { result: Err(_), .. }));
            assert!(is_refused, "{at} {with:?}");
            crate::mini::overwrite(&env, &path, at, &before).await;
        }
    };
    sim.run(test).expect("ends");
}

#[test]
fn a_disk_that_fails_is_told() {
    let sim = Sim::new(12);
    let env = sim.env(0);
    let model = Rc::new(RefCell::new(Model::default()));
    let of_log = Rc::clone(&model);
    let mini = sim.run(async move { log(&env, &of_log, &[900_000; 9]).await }).expect("ends");
    sim.fault(Rule::Next(OpKind::Read, ".log".to_owned(), Fault::Io));
    let plan = ColdRead {
        segment: 0,
        from: None,
        to: mini.partition.sealed()[0].bytes,
        offset: 0,
        limit: Offset::MAX,
        bytes_max: 100,
        expected: Expected::default(),
    };
    let jobs = mini.jobs.clone();
    let job = Job::Read { read: 1, slot: 0, dir: partition_dir(), plan };
    let done = sim.run(async move { run(&jobs, job).await.pop() }).expect("ends");
    match done {
        Some(Event::ReadDone { result: Err(failure), .. }) => {
            assert_eq!((failure.action, failure.is_full), ("read", false));
            assert!(failure.path.ends_with("00000000000000000000.log"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
}

/// The first record whose time is reached, by looking at all of them.
fn oracle(model: &Model, timestamp: i64) -> Option<FoundOffset> {
    model.batches.iter().find_map(|(base, next, bytes)| {
        let header = BatchHeader::parse(bytes).unwrap();
        // Records of a batch are a millisecond apart.
        (*base..*next).find_map(|offset| {
            let time = header.base_timestamp + (offset - base);
            let leader_epoch = header.partition_leader_epoch;
            (time >= timestamp).then_some(FoundOffset { offset, timestamp: time, leader_epoch })
        })
    })
}

#[test]
fn a_search_finds_the_first_record_of_a_time() {
    let sim = Sim::new(21);
    let env = sim.env(0);
    let test = async move {
        let model = Rc::new(RefCell::new(Model::default()));
        let sizes = sizes(&env, 200);
        let mut mini = log(&env, &model, &sizes).await;
        // Some of it in memory.
        for _ in 0..10 {
            env.sleep_until(env.now().plus_ms(5)).await;
            mini.append(&batch(&env, 3, 100, None));
        }
        mini.commit();
        mini.quiet().await;
        let model = model.borrow();
        let times: Vec<i64> = model
            .batches
            .iter()
            .map(|(_, _, bytes)| BatchHeader::parse(bytes).unwrap().max_timestamp)
            .collect();
        let wanted = times.iter().flat_map(|t| [t - 1, *t, t + 1]).chain([0, i64::MAX]);
        for timestamp in wanted.step_by(3) {
            let wish = OffsetWish::AtTime(timestamp);
            let found = match mini.partition.find_offset(wish, Isolation::Uncommitted) {
                OffsetFound::Here(found) => Some(found),
                OffsetFound::Search { cold, here, timestamp } => {
                    let dir = partition_dir();
                    let job = Job::Search { query: 1, slot: 2, dir, cold, here, timestamp };
                    match run(&mini.jobs, job).await.pop() {
                        Some(Event::SearchDone { query: 1, slot: 2, result }) => result.unwrap(),
                        other => panic!("{other:?}"),
                    }
                }
            };
            assert_eq!(found, oracle(&model, timestamp), "{timestamp}");
        }
        // Nothing at or behind the limit counts.
        let segment = mini.partition.sealed()[0];
        let cold = vec![ColdSearch {
            segment: segment.base_offset,
            from: None,
            to: segment.bytes,
            timestamp: times[10],
            limit: model.batches[10].0,
        }];
        let (dir, timestamp) = (partition_dir(), times[10]);
        let job = Job::Search { query: 1, slot: 0, dir, cold, here: Vec::new(), timestamp };
        let done = run(&mini.jobs, job).await.pop();
        assert!(matches!(done, Some(Event::SearchDone { result: Ok(None), .. })));
    };
    sim.run(test).expect("ends");
}

#[test]
fn a_log_is_streamed_whole() {
    let sim = Sim::new(31);
    let env = sim.env(0);
    let test = async move {
        let model = Rc::new(RefCell::new(Model::default()));
        let sizes = sizes(&env, 200);
        let mini = log(&env, &model, &sizes).await;
        let active = mini.partition.active();
        let segments: Vec<(Offset, u64)> = mini
            .partition
            .sealed()
            .iter()
            .map(|segment| (segment.base_offset, segment.bytes))
            .chain([(active.base_offset, active.bytes())])
            .collect();
        let job =
            |segments| Job::ReadLog { partition: crate::mini::ID, dir: partition_dir(), segments };
        let mut read = Vec::new();
        let events = run(&mini.jobs, job(segments.clone())).await;
        let count = events.len();
        for (i, event) in events.into_iter().enumerate() {
            match event {
                Event::LogPart { result: Ok(Some(part)), .. } => read.extend(batches(&part)),
                Event::LogPart { result: Ok(None), .. } => assert_eq!(i + 1, count),
                other => panic!("{other:?}"),
            }
        }
        assert!(count > 4);
        assert!(read == model.borrow().batches);
        // A wrong bit is found.
        let path = partition_dir().join(format!("{:020}.log", segments[0].0));
        crate::mini::overwrite(&env, &path, 100, b"?").await;
        let last = run(&mini.jobs, job(segments)).await.pop();
        assert!(matches!(last, Some(Event::LogPart { result: Err(_), .. })));
    };
    sim.run(test).expect("ends");
}
