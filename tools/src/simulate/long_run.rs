//! A long run, by the clock: everything that the simulation can do, seed after seed, and its line in a
//! ledger that all long runs share.

use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::abreast::abreast;
use super::command::{Totals, failed, tell_failure};
use super::faults::Point;
use super::{Course, Outcome, clock, faults, run};

/// Lives of the broker with each seed.
const CYCLES: u64 = 20;
/// Power cuts at changes of the disk with each seed, and lives in which they happen.
const CUTS: u64 = 1_000;
const CYCLES_OF_CUTS: u64 = 4;
/// Operations that go wrong with each seed, about.
const FAULTS: usize = 50;

/// Columns with numbers, which the ledger adds up.
const NUMBERS: [&str; 8] = [
    "seeds",
    "crashes",
    "power cuts at changes of the disk",
    "different disks they left",
    "operations that went wrong",
    "batches acknowledged",
    "found",
    "lost",
];
const HEAD: &str = "\
# Ledger of long simulations

Written by `millrace-tools simulate --minutes N --ledger docs/ledger.md`, a line for each run. In every \
run a whole broker is crashed at any moment, loses its power at every change of its disk, and has \
operations of its disk fail; each time everything is compared with what was acknowledged. A power cut counts \
only if it left another disk than those that were recovered since anything was promised; *different disks* counts \
each disk once, whatever was promised (runs without that number counted all cuts). *Found* counts runs in which anything was wrong, *lost* those of them that \
lost what had been acknowledged.
";

/// What there was with one seed.
struct OfSeed {
    courses: Vec<(Course, Outcome)>,
    faults: Vec<(Point, Outcome)>,
}

/// Does all of it with one seed.
fn one(seed: u64) -> OfSeed {
    let course = Course::new(seed, CYCLES, 0);
    let courses = [course, Course { cycles: CYCLES_OF_CUTS, cuts: CUTS, ..course }];
    let points = faults::points(seed);
    let every = points.len().div_ceil(FAULTS).max(1);
    let points = points.into_iter().step_by(every);
    OfSeed {
        courses: courses.into_iter().map(|course| (course, run(course))).collect(),
        faults: points.map(|point| (point, faults::play(point, false))).collect(),
    }
}

/// Runs for so long, from a seed on, so many at a time.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn run_for(
    minutes: u64,
    first: u64,
    threads: NonZero<usize>,
    totals: &mut Totals,
    out: &mut dyn Write,
) -> io::Result<()> {
    let until = clock::now() + Duration::from_secs(60 * minutes);
    let seeds = (first..).take_while(|_| clock::now() < until);
    abreast(threads, seeds, one, |OfSeed { courses, faults }| {
        for (course, outcome) in &courses {
            totals.add(outcome);
            tell_failure(outcome, &course.replay(outcome), out)?;
        }
        for (point, outcome) in &faults {
            failed(*point, outcome, totals, out)?;
        }
        totals.seeds += 1;
        Ok(true)
    })
}

/// The seed behind those that a ledger has; 1 if there is none.
pub fn next_seed(ledger: &Path) -> u64 {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let lasts = rows(&text).filter_map(|row| row.get(3)?.split_once(" to ")?.1.parse::<u64>().ok());
    lasts.max().map_or(1, |last| last + 1)
}

/// Adds a run to a ledger, and its numbers to the sum in the last line.
///
/// # Errors
/// If the ledger cannot be written.
pub fn note(ledger: &Path, minutes: u64, first: u64, totals: &Totals) -> io::Result<()> {
    let text = match std::fs::read_to_string(ledger) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let last = first + totals.seeds.saturating_sub(1);
    let numbers = [
        totals.seeds,
        totals.crashes,
        totals.cuts,
        totals.disks.len() as u64,
        totals.faults,
        totals.acked,
        totals.failed,
        totals.lost,
    ];
    let mut row = vec![
        clock::today(),
        env!("CARGO_PKG_VERSION").to_owned(),
        commit(),
        format!("{first} to {last}"),
        minutes.to_string(),
    ];
    row.extend(numbers.iter().map(ToString::to_string));
    std::fs::write(ledger, with_row(&text, row))
}

/// The rows of runs in a ledger.
fn rows(text: &str) -> impl Iterator<Item = Vec<String>> {
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let lines = text.lines().filter(|line| line.starts_with("| 2"));
    lines.map(cells).collect::<Vec<_>>().into_iter()
}

/// The text of a ledger with one more row.
fn with_row(text: &str, row: Vec<String>) -> String {
    let rows: Vec<_> = rows(text).chain([row]).collect();
    let mut sums = [0_u64; NUMBERS.len()];
    for row in &rows {
        for (sum, cell) in sums.iter_mut().zip(row.iter().skip(5)) {
            *sum += cell.parse::<u64>().unwrap_or_default();
        }
    }
    let head = ["date", "version", "commit", "which seeds", "minutes"];
    let line = |cells: &mut dyn Iterator<Item = String>| {
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut out = format!("{HEAD}\n");
    out += &line(&mut head.iter().chain(&NUMBERS).map(ToString::to_string));
    out += &line(&mut head.iter().chain(&NUMBERS).map(|_| "--".to_owned()));
    for row in rows {
        out += &line(&mut row.into_iter());
    }
    let sums = sums.iter().map(ToString::to_string);
    let total = ["all", "", "", "", ""].iter().map(ToString::to_string);
    out + &line(&mut total.chain(sums))
}

/// The commit that is checked out here, with `-dirty` if something was changed.
pub fn commit() -> String {
    let asked = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let answer = asked.ok().filter(|output| output.status.success());
    let text = answer.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_adds_up() {
        let row = |seeds: &str, crashes: &str| {
            let head = ["2026-11-25", "0.1.0", "abc", seeds, "5"];
            let cells = head.into_iter().chain(["20", crashes, "3", "2", "4", "5", "0", "0"]);
            cells.map(ToString::to_string).collect()
        };
        let text = with_row("", row("1 to 20", "100"));
        let text = with_row(&text, row("21 to 40", "7"));
        assert_eq!(rows(&text).count(), 2);
        let last = text.lines().last().unwrap();
        assert_eq!(last, "| all |  |  |  |  | 40 | 107 | 6 | 4 | 8 | 10 | 0 | 0 |");
        let ledger = std::env::temp_dir().join(format!("ledger-{}", std::process::id()));
        std::fs::write(&ledger, &text).unwrap();
        assert_eq!(next_seed(&ledger), 41);
        note(&ledger, 1, 41, &Totals { seeds: 2, crashes: 3, ..Totals::default() }).unwrap();
        let text = std::fs::read_to_string(&ledger).unwrap();
        std::fs::remove_file(&ledger).unwrap();
        assert!(text.contains("| 41 to 42 | 1 | 2 | 3 |"), "{text}");
    }
}
