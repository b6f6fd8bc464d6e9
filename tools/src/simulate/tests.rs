//! Fixed seeds, in the test suite.

use super::{replay, run};

const CYCLES: u64 = 6;

#[test]
fn nothing_acknowledged_is_lost() {
    for seed in 1..=6 {
        let outcome = run(seed, CYCLES, false);
        if let Some(failure) = outcome.failure {
            panic!("seed {seed}: {failure}\nreplay: {}", replay(seed, CYCLES));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let outcome = run(99, 3, false);
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.trace_hash, run(99, 3, false).trace_hash);
    assert_ne!(outcome.trace_hash, run(100, 3, false).trace_hash);
}
