//! Tests of the simulated world: what a crash leaves, faults, and that a seed decides everything.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use futures_lite::future::poll_once;

use super::image::SECTOR_BYTES;
use super::*;
use crate::io::lane::lane;
use crate::io::{Env, File, OpenMode};
use crate::limits::BLOCK_BYTES;
use crate::memory::Piece;

const BLOCK: u64 = BLOCK_BYTES as u64;
const SEEDS: u64 = 200;

fn path(name: &str) -> PathBuf {
    Path::new("/").join(name)
}

fn block(env: &SimEnv, value: u8) -> Vec<Piece> {
    let mut buffer = env.pool().buffer(BLOCK_BYTES);
    buffer.as_mut_slice().fill(value);
    vec![buffer.into_piece()]
}

/// A durable file of one block of ones, `/f`.
async fn durable_file(env: &SimEnv) -> SimFile {
    let file = env.open(&path("f"), OpenMode::CreateNew).await.unwrap();
    file.write_at(0, block(env, 1)).await.unwrap();
    file.sync_data().await.unwrap();
    env.sync_dir(&path("")).await.unwrap();
    file
}

/// What a file holds in a few words: missing, how long, which values stand in its sectors.
fn describe(sim: &Sim, name: &str) -> String {
    let (env, path) = (sim.env(0), path(name));
    let read = sim.run(async move {
        let file = env.open(&path, OpenMode::ReadOnly).await?;
        file.read_at(0, 16 * BLOCK_BYTES).await
    });
    match read.unwrap() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "missing".into(),
        Err(error) => panic!("{error}"),
        Ok(bytes) => {
            for sector in bytes.chunks(512) {
                assert!(sector.iter().all(|&b| b == sector[0]), "sectors are not torn");
            }
            let values: BTreeSet<u8> = bytes.iter().copied().collect();
            let values: Vec<String> = values.iter().map(u8::to_string).collect();
            format!("{}x{}", bytes.len(), values.join("+"))
        }
    }
}

/// Everything that the files named are found to be after a power cut, over many seeds.
fn after_power_cut<F: Future<Output = ()> + 'static>(
    names: &[&str],
    work: impl Fn(SimEnv) -> F,
) -> BTreeSet<String> {
    let seen = (0..SEEDS).map(|seed| {
        let sim = Sim::new(seed);
        sim.run(work(sim.env(0))).unwrap();
        sim.power_cut();
        let states: Vec<String> = names.iter().map(|name| describe(&sim, name)).collect();
        states.join(" ")
    });
    seen.collect()
}

#[track_caller]
fn check(seen: &BTreeSet<String>, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|&text| text.into()).collect();
    assert_eq!(*seen, expected);
}

#[test]
fn what_is_flushed_is_there() {
    let seen = after_power_cut(&["f"], async |env| {
        durable_file(&env).await;
    });
    check(&seen, &["4096x1"]);
}

#[test]
fn what_is_not_flushed_is_there_in_any_part() {
    let overwritten = after_power_cut(&["f"], async |env| {
        let file = durable_file(&env).await;
        file.write_at(0, block(&env, 2)).await.unwrap();
    });
    check(&overwritten, &["4096x1", "4096x2", "4096x1+2"]);
    let grown = after_power_cut(&["f"], async |env| {
        let file = durable_file(&env).await;
        file.write_at(BLOCK, block(&env, 2)).await.unwrap();
    });
    check(&grown, &["4096x1", "8192x1+2", "8192x0+1", "8192x0+1+2"]);
    let reserved = after_power_cut(&["f"], async |env| {
        let file = durable_file(&env).await;
        file.allocate(2 * BLOCK).await.unwrap();
    });
    check(&reserved, &["4096x1", "8192x0+1"]);
    let cut_short = after_power_cut(&["f"], async |env| {
        let file = durable_file(&env).await;
        file.truncate(0).await.unwrap();
    });
    check(&cut_short, &["4096x1", "0x"]);
}

#[test]
fn a_write_that_has_not_ended_may_be_there() {
    let seen = after_power_cut(&["f"], async |env| {
        let file = durable_file(&env).await;
        assert!(poll_once(file.write_at(0, block(&env, 2))).await.is_none());
    });
    check(&seen, &["4096x1", "4096x2", "4096x1+2"]);
}

