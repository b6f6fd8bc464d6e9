//! From a run that finds something to a short one that does: fewer lives, fewer kinds of clients, less
//! work, as long as anything is found.

use std::io::{self, Write};

use clap::ValueEnum;

use super::{Course, Outcome};

/// Other seeds that are tried each time something is left out, as that changes all chance.
const SEEDS: u64 = 30;
/// Two failures are of one kind if so many words are the same.
const KIND_WORDS: usize = 6;
/// Most steps that clients work for in one life.
pub const STEPS: u64 = 16_000;

/// A part of what happens in a simulation that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Disks that fail, are slow, are full.
    Trouble,
    /// Topics that are created, grown, altered, deleted, and records that are.
    Administration,
    /// Groups that commit offsets.
    Groups,
    /// Readers.
    Reads,
    /// Idempotent producers.
    Idempotence,
    /// Producers that are not idempotent.
    Appends,
    /// More than one shard.
    Shards,
    /// More than one log directory.
    Directories,
}

/// What is left out of a simulation.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    without: u8,
    /// Most steps that clients work for in one life.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(STEPS)
    }
}

impl Limits {
    /// Nothing is left out, and clients work for up to so many steps.
    pub fn new(steps: u64) -> Self {
        Self { without: 0, steps }
    }

    /// Whether a part is in it.
    pub fn has(self, part: Part) -> bool {
        self.without & (1 << part as u8) == 0
    }

    /// The same without a part.
    pub fn without(self, part: Part) -> Self {
        Self { without: self.without | 1 << part as u8, ..self }
    }

    /// How the command line says so; begins with a space unless it is empty.
    pub fn arguments(self) -> String {
        let left_out = Part::value_variants().iter().filter(|part| !self.has(**part));
        let names =
            left_out.filter_map(|part| Some(part.to_possible_value()?.get_name().to_owned()));
        let names = names.collect::<Vec<_>>().join(",");
        let without = if names.is_empty() { names } else { format!(" --without {names}") };
        let steps = self.steps;
        let steps = if steps == STEPS { String::new() } else { format!(" --steps {steps}") };
        without + &steps
    }
}

/// Makes a run that found something as short as it goes, tells each step, and gives the last one. What
/// the runs find stays of one kind. `run` carries them out.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn shrink(
    course: Course,
    outcome: Outcome,
    run: &dyn Fn(Course) -> Outcome,
    out: &mut dyn Write,
) -> io::Result<(Course, Outcome)> {
    let wanted = outcome.failure.as_deref().map(kind).unwrap_or_default();
    let fails = |course: Course| {
        let outcome = run(course);
        let is_it = outcome.failure.as_deref().is_some_and(|text| kind(text) == wanted);
        is_it.then(|| (cut_off(course, &outcome), outcome))
    };
    let mut best = (cut_off(course, &outcome), outcome);
    loop {
        let Some(next) = shorter(best.0).find_map(fails) else { return Ok(best) };
        best = next;
        let what = best.1.failure.as_deref().unwrap_or_default();
        writeln!(out, "shorter: {}: {what}", best.0.replay(&best.1))?;
    }
}

/// What is wrong, without names and numbers.
fn kind(failure: &str) -> Vec<String> {
    let words = failure.split(|char: char| char.is_whitespace() || ":,;()".contains(char));
    let is_plain = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    words.filter(is_plain).take(KIND_WORDS).map(ToOwned::to_owned).collect()
}

/// Nothing that came behind the failure.
fn cut_off(course: Course, outcome: &Outcome) -> Course {
    Course { cycles: outcome.tally.lives.max(1), ..course }
}

/// Runs in which less happens.
fn shorter(course: Course) -> impl Iterator<Item = Course> {
    let limits = course.limits;
    let parts = Part::value_variants().iter().filter(move |part| limits.has(**part));
    let without = parts.map(move |part| Course { limits: limits.without(*part), ..course });
    let fewer = (course.cycles > 1).then(|| Course { cycles: course.cycles - 1, ..course });
    let steps = limits.steps / 2;
    let less = (steps > 0).then_some(Course { limits: Limits { steps, ..limits }, ..course });
    let all = fewer.into_iter().chain(without).chain(less);
    all.flat_map(|course| {
        (0..SEEDS).map(move |more| Course { seed: course.seed.wrapping_add(more), ..course })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said() {
        let limits = Limits::default();
        assert_eq!(limits.arguments(), "");
        let limits = Limits { steps: 500, ..limits.without(Part::Groups).without(Part::Shards) };
        assert_eq!(limits.arguments(), " --without groups,shards --steps 500");
        assert!(!limits.has(Part::Groups) && limits.has(Part::Reads));
    }

    #[test]
    fn a_failure_becomes_short_and_stays_the_same() {
        let run = |course: Course| {
            let Course { seed, cycles, limits, .. } = course;
            let failure = if seed % 3 != 1 {
                None
            } else if limits.has(Part::Groups) && cycles >= 2 && limits.steps >= 100 {
                Some(format!("batch {seed} of t1-{seed} is LOST"))
            } else {
                Some("the broker does not stop".to_owned())
            };
            let tally = super::super::Tally { lives: cycles, ..Default::default() };
            let (trace_hash, simulated_ns) = (seed, 0);
            Outcome {
                trace_hash,
                tally,
                cuts: 0,
                disks: std::collections::BTreeSet::new(),
                cut: 0,
                acked: 0,
                simulated_ns,
                failure,
            }
        };
        let course = Course::new(1, 20, 0);
        let mut told = Vec::new();
        let (course, outcome) = shrink(course, run(course), &run, &mut told).unwrap();
        assert!(outcome.failure.is_some_and(|text| text.ends_with("is LOST")));
        assert_eq!((course.cycles, course.limits.steps), (2, STEPS >> 7));
        let kept: Vec<_> =
            Part::value_variants().iter().filter(|part| course.limits.has(**part)).collect();
        assert_eq!(kept, [&Part::Groups]);
        assert!(String::from_utf8(told).unwrap().lines().count() > 20);
    }
}
