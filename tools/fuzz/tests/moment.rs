//! Every target for a moment: its valid inputs, what the corpus keeps, then blind mutations of both.
//! `tools/fuzz/run` goes on from there, guided by coverage.

#![expect(clippy::disallowed_methods, reason = "a moment is a time of the machine, not of a shard")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, panic};

use millrace_fuzz::{Mutator, TARGETS, Target};

/// How long each target is run. Two run at once.
const MOMENT: Duration = Duration::from_secs(4);
/// An input that takes longer is a find. Far more than a decoder needs, also without optimisation.
const INPUT_MAX: Duration = Duration::from_secs(5);
/// At least so many inputs, or the moment was not worth much. Inputs.
const INPUTS_MIN: u64 = 100;
const SEED: u64 = 20_261_125;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(folder).expect("every target has a corpus");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// Checks one input; what it finds is kept in a file, which a command replays.
fn one(target: &Target, input: &[u8]) {
    let began = Instant::now();
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| target.check(input)));
    let took = began.elapsed();
    if outcome.is_err() || took > INPUT_MAX {
        let path = std::env::temp_dir().join(format!("millrace-fuzz-{}", target.name));
        fs::write(&path, input).expect("the input can be kept");
        let (name, path) = (target.name, path.display());
        panic!("after {took:?}; replay: cargo run -p millrace-fuzz -- {name} {path}");
    }
}

fn run(target: &Target) {
    let mut inputs = (target.seeds)();
    for input in &inputs {
        one(target, input);
    }
    for input in corpus(target.name) {
        one(target, &input);
        inputs.push(input);
    }
    let mut mutator = Mutator::new(SEED, inputs);
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < MOMENT {
        one(target, &mutator.next_input());
        count += 1;
    }
    eprintln!("{}: {count} inputs", target.name);
    assert!(count >= INPUTS_MIN, "{}: only {count} inputs", target.name);
}

/// A test for each target, so that they run side by side and are named when they fail.
macro_rules! moments {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                run(Target::named($name).expect("a target"));
            }
        )*

        #[test]
        fn every_target_has_its_moment() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

moments! {
    frames "frames"
    requests "requests"
    answers "answers"
    batches "batches"
    codecs "codecs"
    segment "segment"
    index "index"
    journal "journal"
    producer_snapshot "producer-snapshot"
    checkpoints "checkpoints"
    metadata "metadata"
    groups "groups"
    partition "partition"
}
