//! Faults that are planted in the broker, one at a time: the simulation must find each of them.

use std::io::{self, Write};
use std::num::NonZero;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use millrace_engine::plants::{Plant, plant};

use super::abreast::abreast;
use super::command::tell_failure;
use super::shrink::Limits;
use super::{Course, Outcome, clock, faults, run};

/// What looks for a planted fault.
#[derive(Debug, Clone, Copy)]
enum Catcher {
    /// Lives with crashes at any moment.
    Lives,
    /// Power cuts at every change of the disk.
    Cuts,
    /// Operations of the disk that go wrong.
    Faults,
}

/// Runs of each catcher, at most.
const RUNS_MAX: u64 = 120;
/// How long one fault is looked for, about.
const PATIENCE: Duration = Duration::from_secs(300);
/// Lives of the broker in one run, without power cuts at changes of the disk and with them.
const CYCLES: u64 = 20;
const CYCLES_OF_CUTS: u64 = 2;
const CUTS: u64 = 1_000;
/// Most steps that clients work for in one life with power cuts at changes of the disk.
const STEPS_OF_CUTS: u64 = 200;
/// Every so many operations go wrong.
const FAULTS_EVERY: usize = 7;

/// Reads the name of a fault on the command line.
pub fn by_name() -> impl TypedValueParser<Value = Plant> {
    let find = |name: String| Plant::ALL.iter().copied().find(|plant| plant.name() == name);
    let names = PossibleValuesParser::new(Plant::ALL.iter().map(|plant| plant.name()));
    names.try_map(move |name| find(name).ok_or("it is not one of the faults"))
}

/// What finds a fault, or may.
fn catchers(planted: Plant) -> &'static [Catcher] {
    match planted {
        Plant::AckBeforeFlush | Plant::NoDirectoryFlush | Plant::SkipCrc => {
            &[Catcher::Cuts, Catcher::Lives]
        }
        Plant::IgnoreFailedFlush => &[Catcher::Faults, Catcher::Lives],
        Plant::ReuseOffset
        | Plant::ForgetProducerState
        | Plant::ReplayOldJournalEntries
        | Plant::LoseCommittedOffset
        | Plant::DropLastPartialBlock
        | Plant::DeliverAcrossLeaderEpochChange => &[Catcher::Lives, Catcher::Cuts],
    }
}

/// How a planted fault was found.
struct Found {
    by: &'static str,
    outcome: Outcome,
    /// The arguments that find it again.
    replay: String,
    /// What they come to.
    again: Outcome,
}

/// The argument that plants a fault.
pub fn argument(planted: Plant) -> String {
    format!(" --plant {}", planted.name())
}

/// What came of one planted fault.
struct Sought {
    planted: Plant,
    found: Option<Found>,
    seconds: f64,
}

/// Plants every fault, so many at a time, looks for it, says what found it, and how to see that again. Gives
/// how many nothing found, or only once.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn all(threads: NonZero<usize>, out: &mut dyn Write) -> io::Result<u64> {
    let (mut missed, mut table) = (0, String::new());
    let plants = Plant::ALL.iter().copied();
    abreast(threads, plants, seek, |Sought { planted, found, seconds }| {
        writeln!(out, "{}:", planted.name())?;
        let by = match &found {
            Some(found) => {
                tell_failure(
                    &found.outcome,
                    &format!("{}{}", found.replay, argument(planted)),
                    out,
                )?;
                let (once, again) = (&found.outcome, &found.again);
                let is_same = once.trace_hash == again.trace_hash && once.failure == again.failure;
                if is_same { found.by } else { "NOTHING when it was replayed" }
            }
            None => "NOTHING",
        };
        missed += u64::from(by.starts_with("NOTHING"));
        table += &format!("| {} | {by} | {seconds:.1} |\n", planted.name());
        Ok::<_, io::Error>(true)
    })?;
    write!(out, "\n| planted | found by | seconds |\n|---|---|---|\n{table}")?;
    Ok(missed)
}

/// Plants a fault and looks for it.
fn seek(planted: Plant) -> Sought {
    plant(Some(planted));
    let began = clock::now();
    let until = began + PATIENCE;
    let found = catchers(planted).iter().find_map(|catcher| catch(*catcher, until));
    Sought { planted, found, seconds: began.elapsed().as_secs_f64() }
}

/// Looks for what is planted.
fn catch(catcher: Catcher, until: Instant) -> Option<Found> {
    let mut seeds = (1..=RUNS_MAX).take_while(|_| clock::now() < until);
    seeds.find_map(|seed| match catcher {
        Catcher::Lives => catch_in("lives", Course::new(seed, CYCLES, 0)),
        Catcher::Cuts => {
            let limits = Limits::new(STEPS_OF_CUTS);
            catch_in("power cuts", Course { limits, ..Course::new(seed, CYCLES_OF_CUTS, CUTS) })
        }
        Catcher::Faults => {
            let mut points = faults::points(seed).into_iter().step_by(FAULTS_EVERY);
            points.find_map(|point| {
                let outcome = faults::play(point, false);
                outcome.failure.as_ref()?;
                let (replay, again) = (faults::replay(point), faults::play(point, false));
                Some(Found { by: "failing operations", outcome, replay, again })
            })
        }
    })
}

fn catch_in(by: &'static str, course: Course) -> Option<Found> {
    let outcome = run(course);
    outcome.failure.as_ref()?;
    let (replay, again) = (course.replay(&outcome), run(course.again(&outcome)));
    Some(Found { by, outcome, replay, again })
}
