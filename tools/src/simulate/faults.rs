//! Every operation of the disk goes wrong once: a script is played as often as it has operations, and
//! each time another of them fails or ends early. Nobody may wait for ever, nothing may be acknowledged
//! that a failed flush was to make durable, and the next start must find everything that was promised.

use millrace_engine::io::sim::{Fault, OpKind, Sim};

use super::cycle::{self, Tally};
use super::shrink::Limits;
use super::world::World;
use super::{Outcome, watched};

/// One operation of a seed's script, and how it goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// The script.
    pub seed: u64,
    /// The operation's number.
    pub number: u64,
    /// What becomes of it.
    pub fault: Fault,
}

/// Everything that can go wrong in a seed's script.
pub fn points(seed: u64) -> Vec<Point> {
    let sim = Sim::new(seed);
    let world = World::new(seed, false, Limits::default(), None);
    cycle::live_with_fault(&sim, &world, None, &mut Tally::default());
    let kinds = sim.op_kinds();
    let points = (0..).zip(kinds).flat_map(|(number, kind)| {
        let short = (kind == OpKind::Write).then_some(Fault::ShortWrite);
        let faults = std::iter::once(Fault::Io).chain(short);
        faults.map(move |fault| Point { seed, number, fault })
    });
    points.collect()
}

/// Plays the script once.
pub fn play(point: Point, is_told: bool) -> Outcome {
    let Point { seed, number, fault } = point;
    let sim = Sim::new(seed);
    let world = World::new(seed, is_told, Limits::default(), None);
    let outcome = watched(&sim, &world, |tally| {
        cycle::live_with_fault(&sim, &world, Some((number, fault)), tally);
        if world.failure().is_none() {
            cycle::recover(&sim, &world);
        }
    });
    let hits = sim.hits().join(", ");
    Outcome { failure: outcome.failure.map(|failure| format!("{failure} ({hits})")), ..outcome }
}

/// The arguments that play it again.
pub fn replay(point: Point) -> String {
    let Point { seed, number, fault } = point;
    let short = if fault == Fault::ShortWrite { " --short" } else { "" };
    format!("--seed {seed} --fault {number}{short} --tell")
}
