//! The deterministic simulation of a whole broker: shards, disk and clients in one thread, crashed again
//! and again, and compared with what its clients were promised.
//!
//! * [`machine`]: the broker on its simulated machine; [`cycle`]: one of its lives.
//! * [`produce`], [`read`], [`groups`], [`administer`]: the clients.
//! * [`ledger`] ([`streams`], [`commits`]): what they were promised; [`verify`], [`files`]: whether it is
//!   there.
//! * [`cuts`]: the power goes at every change of the disk; [`faults`]: every operation fails.
//! * `plants`: faults that are planted to see whether all this finds them.
//! * [`shrink`]: a failing run becomes short; [`long_run`]: long ones, and the ledger of them.
//! * [`abreast`]: several runs at a time.
//! * [`command`]: the command line.
//!
//! One seed gives one run. A failing seed is named with the command that replays it.

mod abreast;
mod administer;
mod batch;
mod clock;
mod command;
mod commits;
mod cuts;
mod cycle;
mod dice;
mod faults;
mod files;
mod groups;
mod ledger;
mod long_run;
mod machine;
#[cfg(feature = "plants")]
mod plants;
mod produce;
mod read;
mod shrink;
mod streams;
#[cfg(test)]
mod tests;
mod verify;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use millrace_engine::io::sim::Sim;

pub use command::{Args, command};
use cuts::Cutter;
use cycle::Tally;
use shrink::Limits;
use world::World;

/// What is done in one run.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// Everything follows from it.
    seed: u64,
    /// Lives of the broker.
    cycles: u64,
    /// Power cuts at changes of the disk, at most.
    cuts: u64,
    /// The only twin whose power goes, in place of them.
    cut: Option<u64>,
    /// What is left out.
    limits: Limits,
    /// Told on standard error.
    is_told: bool,
}

/// What became of one run.
#[derive(Debug, Clone)]
struct Outcome {
    /// A number that two runs have in common only if the same happened in both.
    trace_hash: u64,
    /// What happened.
    tally: Tally,
    /// Power cuts at changes of the disk.
    cuts: u64,
    /// The disks that they left, each once.
    disks: BTreeSet<u64>,
    /// The twin whose power has to go to find the same again.
    cut: u64,
    /// Batches acknowledged.
    acked: u64,
    /// Simulated time. Nanoseconds.
    simulated_ns: u64,
    /// What is wrong, if anything.
    failure: Option<String>,
}

/// Runs a broker through its lives.
fn run(course: Course) -> Outcome {
    let Course { seed, cycles, is_told, .. } = course;
    let sim = Sim::new(seed);
    let cutter = (course.cuts > 0).then(|| Cutter::new(seed, course.cuts, course.cut));
    let is_over = |cutter: &Option<Rc<Cutter>>| cutter.as_ref().is_some_and(|it| it.is_done());
    let world = World::new(seed, is_told, course.limits, cutter.clone());
    let outcome = watched(&sim, &world, |tally| {
        for life in 0..cycles {
            // Some seeds begin with a disk on which nothing is, some with one that has been lived on.
            if life == seed % cycles.max(1) {
                cutter.iter().for_each(|cutter| cutter.arm());
            }
            cycle::live(&sim, &world, tally);
            if world.failure().is_some() || is_over(&cutter) {
                break;
            }
        }
    });
    let Some(cutter) = cutter else { return outcome };
    Outcome { cuts: cutter.done(), disks: cutter.disks(), cut: cutter.needed(), ..outcome }
}

/// Does something in a world, and says what became of it: a panic is a failure too.
fn watched(sim: &Sim, world: &World, what: impl FnOnce(&mut Tally)) -> Outcome {
    let start = sim.now();
    let mut tally = Tally::default();
    let survived = catch_unwind(AssertUnwindSafe(|| what(&mut tally)));
    let mut failure = world.failure();
    if let Err(panic) = survived {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        failure.get_or_insert(format!("panicked: {}", text.unwrap_or_default()));
    }
    Outcome {
        trace_hash: sim.trace_hash(),
        tally,
        cuts: 0,
        disks: BTreeSet::new(),
        cut: 0,
        acked: world.ledger.borrow().acked,
        simulated_ns: sim.now().0 - start.0,
        failure,
    }
}

impl Course {
    fn new(seed: u64, cycles: u64, cuts: u64) -> Self {
        Self { seed, cycles, cuts, cut: None, limits: Limits::default(), is_told: false }
    }

    /// The run in which what this one found is found again: with the one power cut that found it, or
    /// with none if it was found without.
    fn again(self, outcome: &Outcome) -> Self {
        Self { cut: (self.cuts > 0).then_some(outcome.cut), ..self }
    }

    /// The arguments that do it.
    fn replay(self, outcome: &Outcome) -> String {
        let Self { seed, cycles, cuts, cut, limits, .. } = self.again(outcome);
        let cut = cut.map(|cut| format!(" --cuts {cuts} --cut {cut}")).unwrap_or_default();
        format!("--seed {seed} --cycles {cycles}{cut}{} --tell", limits.arguments())
    }
}
