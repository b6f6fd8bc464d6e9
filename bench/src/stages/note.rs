//! Stage times as the result tells them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answer::Slow;
use super::window::{Histogram, StageWindow};
use crate::report::text::time;

/// Slow requests that a result has.
const SLOW_TOLD: usize = 32;
/// Stages that make up less of p99.9 are left out of its sentence.
const WORTH_SAYING: f64 = 0.01;

/// Where the broker says the time of Produce requests went, during the measured window. Times in microseconds, to
/// 1/32 of themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stages {
    /// Requests that became durable.
    pub requests: u64,
    /// From a request's last byte at the broker to its answer.
    pub total_us: Times,
    /// In their order.
    pub by_stage: Vec<Stage>,
    /// Which stages made the requests at p99.9 and above.
    pub p999: Blame,
    /// The slowest requests, slowest first.
    pub slowest: Vec<SlowRequest>,
}

/// One stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// Its name, by what it ends with.
    pub stage: String,
    /// How long it took.
    pub us: Times,
}

/// The figures of a histogram of the broker.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Times {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// What slow requests are made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Blame {
    /// Remembered requests at p99.9 and above.
    pub requests: usize,
    /// Share of their time in each stage, by its name; empty if none is remembered.
    pub shares: BTreeMap<String, f64>,
    /// The same in words.
    pub text: String,
}

/// One slow request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlowRequest {
    /// When it was answered, from the beginning of the measured window. Of several runs put together, by the clock of
    /// the first.
    pub at_s: f64,
    pub total_us: f64,
    /// By the stage's name.
    pub by_stage_us: BTreeMap<String, f64>,
    pub shard: u16,
    pub client_id: String,
    pub correlation_id: i32,
    pub bytes: u64,
    pub partitions: u64,
}

fn us(ns: u64) -> f64 {
    (ns as f64 / 100.0).round() / 10.0
}