#[test]
fn a_flush_covers_only_writes_that_had_ended_when_it_began() {
    let seen = after_power_cut(&["f"], async |env| {
        let file = durable_file(&env).await;
        let writing = file.write_at(0, block(&env, 2));
        let flushing = async {
            poll_once(futures_lite::future::yield_now()).await;
            file.sync_data().await
        };
        let (written, flushed) = futures_lite::future::zip(writing, flushing).await;
        written.and(flushed).unwrap();
    });
    check(&seen, &["4096x1", "4096x2", "4096x1+2"]);
}

#[test]
fn names_are_durable_after_a_flush_of_their_directory() {
    let created = after_power_cut(&["f"], async |env| {
        let file = env.open(&path("f"), OpenMode::CreateNew).await.unwrap();
        file.write_at(0, block(&env, 1)).await.unwrap();
        file.sync_data().await.unwrap();
    });
    check(&created, &["missing", "4096x1"]);
    let renamed = after_power_cut(&["f", "g"], async |env| {
        durable_file(&env).await;
        env.rename(&path("f"), &path("g")).await.unwrap();
    });
    check(&renamed, &["missing 4096x1", "4096x1 missing"]);
    let renamed_for_good = after_power_cut(&["f", "g"], async |env| {
        durable_file(&env).await;
        env.rename(&path("f"), &path("g")).await.unwrap();
        env.sync_dir(&path("")).await.unwrap();
    });
    check(&renamed_for_good, &["missing 4096x1"]);
    let removed = after_power_cut(&["f"], async |env| {
        durable_file(&env).await;
        env.remove_file(&path("f")).await.unwrap();
    });
    check(&removed, &["missing", "4096x1"]);
}

#[test]
fn directories_keep_what_was_flushed_in_them_over_a_rename() {
    let seen = after_power_cut(&["d/f", "e/f"], async |env| {
        env.create_dir(&path("d")).await.unwrap();
        env.rename(&path("d"), &path("e")).await.unwrap();
        let file = env.open(&path("e/f"), OpenMode::CreateNew).await.unwrap();
        file.write_at(0, block(&env, 1)).await.unwrap();
        file.sync_data().await.unwrap();
        env.sync_dir(&path("")).await.unwrap();
        env.sync_dir(&path("e")).await.unwrap();
    });
    check(&seen, &["missing 4096x1"]);
    let seen = after_power_cut(&["d/f", "e/f"], async |env| {
        env.create_dir(&path("d")).await.unwrap();
        let file = env.open(&path("d/f"), OpenMode::CreateNew).await.unwrap();
        file.write_at(0, block(&env, 1)).await.unwrap();
        file.sync_data().await.unwrap();
        env.rename(&path("d"), &path("e")).await.unwrap();
        env.sync_dir(&path("")).await.unwrap();
        env.sync_dir(&path("e")).await.unwrap();
    });
    check(&seen, &["missing 4096x1"]);
}

#[test]
fn a_small_file_is_the_old_one_or_the_new_one() {
    let mut seen = BTreeSet::new();
    for steps in 0..120 {
        for seed in 0..6 {
            let sim = Sim::new(seed);
            let env = sim.env(0);
            sim.run(async move {
                env.write_small(&path("s"), Bytes::from(vec![1; 3000])).await.unwrap();
            })
            .unwrap();
            let env = sim.env(0);
            sim.env(0).spawn(async move {
                env.write_small(&path("s"), Bytes::from(vec![2; 5000])).await.unwrap();
            });
            sim.run_steps(steps);
            sim.power_cut();
            let env = sim.env(0);
            let read = sim.run(async move { env.read_small(&path("s"), 9000).await }).unwrap();
            let bytes = read.unwrap();
            assert!(bytes.iter().all(|&b| b == bytes[0]));
            seen.insert((bytes.len(), bytes[0]));
        }
    }
    assert_eq!(seen, BTreeSet::from([(3000, 1), (5000, 2)]));
}

