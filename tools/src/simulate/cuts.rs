//! Power cuts at every change of the disk: whenever something on it begins, ends or is flushed, twins of
//! the machine lose their power, each keeping another part of what was not durable, and a whole broker
//! recovers there and is compared with the ledger of that moment. The broker that is watched goes on as
//! if nothing had happened.

use std::cell::Cell;
use std::rc::Rc;

use millrace_engine::io::sim::Sim;

use super::cycle;
use super::world::World;

/// Twins at each change.
const CUTS_AT_ONCE: u64 = 4;

/// See the module.
#[derive(Debug)]
pub struct Cutter {
    seed: u64,
    /// Power cuts that are wanted.
    wanted: u64,
    /// Power cuts so far.
    done: Cell<u64>,
    /// The one after which something was wrong.
    failed: Cell<Option<u64>>,
    /// The only one that is carried out, and told.
    only: Option<u64>,
    /// Whether it has begun.
    is_armed: Cell<bool>,
    /// The disk when it was looked at last.
    version: Cell<u64>,
}

impl Cutter {
    /// Cuts up to `wanted` times, or with `only` this one time.
    pub fn new(seed: u64, wanted: u64, only: Option<u64>) -> Rc<Self> {
        let (done, failed, version) = (Cell::new(0), Cell::new(None), Cell::new(0));
        Rc::new(Self { seed, wanted, done, failed, only, is_armed: Cell::new(false), version })
    }

    /// Begins.
    pub fn arm(&self) {
        self.is_armed.set(true);
    }

    /// Power cuts so far.
    pub fn done(&self) -> u64 {
        self.done.get()
    }

    /// The power cut after which something was wrong, if any.
    pub fn failed(&self) -> Option<u64> {
        self.failed.get()
    }

    /// Whether there were as many as wanted.
    pub fn is_done(&self) -> bool {
        self.done.get() >= self.wanted
    }

    /// Looks at the machine between two steps.
    ///
    /// # Errors
    /// What is wrong after a power cut now.
    pub fn look(&self, sim: &Sim, world: &World) -> Result<(), String> {
        let is_same = self.version.replace(sim.disk_version()) == sim.disk_version();
        if is_same || !self.is_armed.get() {
            return Ok(());
        }
        for _ in 0..if sim.is_durable() { 1 } else { CUTS_AT_ONCE } {
            if self.is_done() {
                break;
            }
            let number = self.done.get();
            self.done.set(number + 1);
            if self.only.is_none_or(|only| only == number) {
                self.cut(sim, world, number)?;
            }
        }
        Ok(())
    }

    fn cut(&self, sim: &Sim, world: &World, number: u64) -> Result<(), String> {
        let seed = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let twin = sim.twin(seed);
        let of_twin = world.twin(seed.rotate_left(32), self.only.is_some());
        of_twin.tell(|| format!("CUT {number}"));
        twin.power_cut();
        cycle::recover(&twin, &of_twin);
        match of_twin.failure() {
            Some(failure) => {
                self.failed.set(Some(number));
                Err(format!("after power cut {number}: {failure}"))
            }
            None => Ok(()),
        }
    }
}
