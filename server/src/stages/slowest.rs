//! The slowest requests of each of the last seconds: few, whatever the load is.

use std::collections::VecDeque;
use std::sync::Arc;

use millrace_engine::codec::Str;
use millrace_engine::types::Nanos;

use super::{StageTimes, Trace};
use crate::limits::{SLOW_CLIENT_ID_BYTES, SLOW_REQUESTS, SLOW_SECONDS};

/// A request that was among the slowest of its second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slow {
    /// When it was answered.
    pub answered: Nanos,
    /// Nanoseconds in each stage.
    pub stages: StageTimes,
    /// The client's number for it.
    pub correlation_id: i32,
    /// What the client calls itself, cut short if that is long.
    pub client_id: Arc<str>,
    /// Length of its frame.
    pub bytes: usize,
    /// Partitions that it had batches for.
    pub partitions: usize,
}

impl Slow {
    pub(super) fn new(trace: &Trace, answered: Nanos, stages: StageTimes) -> Self {
        let client_id = trace.client_id.as_ref().map_or("", Str::as_str);
        let client_id = &client_id[..client_id.floor_char_boundary(SLOW_CLIENT_ID_BYTES)];
        let Trace { correlation_id, bytes, partitions, .. } = *trace;
        let client_id = client_id.into();
        Self { answered, stages, correlation_id, client_id, bytes, partitions }
    }

    /// From the last byte of the request to the answer. Nanoseconds.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.stages.iter().sum()
    }
}

#[derive(Debug)]
struct Second {
    number: u64,
    requests: Vec<Slow>,
    /// What a request must exceed to be kept. Nanoseconds.
    least_ns: u64,
}

/// The slowest requests of each of the last [`SLOW_SECONDS`] seconds in which there were any.
#[derive(Debug, Default)]
pub struct Slowest {
    seconds: VecDeque<Second>,
}

impl Slowest {
    /// Keeps a request if it is among the slowest of its second; `slow` is called only then.
    pub(super) fn offer(&mut self, now: Nanos, total_ns: u64, slow: impl FnOnce() -> Slow) {
        let number = now.0 / 1_000_000_000;
        if self.seconds.back().is_none_or(|second| second.number != number) {
            // The memory of the oldest second is that of the newest.
            let is_full = self.seconds.len() == SLOW_SECONDS;
            let oldest = if is_full { self.seconds.pop_front() } else { None };
            let mut requests = oldest.map_or_else(Vec::new, |second| second.requests);
            requests.clear();
            self.seconds.push_back(Second { number, requests, least_ns: 0 });
        }
        let Some(second) = self.seconds.back_mut() else { return };
        if second.requests.len() < SLOW_REQUESTS {
            second.requests.push(slow());
        } else if total_ns <= second.least_ns {
            return;
        } else if let Some(least) = second.requests.iter_mut().min_by_key(|slow| slow.total_ns()) {
            *least = slow();
        }
        if second.requests.len() == SLOW_REQUESTS {
            let least = second.requests.iter().map(Slow::total_ns).min();
            second.least_ns = least.unwrap_or_default();
        }
    }

    /// Those that were answered after `from`, in no order.
    #[must_use]
    pub fn since(&self, from: Nanos) -> Vec<Slow> {
        let requests = self.seconds.iter().flat_map(|second| &second.requests);
        requests.filter(|slow| slow.answered > from).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(answered: u64, total: u64) -> Slow {
        Slow {
            answered: Nanos(answered),
            stages: [0, 0, total, 0, 0],
            correlation_id: 0,
            client_id: "".into(),
            bytes: 0,
            partitions: 1,
        }
    }

    #[test]
    fn each_second_keeps_its_slowest_and_the_last_seconds_stay() {
        const PER_SECOND: u64 = 500;
        let mut slowest = Slowest::default();
        let seconds = SLOW_SECONDS as u64 + 7;
        for second in 0..seconds {
            for number in 0..PER_SECOND {
                // In an order that is neither rising nor falling.
                let total = number * 173 % PER_SECOND;
                let now = second * 1_000_000_000 + number;
                slowest.offer(Nanos(now), total, || slow(now, total));
            }
        }
        let kept = slowest.since(Nanos(0));
        assert_eq!(kept.len(), SLOW_SECONDS * SLOW_REQUESTS);
        for slow in &kept {
            assert!(slow.answered.0 / 1_000_000_000 >= 7);
            assert!(slow.total_ns() >= PER_SECOND - SLOW_REQUESTS as u64);
        }
        let last = slowest.since(Nanos((seconds - 1) * 1_000_000_000 - 1));
        assert_eq!(last.len(), SLOW_REQUESTS);
    }

    #[test]
    fn a_long_client_id_is_cut_between_characters() {
        let trace = Trace {
            received: Nanos(0),
            times: millrace_engine::shard::stages::AppendTimes::queued(Nanos(0)),
            correlation_id: 1,
            client_id: Some("é".repeat(SLOW_CLIENT_ID_BYTES).into()),
            bytes: 1,
            partitions: 1,
        };
        let slow = Slow::new(&trace, Nanos(9), [0; 5]);
        assert_eq!(slow.client_id.len(), SLOW_CLIENT_ID_BYTES);
        assert!(slow.client_id.chars().all(|c| c == 'é'));
    }
}
