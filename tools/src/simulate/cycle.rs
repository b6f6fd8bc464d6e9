//! One life of the broker: from its start to its end, by one of many ways.

use std::rc::Rc;

use millrace_engine::io::sim::{Fault, OpKind, Rule, Sim};
use millrace_engine::types::Nanos;

use super::files;
use super::machine::{Broker, IN_SECOND, Setup, later};
use super::shrink::Part;
use super::world::{Phase, Trouble, World};

/// A start, or a stop, that takes more steps than this has got stuck.
const STEPS_MAX: u64 = 4_000_000;
/// Simulated time within which a start, a stop or an answer must come, or an operation of the disk: a
/// thousand small segments take as long as they take.
const PATIENCE_NS: u64 = 60_000_000_000;
/// Simulated time within which it must come however much there is to do.
const PATIENCE_MAX_NS: u64 = 60 * PATIENCE_NS;
/// Simulated time within which appends must go on when a full disk has room again.
const RECOVERY_NS: u64 = PATIENCE_NS / 4;

/// Steps that clients work for in a script whose operations fail.
const SCRIPT_STEPS: u64 = 3_000;

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The power goes: what is not flushed is kept in any part.
    PowerCut,
    /// The process is killed: nothing that was written is lost.
    Kill,
    /// It is told to stop, and stops.
    Stop,
    /// It is told to stop, and the power goes before it has.
    CutStop,
}

/// What goes wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// An operation fails, any one.
    Fails,
    /// One of two log directories fails, and stays so.
    Directory,
    /// Some operations take very long.
    Slow,
    /// There is no room for a while.
    Full,
}

/// Waits for what must come.
struct Patience {
    disk_ops: u64,
    until: Nanos,
    end: Nanos,
}

impl Patience {
    fn new(sim: &Sim) -> Self {
        let (until, end) = (later(sim, PATIENCE_NS), later(sim, PATIENCE_MAX_NS));
        Self { disk_ops: sim.disk_ops(), until, end }
    }

    /// Whether nothing has happened for too long, or all of it takes too long.
    fn is_over(&mut self, sim: &Sim) -> bool {
        if self.disk_ops != sim.disk_ops() {
            *self = Self { end: self.end, ..Self::new(sim) };
        }
        sim.now() > self.until.min(self.end)
    }
}

/// What happened, over all lives.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Lives of the broker.
    pub lives: u64,
    /// Power cuts and kills, at any moment.
    pub crashes: u64,
    /// Of those, before the broker served.
    pub crashes_starting: u64,
    /// Clean stops.
    pub stops: u64,
    /// Lives with a failing, a slow, a full disk.
    pub troubles: u64,
}

/// Lets a broker live once. `tally` counts what happened.
pub fn live(sim: &Sim, world: &Rc<World>, tally: &mut Tally) {
    let dice = &world.dice;
    let end = match dice.below(100) {
        0..60 => End::PowerCut,
        60..75 => End::Kill,
        75..90 => End::Stop,
        _ => End::CutStop,
    };
    let wrong = match dice.below(100) {
        _ if !world.limits.has(Part::Trouble) => Wrong::Nothing,
        0..70 => Wrong::Nothing,
        70..82 => Wrong::Fails,
        82..90 => Wrong::Slow,
        _ => Wrong::Full,
    };
    // In place of another operation that fails: half of them, where there are two.
    let is_directory = wrong == Wrong::Fails && world.log_dirs > 1 && dice.percent(50);
    let wrong = if is_directory { Wrong::Directory } else { wrong };
    world.tell(|| format!("LIFE {} {wrong:?} {end:?}", tally.lives));
    tally.lives += 1;
    tally.troubles += u64::from(wrong != Wrong::Nothing);
    let broker = begin(sim, world);
    if wrong == Wrong::Fails && dice.percent(40) {
        fail(sim, world);
    }
    if wrong == Wrong::Directory && dice.percent(40) {
        lose_directory(sim, world);
    }
    let has_served = start(sim, world, &broker, end);
    if has_served {
        work(sim, world, wrong);
        if matches!(wrong, Wrong::Nothing | Wrong::Fails | Wrong::Directory) {
            hear_everyone(sim, world);
        }
    }
    finish(sim, world, &broker, end, has_served, tally);
    sim.clear_faults();
    sim.set_disk_capacity(None);
    world.crashed();
}

