//! What Produce and Fetch requests spent in each stage between their last byte and their answer: histograms,
//! and the slowest Produce requests of the last minute, kept by the shard whose connections they came over.
//!
//! Always on: nothing is allocated, and the clock is read at most twice for it. When a frame was complete and
//! when an answer was handed to the socket the connection knows anyway; the rest of a Produce comes with the
//! engine's answer, and a Fetch looks at the clock when it has read.

pub mod fetch;
pub mod histogram;
pub mod slowest;

use millrace_engine::codec::Str;
use millrace_engine::shard::stages::AppendTimes;
use millrace_engine::types::Nanos;

pub use fetch::{FETCH_STAGES, FetchHistograms, FetchTimes, FetchTrace};
pub use histogram::Histogram;
pub use slowest::{Slow, Slowest};

/// The stages of a Produce in their order, each named by what it ends with.
pub const STAGES: [&str; 5] = ["queued", "admitted", "journaled", "flushed", "answered"];

/// Nanoseconds in each of [`STAGES`].
pub type StageTimes = [u64; STAGES.len()];

/// A Produce request whose batches are durable and whose answer is not sent yet.
#[derive(Debug, Clone)]
pub struct Trace {
    /// When the last byte of its frame was there.
    pub received: Nanos,
    /// When its batches reached which stage; of several shards the one that was last.
    pub times: AppendTimes,
    /// The client's number for it.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Str>,
    /// Length of its frame.
    pub bytes: usize,
    /// Partitions that it has batches for.
    pub partitions: usize,
}

impl Trace {
    /// How long each stage took. The sum is exactly the time from the last byte to the answer.
    fn stage_times(&self, answered: Nanos) -> StageTimes {
        let AppendTimes { queued, admitted, journaled, flushed } = self.times;
        let mut before = self.received;
        [queued, admitted, journaled, flushed, answered].map(|reached| {
            // Clocks of two shards are one clock, but a turn's beginning may be older than its calls.
            let reached = reached.max(before);
            reached.0 - std::mem::replace(&mut before, reached).0
        })
    }
}

/// A request that is complete and not answered yet.
#[derive(Debug, Clone)]
pub enum Complete {
    /// Its batches are durable.
    Produce(Trace),
    /// It has its records.
    Fetch(FetchTrace),
}

/// Histograms of the stages of Produce requests and of the whole. Nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct StageHistograms {
    /// In the order of [`STAGES`].
    pub stages: [Histogram; STAGES.len()],
    /// From the last byte of the request to the answer.
    pub total: Histogram,
}

impl StageHistograms {
    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (stage, more) in self.stages.iter_mut().zip(&other.stages) {
            stage.merge(more);
        }
        self.total.merge(&other.total);
    }
}

/// What one shard's connections have measured. Lives on the shard's thread.
#[derive(Debug, Default)]
pub struct Stages {
    /// Of Produce requests, since the start.
    pub histograms: StageHistograms,
    /// Produce requests of the last minute.
    pub slowest: Slowest,
    /// Of Fetch requests, since the start.
    pub fetch: FetchHistograms,
}

impl Stages {
    /// The answer to a request is handed to the socket.
    pub fn answered(&mut self, request: &Complete, now: Nanos) {
        match request {
            Complete::Produce(trace) => self.produced(trace, now),
            Complete::Fetch(trace) => self.fetch.answered(trace, now),
        }
    }

    fn produced(&mut self, trace: &Trace, now: Nanos) {
        let stages = trace.stage_times(now);
        let total = stages.iter().sum();
        for (histogram, nanos) in self.histograms.stages.iter_mut().zip(stages) {
            histogram.record(nanos);
        }
        self.histograms.total.record(total);
        self.slowest.offer(now, total, || Slow::new(trace, now, stages));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(received: u64, times: [u64; 4]) -> Trace {
        let [queued, admitted, journaled, flushed] = times.map(Nanos);
        Trace {
            received: Nanos(received),
            times: AppendTimes { queued, admitted, journaled, flushed },
            correlation_id: 4,
            client_id: Some("me".into()),
            bytes: 100,
            partitions: 2,
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        for (times, answered, stages) in [
            ([110, 130, 135, 200], 207, [10, 20, 5, 65, 7]),
            // The turn that took it up had begun before its last byte came.
            ([90, 130, 130, 200], 200, [0, 30, 0, 70, 0]),
            ([100, 100, 100, 100], 90, [0, 0, 0, 0, 0]),
        ] {
            let trace = trace(100, times);
            assert_eq!(trace.stage_times(Nanos(answered)), stages);
            let total: u64 = stages.iter().sum();
            assert_eq!(total, answered.saturating_sub(100));
        }
    }

    #[test]
    fn requests_are_counted_in_every_stage() {
        let mut stages = Stages::default();
        stages.produced(&trace(100, [110, 130, 135, 200]), Nanos(207));
        stages.produced(&trace(100, [110, 130, 135, 300]), Nanos(307));
        let sums = stages.histograms.stages.each_ref().map(Histogram::sum_ns);
        assert_eq!(sums, [20, 40, 10, 230, 14]);
        assert_eq!(stages.histograms.total.sum_ns(), 314);
        assert_eq!(stages.histograms.total.count(), 2);
        let slowest = stages.slowest.since(Nanos(0));
        assert_eq!(slowest.len(), 2);
        assert_eq!((slowest[1].total_ns(), &*slowest[1].client_id), (207, "me"));
    }
}
