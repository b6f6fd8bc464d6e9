//! The values of a run whose sizes or keys differ: made once, with every size as often as its weight says, and sent over
//! and over.

use super::payload::{self, Chance, Payload};
use super::size::SizeMix;

/// So many values at least, if they fit.
const VALUES: usize = 2048;
/// So many at most.
const VALUES_MAX: usize = 1 << 18;
/// So many bytes at most, about, but for the least number.
const BYTES_MAX: usize = 32 << 20;
/// So many values in any case.
const VALUES_MIN: usize = 32;
/// Full batches that the values make.
const BATCHES: usize = 32;

/// Values in a circle.
pub struct Ring {
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
}

impl Ring {
    /// Makes the values; `full` is about how many records fill a batch.
    pub fn new(sizes: &SizeMix, payload: Payload, full: usize, chance: &mut Chance) -> Self {
        let wanted = VALUES.max(BATCHES.saturating_mul(full)).max(sizes.rarity());
        let room = (BYTES_MAX as f64 / sizes.mean().max(1.0)) as usize;
        let count = wanted.min(room).clamp(VALUES_MIN, VALUES_MAX);
        let mut bytes = Vec::new();
        let ends = sizes
            .spread(count, chance)
            .into_iter()
            .map(|size| {
                payload::fill(payload, size, chance, &mut bytes);
                bytes.len()
            })
            .collect();
        Self { bytes, ends }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The value at a place; places go round.
    pub fn value(&self, place: usize) -> &[u8] {
        let place = place % self.ends.len();
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[place]]
    }
}
