//! Fixed seeds, in the test suite.

use super::shrink::{Limits, Part};
use super::{Course, faults, run};

const CYCLES: u64 = 6;

fn course(seed: u64, cycles: u64) -> Course {
    Course::new(seed, cycles, 0)
}

/// Runs a seed twice: it must find nothing, and the same must happen both times.
fn check(course: Course) {
    let outcome = run(course);
    let replay = course.replay(&outcome);
    if let Some(failure) = outcome.failure {
        panic!("seed {}: {failure}\nreplay: {replay}", course.seed);
    }
    let again = run(course);
    assert_eq!(outcome.trace_hash, again.trace_hash, "two runs differ: {replay}");
}

#[test]
fn nothing_acknowledged_is_lost() {
    for seed in 1..=6 {
        check(course(seed, CYCLES));
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes_at_any_change_of_the_disk() {
    let course = Course::new(7, CYCLES, 60);
    let outcome = run(course);
    assert_eq!((&outcome.failure, outcome.cuts), (&None, 60));
    let again = run(course);
    assert_eq!((outcome.trace_hash, outcome.cut), (again.trace_hash, again.cut));
    assert_eq!(outcome.disks, again.disks);
}

/// Before anything is promised the same disk is found again and again: that is one power cut.
#[test]
fn a_disk_that_was_recovered_since_anything_was_promised_does_not_count() {
    let outcome = run(Course::new(4, 1, 40));
    let twins = outcome.cut;
    assert!(outcome.cuts < twins, "{} of {twins} twins", outcome.cuts);
    assert!(outcome.disks.len() as u64 <= outcome.cuts);
    // Enough of them are something of their own.
    assert!(outcome.disks.len() as u64 * 2 > outcome.cuts);
}

#[test]
fn nothing_acknowledged_is_lost_when_an_operation_fails_or_ends_early() {
    let points = faults::points(2);
    let every = points.len() / 12;
    assert!(every > 0);
    for point in points.into_iter().step_by(every) {
        assert_eq!(faults::play(point, false).failure, None, "{}", faults::replay(point));
    }
}

/// With one topic there are a thousand segments to write at a stop: that it takes long is no failure.
#[test]
fn nothing_is_found_without_administration() {
    for seed in [2, 5] {
        let limits = Limits::default().without(Part::Administration);
        check(Course { limits, ..course(seed, 3) });
    }
}

#[test]
fn seeds_that_found_something_find_nothing_any_more() {
    let lines = include_str!("../../sim-seeds.txt").lines();
    let seeds = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut checked = 0;
    for line in seeds {
        let mut words = line.splitn(3, ' ');
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let (Some(seed), Some(cycles)) = (number(), number()) else {
            panic!("seed, lives, story: {line:?}");
        };
        assert!(words.next().is_some_and(|story| !story.is_empty()), "no story: {line:?}");
        check(course(seed, cycles));
        checked += 1;
    }
    assert!(checked > 0);
}

#[test]
fn another_seed_gives_another_run() {
    assert_ne!(run(course(99, 3)).trace_hash, run(course(100, 3)).trace_hash);
}
