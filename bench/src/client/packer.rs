//! Decides which records go into the next request: in turn to the partitions, or where their keys put them.

use std::collections::VecDeque;
use std::rc::Rc;

use super::schedule::Schedule;
use crate::batch::payload::Chance;
use crate::batch::ready::Ready;
use crate::batch::stock::Hand;

/// The records of one batch by their numbers.
#[derive(Clone, Debug)]
pub enum Numbers {
    /// In a row from this one.
    From(u64),
    /// These.
    These(Rc<[u64]>),
}

/// One batch of a request.
#[derive(Clone, Debug)]
pub struct Part {
    /// Place of its partition in the producer's list.
    pub slot: usize,
    /// Its records.
    pub batch: Rc<Ready>,
    /// Which they are.
    pub numbers: Numbers,
}

impl Part {
    /// The first record's number.
    pub fn first(&self) -> u64 {
        match &self.numbers {
            Numbers::From(first) => *first,
            Numbers::These(numbers) => numbers.first().copied().unwrap_or_default(),
        }
    }

    /// When its records were due, as `(due_ns, records)`.
    pub fn dues<'s>(&'s self, schedule: &'s Schedule) -> Box<dyn Iterator<Item = u64> + 's> {
        match &self.numbers {
            Numbers::From(first) => {
                Box::new((*first..first + self.batch.count as u64).map(|n| schedule.due_ns(n)))
            }
            Numbers::These(numbers) => Box::new(numbers.iter().map(|n| schedule.due_ns(*n))),
        }
    }
}

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Send these, which were ready at that time.
    Send(Vec<Part>, u64),
    /// Nothing before then.
    At(u64),
}

/// What a packer has to know.
pub struct Packing {
    /// Where the batches of each slot come from.
    pub hands: Vec<Hand>,
    /// Most batches in one request.
    pub parts_max: usize,
    /// Longest wait for a batch to fill, nanoseconds.
    pub linger_ns: u64,
}

/// Packs records that are due.
pub struct Packer {
    packing: Packing,
    next: u64,
    cursor: usize,
    keyed: Option<Keyed>,
}

/// Records with keys wait in the batch of their partition.
struct Keyed {
    /// Slots in the order in which keys draw them, over and over.
    draws: Rc<[u32]>,
    at: usize,
    waiting: Vec<VecDeque<u64>>,
    unsent: u64,
}

impl Packer {
    /// Spreads batches over the slots in turn, beginning at `cursor`.
    pub fn spread(packing: Packing, cursor: usize) -> Self {
        Self { packing, next: 0, cursor, keyed: None }
    }

    /// Puts records where `draws` says, beginning at a place that `chance` names.
    pub fn keyed(packing: Packing, draws: Rc<[u32]>, chance: &mut Chance) -> Self {
        let waiting = vec![VecDeque::new(); packing.hands.len()];
        let at = chance.below(draws.len() as u64) as usize;
        let keyed = Keyed { draws, at, waiting, unsent: 0 };
        Self { packing, next: 0, cursor: 0, keyed: Some(keyed) }
    }

    /// Records given out so far.
    pub fn given(&self) -> u64 {
        self.next - self.keyed.as_ref().map_or(0, |keyed| keyed.unsent)
    }

    /// What to do at `now_ns`.
    pub fn next(&mut self, now_ns: u64, schedule: Option<&Schedule>) -> Next {
        if self.keyed.is_some() {
            return self.next_keyed(now_ns, schedule);
        }
        let mut parts = Vec::with_capacity(self.packing.parts_max);
        let mut ready_ns = now_ns;
        while parts.len() < self.packing.parts_max {
            let slot = self.cursor % self.packing.hands.len();
            let full = self.packing.hands[slot].full();
            let (count, since_ns) = match self.due(now_ns, full as u64, schedule) {
                Ok(due) => due,
                Err(at_ns) if parts.is_empty() => return Next::At(at_ns),
                Err(_) => break,
            };
            ready_ns = ready_ns.min(since_ns);
            let batch = self.packing.hands[slot].take(count);
            let numbers = Numbers::From(self.next);
            self.next += batch.count as u64;
            parts.push(Part { slot, batch, numbers });
            self.cursor = slot + 1;
        }
        Next::Send(parts, ready_ns)
    }

    /// Records for the next batch and since when it has been ready; or when to ask again.
    fn due(
        &self,
        now_ns: u64,
        full: u64,
        schedule: Option<&Schedule>,
    ) -> Result<(usize, u64), u64> {
        let Some(schedule) = schedule else { return Ok((full as usize, now_ns)) };
        let waiting = schedule.due_count(now_ns).saturating_sub(self.next);
        let first_ns = schedule.due_ns(self.next);
        let lingered_ns = first_ns.saturating_add(self.packing.linger_ns);
        let full_ns = schedule.due_ns(self.next + full - 1);
        let ready_ns = lingered_ns.min(full_ns);
        let over = now_ns >= schedule.end_ns();
        if waiting > 0 && (waiting >= full || ready_ns <= now_ns || over) {
            return Ok((waiting.min(full) as usize, ready_ns.min(now_ns)));
        }
        if first_ns >= schedule.end_ns() {
            return Err(u64::MAX);
        }
        Err(ready_ns.min(schedule.end_ns()))
    }

