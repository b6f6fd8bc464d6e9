//! `millrace-tools simulate`: what it is told, what it does, what it says.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use millrace_engine::io::sim::Fault;

use super::abreast::{self, abreast};
use super::cycle::Tally;
use super::faults::{self, Point};
use super::long_run;
use super::shrink::{self, Limits, Part};
use super::{Course, Outcome, run};

/// Scripts over which failing operations are spread.
const SCRIPTS: u64 = 10;
/// Power cuts at changes of the disk with one seed, at most.
const CUTS_OF_SEED: u64 = 1_000;

/// What the command is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The seed of the first run; the others follow on. 1, or the one behind those of the ledger.
    #[arg(long)]
    seed: Option<u64>,
    /// Lives of the broker in one run.
    #[arg(long, default_value_t = 20)]
    cycles: u64,
    /// Runs, each with a seed of its own.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Tell on standard error what happens, and what the broker says of it.
    #[arg(long)]
    tell: bool,
    /// Cut the power that many times in all or a few more, at every change of the disk, and recover; runs
    /// follow until it is enough. A disk that was recovered already since anything was promised does not count.
    #[arg(long, conflicts_with = "runs")]
    cuts: Option<u64>,
    /// Take only this twin's power in the first run; none's if there are not so many.
    #[arg(long, requires = "cuts")]
    cut: Option<u64>,
    /// Let about so many operations of the disk go wrong, each in a run of its own, evenly spread over
    /// ten scripts; 0 is all of them.
    #[arg(long, conflicts_with_all = ["runs", "cuts"])]
    faults: Option<u64>,
    /// Let only this operation go wrong.
    #[arg(long, conflicts_with_all = ["runs", "cuts", "faults"])]
    fault: Option<u64>,
    /// It ends early instead of failing.
    #[arg(long, requires = "fault")]
    short: bool,
    /// Leave these parts out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Part>,
    /// Most steps that clients work for in one life.
    #[arg(long, default_value_t = shrink::STEPS)]
    steps: u64,
    /// So many runs at a time; as many as there are processors for.
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// Make the first run that finds something as short as it goes, and tell it.
    #[arg(long, conflicts_with_all = ["cuts", "faults", "fault"])]
    shrink: bool,
    /// Do all of it, seed after seed, for so long.
    #[arg(long, conflicts_with_all = ["runs", "cuts", "faults", "fault", "shrink"])]
    minutes: Option<u64>,
    /// Add a line on that to this file.
    #[arg(long, requires = "minutes")]
    ledger: Option<PathBuf>,
    /// Plant this fault in the broker.
    #[cfg(feature = "plants")]
    #[arg(long, value_parser = super::plants::by_name())]
    plant: Option<millrace_engine::plants::Plant>,
    /// Plant every fault, one after the other, and say what finds it. Exits with 1 if nothing does.
    #[cfg(feature = "plants")]
    #[arg(long)]
    plants: bool,
}

impl Args {
    fn first_seed(&self) -> u64 {
        let behind = || self.ledger.as_deref().map(long_run::next_seed);
        self.seed.or_else(behind).unwrap_or(1)
    }

    /// How many runs there are at a time; one, if it tells what happens.
    fn threads(&self) -> NonZero<usize> {
        let one = (self.tell || self.shrink).then_some(NonZero::<usize>::MIN);
        one.or(self.threads).unwrap_or_else(abreast::threads)
    }

    fn limits(&self) -> Limits {
        let all = Limits::new(self.steps.max(1));
        self.without.iter().fold(all, |limits, part| limits.without(*part))
    }
}

/// What all runs together came to.
#[derive(Debug, Default)]
pub struct Totals {
    /// Seeds of a long run.
    pub seeds: u64,
    /// Runs.
    pub runs: u64,
    /// Moments at which the broker was cut off.
    pub crashes: u64,
    /// Power cuts at changes of the disk.
    pub cuts: u64,
    /// Disks that they left, each once.
    pub disks: BTreeSet<u64>,
    /// Operations that went wrong.
    pub faults: u64,
    /// Batches that were acknowledged.
    pub acked: u64,
    /// Runs that found something.
    pub failed: u64,
    /// Of those, runs that lost something that had been acknowledged.
    pub lost: u64,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.crashes += outcome.tally.crashes;
        self.cuts += outcome.cuts;
        self.disks.extend(&outcome.disks);
        self.acked += outcome.acked;
        self.failed += u64::from(outcome.failure.is_some());
        self.lost += u64::from(outcome.failure.as_ref().is_some_and(|text| text.contains("LOST")));
    }
}