/// A life in which operation `number` of the disk goes wrong, or none does, and its end.
pub fn live_with_fault(
    sim: &Sim,
    world: &Rc<World>,
    fault: Option<(u64, Fault)>,
    tally: &mut Tally,
) {
    let end = *world.dice.pick(&[End::PowerCut, End::Kill, End::Stop]).expect("there are three");
    world.tell(|| format!("LIFE {fault:?} {end:?}"));
    if let Some((number, fault)) = fault {
        world.trouble.set(Trouble::Failing);
        sim.fault(Rule::Number(number, fault));
    }
    let broker = begin(sim, world);
    let has_served = serves_within(sim, world, &broker, STEPS_MAX);
    if has_served {
        run(sim, world, SCRIPT_STEPS);
        hear_everyone(sim, world);
    } else if broker.error().is_none() && world.failure().is_none() {
        world.wrong("the broker does not start, and does not say why");
    }
    finish(sim, world, &broker, end, has_served, tally);
    sim.clear_faults();
    world.crashed();
}

/// Starts a broker, set up in any way.
fn begin(sim: &Sim, world: &Rc<World>) -> Broker {
    let setup = Setup::draw(&world.dice, world.log_dirs, !world.limits.has(Part::Shards));
    world.draw_lead(setup.shards);
    world.tell(|| format!("{setup:?}"));
    Broker::start(sim, world, setup)
}

/// Whatever was asked up to now is answered.
fn hear_everyone(sim: &Sim, world: &World) {
    let (mut patience, count) = (Patience::new(sim), world.questions());
    while let Some(what) = world.unanswered(count) {
        if world.failure().is_some() {
            return;
        }
        if world.steps(sim, 64) == 0 || patience.is_over(sim) {
            world.wrong(format!("{what} is not answered"));
        }
    }
}

/// Runs until the broker serves, or is cut off before. Says whether it serves.
fn start(sim: &Sim, world: &World, broker: &Broker, end: End) -> bool {
    let is_cut = matches!(end, End::PowerCut | End::Kill) && world.dice.percent(40);
    let steps = if is_cut { world.dice.magnitude(4_000) } else { STEPS_MAX };
    let has_served = serves_within(sim, world, broker, steps);
    if !has_served && !is_cut && world.failure().is_none() {
        let phase = world.phase.get();
        world.wrong_unless_trouble(|| format!("the broker does not start, it is {phase:?}"));
    }
    has_served
}

/// Starts a broker and waits until it serves and everything is there that was promised.
pub fn recover(sim: &Sim, world: &Rc<World>) {
    let broker = begin(sim, world);
    if !serves_within(sim, world, &broker, STEPS_MAX) {
        let phase = world.phase.get();
        world.wrong(format!("the broker does not start, it is {phase:?}"));
    }
}

/// Runs until the broker serves. Says whether it does after so many steps.
fn serves_within(sim: &Sim, world: &World, broker: &Broker, steps: u64) -> bool {
    let mut left = steps;
    let mut patience = Patience::new(sim);
    while left > 0 && world.phase.get() < Phase::Working {
        if world.steps(sim, 1) == 0 || world.failure().is_some() {
            break;
        }
        if let Some(error) = broker.error() {
            world.wrong_unless_trouble(|| format!("the broker does not start: {error}"));
            return false;
        }
        left -= 1;
        if patience.is_over(sim) {
            left = 0;
        }
    }
    world.phase.get() == Phase::Working
}

fn fail(sim: &Sim, world: &World) {
    world.trouble.set(Trouble::Failing);
    let at = sim.disk_ops() + world.dice.magnitude(600);
    world.tell(|| format!("operation {at} will fail"));
    sim.fault(Rule::Number(at, Fault::Io));
}

/// Nothing in the second log directory can be done any more.
fn lose_directory(sim: &Sim, world: &World) {
    world.tell(|| "the second directory fails".to_owned());
    world.trouble.set(Trouble::Directory);
    sim.fault(Rule::Every(IN_SECOND.to_owned(), Fault::Io));
}