impl Times {
    /// Those of a histogram.
    pub(super) fn of(histogram: &Histogram) -> Self {
        let at = |quantile| us(histogram.bucket_at(quantile).1);
        let mean = histogram.sum_ns() as f64 / histogram.count().max(1) as f64;
        Self { mean: us(mean as u64), p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

/// A line for the terminal.
pub(super) fn line(name: &str, times: &Times) -> String {
    let Times { p50, p99, p999, mean } = *times;
    let (p50, p99, p999, mean) = (time(p50), time(p99), time(p999), time(mean));
    format!("  {name:<20} p50 {p50:<10} p99 {p99:<10} p99.9 {p999:<10} mean {mean}")
}

impl Blame {
    fn of(window: &StageWindow) -> Self {
        let (below_ns, p999_ns) = window.total.bucket_at(0.999);
        let made: Vec<&Slow> =
            window.slowest.iter().filter(|slow| slow.total_ns > below_ns).collect();
        let whole: u64 = made.iter().map(|slow| slow.total_ns).sum();
        let in_stage = |stage: &String| -> u64 {
            made.iter().filter_map(|slow| slow.by_stage.get(stage)).sum()
        };
        let mut shares: Vec<(&String, f64)> = window
            .stages
            .iter()
            .map(|stage| (stage, in_stage(stage) as f64 / whole.max(1) as f64))
            .collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        let worth = shares.iter().filter(|(_, share)| *share >= WORTH_SAYING);
        let parts: Vec<String> =
            worth.map(|(stage, share)| format!("{stage} {:.0} %", share * 100.0)).collect();
        let text = if parts.is_empty() {
            "no request at p99.9 is remembered".to_owned()
        } else {
            let time = time(us(p999_ns));
            format!("the broker's p99.9 ({time}) is made of: {}", parts.join(", "))
        };
        let share = |(stage, share): (&String, f64)| (stage.clone(), (share * 1e4).round() / 1e4);
        let shares =
            if whole == 0 { BTreeMap::new() } else { shares.into_iter().map(share).collect() };
        Self { requests: made.len(), shares, text }
    }
}

impl SlowRequest {
    fn of(slow: &Slow, begin_ns: u64) -> Self {
        Self {
            at_s: (slow.answered_ns.saturating_sub(begin_ns) as f64 / 1e5).round() / 1e4,
            total_us: us(slow.total_ns),
            by_stage_us: slow.by_stage.iter().map(|(name, ns)| (name.clone(), us(*ns))).collect(),
            shard: slow.shard,
            client_id: slow.client_id.clone(),
            correlation_id: slow.correlation_id,
            bytes: slow.bytes,
            partitions: slow.partitions,
        }
    }
}

impl Stages {
    /// Puts a window's figures together; none if no request was made durable in it.
    pub fn of(window: &StageWindow) -> Option<Self> {
        let stage = |(name, histogram): (&String, &Histogram)| Stage {
            stage: name.clone(),
            us: Times::of(histogram),
        };
        (window.total.count() > 0).then(|| Self {
            requests: window.total.count(),
            total_us: Times::of(&window.total),
            by_stage: window.stages.iter().zip(&window.by_stage).map(stage).collect(),
            p999: Blame::of(window),
            slowest: window
                .slowest
                .iter()
                .take(SLOW_TOLD)
                .map(|slow| SlowRequest::of(slow, window.begin_ns))
                .collect(),
        })
    }

    /// Lines for the terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("inside the broker, {} produce requests by stage:", self.requests)];
        lines.extend(self.by_stage.iter().map(|stage| line(&stage.stage, &stage.us)));
        lines.push(line("received to answered", &self.total_us));
        lines.push(self.p999.text.clone());
        if let Some(slow) = self.slowest.first() {
            let parts: Vec<String> = self
                .by_stage
                .iter()
                .filter_map(|stage| Some((&stage.stage, slow.by_stage_us.get(&stage.stage)?)))
                .map(|(stage, us)| format!("{stage} {}", time(*us)))
                .collect();
            lines.push(format!(
                "the slowest, at {:.1} s: {} = {} ({}, {} bytes, {} partitions)",
                slow.at_s,
                time(slow.total_us),
                parts.join(" + "),
                slow.client_id,
                slow.bytes,
                slow.partitions
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::answer::Answer;

    fn answer(now_ns: u64, by_stage: [u64; 2], fast: u64, slow: u64) -> Answer {
        let bucket = |end: u64, count: u64| serde_json::json!([end, count]);
        let counts = |sum: u64| {
            serde_json::json!({
                "count": fast + slow, "sum_ns": sum,
                "buckets": [bucket(100_000, fast), bucket(9_000_000, slow)],
            })
        };
        serde_json::from_value(serde_json::json!({
            "version": 1, "cluster_id": "c", "now_ns": now_ns, "stages": ["queued", "flushed"],
            "merged": {
                "by_stage": {"queued": counts(by_stage[0]), "flushed": counts(by_stage[1])},
                "total": counts(by_stage[0] + by_stage[1]),
            },
            "slowest": [],
        }))
        .expect("an answer")
    }

    fn slow(answered_ns: u64, queued: u64, flushed: u64) -> Slow {
        Slow {
            shard: 0,
            answered_ns,
            correlation_id: 1,
            client_id: "p".into(),
            bytes: 10,
            partitions: 1,
            total_ns: queued + flushed,
            by_stage: [("queued".into(), queued), ("flushed".into(), flushed)].into(),
        }
    }

    #[test]
    fn the_stage_that_made_the_tail_is_named() {
        let from = answer(1_000, [0, 0], 0, 0);
        let to = answer(5_000_000_000, [1_000_000, 90_000_000], 998, 2);
        let slowest = vec![
            slow(2_000_000_000, 2_000_000, 6_000_000),
            slow(3_000_000_000, 0, 8_500_000),
            // Not as slow as p99.9, and outside of the window.
            slow(3_000_000_001, 50_000, 10_000),
            slow(500, 9_000_000, 0),
        ];
        let window = StageWindow::between(&from, &to, slowest).expect("one broker");
        let note = Stages::of(&window).expect("there were requests");
        assert_eq!((note.requests, note.p999.requests), (1_000, 2));
        assert_eq!(
            note.p999.text,
            "the broker's p99.9 (9.00 ms) is made of: flushed 88 %, queued 12 %"
        );
        assert_eq!(
            (note.total_us.p50, note.total_us.p999, note.total_us.mean),
            (100.0, 9000.0, 91.0)
        );
        assert_eq!(note.slowest.len(), 3);
        assert_eq!((note.slowest[0].total_us, note.slowest[0].at_s), (8500.0, 3.0));
        let lines = note.lines().join("\n");
        assert!(lines.contains("queued") && lines.contains("8.50 ms ="), "{lines}");
        assert!(StageWindow::between(&to, &from, Vec::new()).is_err());
        assert!(Stages::of(&StageWindow::default()).is_none());
    }
}
