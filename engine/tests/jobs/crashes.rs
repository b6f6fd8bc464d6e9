//! Jobs over the simulated world: what was acknowledged is there after every crash, and readers get
//! it byte for byte.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::mini::{Mini, Model, batch, batches, settings};
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::partition::producers::Producers;
use millrace_engine::record::batch::BatchHeader;

/// Small segments roll often; large ones take writes that do not go through the journal.
fn segment_bytes(seed: u64) -> i32 {
    if seed.is_multiple_of(2) { 1_500_000 } else { 12_000_000 }
}

/// Appends and commits at random until it is stopped.
async fn work(mini: &mut Mini, turns: u64, large: bool) {
    let env = mini.env.clone();
    for _ in 0..turns {
        mini.take_events();
        for _ in 0..env.random() % 4 {
            let bytes = match env.random() % 10 {
                0 if large => 100_000 + env.random() % 1_300_000,
                1 | 2 => env.random() % 30_000,
                _ => env.random() % 800,
            };
            let records = 1 + env.random() % 3;
            let producer = (env.random().is_multiple_of(2)).then(|| {
                let id = 10 + (env.random() % 5) as i64;
                (id, mini.model.borrow().sequences.get(&id).copied().unwrap_or(0))
            });
            let records =
                batch(&env, records as usize, bytes as usize / records as usize, producer);
            mini.append(&records);
        }
        if !mini.is_committing() && mini.partition.is_dirty() {
            mini.commit();
        }
        if env.random().is_multiple_of(8) || mini.partition.open_segments().count() > 1 {
            mini.flush(env.random().is_multiple_of(4));
        }
        let pause = env.random() % 2_000_000;
        let until = millrace_engine::types::Nanos(env.now().0 + pause);
        env.sleep_until(until).await;
    }
}

/// What recovery gives is what was appended, up to an end that covers what was acknowledged.
async fn check(mini: &Mini, model: &Rc<RefCell<Model>>) {
    let end = mini.partition.offsets.end();
    assert!(end >= model.borrow().acked, "end {end}, acknowledged {}", model.borrow().acked);
    model.borrow_mut().cut(end);
    let mut offset = 0;
    let mut read = Vec::new();
    while offset < end {
        let bytes_max = 1 + (mini.env.random() % 400_000) as usize;
        let got = batches(&mini.read(offset, bytes_max).await);
        offset = got.last().expect("batches").1;
        read.extend(got);
    }
    assert_eq!(read.len(), model.borrow().batches.len());
    for (got, wanted) in read.iter().zip(&model.borrow().batches) {
        assert_eq!((got.0, got.1), (wanted.0, wanted.1));
        assert!(got.2 == wanted.2, "the bytes of offset {}", got.0);
    }
    let mut oracle = Producers::default();
    let mut highest_epoch = -1;
    for (_, _, bytes) in &model.borrow().batches {
        let header = BatchHeader::parse(bytes).unwrap();
        oracle.replay(&header, None);
        if header.partition_leader_epoch > highest_epoch {
            highest_epoch = header.partition_leader_epoch;
            let end = mini.partition.epochs.epoch_of(header.base_offset);
            assert_eq!(end, Some(highest_epoch), "epoch of {}", header.base_offset);
        }
    }
    let found = &mini.partition.producers;
    assert_eq!(found.len(), oracle.len());
    for (id, wanted) in oracle.iter() {
        let got = found.get(id).expect("the producer");
        assert_eq!((got.epoch(), got.last_sequence()), (wanted.epoch(), wanted.last_sequence()));
        assert!(wanted.batches().ends_with(got.batches()) || got.batches().len() == 5);
    }
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    PowerCut,
    Kill,
    Any,
}

fn crash_rounds(seed: u64, large: bool, crash: Crash) {
    let sim = Sim::new(seed);
    let model = Rc::new(RefCell::new(Model::default()));
    for round in 0..4 {
        let env: SimEnv = sim.env(0);
        // Now and then at once, when nothing but recovery itself can have flushed anything.
        let steps = match env.random() % 3 {
            0 => env.random() % 60,
            _ => 200 + env.random() % 12_000,
        };
        let recovered = Rc::new(Cell::new(false));
        let task = {
            let (env, model, recovered) = (env.clone(), Rc::clone(&model), Rc::clone(&recovered));
            async move {
                let started = Mini::start(
                    env,
                    settings(false),
                    Rc::clone(&model),
                    round,
                    segment_bytes(seed),
                )
                .await;
                let mut mini = started.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
                check(&mini, &model).await;
                recovered.set(true);
                work(&mut mini, u64::MAX, large).await;
            }
        };
        env.spawn(task);
        while !recovered.get() {
            assert!(sim.run_steps(1000) > 0);
            if env.random().is_multiple_of(8) {
                // A crash during recovery.
                break;
            }
        }
        sim.run_steps(steps);
        let is_killed = match crash {
            Crash::PowerCut => false,
            Crash::Kill => true,
            Crash::Any => env.random().is_multiple_of(2),
        };
        if is_killed { sim.kill() } else { sim.power_cut() }
    }
    let (env, last) = (sim.env(0), Rc::clone(&model));
    let mini = sim.run(async move {
        let mini =
            Mini::start(env, settings(false), Rc::clone(&last), 9, segment_bytes(seed)).await;
        let mini = mini.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        check(&mini, &last).await;
    });
    mini.expect("ends");
    // What is left of the world must not outlive it.
    drop(model);
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    for seed in 0..seeds() {
        crash_rounds(seed, false, Crash::PowerCut);
    }
}

#[test]
fn what_was_acknowledged_survives_power_cuts_of_large_writes() {
    for seed in 0..seeds() {
        crash_rounds(1_000_000 + seed, true, Crash::PowerCut);
    }
}

#[test]
fn what_was_acknowledged_survives_a_killed_process() {
    for seed in 0..seeds() / 2 {
        crash_rounds(2_000_000 + seed, true, Crash::Kill);
    }
}

/// A killed process leaves writes that were seen and not flushed; the next life must not build on them.
#[test]
fn what_was_acknowledged_survives_crashes_of_both_kinds() {
    for seed in 0..seeds() {
        crash_rounds(3_000_000 + seed, true, Crash::Any);
    }
}

fn seeds() -> u64 {
    std::env::var("JOBS_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}
