//! What jobs do to files and directories: opening, damage, deletion.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::mini::{
    Mini, Model, batch, file_bytes, journal_file, names, open, open_job, overwrite, partition_dir,
    run, settings,
};
use bytes::Bytes;
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Fault, OpKind, Rule, Sim, SimEnv};
use millrace_engine::job::journal_file::read_journal;
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::journal::replay::Redo;
use millrace_engine::limits::JOURNAL_FILE_BYTES;
use millrace_engine::partition::Recovered;
use millrace_engine::shard::event::{DiskFailure, Event, Job};

const SEGMENT_BYTES: i32 = 1_100_000;

async fn stopped(env: &SimEnv, batches: usize) -> (Rc<RefCell<Model>>, Mini) {
    let model = Rc::new(RefCell::new(Model::default()));
    let start =
        Mini::start(env.clone(), settings(false), Rc::clone(&model), 1, SEGMENT_BYTES).await;
    let mut mini = start.unwrap();
    for i in 0..batches {
        env.sleep_until(env.now().plus_ms(1)).await;
        let sequence = mini.model.borrow().sequences.get(&7).copied().unwrap_or(0);
        mini.append(&batch(env, 2, 500 + i * 37 % 5_000, Some((7, sequence))));
        if i % 10 == 0 && !mini.is_committing() {
            mini.commit();
        }
        mini.take_events();
    }
    mini.stop_cleanly().await;
    (model, mini)
}

fn log_path(base: i64) -> std::path::PathBuf {
    partition_dir().join(format!("{base:020}.log"))
}

async fn reopen(
    env: &SimEnv,
    settings: JobSettings,
    redo: Vec<Redo>,
) -> Result<Recovered, DiskFailure> {
    open(&Jobs::new(env.clone(), settings), open_job(1, redo, SEGMENT_BYTES)).await
}

/// Everything about a recovered log that does not depend on how it was found out.
fn described(recovered: &Recovered) -> String {
    let active = &recovered.active;
    format!(
        "{} {:?} {} {} {} {:?} {:?} {:?} {:?} {:?}",
        recovered.log_start_offset,
        recovered.sealed,
        active.base_offset,
        active.next_offset,
        active.bytes(),
        active.max_timestamp,
        active.first_timestamp,
        active.index.offset_bytes(),
        recovered.producers.get(7).map(|p| (p.last_sequence(), p.epoch())),
        recovered.epochs,
    )
}

#[test]
fn a_new_partition_has_its_files_and_survives_a_power_cut() {
    let sim = Sim::new(1);
    let env = sim.env(0);
    let test = async move {
        let recovered = reopen(&env, settings(false), Vec::new()).await.unwrap();
        assert_eq!((recovered.active.base_offset, recovered.active.bytes()), (0, 0));
        assert!(recovered.sealed.is_empty());
    };
    sim.run(test).expect("ends");
    sim.power_cut();
    let env = sim.env(0);
    let test = async move {
        let found = names(&env, &partition_dir()).await;
        assert_eq!(found, ["leader-epoch-checkpoint", "partition.metadata"]);
        let epochs = env.read_small(&partition_dir().join(&found[0]), 100).await.unwrap();
        assert_eq!(epochs, b"0\n1\n1 0\n");
        let metadata = env.read_small(&partition_dir().join(&found[1]), 100).await.unwrap();
        let id = crate::mini::ID.topic_id;
        assert_eq!(metadata, format!("version: 0\ntopic_id: {id}").into_bytes());
    };
    sim.run(test).expect("ends");
}