/// The command.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn command(args: &Args, out: &mut dyn Write) -> io::Result<ExitCode> {
    if args.tell {
        let log = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(io::stderr);
        log.init();
    }
    #[cfg(feature = "plants")]
    {
        if args.plants {
            let missed = super::plants::all(args.threads(), out)?;
            return Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        millrace_engine::plants::plant(args.plant);
    }
    let mut totals = Totals::default();
    let seed = args.first_seed();
    match (args.minutes, args.faults, args.fault) {
        (Some(minutes), ..) => {
            long_run::run_for(minutes, seed, args.threads(), &mut totals, out)?;
            if let Some(ledger) = &args.ledger {
                long_run::note(ledger, minutes, seed, &totals)?;
            }
        }
        (None, Some(wanted), _) => fail_everywhere(args, wanted, &mut totals, out)?,
        (None, None, Some(number)) => {
            let fault = if args.short { Fault::ShortWrite } else { Fault::Io };
            let point = Point { seed, number, fault };
            failed(point, &faults::play(point, args.tell), &mut totals, out)?;
        }
        (None, None, None) => live(args, &mut totals, out)?,
    }
    let Totals { runs, crashes, cuts, ref disks, faults, acked, failed, .. } = totals;
    let disks = disks.len();
    writeln!(
        out,
        "{runs} runs, {crashes} crashes, {cuts} power cuts at changes of the disk that left {disks} different \
         disks, {faults} operations that went wrong, {acked} batches acknowledged, {failed} failed",
    )?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs through lives of a broker, with power cuts or without.
fn live(args: &Args, totals: &mut Totals, out: &mut dyn Write) -> io::Result<()> {
    let (limits, is_told, cut) = (args.limits(), args.tell, args.cut);
    let cuts = args.cuts.map_or(0, |wanted| wanted.min(CUTS_OF_SEED));
    let course = |seed| Course { limits, is_told, cut, ..Course::new(seed, args.cycles, cuts) };
    let is_enough = |totals: &Totals| match (args.cuts, args.cut) {
        (Some(_), Some(_)) => totals.runs > 0,
        (Some(wanted), None) => totals.cuts >= wanted,
        (None, _) => totals.runs >= args.runs,
    };
    if is_enough(totals) {
        return Ok(());
    }
    let courses = (args.first_seed()..).map(course);
    abreast(
        args.threads(),
        courses,
        |course| (course, run(course)),
        |(course, outcome)| {
            totals.add(&outcome);
            tell_lives(course.seed, &outcome, out)?;
            tell_failure(&outcome, &course.replay(&outcome), out)?;
            if args.shrink && outcome.failure.is_some() {
                let (course, outcome) = shrink::shrink(course, outcome, &run, out)?;
                tell_failure(&outcome, &course.replay(&outcome), out)?;
                // What happens is told on standard error.
                run(Course { is_told: true, ..course });
                return Ok(false);
            }
            Ok(!is_enough(totals))
        },
    )
}

/// Says what there was in a run through lives.
fn tell_lives(seed: u64, outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let Tally { lives, crashes, crashes_starting, stops, troubles } = outcome.tally;
    let Outcome { cuts, acked, trace_hash, .. } = outcome;
    let (disks, simulated_ms) = (outcome.disks.len(), outcome.simulated_ns / 1_000_000);
    writeln!(
        out,
        "seed {seed}: {lives} lives, {crashes} crashes ({crashes_starting} while starting), {stops} clean stops, \
         {troubles} with a bad disk, {cuts} power cuts ({disks} disks), {acked} batches acknowledged, \
         {simulated_ms} ms, trace {trace_hash:016x}",
    )
}

/// Lets operations of several scripts go wrong.
fn fail_everywhere(
    args: &Args,
    wanted: u64,
    totals: &mut Totals,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (first, threads) = (args.first_seed(), args.threads());
    let mut chosen = Vec::new();
    let scripts = first..first.saturating_add(SCRIPTS);
    abreast(
        threads,
        scripts,
        |seed| (seed, faults::points(seed)),
        |(seed, points)| {
            let each = if wanted == 0 { u64::MAX } else { wanted.div_ceil(SCRIPTS) };
            let every = (points.len() as u64 / each).max(1);
            writeln!(out, "seed {seed}: {} ways to go wrong, every {every}.", points.len())?;
            chosen.extend(points.into_iter().step_by(usize::try_from(every).unwrap_or(usize::MAX)));
            Ok::<_, io::Error>(true)
        },
    )?;
    abreast(
        threads,
        chosen,
        |point| (point, faults::play(point, args.tell)),
        |(point, outcome)| {
            failed(point, &outcome, totals, out)?;
            Ok(true)
        },
    )
}

/// Notes what came of an operation that went wrong.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn failed(
    point: Point,
    outcome: &Outcome,
    totals: &mut Totals,
    out: &mut dyn Write,
) -> io::Result<()> {
    totals.add(outcome);
    totals.faults += 1;
    tell_failure(outcome, &faults::replay(point), out)
}

/// Says what was found, and how to see it again.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn tell_failure(outcome: &Outcome, replay: &str, out: &mut dyn Write) -> io::Result<()> {
    let Some(failure) = &outcome.failure else { return Ok(()) };
    let (commit, planted) = (long_run::commit(), planted());
    let features = match (cfg!(feature = "small"), cfg!(feature = "plants")) {
        (false, false) => "",
        (true, false) => ", built with --features small",
        (false, true) => ", built with --features plants",
        (true, true) => ", built with --features small,plants",
    };
    writeln!(
        out,
        "FAILED: {failure}\nreplay: millrace-tools simulate {replay}{planted}  # trace {:016x}, \
         {commit}{features}",
        outcome.trace_hash
    )
}

/// The argument that plants what is planted; empty if nothing is.
fn planted() -> String {
    #[cfg(feature = "plants")]
    let planted =
        millrace_engine::plants::planted().map(super::plants::argument).unwrap_or_default();
    #[cfg(not(feature = "plants"))]
    let planted = String::new();
    planted
}
