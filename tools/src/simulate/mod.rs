//! The deterministic simulation of a whole broker: shards, disk and clients in one thread, crashed again
//! and again, and compared with what its clients were promised.
//!
//! * [`machine`]: the broker on its simulated machine; [`cycle`]: one of its lives.
//! * [`produce`], [`read`], [`groups`], [`administer`]: the clients.
//! * [`ledger`] ([`streams`], [`commits`]): what they were promised; [`verify`], [`files`]: whether it is
//!   there.
//!
//! One seed gives one run. A failing seed is named with the command that replays it.

mod administer;
mod batch;
mod commits;
mod cycle;
mod dice;
mod files;
mod groups;
mod ledger;
mod machine;
mod produce;
mod read;
mod streams;
#[cfg(test)]
mod tests;
mod verify;
mod world;

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use millrace_engine::io::sim::Sim;

use cycle::Tally;
use world::World;

/// What the command is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The seed of the first run; the others follow on.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Lives of the broker in one run.
    #[arg(long, default_value_t = 20)]
    pub cycles: u64,
    /// Runs, each with a seed of its own.
    #[arg(long, default_value_t = 1)]
    pub runs: u64,
    /// Tell on standard error what happens.
    #[arg(long)]
    pub tell: bool,
}

/// What became of one run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A number that two runs have in common only if the same happened in both.
    pub trace_hash: u64,
    /// What happened.
    tally: Tally,
    /// Batches acknowledged.
    pub acked: u64,
    /// Simulated time. Nanoseconds.
    pub simulated_ns: u64,
    /// What is wrong, if anything.
    pub failure: Option<String>,
}

impl Outcome {
    /// Moments at which the broker was cut off.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.tally.crashes
    }
}

/// Runs a broker through `cycles` lives.
#[must_use]
pub fn run(seed: u64, cycles: u64, is_told: bool) -> Outcome {
    let sim = Sim::new(seed);
    let world = World::new(seed ^ 0x6d69_6c6c_7261_6365, is_told);
    let start = sim.now();
    let mut tally = Tally::default();
    let survived = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..cycles {
            cycle::live(&sim, &world, &mut tally);
            if world.failure().is_some() {
                break;
            }
        }
    }));
    let mut failure = world.failure();
    if let Err(panic) = survived {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        failure.get_or_insert(format!("panicked: {}", text.unwrap_or_default()));
    }
    Outcome {
        trace_hash: sim.trace_hash(),
        tally,
        acked: world.ledger.borrow().acked,
        simulated_ns: sim.now().0 - start.0,
        failure,
    }
}

/// The command that replays a run.
#[must_use]
pub fn replay(seed: u64, cycles: u64) -> String {
    format!("millrace-tools simulate --seed {seed} --cycles {cycles} --tell")
}

/// The command.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn command(args: &Args, out: &mut dyn Write) -> io::Result<ExitCode> {
    let mut failed = 0;
    let (mut crashes, mut acked) = (0, 0);
    for seed in args.seed..args.seed.saturating_add(args.runs) {
        let outcome = run(seed, args.cycles, args.tell);
        crashes += outcome.tally.crashes;
        acked += outcome.acked;
        writeln!(
            out,
            "seed {seed}: {} lives, {} crashes ({} while starting), {} clean stops, {} with a bad \
             disk, {} batches acknowledged, {} ms, trace {:016x}",
            outcome.tally.lives,
            outcome.tally.crashes,
            outcome.tally.crashes_starting,
            outcome.tally.stops,
            outcome.tally.troubles,
            outcome.acked,
            outcome.simulated_ns / 1_000_000,
            outcome.trace_hash,
        )?;
        if let Some(failure) = &outcome.failure {
            failed += 1;
            writeln!(out, "FAILED: {failure}\nreplay: {}", replay(seed, args.cycles))?;
        }
    }
    writeln!(
        out,
        "{} runs, {crashes} crashes, {acked} batches acknowledged, {failed} failed",
        args.runs
    )?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
