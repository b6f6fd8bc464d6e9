//! Where a broker says the time of Fetch requests went. What they waited for data is told beside it: they wait because
//! their clients ask them to.

use serde::{Deserialize, Serialize};

use super::answer::{Counts, FetchAnswer};
use super::note::{Times, line};
use super::window::{Histogram, between_stages};

/// What Fetch requests spent in their stages during a measured window.
#[derive(Clone, Debug, Default)]
pub struct FetchWindow {
    /// Names of the stages, in order.
    stages: Vec<String>,
    /// In the order of the stages.
    by_stage: Vec<Histogram>,
    /// All stages together.
    total: Histogram,
    /// The waits of those that waited for data.
    waited: Histogram,
}

impl FetchWindow {
    /// What happened between two answers of one broker.
    pub fn between(from: &FetchAnswer, to: &FetchAnswer) -> Self {
        let whole = |read: fn(&FetchAnswer) -> &Counts| Histogram::between(read(from), read(to));
        Self {
            stages: to.stages.clone(),
            by_stage: between_stages(&to.stages, &from.merged.by_stage, &to.merged.by_stage),
            total: whole(|answer| &answer.merged.total),
            waited: whole(|answer| &answer.merged.waited),
        }
    }

    /// Puts another window of the same work behind this one.
    pub fn append(&mut self, other: &Self) {
        for (histogram, more) in self.by_stage.iter_mut().zip(&other.by_stage) {
            histogram.append(more);
        }
        self.total.append(&other.total);
        self.waited.append(&other.waited);
    }
}

/// The same as the result tells it. Times in microseconds, to 1/32 of themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchStages {
    /// Requests that were answered.
    pub requests: u64,
    /// From a request's last byte at the broker to its answer, without waiting for data.
    pub total_us: Times,
    /// In their order, those that requests were in.
    pub by_stage: Vec<FetchStage>,
    /// Those that waited for data, and how long; null if none did.
    pub waited: Option<FetchStage>,
}

/// One stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchStage {
    /// Its name.
    pub stage: String,
    /// Requests that were in it.
    pub requests: u64,
    /// How long it took.
    pub us: Times,
}

impl FetchStage {
    fn of(name: &str, histogram: &Histogram) -> Option<Self> {
        let requests = histogram.count();
        let us = Times::of(histogram);
        (requests > 0).then(|| Self { stage: name.to_owned(), requests, us })
    }
}

impl FetchStages {
    /// Puts a window's figures together; none if no request was answered in it.
    pub fn of(window: &FetchWindow) -> Option<Self> {
        let stage = |(name, histogram): (&String, &Histogram)| FetchStage::of(name, histogram);
        (window.total.count() > 0).then(|| Self {
            requests: window.total.count(),
            total_us: Times::of(&window.total),
            by_stage: window.stages.iter().zip(&window.by_stage).filter_map(stage).collect(),
            waited: FetchStage::of("waited", &window.waited),
        })
    }

    /// Lines for the terminal.
    pub fn lines(&self) -> Vec<String> {
        let of_some = |stage: &FetchStage, what: &str| {
            let times = line(what, &stage.us);
            let share = 100.0 * stage.requests as f64 / self.requests as f64;
            if stage.requests < self.requests { format!("{times} ({share:.0} %)") } else { times }
        };
        let mut lines =
            vec![format!("inside the broker, {} fetch requests by stage:", self.requests)];
        lines.extend(self.by_stage.iter().map(|stage| of_some(stage, &stage.stage)));
        lines.push(line("received to answered", &self.total_us));
        lines.extend(self.waited.iter().map(|waited| of_some(waited, "waited for data")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(tail: u64, cold: u64, waited: u64) -> FetchAnswer {
        let counts = |requests: u64, each_ns: u64| {
            serde_json::json!({
                "count": requests, "sum_ns": requests * each_ns, "max_ns": each_ns,
                "buckets": if requests > 0 { vec![(each_ns, requests)] } else { Vec::new() },
            })
        };
        serde_json::from_value(serde_json::json!({
            "stages": ["queued", "read_tail", "read_cold", "answered"],
            "merged": {
                "by_stage": {
                    "queued": counts(tail + cold, 1_000), "read_tail": counts(tail, 10_000),
                    "read_cold": counts(cold, 900_000), "answered": counts(tail + cold, 2_000),
                },
                "total": counts(tail + cold, 20_000),
                "waited": counts(waited, 500_000_000),
            },
            "shards": [],
        }))
        .expect("an answer")
    }

    #[test]
    fn what_was_waited_for_stands_beside_the_stages() {
        let mut window = FetchWindow::between(&answer(5, 0, 1), &answer(95, 10, 41));
        let note = FetchStages::of(&window).expect("there were requests");
        assert_eq!(note.requests, 100);
        let stages: Vec<_> =
            note.by_stage.iter().map(|stage| (&*stage.stage, stage.requests)).collect();
        assert_eq!(
            stages,
            [("queued", 100), ("read_tail", 90), ("read_cold", 10), ("answered", 100)]
        );
        assert_eq!((note.by_stage[2].us.p50, note.total_us.p50), (900.0, 20.0));
        let waited = note.waited.as_ref().expect("some waited");
        assert_eq!((waited.requests, waited.us.p99), (40, 500_000.0));
        let lines = note.lines().join("\n");
        assert!(lines.contains("read_cold") && lines.contains("(10 %)"), "{lines}");
        assert!(lines.contains("waited for data") && lines.contains("(40 %)"), "{lines}");

        window.append(&FetchWindow::between(&answer(0, 0, 0), &answer(100, 0, 0)));
        let both = FetchStages::of(&window).expect("there were requests");
        assert_eq!((both.requests, both.by_stage[1].requests), (200, 190));

        let idle = FetchWindow::between(&answer(7, 0, 7), &answer(7, 0, 7));
        assert!(FetchStages::of(&idle).is_none());
        let tail = FetchWindow::between(&answer(0, 0, 0), &answer(7, 0, 0));
        let tail = FetchStages::of(&tail).expect("there were requests");
        assert!(tail.waited.is_none() && tail.by_stage.len() == 3);
    }
}
