//! The difference of two answers: what happened between them.

use std::collections::BTreeMap;

use super::answer::{Answer, Counts, Slow};
use super::fetch::FetchWindow;

/// Slow requests kept of a run, and of several put together.
const SLOW_MAX: usize = 4_096;

/// A histogram of the time between: how many there were, by the longest duration of their bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: BTreeMap<u64, u64>,
    count: u64,
    sum_ns: u64,
}

impl Histogram {
    /// What happened between two answers.
    pub(super) fn between(from: &Counts, to: &Counts) -> Self {
        let mut counts: BTreeMap<u64, u64> = to.buckets.iter().copied().collect();
        for (end_ns, count) in &from.buckets {
            if let Some(more) = counts.get_mut(end_ns) {
                *more = more.saturating_sub(*count);
            }
        }
        counts.retain(|_, count| *count > 0);
        let count = counts.values().sum();
        Self { counts, count, sum_ns: to.sum_ns.saturating_sub(from.sum_ns) }
    }

    /// Adds another's counts.
    pub(super) fn append(&mut self, other: &Self) {
        for (end_ns, count) in &other.counts {
            *self.counts.entry(*end_ns).or_default() += count;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The bucket of a quantile: the longest duration of the one before it, and its own.
    pub fn bucket_at(&self, quantile: f64) -> (u64, u64) {
        let rank = ((self.count as f64 * quantile).ceil() as u64).max(1);
        let (mut seen, mut before) = (0, 0);
        for (end_ns, count) in &self.counts {
            seen += count;
            if seen >= rank {
                return (before, *end_ns);
            }
            before = *end_ns;
        }
        (before, before)
    }
}

/// The difference of two answers, stage by stage.
pub(super) fn between_stages(
    stages: &[String],
    from: &BTreeMap<String, Counts>,
    to: &BTreeMap<String, Counts>,
) -> Vec<Histogram> {
    let none = Counts::default();
    let of = |stage: &String| {
        Histogram::between(from.get(stage).unwrap_or(&none), to.get(stage).unwrap_or(&none))
    };
    stages.iter().map(of).collect()
}

/// What requests spent in their stages during a measured window.
#[derive(Clone, Debug, Default)]
pub struct StageWindow {
    /// Names of the stages, in order.
    pub stages: Vec<String>,
    /// In the order of the stages.
    pub by_stage: Vec<Histogram>,
    /// From the last byte of a request to its answer.
    pub total: Histogram,
    /// The slowest requests, slowest first.
    pub slowest: Vec<Slow>,
    /// The broker's clock at the beginning.
    pub begin_ns: u64,
    /// The same of Fetch requests, if the broker tells it.
    pub fetch: Option<FetchWindow>,
}

impl StageWindow {
    /// What happened between two answers of one broker, with the slow requests that were told in between.
    pub fn between(from: &Answer, to: &Answer, slowest: Vec<Slow>) -> Result<Self, String> {
        let fetches =
            |answer: &Answer| answer.fetch.as_ref().map_or(0, |fetch| fetch.merged.total.count);
        let is_less =
            to.merged.total.count < from.merged.total.count || fetches(to) < fetches(from);
        if from.stages != to.stages || is_less {
            return Err("the broker was started again during the run".into());
        }
        let mut window = Self {
            stages: to.stages.clone(),
            by_stage: between_stages(&to.stages, &from.merged.by_stage, &to.merged.by_stage),
            total: Histogram::between(&from.merged.total, &to.merged.total),
            slowest,
            begin_ns: from.now_ns,
            fetch: from
                .fetch
                .as_ref()
                .zip(to.fetch.as_ref())
                .map(|(from, to)| FetchWindow::between(from, to)),
        };
        window
            .slowest
            .retain(|slow| slow.answered_ns > from.now_ns && slow.answered_ns <= to.now_ns);
        window.sort();
        Ok(window)
    }

    fn sort(&mut self) {
        self.slowest.sort_by_key(|slow| std::cmp::Reverse(slow.total_ns));
        self.slowest.truncate(SLOW_MAX);
    }

    /// Puts another window of the same work behind this one.
    pub fn append(&mut self, other: &Self) {
        for (histogram, more) in self.by_stage.iter_mut().zip(&other.by_stage) {
            histogram.append(more);
        }
        self.total.append(&other.total);
        if let (Some(fetch), Some(more)) = (&mut self.fetch, &other.fetch) {
            fetch.append(more);
        }
        self.slowest.extend(other.slowest.iter().cloned());
        self.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(buckets: &[(u64, u64)], sum_ns: u64) -> Counts {
        Counts {
            count: buckets.iter().map(|bucket| bucket.1).sum(),
            sum_ns,
            buckets: buckets.to_vec(),
        }
    }

    #[test]
    fn the_time_between_is_a_histogram() {
        let from = counts(&[(10, 3), (20, 1)], 45);
        let to = counts(&[(10, 3), (20, 990), (30, 9), (90, 1)], 20_000);
        let mut between = Histogram::between(&from, &to);
        assert_eq!((between.count(), between.sum_ns()), (999, 19_955));
        assert_eq!(between.bucket_at(0.5), (0, 20));
        assert_eq!(between.bucket_at(0.995), (20, 30));
        assert_eq!(between.bucket_at(0.999), (30, 90));
        assert_eq!(between.bucket_at(1.0), (30, 90));
        between.append(&Histogram::between(&counts(&[], 0), &from));
        assert_eq!((between.count(), between.bucket_at(0.001)), (1_003, (0, 10)));
        assert_eq!(Histogram::default().bucket_at(0.5), (0, 0));
    }
}