#[test]
fn what_a_clean_stop_left_is_found_without_a_scan_and_is_the_same() {
    let sim = Sim::new(2);
    let env = sim.env(0);
    let test = async move {
        let (model, mini) = stopped(&env, 700).await;
        assert!(mini.partition.sealed().len() >= 2);
        let scanned = reopen(&env, settings(false), Vec::new()).await.unwrap();
        let believed = reopen(&env, settings(true), Vec::new()).await.unwrap();
        assert_eq!(described(&scanned), described(&believed));
        assert_eq!(scanned.active.next_offset, model.borrow().end());
        // Files end exactly where their contents end.
        let active = mini.partition.active();
        assert_eq!(
            file_bytes(&env, &log_path(active.base_offset)).await.len() as u64,
            active.bytes()
        );
        for segment in mini.partition.sealed() {
            let bytes = file_bytes(&env, &log_path(segment.base_offset)).await;
            assert_eq!(bytes.len() as u64, segment.bytes);
        }
        // Without its indexes it is scanned, whatever the marker says.
        let index = partition_dir().join(format!("{:020}.index", active.base_offset));
        env.remove_file(&index).await.unwrap();
        let scanned = reopen(&env, settings(true), Vec::new()).await.unwrap();
        assert_eq!(described(&scanned), described(&believed));
        // And without its epochs they are found in the batches.
        env.remove_file(&partition_dir().join("leader-epoch-checkpoint")).await.unwrap();
        let scanned = reopen(&env, settings(true), Vec::new()).await.unwrap();
        assert_eq!(described(&scanned), described(&believed));
    };
    sim.run(test).expect("ends");
}

#[test]
fn a_damaged_producer_snapshot_is_replaced_by_an_older_one() {
    let sim = Sim::new(3);
    let env = sim.env(0);
    let test = async move {
        let (_, mini) = stopped(&env, 700).await;
        let wanted = reopen(&env, settings(false), Vec::new()).await.unwrap();
        let bases: Vec<i64> = mini.partition.sealed().iter().map(|s| s.next_offset).collect();
        for (i, base) in bases.iter().rev().enumerate() {
            let path = partition_dir().join(format!("{base:020}.snapshot"));
            if i % 2 == 0 {
                env.write_small(&path, Bytes::from_static(b"\0\x01nonsense")).await.unwrap();
            } else {
                env.remove_file(&path).await.unwrap();
            }
            let found = reopen(&env, settings(false), Vec::new()).await.unwrap();
            assert_eq!(described(&found), described(&wanted));
        }
    };
    sim.run(test).expect("ends");
}

#[test]
fn the_directory_of_an_earlier_topic_of_the_name_is_put_aside() {
    let sim = Sim::new(4);
    let env = sim.env(0);
    let test = async move {
        let (_, mini) = stopped(&env, 3).await;
        let bytes = mini.partition.active().bytes();
        let other = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ";
        let path = partition_dir().join("partition.metadata");
        env.write_small(&path, Bytes::from(other)).await.unwrap();
        let recovered = reopen(&env, settings(false), Vec::new()).await.unwrap();
        assert_eq!(recovered.active.bytes(), 0);
        let dirs = names(&env, Path::new(crate::mini::LOG_DIR)).await;
        let stray = dirs.iter().find(|name| name.ends_with("-stray")).expect("put aside");
        let log = Path::new(crate::mini::LOG_DIR).join(stray).join("00000000000000000000.log");
        assert_eq!(file_bytes(&env, &log).await.len() as u64, bytes);
    };
    sim.run(test).expect("ends");
}

#[test]
fn leftovers_are_removed_and_an_interrupted_compaction_is_not_touched() {
    let sim = Sim::new(5);
    let env = sim.env(0);
    let test = async move {
        stopped(&env, 3).await;
        let dir = partition_dir();
        let leftovers = [
            "00000000000000000007.log.deleted",
            "00000000000000000007.index.cleaned",
            "00000000000000000009.timeindex",
            "leader-epoch-checkpoint.tmp",
            "00000000000000000999.snapshot",
        ];
        for name in leftovers {
            env.write_small(&dir.join(name), Bytes::from_static(b"x")).await.unwrap();
        }
        env.write_small(&dir.join("notes.txt"), Bytes::from_static(b"x")).await.unwrap();
        reopen(&env, settings(false), Vec::new()).await.unwrap();
        let found = names(&env, &dir).await;
        assert!(leftovers.iter().all(|name| !found.contains(&(*name).to_owned())), "{found:?}");
        assert!(found.contains(&"notes.txt".to_owned()));
        let swap = dir.join("00000000000000000000.log.swap");
        env.write_small(&swap, Bytes::from_static(b"x")).await.unwrap();
        let failure = reopen(&env, settings(false), Vec::new()).await.unwrap_err();
        assert!(failure.reason.contains("compaction"), "{failure}");
    };
    sim.run(test).expect("ends");
}

