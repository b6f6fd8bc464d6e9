//! Follows batches that carry no stamp from their acknowledgement to a consumer, by partition and offset.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::measure::recorder::Recorder;

/// Batches followed at once; beyond it the oldest are forgotten and counted.
const FOLLOWED_MAX: usize = 200_000;

/// Where a batch stands.
type Place = (i32, i64);

/// When the records of a batch were due, as `(due_ns, records)`.
pub type Dues = Rc<[(u64, u64)]>;

/// Batches on their way to consumers.
#[derive(Default)]
pub struct Journeys {
    /// How many consumers get each record (0: none is followed).
    readers: usize,
    acknowledged: BTreeMap<Place, (Dues, usize)>,
    /// Arrivals that came before the acknowledgement.
    early: BTreeMap<Place, Vec<u64>>,
    /// Batches forgotten.
    pub forgotten: u64,
}

impl Journeys {
    /// Follows batches to so many readers each.
    pub fn new(readers: usize) -> Self {
        Self { readers, ..Self::default() }
    }

    /// Whether batches are followed.
    pub fn follows(&self) -> bool {
        self.readers > 0
    }

    /// A batch was acknowledged.
    pub fn acknowledged(
        &mut self,
        partition: i32,
        offset: i64,
        dues: impl Iterator<Item = (u64, u64)>,
        recorder: &mut Recorder,
    ) {
        let dues: Dues = dues.collect();
        let early = self.early.remove(&(partition, offset)).unwrap_or_default();
        for now_ns in &early {
            dues.iter().for_each(|(due_ns, records)| recorder.arrived(*due_ns, *records, *now_ns));
        }
        if early.len() < self.readers {
            let left = self.readers - early.len();
            self.acknowledged.insert((partition, offset), (dues, left));
            self.bound();
        }
    }

    /// A batch came to a consumer.
    pub fn arrived(&mut self, partition: i32, offset: i64, now_ns: u64, recorder: &mut Recorder) {
        let place = (partition, offset);
        let Some((dues, left)) = self.acknowledged.get_mut(&place) else {
            self.early.entry(place).or_default().push(now_ns);
            return self.bound();
        };
        dues.iter().for_each(|(due_ns, records)| recorder.arrived(*due_ns, *records, now_ns));
        *left -= 1;
        if *left == 0 {
            self.acknowledged.remove(&place);
        }
    }

    fn bound(&mut self) {
        if self.acknowledged.len() > FOLLOWED_MAX {
            self.acknowledged.pop_first();
            self.forgotten += 1;
        }
        if self.early.len() > FOLLOWED_MAX {
            self.early.pop_first();
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_may_come_first() {
        let mut recorder = Recorder::new(0..1_000_000, &[]);
        let mut journeys = Journeys::new(2);
        journeys.arrived(0, 10, 5_000, &mut recorder);
        journeys.acknowledged(0, 10, [(1_000, 3)].into_iter(), &mut recorder);
        assert_eq!(recorder.end_to_end.len(), 3);
        journeys.arrived(0, 10, 9_000, &mut recorder);
        assert_eq!(recorder.end_to_end.len(), 6);
        assert!(journeys.acknowledged.is_empty() && journeys.early.is_empty());
        assert_eq!(recorder.end_to_end.max() / 1000, 8);
    }
}
