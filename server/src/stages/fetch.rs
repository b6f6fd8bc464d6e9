//! What Fetch requests spent in each stage. That they wait for data, as their clients want it, is counted by
//! itself: it is not the broker's slowness.

use millrace_engine::types::Nanos;

use super::Histogram;

/// The stages of a Fetch in their order, each named by what it ends with. It is in one of the two that read.
pub const FETCH_STAGES: [&str; 4] = ["queued", "read_tail", "read_cold", "answered"];

/// A Fetch request that has its records and is not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchTrace {
    /// When the last byte of its frame was there.
    pub received: Nanos,
    /// How it got its records.
    pub times: FetchTimes,
}

/// How a Fetch got its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchTimes {
    /// When it was taken up.
    pub begun: Nanos,
    /// How long it waited for its partitions to move, and whether it did. Nanoseconds.
    pub waited_ns: Option<u64>,
    /// When its last read was done.
    pub read: Nanos,
    /// Whether some of its records came from the disk.
    pub is_cold: bool,
}

/// Histograms of the stages of Fetch requests. Nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct FetchHistograms {
    /// In the order of [`FETCH_STAGES`].
    pub stages: [Histogram; FETCH_STAGES.len()],
    /// All stages: from the last byte of the request to the answer, without the wait.
    pub total: Histogram,
    /// The waits of those that waited for data.
    pub waited: Histogram,
}

impl FetchHistograms {
    /// The answer to a request is handed to the socket.
    pub fn answered(&mut self, trace: &FetchTrace, now: Nanos) {
        let FetchTimes { begun, waited_ns, read, is_cold } = trace.times;
        let between = |from: Nanos, to: Nanos| to.0.saturating_sub(from.0);
        let queued = between(trace.received, begun);
        let reading = between(begun, read).saturating_sub(waited_ns.unwrap_or_default());
        let sending = between(read, now);
        let [of_queued, of_tail, of_cold, of_answered] = &mut self.stages;
        of_queued.record(queued);
        if is_cold { of_cold } else { of_tail }.record(reading);
        of_answered.record(sending);
        self.total.record(queued + reading + sending);
        if let Some(waited_ns) = waited_ns {
            self.waited.record(waited_ns);
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (stage, more) in self.stages.iter_mut().zip(&other.stages) {
            stage.merge(more);
        }
        self.total.merge(&other.total);
        self.waited.merge(&other.waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(begun: u64, waited_ns: Option<u64>, read: u64, is_cold: bool) -> FetchTrace {
        let times = FetchTimes { begun: Nanos(begun), waited_ns, read: Nanos(read), is_cold };
        FetchTrace { received: Nanos(100), times }
    }

    #[test]
    fn a_wait_is_no_part_of_the_whole() {
        let mut histograms = FetchHistograms::default();
        histograms.answered(&trace(110, None, 130, false), Nanos(137));
        histograms.answered(&trace(105, Some(500), 700, false), Nanos(703));
        histograms.answered(&trace(120, None, 900, true), Nanos(900));
        let mut twice = histograms.clone();
        twice.merge(&histograms);
        for (histograms, times) in [(&histograms, 1), (&twice, 2)] {
            let counts = histograms.stages.each_ref().map(Histogram::count);
            let sums = histograms.stages.each_ref().map(Histogram::sum_ns);
            assert_eq!(counts, [3, 2, 1, 3].map(|count| count * times));
            assert_eq!(sums, [35, 115, 780, 10].map(|sum| sum * times));
            assert_eq!(histograms.total.sum_ns(), sums.iter().sum::<u64>());
            let waited = (histograms.waited.count(), histograms.waited.sum_ns());
            assert_eq!((histograms.total.count(), waited), (3 * times, (times, 500 * times)));
        }
    }
}