/// Where each batch of the active segment begins.
fn active_batches(mini: &Mini, model: &Model) -> Vec<(u64, i64, usize)> {
    let (mut at, base) = (0, mini.partition.active().base_offset);
    let mut out = Vec::new();
    for (offset, _, bytes) in model.batches.iter().filter(|batch| batch.0 >= base) {
        out.push((at, *offset, bytes.len()));
        at += bytes.len() as u64;
    }
    out
}

#[test]
fn a_torn_tail_is_cut_and_damage_before_what_was_flushed_is_not() {
    let sim = Sim::new(6);
    let env = sim.env(0);
    let test = async move {
        let (model, mini) = stopped(&env, 60).await;
        let model = model.borrow();
        let places = active_batches(&mini, &model);
        let path = log_path(mini.partition.active().base_offset);
        let (at, offset, len) = places[places.len() - 2];
        overwrite(&env, &path, at as usize + len - 5, b"!!!!!").await;
        let before = file_bytes(&env, &path).await;
        // The next batch was flushed: the recovery point says so.
        let known = |point| JobSettings {
            recovery_points: Arc::new(BTreeMap::from([(crate::mini::ID, point)])),
            ..settings(false)
        };
        let recovered = reopen(&env, known(model.end()), Vec::new()).await.unwrap();
        assert_eq!((recovered.active.next_offset, recovered.lost_end), (model.end(), None));
        assert!(file_bytes(&env, &path).await == before, "the file is left as it is");
        // So does an entry of the journal behind it.
        let (last_at, _, last_len) = places[places.len() - 1];
        let last = model.batches.last().unwrap().2.clone();
        assert_eq!(last.len(), last_len);
        let redo = |position, bytes: &Bytes| Redo {
            segment: mini.partition.active().base_offset,
            position,
            bytes: bytes.clone(),
        };
        let recovered = reopen(&env, settings(false), vec![redo(last_at, &last)]).await.unwrap();
        assert_eq!((recovered.active.next_offset, recovered.lost_end), (model.end(), None));
        assert!(file_bytes(&env, &path).await == before, "the file is left as it is");
        // The journal may hold what is damaged: then all is well again.
        let damaged = model.batches[model.batches.len() - 2].2.clone();
        let redo = vec![redo(at, &damaged), redo(last_at, &last)];
        let recovered = reopen(&env, known(model.end()), redo).await.unwrap();
        assert_eq!(recovered.active.next_offset, model.end());
        // Damaged again, and nothing says that it was flushed: a write that was cut short.
        overwrite(&env, &path, at as usize + len - 5, b"!!!!!").await;
        let recovered = reopen(&env, known(offset), Vec::new()).await.unwrap();
        assert_eq!(recovered.active.next_offset, offset);
        assert_eq!(file_bytes(&env, &path).await.len() as u64, at);
    };
    sim.run(test).expect("ends");
}

#[test]
fn damage_in_a_closed_segment_is_never_cut() {
    let sim = Sim::new(7);
    let env = sim.env(0);
    let test = async move {
        let (_, mini) = stopped(&env, 700).await;
        let sealed = mini.partition.sealed().to_vec();
        let path = log_path(sealed[0].base_offset);
        overwrite(&env, &path, 200_000, b"wrong").await;
        let before = file_bytes(&env, &path).await;
        // With its index nothing is looked at.
        reopen(&env, settings(false), Vec::new()).await.unwrap();
        let index = partition_dir().join(format!("{:020}.index", sealed[0].base_offset));
        env.remove_file(&index).await.unwrap();
        let jobs = Jobs::new(env.clone(), settings(false));
        let recovered = open(&jobs, open_job(1, Vec::new(), SEGMENT_BYTES)).await.unwrap();
        assert_eq!((jobs.damaged_ranges(), recovered.lost_end), (1, None));
        assert_eq!(recovered.active.next_offset, mini.partition.offsets.end());
        assert!(file_bytes(&env, &path).await == before);
    };
    sim.run(test).expect("ends");
}