#[test]
fn a_killed_process_loses_nothing_that_had_begun() {
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let env = sim.env(0);
        sim.run(async move {
            let file = env.open(&path("f"), OpenMode::CreateNew).await.unwrap();
            file.write_at(0, block(&env, 1)).await.unwrap();
            assert!(poll_once(file.write_at(BLOCK, block(&env, 2))).await.is_none());
        })
        .unwrap();
        sim.kill();
        assert_eq!(describe(&sim, "f"), "8192x1+2");
    }
}

#[test]
fn a_dropped_write_goes_on() {
    let sim = Sim::new(1);
    let env = sim.env(0);
    sim.run(async move {
        let file = env.open(&path("f"), OpenMode::CreateNew).await.unwrap();
        assert!(poll_once(file.write_at(0, block(&env, 3))).await.is_none());
        assert_eq!(file.size().await.unwrap(), 0);
        env.sleep_until(env.now().plus_ms(100)).await;
        assert_eq!(file.size().await.unwrap(), BLOCK);
    })
    .unwrap();
}

#[test]
fn after_a_failed_flush_no_later_one_helps() {
    let seen = after_power_cut(&["f"], async |env| {
        let file = durable_file(&env).await;
        file.write_at(0, block(&env, 2)).await.unwrap();
        env.fail_next(OpKind::Sync, Fault::Io);
        assert!(file.sync_data().await.is_err());
        file.sync_data().await.unwrap();
    });
    check(&seen, &["4096x1", "4096x2"]);
}

#[test]
fn faults_hit_the_operation_they_are_meant_for() {
    let sim = Sim::new(5);
    let env = sim.env(0);
    let file = sim.run(async move { durable_file(&env).await }).unwrap();
    let number = sim.disk_ops() + 1;
    sim.fault(Rule::Number(number, Fault::Io));
    sim.fault(Rule::Next(OpKind::Write, "other".into(), Fault::Io));
    let env = sim.env(0);
    let outcome = sim.run(async move {
        let mut outcome = Vec::new();
        for value in 0..3 {
            outcome.push(file.write_at(0, block(&env, value)).await.is_ok());
        }
        env.fail_next(OpKind::Write, Fault::NoSpace);
        let full = file.write_at(0, block(&env, 9)).await.unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        file.write_at(0, block(&env, 0)).await.unwrap();
        env.fail_next(OpKind::Read, Fault::FlipBit);
        let bytes = file.read_at(0, BLOCK_BYTES).await.unwrap();
        let wrong: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(wrong, 1);
        outcome
    });
    assert_eq!(outcome.unwrap(), [true, false, true]);

    sim.clear_faults();
    sim.fault(Rule::Next(OpKind::Open, String::new(), Fault::Stall(u64::MAX)));
    let env = sim.env(0);
    let stalled = sim.run(async move { env.open(&path("f"), OpenMode::ReadOnly).await.is_ok() });
    assert!(stalled.is_err());
}

#[test]
fn a_write_that_ends_early_leaves_a_first_part() {
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let env = sim.env(0);
        sim.run(async move {
            let file = durable_file(&env).await;
            env.fail_next(OpKind::Write, Fault::ShortWrite);
            assert!(file.write_at(0, block(&env, 2)).await.is_err());
            let bytes = file.read_at(0, BLOCK_BYTES).await.unwrap();
            let written = bytes.iter().take_while(|&&byte| byte == 2).count();
            assert!(written < BLOCK_BYTES && written.is_multiple_of(SECTOR_BYTES));
            assert!(bytes[written..].iter().all(|&byte| byte == 1));
        })
        .unwrap();
    }
}

#[test]
fn a_twin_loses_its_power_and_the_other_goes_on() {
    let sim = Sim::new(10);
    let env = sim.env(0);
    sim.run(async move {
        let file = durable_file(&env).await;
        file.write_at(0, block(&env, 2)).await.unwrap();
    })
    .unwrap();
    assert!(!sim.is_durable());
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let twin = sim.twin(seed);
        twin.power_cut();
        assert!(twin.is_durable());
        seen.insert(describe(&twin, "f"));
    }
    assert!(seen.contains("4096x1") && seen.contains("4096x2"), "{seen:?}");
    assert_eq!(describe(&sim, "f"), "4096x2");
}