    fn next_keyed(&mut self, now_ns: u64, schedule: Option<&Schedule>) -> Next {
        let Some(keyed) = &mut self.keyed else { return Next::At(u64::MAX) };
        let packing = &mut self.packing;
        let slots = packing.hands.len();
        let mut some_full = false;
        // Everything that is due waits in its batch; a closed loop makes records until a batch is full.
        let due = schedule.map_or(u64::MAX, |schedule| schedule.due_count(now_ns));
        while self.next < due && !(schedule.is_none() && some_full) {
            let slot = keyed.draws[keyed.at] as usize;
            keyed.at = (keyed.at + 1) % keyed.draws.len();
            keyed.waiting[slot].push_back(self.next);
            some_full |= keyed.waiting[slot].len() >= packing.hands[slot].full();
            self.next += 1;
            keyed.unsent += 1;
        }
        let over = schedule.is_some_and(|schedule| now_ns >= schedule.end_ns());
        let mut parts = Vec::new();
        let (mut ready_ns, mut wake_ns) = (now_ns, u64::MAX);
        for step in 0..slots {
            let slot = (self.cursor + step) % slots;
            let waiting = &mut keyed.waiting[slot];
            let Some(first) = waiting.front() else { continue };
            let lingered_ns =
                schedule.map_or(u64::MAX, |schedule| schedule.due_ns(*first) + packing.linger_ns);
            let full = packing.hands[slot].full();
            if waiting.len() < full && lingered_ns > now_ns && !over {
                wake_ns = wake_ns.min(lingered_ns);
                continue;
            }
            if parts.len() == packing.parts_max {
                wake_ns = 0;
                break;
            }
            if waiting.len() < full {
                ready_ns = ready_ns.min(lingered_ns);
            }
            let batch = packing.hands[slot].take(waiting.len());
            keyed.unsent -= batch.count as u64;
            let numbers = Numbers::These(waiting.drain(..batch.count).collect());
            parts.push(Part { slot, batch, numbers });
        }
        if let Some(part) = parts.last() {
            self.cursor = part.slot + 1;
            return Next::Send(parts, ready_ns);
        }
        // The next record to become due may have to wait for company, and may fill a batch.
        let next_ns = schedule.map_or(u64::MAX, |schedule| {
            if schedule.due_ns(self.next) < schedule.end_ns() {
                schedule.due_ns(self.next)
            } else if keyed.unsent > 0 {
                schedule.end_ns()
            } else {
                u64::MAX
            }
        });
        Next::At(wake_ns.min(next_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::compression::Codec;
    use crate::batch::payload::Payload;
    use crate::batch::size::SizeMix;
    use crate::batch::stock::Recipe;
    use crate::client::schedule::Step;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_record_goes_out_once(
            keyed in any::<bool>(),
            slots in 1_usize..8,
            full in 1_usize..20,
            largest in 10_usize..400,
            parts_max in 1_usize..5,
            linger_ns in 0_u64..50_000_000,
            rate in 10.0_f64..5000.0,
        ) {
            let recipe = Recipe {
                sizes: SizeMix::Uniform(10, largest),
                payload: Payload::Zero,
                batch_bytes: 1000,
                batch_records: full,
                codec: Codec::None,
                seed: 1,
            };
            let stock = recipe.stock();
            let hands = (0..slots).map(|slot| Hand::new(&stock, Chance::new(slot as u64))).collect();
            let packing = Packing { hands, parts_max, linger_ns };
            let mut chance = Chance::new(1);
            let mut packer = if keyed {
                let draws = (0..997).map(|_| chance.below(slots as u64) as u32).collect();
                Packer::keyed(packing, draws, &mut chance)
            } else {
                Packer::spread(packing, 0)
            };
            let steps = [Step { rate, duration_ns: 500_000_000 }];
            let schedule = Schedule::new(1000, &steps, 0, 1);
            let mut numbers = Vec::new();
            let mut now_ns = 0;
            loop {
                match packer.next(now_ns, Some(&schedule)) {
                    Next::Send(parts, ready_ns) => {
                        prop_assert!(parts.len() <= parts_max && ready_ns <= now_ns);
                        for part in parts {
                            let count = part.batch.count;
                            prop_assert!(count > 0 && count <= full);
                            match part.numbers {
                                Numbers::From(first) => numbers.extend(first..first + count as u64),
                                Numbers::These(these) => {
                                    prop_assert_eq!(these.len(), count);
                                    numbers.extend(these.iter());
                                }
                            }
                        }
                    }
                    Next::At(u64::MAX) => break,
                    Next::At(at_ns) => now_ns = at_ns.max(now_ns + 1),
                }
            }
            numbers.sort_unstable();
            let due = schedule.due_count(u64::MAX);
            prop_assert_eq!(numbers, (0..due).collect::<Vec<_>>());
            prop_assert_eq!(packer.given(), due);
        }
    }
}