#[test]
fn a_journal_can_begin_segments() {
    let sim = Sim::new(8);
    let env = sim.env(0);
    let test = async move {
        let (model, mini) = stopped(&env, 600).await;
        let model = model.borrow();
        let bases: Vec<i64> = mini
            .partition
            .sealed()
            .iter()
            .map(|segment| segment.base_offset)
            .chain([mini.partition.active().base_offset])
            .collect();
        let wanted = reopen(&env, settings(false), Vec::new()).await.unwrap();
        // All of it as redo, one item for each batch, and the directory empty.
        let mut redo = Vec::new();
        let mut position = 0;
        for (base, _, bytes) in &model.batches {
            if bases.contains(base) {
                position = 0;
            }
            let segment = *bases.iter().rev().find(|segment| *segment <= base).unwrap();
            redo.push(Redo { segment, position, bytes: bytes.clone() });
            position += bytes.len() as u64;
        }
        env.remove_dir(&partition_dir()).await.unwrap();
        let recovered = reopen(&env, settings(false), redo.clone()).await.unwrap();
        assert_eq!(described(&recovered), described(&wanted));
        // Once more, with the files there: nothing changes.
        let recovered = reopen(&env, settings(false), redo.clone()).await.unwrap();
        assert_eq!(described(&recovered), described(&wanted));
        let recovered = reopen(&env, settings(false), Vec::new()).await.unwrap();
        assert_eq!(described(&recovered), described(&wanted));
        // The first segments were deleted since: what the journal holds of them is nothing.
        let first = bases[1];
        env.remove_file(&log_path(bases[0])).await.unwrap();
        let recovered = reopen(&env, settings(false), redo).await.unwrap();
        assert_eq!(recovered.log_start_offset, first);
        assert_eq!(recovered.active.next_offset, model.end());
    };
    sim.run(test).expect("ends");
}

