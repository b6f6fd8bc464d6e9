//! Sets of record numbers as sorted, disjoint ranges: small while what is in them is mostly in a row.

use serde::{Deserialize, Serialize};

/// A set of numbers; ranges are `(from, to)`, `to` not included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds `from..to`.
    pub fn insert(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        // The common case: right behind the last range.
        if let Some(last) = self.0.last_mut()
            && last.1 == from
        {
            last.1 = to;
            return;
        }
        let first = self.0.partition_point(|range| range.1 < from);
        let behind = self.0.partition_point(|range| range.0 <= to);
        let mut merged = (from, to);
        for range in &self.0[first..behind] {
            merged = (merged.0.min(range.0), merged.1.max(range.1));
        }
        self.0.splice(first..behind, [merged]);
    }

    /// Whether `number` is in it.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|range| range.1 <= number);
        self.0.get(at).is_some_and(|range| range.0 <= number)
    }

    /// How many numbers are in it.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|range| range.1 - range.0).sum()
    }

    /// The ranges.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// What is in this set and not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for (from, to) in self.iter() {
            let mut at = from;
            let first = other.0.partition_point(|range| range.1 <= from);
            for range in other.0[first..].iter().take_while(|range| range.0 < to) {
                rest.insert(at, range.0.min(to));
                at = at.max(range.1);
            }
            rest.insert(at, to);
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn both(pieces: &[(u64, u64)]) -> (Ranges, BTreeSet<u64>) {
        let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
        for (from, length) in pieces {
            ranges.insert(*from, from + length);
            set.extend(*from..from + length);
        }
        (ranges, set)
    }

    proptest! {
        #[test]
        fn is_a_set(
            left in proptest::collection::vec((0_u64..60, 0_u64..8), 0..12),
            right in proptest::collection::vec((0_u64..60, 0_u64..8), 0..12),
        ) {
            let ((left, left_set), (right, right_set)) = (both(&left), both(&right));
            prop_assert_eq!(left.len(), left_set.len() as u64);
            for number in 0..80 {
                prop_assert_eq!(left.contains(number), left_set.contains(&number));
                let differs = left_set.contains(&number) && !right_set.contains(&number);
                prop_assert_eq!(left.without(&right).contains(number), differs);
            }
            prop_assert!(left.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
