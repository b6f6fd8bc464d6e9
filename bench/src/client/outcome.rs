//! What came of a run, before it is put into words and figures.

use crate::measure::recorder::Recorder;
use crate::measure::used::Used;
use crate::stages::Missing;
use crate::stages::window::StageWindow;

/// What came of a run.
pub struct Outcome {
    /// Everything recorded.
    pub recorder: Recorder,
    /// What the measured window used.
    pub used: Used,
    /// Why it ended early, if it did.
    pub cut_short: Option<String>,
    /// Records due in the run that were never sent.
    pub unsent: u64,
    /// Records sent without an answer.
    pub unanswered: u64,
    /// Wall time of the clock's zero, nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Batches could not be followed to consumers: no end-to-end latency.
    pub untracked: bool,
    /// Connections that broke and were made again.
    pub reconnects: u64,
    /// Where the broker says the time went.
    pub stages: Result<StageWindow, Missing>,
}

impl Outcome {
    /// Puts another run of the same work behind this one, as if both had been one.
    pub fn append(&mut self, other: &Self) {
        self.recorder.append(&other.recorder);
        self.used.add(&other.used);
        if self.cut_short.is_none() {
            self.cut_short.clone_from(&other.cut_short);
        }
        self.unsent += other.unsent;
        self.unanswered += other.unanswered;
        self.reconnects += other.reconnects;
        match (&mut self.stages, &other.stages) {
            (Ok(stages), Ok(more)) => stages.append(more),
            (Ok(_), Err(missing)) => self.stages = Err(missing.clone()),
            (Err(_), _) => {}
        }
    }
}