#[test]
fn deleted_segments_are_readable_for_a_while() {
    let sim = Sim::new(13);
    let env = sim.env(0);
    let test = async move {
        let (model, mini) = stopped(&env, 700).await;
        let sealed = mini.partition.sealed().to_vec();
        let jobs = Jobs::new(env.clone(), settings(false));
        let at = env.now().plus_ms(60_000);
        let accepted =
            jobs.accept(Job::Retire { dir: partition_dir(), segments: sealed[..1].to_vec(), at });
        assert_eq!(jobs.running(), 1);
        let running = jobs.clone();
        env.spawn(
            async move { running.run_accepted(accepted, &|event| panic!("{event:?}")).await },
        );
        while jobs.running() > 0 {
            env.sleep_until(env.now().plus_ms(1)).await;
        }
        assert!(env.now() < at);
        let found = names(&env, &partition_dir()).await;
        assert!(found.contains(&"00000000000000000000.log.deleted".to_owned()), "{found:?}");
        assert!(!found.contains(&"00000000000000000000.log".to_owned()));
        let plan = millrace_engine::partition::find::ColdRead {
            segment: 0,
            from: Some(crate::mini::BEGIN),
            to: sealed[0].bytes,
            offset: 0,
            limit: i64::MAX,
            bytes_max: 1,
            expected: millrace_engine::partition::find::Expected::default(),
        };
        let job = Job::Read { read: 1, slot: 0, dir: partition_dir(), plan };
        match run(&jobs, job).await.pop() {
            Some(Event::ReadDone { result, .. }) => {
                assert_eq!(result.unwrap().concat(), model.borrow().batches[0].2);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(jobs.open_files(), 1);
        env.sleep_until(at.plus_ms(1_000)).await;
        let found = names(&env, &partition_dir()).await;
        assert!(found.iter().all(|name| !name.starts_with("00000000000000000000.")), "{found:?}");
        assert_eq!(jobs.open_files(), 0);
    };
    sim.run(test).expect("ends");
}

/// Segments go in order, also those of two deletions that were asked for in quick succession: what a
/// killed process leaves has no hole.
#[test]
fn deletions_of_segments_leave_no_hole() {
    let mut is_begun = 0;
    for seed in 0..40 {
        let sim = Sim::new(seed);
        let env = sim.env(0);
        let prepared = async move { stopped(&env, 1_100).await.1.partition.sealed().to_vec() };
        let sealed = sim.run(prepared).expect("ends");
        assert!(sealed.len() >= 4, "{}", sealed.len());
        let (older, newer) = (sealed[..2].to_vec(), sealed[2..].to_vec());
        let env = sim.env(0);
        let jobs = Jobs::new(env.clone(), settings(false));
        for segments in [older, newer] {
            let at = env.now().plus_ms(60_000);
            let accepted = jobs.accept(Job::Retire { dir: partition_dir(), segments, at });
            let running = jobs.clone();
            env.spawn(async move {
                running.run_accepted(accepted, &|event| panic!("{event:?}")).await;
            });
        }
        sim.run_steps(10 + seed);
        sim.kill();
        let env = sim.env(0);
        let bases: Vec<_> = sealed.iter().map(|segment| segment.base_offset).collect();
        let left = async move {
            let found = names(&env, &partition_dir()).await;
            let is_there = |base: &i64| found.contains(&format!("{base:020}.log"));
            bases.iter().map(is_there).collect::<Vec<_>>()
        };
        let left = sim.run(left).expect("ends");
        assert!(left.is_sorted(), "seed {seed}: {left:?}");
        is_begun += u64::from(!left[0] && left[3]);
    }
    assert!(is_begun > 0, "no process was killed between the two");
}

/// A partition is deleted and made again under its name while jobs of the old one still run; tasks
/// run in any order.
#[test]
fn a_new_partition_of_an_old_name_is_not_touched_by_old_jobs() {
    for seed in 0..40 {
        let sim = Sim::new(100 + seed);
        let env = sim.env(0);
        let test = async move {
            let model = Rc::default();
            let start = Mini::start(env.clone(), settings(false), model, 1, SEGMENT_BYTES).await;
            let mut mini = start.unwrap();
            // More than one segment holds, and more than goes through the journal.
            for _ in 0..30 {
                mini.append(&batch(&env, 1, 50_000, None));
            }
            mini.commit();
            let at = env.now().plus_ms(10_000);
            mini.spawn(Job::Remove { dir: partition_dir(), at });
            let mut job = open_job(5, Vec::new(), SEGMENT_BYTES);
            let Job::Open(open) = &mut job else { panic!() };
            open.partition.topic_id = millrace_engine::types::Uuid(77);
            mini.spawn(job);
            while mini.jobs.running() > 0 {
                env.sleep_until(env.now().plus_ms(1)).await;
            }
            let mut is_opened = false;
            for event in mini.events.borrow_mut().drain(..) {
                match event {
                    Event::Flushed { result: Ok(()), .. } | Event::Removed(Ok(())) => {}
                    Event::Opened { result: Ok(opened), .. } => {
                        assert_eq!(opened.active.bytes(), 0);
                        is_opened = true;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(is_opened);
            let found = names(&env, &partition_dir()).await;
            assert_eq!(found, ["leader-epoch-checkpoint", "partition.metadata"]);
            let dirs = names(&env, Path::new(crate::mini::LOG_DIR)).await;
            let is_old =
                |name: &&String| name.ends_with("-delete") && name.starts_with("orders-0.");
            assert_eq!(dirs.iter().filter(is_old).count(), 1, "{dirs:?}");
            env.sleep_until(at.plus_ms(1_000)).await;
            let dirs = names(&env, Path::new(crate::mini::LOG_DIR)).await;
            assert_eq!(dirs.iter().filter(is_old).count(), 0, "{dirs:?}");
        };
        sim.run(test).expect("ends");
    }
}

#[test]
fn a_full_disk_is_told_apart_and_writing_goes_on_when_there_is_room() {
    let sim = Sim::new(15);
    let env = sim.env(0);
    let model: Rc<RefCell<Model>> = Rc::default();
    let of_start = Rc::clone(&model);
    let start = async move {
        let start = Mini::start(env.clone(), settings(false), of_start, 1, SEGMENT_BYTES).await;
        let mut mini = start.unwrap();
        for _ in 0..8 {
            mini.append(&batch(&env, 1, 60_000, None));
        }
        mini
    };
    let mut mini = sim.run(start).expect("ends");
    // Room that is reserved ahead is done without; what the write needs is not.
    for kind in [OpKind::Allocate, OpKind::Allocate, OpKind::Write, OpKind::Sync] {
        sim.fault(Rule::Next(kind, ".log".to_owned(), Fault::NoSpace));
    }
    let test = async move {
        mini.commit();
        mini.quiet().await;
        let mut refused = 0;
        while mini.partition.unwritten_bytes() > 0 {
            refused += mini.failures.len();
            assert!(refused <= 3);
            for failure in mini.failures.drain(..) {
                assert!(failure.is_full, "{failure}");
            }
            mini.flush(false);
            mini.quiet().await;
        }
        assert_eq!(refused, 3);
        assert_eq!(mini.partition.offsets.durable(), mini.partition.offsets.end());
        mini.stop_cleanly().await;
        let env = mini.env.clone();
        let recovered = reopen(&env, settings(false), Vec::new()).await.unwrap();
        assert_eq!(recovered.active.next_offset, 8);
    };
    sim.run(test).expect("ends");
}

#[test]
fn a_disk_that_fails_is_not_full() {
    let sim = Sim::new(16);
    let env = sim.env(0);
    let (model, of_start) = (Rc::<RefCell<Model>>::default(), env.clone());
    let start = async move {
        let start = Mini::start(of_start, settings(false), model, 1, SEGMENT_BYTES).await;
        start.unwrap()
    };
    let mut mini = sim.run(start).expect("ends");
    sim.fault(Rule::Next(OpKind::Sync, "millrace-journal-0-".to_owned(), Fault::Io));
    let test = async move {
        mini.append(&batch(&env, 1, 100, None));
        mini.commit();
        mini.quiet().await;
        let failure = mini.failures.pop().expect("an error");
        assert_eq!((failure.action, failure.is_full), ("write or flush", false));
        assert_eq!(mini.partition.offsets.durable(), 0);
    };
    sim.run(test).expect("ends");
}

#[test]
fn journal_files_are_whole_and_never_replaced() {
    let sim = Sim::new(17);
    let env = sim.env(0);
    let test = async move {
        env.create_dir(Path::new(crate::mini::LOG_DIR)).await.unwrap();
        let jobs = Jobs::new(env.clone(), settings(false));
        let made = run(&jobs, Job::CreateJournalFile(3)).await;
        assert!(matches!(made[..], [Event::JournalFile { file: 3, result: Ok(()) }]));
        let bytes = read_journal(&env, &journal_file(3)).await.unwrap();
        assert_eq!(bytes.len() as u64, JOURNAL_FILE_BYTES);
        assert!(bytes.iter().all(|&byte| byte == 0));
        let made = run(&jobs, Job::CreateJournalFile(3)).await;
        assert!(matches!(made[..], [Event::JournalFile { file: 3, result: Err(_) }]));
    };
    sim.run(test).expect("ends");
    sim.fault(Rule::Next(OpKind::Write, "millrace-journal-0-4".to_owned(), Fault::NoSpace));
    let env = sim.env(0);
    let test = async move {
        let jobs = Jobs::new(env.clone(), settings(false));
        match run(&jobs, Job::CreateJournalFile(4)).await.pop() {
            Some(Event::JournalFile { file: 4, result: Err(failure) }) => assert!(failure.is_full),
            other => panic!("{other:?}"),
        }
        let found = names(&env, Path::new(crate::mini::LOG_DIR)).await;
        assert_eq!(found, ["millrace-journal-0-3", "millrace-reserve-0"]);
        let reserve = Path::new(crate::mini::LOG_DIR).join("millrace-reserve-0");
        assert_eq!(file_bytes(&env, &reserve).await.len() as u64, JOURNAL_FILE_BYTES);
    };
    sim.run(test).expect("ends");
}
