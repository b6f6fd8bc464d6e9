//! When each record of an open-loop producer is due: fixed before the run, whatever the target does.

/// A stretch of constant rate.
#[derive(Clone, Copy, Debug)]
struct Leg {
    start_ns: u64,
    first: u64,
    interval_ns: f64,
}

/// The due times of one producer's records, in nanoseconds of the run's clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    legs: Vec<Leg>,
    end_ns: u64,
}

/// A rate held for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Records per second of all producers together.
    pub rate: f64,
    /// How long, nanoseconds.
    pub duration_ns: u64,
}

impl Schedule {
    /// The share of producer `index` of `producers` in `steps`, beginning at `start_ns`. Producers take turns, so their
    /// records are spread evenly in time.
    pub fn new(start_ns: u64, steps: &[Step], index: usize, producers: usize) -> Self {
        let mut legs = Vec::new();
        let mut at = start_ns;
        let mut first = 0;
        for step in steps {
            let spacing_ns = 1e9 / step.rate;
            let interval_ns = spacing_ns * producers as f64;
            let leg_start = at + (spacing_ns * index as f64) as u64;
            let leg_end = at + step.duration_ns;
            legs.push(Leg { start_ns: leg_start, first, interval_ns });
            if leg_end > leg_start {
                first += ((leg_end - leg_start) as f64 / interval_ns).ceil() as u64;
            }
            at = leg_end;
        }
        Self { legs, end_ns: at }
    }

    /// When record `number` is due.
    #[inline]
    pub fn due_ns(&self, number: u64) -> u64 {
        let leg = self.legs.iter().rev().find(|leg| leg.first <= number).or(self.legs.first());
        leg.map_or(u64::MAX, |leg| {
            leg.start_ns + ((number - leg.first) as f64 * leg.interval_ns) as u64
        })
    }

    /// How many records are due at `now_ns`, those that are sent included. Nothing is due behind the end.
    pub fn due_count(&self, now_ns: u64) -> u64 {
        let now_ns = now_ns.min(self.end_ns.saturating_sub(1));
        let Some(leg) = self.legs.iter().rev().find(|leg| leg.start_ns <= now_ns) else {
            return 0;
        };
        let mut count = leg.first + ((now_ns - leg.start_ns) as f64 / leg.interval_ns) as u64 + 1;
        while self.due_ns(count) <= now_ns {
            count += 1;
        }
        while count > 0 && self.due_ns(count - 1) > now_ns {
            count -= 1;
        }
        count
    }

    /// When the schedule ends.
    pub fn end_ns(&self) -> u64 {
        self.end_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_and_times_agree(
            rate in 1.0_f64..2e6,
            second in 1.0_f64..2e6,
            producers in 1_usize..70,
            share in 0.0_f64..1.0,
            start in 0_u64..1_000_000_000,
            at in 0_u64..3_000_000_000,
        ) {
            let index = ((producers as f64 * share) as usize).min(producers - 1);
            let steps = [
                Step { rate, duration_ns: 1_000_000_000 },
                Step { rate: second, duration_ns: 500_000_000 },
            ];
            let schedule = Schedule::new(start, &steps, index, producers);
            let now = start + at;
            let count = schedule.due_count(now);
            let seen = now.min(schedule.end_ns() - 1);
            if count > 0 {
                prop_assert!(schedule.due_ns(count - 1) <= seen);
            }
            prop_assert!(schedule.due_ns(count) > seen || schedule.due_ns(count) >= schedule.end_ns());
        }
    }

    #[test]
    fn all_producers_together_make_the_rate() {
        let steps = [Step { rate: 1000.0, duration_ns: 2_000_000_000 }];
        let total: u64 =
            (0..7).map(|index| Schedule::new(5, &steps, index, 7).due_count(u64::MAX)).sum();
        assert!((1999..=2001).contains(&total), "{total}");
    }
}