/// Lets clients work for a while, with whatever goes wrong meanwhile.
fn work(sim: &Sim, world: &Rc<World>, wrong: Wrong) {
    let steps = world.dice.magnitude(world.limits.steps);
    match wrong {
        Wrong::Nothing => {}
        Wrong::Fails if world.trouble.get() == Trouble::Failing => {}
        Wrong::Fails => match world.dice.below(4) {
            0 => {
                world.trouble.set(Trouble::Failing);
                sim.fault(Rule::Next(OpKind::Sync, String::new(), Fault::Io));
            }
            1 => {
                world.trouble.set(Trouble::Failing);
                sim.fault(Rule::Next(OpKind::Write, String::new(), Fault::Io));
            }
            _ => fail(sim, world),
        },
        Wrong::Directory if world.trouble.get() == Trouble::Directory => {}
        Wrong::Directory => {
            let before = world.dice.below(steps);
            run(sim, world, before);
            lose_directory(sim, world);
        }
        Wrong::Slow => {
            for kind in [OpKind::Sync, OpKind::Write, OpKind::Read, OpKind::Rename] {
                let nanos = world.dice.magnitude(3_000_000_000);
                sim.fault(Rule::Next(kind, String::new(), Fault::Stall(nanos)));
            }
        }
        Wrong::Full => {
            fill(sim, world, steps);
            return;
        }
    }
    run(sim, world, steps);
}

fn run(sim: &Sim, world: &World, steps: u64) {
    for _ in 0..steps.div_ceil(64) {
        if world.steps(sim, 64) == 0 || world.failure().is_some() {
            return;
        }
    }
    world.steps(sim, steps % 64);
}

/// The disk gets full, and then has room again: the broker must go on by itself.
fn fill(sim: &Sim, world: &Rc<World>, steps: u64) {
    let used = files::used_bytes(sim);
    world.trouble.set(Trouble::Full);
    sim.set_disk_capacity(Some(used + world.dice.magnitude(400_000)));
    run(sim, world, steps);
    sim.set_disk_capacity(None);
    if world.failure().is_some() || world.dice.percent(50) {
        return;
    }
    let before = world.ledger.borrow().acked;
    let deadline = later(sim, RECOVERY_NS);
    while sim.now() < deadline && world.failure().is_none() {
        world.steps(sim, 1_000);
        if world.ledger.borrow().acked >= before + 30 {
            return;
        }
    }
    if world.failure().is_none() {
        world.wrong("appends do not go on although the disk has room again");
    }
}

/// Ends the broker's life.
fn finish(
    sim: &Sim,
    world: &Rc<World>,
    broker: &Broker,
    end: End,
    has_served: bool,
    tally: &mut Tally,
) {
    if world.failure().is_some() {
        return;
    }
    if has_served && matches!(end, End::Stop | End::CutStop) {
        broker.stop();
        if end == End::Stop {
            if stop(sim, world, broker) {
                tally.stops += 1;
            }
        } else {
            world.steps(sim, world.dice.magnitude(1_000));
            tally.crashes += 1;
        }
    } else {
        tally.crashes += 1;
        tally.crashes_starting += u64::from(!has_served);
    }
    if end == End::Kill || (end == End::Stop && world.dice.percent(50)) {
        world.tell(|| "KILL".to_owned());
        sim.kill();
    } else {
        world.tell(|| "POWER CUT".to_owned());
        sim.power_cut();
    }
}

/// Waits for a clean stop and looks at what it left. Says whether it was clean.
fn stop(sim: &Sim, world: &World, broker: &Broker) -> bool {
    let mut patience = Patience::new(sim);
    while !broker.has_ended() {
        if world.steps(sim, 1) == 0 || patience.is_over(sim) {
            world.wrong_unless_trouble(|| "the broker does not stop".to_owned());
            return false;
        }
    }
    if !broker.is_clean() {
        world.wrong_unless_trouble(|| "the stop was not clean".to_owned());
        return false;
    }
    sim.clear_faults();
    sim.set_disk_capacity(None);
    world.tell(|| "stopped".to_owned());
    files::check(sim, world, &broker.ends());
    if let Err(stalled) = broker.complete(sim) {
        world.wrong(stalled.to_string());
    }
    if world.dice.percent(50) {
        files::remove_journals(sim, world);
    }
    true
}
