//! Records that differ in size, or have keys: batches take them from a ring of values, one after the other.
//!
//! What is sent has to have the sizes that were asked for, however few records a batch holds. So for each number of
//! records that batches are asked to hold there is a round of the whole ring: the batches begin where the one before
//! ended, and when the round is over every value has been sent once. Then it begins again with the batches that are
//! there already: encoded once and sent many times, as long as memory for them lasts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::HEADER_BYTES;
use super::key::Key;
use super::payload::Chance;
use super::ready::{Ready, Run};
use super::record;
use super::ring::Ring;
use super::stock::Recipe;

/// A round whose batches are as full as they get.
pub const FULL: usize = usize::MAX;

/// Batches of one ring.
pub struct Mixed {
    recipe: Recipe,
    ring: Rc<Ring>,
    /// Keys that records get in turn; without any they have none.
    keys: Vec<Key>,
    /// Values in a round.
    lap: usize,
    /// Batches made so far, by round and place.
    made: RefCell<BTreeMap<(usize, usize), Rc<Ready>>>,
    /// Bytes that batches may still be kept in; all stocks of a ring share it.
    room: Rc<Cell<usize>>,
}

impl Mixed {
    /// Nothing is made yet. A round is over after `lap` values.
    pub fn new(
        recipe: &Recipe,
        ring: &Rc<Ring>,
        keys: Vec<Key>,
        lap: usize,
        room: &Rc<Cell<usize>>,
    ) -> Self {
        Self {
            recipe: recipe.clone(),
            lap: lap.min(ring.len()),
            ring: Rc::clone(ring),
            keys,
            made: RefCell::default(),
            room: Rc::clone(room),
        }
    }

    /// A place to begin a round at: where one of its batches begins, each as likely as any other. (Drawn among
    /// records, batches of many would come first more often than their share.)
    pub fn begin(&self, round: usize, chance: &mut Chance) -> usize {
        let (mut drawn, mut place) = (0, 0);
        for batches in 1.. {
            if chance.below(batches) == 0 {
                drawn = place;
            }
            place += self.count(round, place);
            if place >= self.lap {
                break;
            }
        }
        drawn
    }

    /// The place behind a batch of so many records.
    pub fn behind(&self, place: usize, count: usize) -> usize {
        (place + count) % self.lap
    }

    /// Where in the ring a round begins: not all at one place, or its values would be sent more often than others.
    fn origin(&self, round: usize) -> usize {
        Chance::new(self.recipe.seed ^ round as u64).below(self.ring.len() as u64) as usize
    }

    /// Records of the batch at `place`: those that fit, at most `round` of them; at least one.
    pub fn count(&self, round: usize, place: usize) -> usize {
        if let Some(ready) = self.made.borrow().get(&(round, place)) {
            return ready.count;
        }
        let most = round.min(self.recipe.batch_records).min(self.lap - place);
        let key = self.keys.first().map(|key| key.len());
        let origin = self.origin(round);
        let mut bytes = HEADER_BYTES;
        for count in 0..most {
            let value = self.ring.value(origin + place + count);
            bytes += record::len(count as i32, key, value.len());
            if bytes > self.recipe.batch_bytes {
                return count.max(1);
            }
        }
        most.max(1)
    }

    /// The batch at `place`.
    pub fn batch(&self, round: usize, place: usize) -> Rc<Ready> {
        if let Some(ready) = self.made.borrow().get(&(round, place)) {
            return Rc::clone(ready);
        }
        let ready = Rc::new(self.make(self.origin(round) + place, self.count(round, place)));
        if let Some(room) = self.room.get().checked_sub(ready.batch_bytes()) {
            self.room.set(room);
            self.made.borrow_mut().insert((round, place), Rc::clone(&ready));
        }
        ready
    }

    fn make(&self, first: usize, count: usize) -> Ready {
        let mut run = Run::default();
        for place in first..first + count {
            let key = self.keys.get(place % self.keys.len().max(1));
            run.push(key.map(|key| &key[..]), self.ring.value(place), self.recipe.stamped());
        }
        Ready::new(run, self.recipe.codec)
    }
}