#[test]
fn a_full_disk_has_room_again_after_a_removal() {
    let sim = Sim::new(6);
    sim.set_disk_capacity(Some(3 * BLOCK));
    let env = sim.env(0);
    sim.run(async move {
        let file = durable_file(&env).await;
        let more = env.open(&path("more"), OpenMode::CreateNew).await.unwrap();
        more.allocate(2 * BLOCK).await.unwrap();
        let full = file.write_at(BLOCK, block(&env, 2)).await.unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        file.write_at(0, block(&env, 2)).await.unwrap();
        drop(more);
        env.remove_file(&path("more")).await.unwrap();
        file.write_at(BLOCK, block(&env, 2)).await.unwrap();
    })
    .unwrap();
}

#[test]
fn time_passes_only_when_nothing_can_run() {
    let sim = Sim::new(8);
    let order = Rc::new(RefCell::new(Vec::new()));
    let start = sim.now();
    for ms in [3_600_000, 5, 20] {
        let (env, order) = (sim.env(0), Rc::clone(&order));
        sim.env(0).spawn(async move {
            env.sleep_until(start.plus_ms(ms)).await;
            order.borrow_mut().push(ms);
        });
    }
    sim.run_until(start.plus_ms(10));
    assert_eq!(*order.borrow(), [5]);
    assert!(sim.now() >= start.plus_ms(10));
    assert!(sim.now().ms_since(start) < 11);
    while sim.run_steps(1000) > 0 {}
    assert_eq!(*order.borrow(), [5, 20, 3_600_000]);
}

/// Three shards that pass numbers round, write them down, and are cut off in the middle.
fn busy_run(seed: u64) -> (u64, Vec<String>) {
    let sim = Sim::new(seed);
    let log = Rc::new(RefCell::new(Vec::new()));
    let mut ends: Vec<_> =
        (0..3).map(|shard| lane::<u64>(64, sim.env(shard).waker())).map(Some).collect();
    let first = ends[0].as_ref().map(|(sender, _)| sender.clone()).unwrap();
    first.try_send(0).unwrap();
    let senders: Vec<_> =
        ends.iter().flatten().map(|(sender, _)| sender.clone()).cycle().skip(1).take(3).collect();
    for (shard, sender) in (0..3_u16).zip(senders) {
        let (env, log) = (sim.env(shard), Rc::clone(&log));
        let (_, receiver) = ends[usize::from(shard)].take().unwrap();
        sim.env(shard).spawn(async move {
            let name = path(&format!("log{shard}"));
            let file = env.open(&name, OpenMode::CreateNew).await.unwrap();
            loop {
                env.notified().await;
                for value in receiver.drain(10) {
                    log.borrow_mut().push(format!("{shard} {value}"));
                    let data = block(&env, value as u8);
                    if env.random().is_multiple_of(2) {
                        let (env, file) = (env.clone(), file.clone());
                        env.clone().spawn(async move {
                            file.write_at(value * BLOCK, data).await.unwrap();
                            file.sync_data().await.unwrap();
                            env.notify();
                        });
                    } else {
                        file.write_at(value * BLOCK, data).await.unwrap();
                    }
                    if value % 7 == 0 {
                        env.sleep_until(env.now().plus_ms(env.random() % 5)).await;
                    }
                    sender.try_send(value + 1).unwrap();
                }
            }
        });
    }
    sim.run_steps(600);
    sim.power_cut();
    let found = (0..3).map(|shard| {
        let (env, name) = (sim.env(0), path(&format!("log{shard}")));
        let size = sim.run(async move {
            match env.open(&name, OpenMode::ReadOnly).await {
                Ok(file) => file.size().await.unwrap(),
                Err(_) => 0,
            }
        });
        size.unwrap().to_string()
    });
    let found: Vec<String> = found.collect();
    let mut log = log.borrow().clone();
    assert!(log.len() > 20, "numbers went round: {log:?}");
    log.extend(found);
    (sim.trace_hash(), log)
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let mut hashes = BTreeSet::new();
    for seed in 0..50 {
        let run = busy_run(seed);
        assert_eq!(run, busy_run(seed));
        hashes.insert(run.0);
    }
    assert_eq!(hashes.len(), 50);
}
