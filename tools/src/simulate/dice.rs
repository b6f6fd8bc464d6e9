//! Chance for the workload, from one seed.

use std::cell::RefCell;

use millrace_engine::io::sim::prng::Prng;

/// A generator that can be shared by all tasks of a simulation.
#[derive(Debug)]
pub struct Dice(RefCell<Prng>);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(RefCell::new(Prng::new(seed)))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.borrow_mut().below(bound)
    }

    /// A number from `least` on, below `bound`.
    pub fn between(&self, least: u64, bound: u64) -> u64 {
        least + self.below(bound - least)
    }

    /// True `percent` times in a hundred.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number from 1 to about `most`, each order of magnitude as likely as the next.
    pub fn magnitude(&self, most: u64) -> u64 {
        let bits = u64::from(most.ilog2()) + 1;
        let top = 1 << self.below(bits);
        top + self.below(top)
    }

    /// One of them, none if there is none.
    pub fn pick<'a, T>(&self, among: &'a [T]) -> Option<&'a T> {
        if among.is_empty() {
            return None;
        }
        among.get(usize::try_from(self.below(among.len() as u64)).unwrap_or_default())
    }
}
