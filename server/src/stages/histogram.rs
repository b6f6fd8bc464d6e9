//! Counts of durations in fixed buckets: linear up to a microsecond, from there 32 for each doubling, so
//! that a bucket is at most 1/32 wide of what it holds. No allocation, no resizing.

use crate::limits::STAGE_NS_MAX;

/// Buckets for each doubling, as a power of two.
const STEP_BITS: u32 = 5;
const STEPS: usize = 1 << STEP_BITS;
/// Below this, as a power of two, buckets are equally wide. Nanoseconds.
const LINEAR_BITS: u32 = 10;
/// What lasts longer than this power of two is counted in the last bucket. Nanoseconds.
const LONGEST_BITS: u32 = 37;
const BUCKETS: usize = STEPS * (1 + (LONGEST_BITS - LINEAR_BITS) as usize);

const _: () = assert!(1 << LONGEST_BITS >= STAGE_NS_MAX);

/// How often what duration occurred.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    count: u64,
    sum_ns: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], count: 0, sum_ns: 0, max_ns: 0 }
    }
}

/// The bucket of a duration; its end belongs to it, its beginning to the one before.
fn bucket(ns: u64) -> usize {
    let ns = ns.saturating_sub(1).min((1 << LONGEST_BITS) - 1);
    // How often a microsecond, roughly, must be doubled to reach it.
    let doubling = (u64::BITS - (ns >> LINEAR_BITS).leading_zeros()) as usize;
    let shift = LINEAR_BITS as usize - STEP_BITS as usize + doubling.saturating_sub(1);
    let step = (ns >> shift) as usize & (STEPS - 1);
    doubling * STEPS + step
}

/// The longest duration of a bucket.
fn end_ns(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    if doubling == 0 {
        return (step + 1) << (LINEAR_BITS - STEP_BITS);
    }
    let exponent = LINEAR_BITS as usize - 1 + doubling;
    (STEPS as u64 + step + 1) << (exponent - STEP_BITS as usize)
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count += 1;
        }
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their sum. Nanoseconds.
    #[must_use]
    pub const fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The longest. Nanoseconds.
    #[must_use]
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The buckets that hold something, as their longest duration in nanoseconds and their count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let ends = (0..BUCKETS).map(end_ns);
        ends.zip(self.counts).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_it_says_and_is_narrow() {
        let mut ns: u64 = 1;
        while ns < 1 << LONGEST_BITS {
            for ns in [ns - 1, ns, ns + 1] {
                let end = end_ns(bucket(ns));
                assert!(ns <= end, "{ns} is in the bucket up to {end}");
                assert!(end - ns <= (ns / 32).max(32), "{ns} is in the bucket up to {end}");
            }
            ns += ns / 7 + 1;
        }
        let ends: Vec<u64> = (0..BUCKETS).map(end_ns).collect();
        assert!(ends.is_sorted_by(|a, b| a < b));
        for (index, end) in ends.into_iter().enumerate() {
            assert_eq!(bucket(end), index, "{end}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn sums_and_counts() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.record(100);
        one.record(5_000_000);
        other.record(100);
        one.merge(&other);
        assert_eq!((one.count(), one.sum_ns(), one.max_ns()), (3, 5_000_200, 5_000_000));
        let buckets: Vec<_> = one.buckets().collect();
        assert_eq!(buckets.len(), 2);
        assert_eq!(buckets[0], (128, 2));
        assert!((5_000_000..5_160_000).contains(&buckets[1].0));
    }
}
