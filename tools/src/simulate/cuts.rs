//! Power cuts at every change of the disk: whenever something on it begins, ends or is flushed, twins of
//! the machine lose their power, each keeping another part of what was not durable, and a whole broker
//! recovers there and is compared with the ledger of that moment. The broker that is watched goes on as
//! if nothing had happened.
//!
//! What has been judged is not judged again: a twin whose disk is the same as one from which a broker has
//! recovered since anybody was answered, so that the same was promised too, is no power cut and does not count.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use millrace_engine::io::sim::Sim;

use super::cycle;
use super::world::World;

/// Twins at each change.
const TWINS_AT_ONCE: u64 = 4;

/// See the module.
#[derive(Debug)]
pub struct Cutter {
    seed: u64,
    /// Power cuts that are wanted.
    wanted: u64,
    /// Twins so far.
    twins: Cell<u64>,
    /// Power cuts so far: twins on whose disk a broker recovered.
    done: Cell<u64>,
    /// The twin on which something was wrong.
    failed: Cell<Option<u64>>,
    /// The only twin whose power goes, and which is told.
    only: Option<u64>,
    /// Whether it has begun.
    is_armed: Cell<bool>,
    /// The disk when it was looked at last.
    version: Cell<u64>,
    /// All disks from which a broker recovered.
    disks: RefCell<BTreeSet<u64>>,
    /// What had been promised when it was looked at last, and the disks from which a broker recovered since.
    judged: RefCell<(u64, BTreeSet<u64>)>,
}

impl Cutter {
    /// Cuts up to `wanted` times, or with `only` just the power of that twin.
    pub fn new(seed: u64, wanted: u64, only: Option<u64>) -> Rc<Self> {
        Rc::new(Self {
            seed,
            wanted,
            twins: Cell::new(0),
            done: Cell::new(0),
            failed: Cell::new(None),
            only,
            is_armed: Cell::new(false),
            version: Cell::new(0),
            disks: RefCell::default(),
            judged: RefCell::default(),
        })
    }

    /// Begins.
    pub fn arm(&self) {
        self.is_armed.set(true);
    }

    /// Power cuts so far.
    pub fn done(&self) -> u64 {
        self.done.get()
    }

    /// The disks from which a broker recovered, each once.
    pub fn disks(&self) -> BTreeSet<u64> {
        self.disks.borrow().clone()
    }

    /// The only twin that is needed to find the same again: the one on which something was wrong, or one
    /// that there was not yet.
    pub fn needed(&self) -> u64 {
        self.failed.get().unwrap_or(self.twins.get())
    }

    /// Whether there were as many as wanted.
    pub fn is_done(&self) -> bool {
        match self.only {
            Some(only) => self.twins.get() > only,
            None => self.done.get() >= self.wanted,
        }
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
        for _ in 0..if sim.is_durable() { 1 } else { TWINS_AT_ONCE } {
            if self.is_done() {
                break;
            }
            let number = self.twins.get();
            self.twins.set(number + 1);
            if self.only.is_none_or(|only| only == number) {
                self.cut(sim, world, number)?;
            }
        }
        Ok(())
    }

    /// Whether nobody has recovered from a disk since anybody was answered.
    fn is_new(&self, disk: u64, world: &World) -> bool {
        let (promised, disks) = &mut *self.judged.borrow_mut();
        if *promised != world.promises() {
            *promised = world.promises();
            disks.clear();
        }
        self.disks.borrow_mut().insert(disk);
        disks.insert(disk)
    }

    fn cut(&self, sim: &Sim, world: &World, number: u64) -> Result<(), String> {
        let seed = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let twin = sim.twin(seed);
        twin.power_cut();
        if !self.is_new(twin.disk_fingerprint(), world) {
            return Ok(());
        }
        self.done.set(self.done.get() + 1);
        let of_twin = world.twin(seed.rotate_left(32), self.only.is_some());
        of_twin.tell(|| format!("CUT {number}"));
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
