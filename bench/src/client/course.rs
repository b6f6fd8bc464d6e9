//! The course of a run, whoever drives it: where its measured window begins and ends, its seconds, what it used, and why
//! it broke off.

use std::ops::Range;

use super::ticks::Ticks;
use crate::clock::Clock;
use crate::measure::recorder::{Recorder, Second};
use crate::measure::used::{Sample, Used};
use crate::sys;
use crate::workload::{ReadFrom, Workload};

/// How long records may take to reach a consumer after the last acknowledgement before the run ends without them.
const ARRIVAL_NS: u64 = 1_000_000_000;
/// How long an open loop may take after its end to send what was due before it.
const REST_NS: u64 = 1_000_000_000;

/// What a moment asks of the driver.
pub enum Turn {
    /// To go on.
    On,
    /// To end the load.
    EndLoad,
    /// To send nothing more at all.
    Stop,
}

/// Where a run stands.
pub struct Course {
    clock: Clock,
    broker: Option<u32>,
    before: Option<Sample>,
    after: Option<Sample>,
    stopped: bool,
    cut_short: Option<String>,
    ticks: Ticks,
}

/// A course that is over.
pub struct Ended {
    /// What the measured window used.
    pub used: Used,
    /// When its load ended, nanoseconds of the run's clock.
    pub at_ns: u64,
    /// Why it ended early, if it did.
    pub cut_short: Option<String>,
}

impl Course {
    /// The load begins at `begin_ns`.
    pub fn new(clock: Clock, broker: Option<u32>, begin_ns: u64) -> Self {
        Self {
            clock,
            broker,
            before: None,
            after: None,
            stopped: false,
            cut_short: None,
            ticks: Ticks::new(begin_ns, broker),
        }
    }

    /// Takes note of the time. `enough`: the workload wants no more. `second` is told each second as it ends.
    pub fn at(
        &mut self,
        now_ns: u64,
        enough: bool,
        recorder: &mut Recorder,
        second: &mut impl FnMut(&Second),
    ) -> Turn {
        let window = recorder.window.clone();
        let mut turn = Turn::On;
        if self.before.is_none() && now_ns >= window.start {
            self.before = Some(self.sample());
        }
        if self.after.is_none() && (now_ns >= window.end || enough) {
            recorder.window.end = now_ns.min(window.end);
            self.after = Some(self.sample());
            turn = Turn::EndLoad;
        }
        if !self.stopped && self.after.is_some_and(|after| now_ns > after.at_ns + REST_NS) {
            self.stopped = true;
            turn = Turn::Stop;
        }
        if sys::interrupted() && self.cut_short.is_none() {
            self.cut_short = Some("interrupted".to_owned());
            recorder.window.end = now_ns.min(window.end);
            let sample = self.sample();
            self.after.get_or_insert(sample);
            turn = Turn::Stop;
        }
        if now_ns >= self.ticks.next_ns {
            second(self.ticks.close(recorder, now_ns));
        }
        turn
    }

    fn sample(&self) -> Sample {
        Sample::take(&self.clock, self.broker)
    }

    /// When the load ended, if it has.
    pub fn end_ns(&self) -> Option<u64> {
        self.after.map(|after| after.at_ns)
    }

    /// When the next second or an edge of the window comes.
    pub fn wake_ns(&self, now_ns: u64, window: &Range<u64>) -> u64 {
        let edge_ns = if self.before.is_none() { window.start } else { window.end };
        let edge_ns = if edge_ns > now_ns { edge_ns } else { u64::MAX };
        self.ticks.next_ns.min(edge_ns)
    }

    /// The run cannot go on.
    pub fn break_off(&mut self, why: String, recorder: &mut Recorder) {
        recorder.error(format!("broken: {why}"));
        self.cut_short = Some(why);
        recorder.window.end = self.clock.now_ns().min(recorder.window.end);
    }

    /// The run is over.
    pub fn finish(mut self, recorder: &mut Recorder) -> Ended {
        let end_ns = self.clock.now_ns();
        if self.ticks.last_ns < end_ns {
            self.ticks.close(recorder, end_ns);
        }
        let after = self.after.unwrap_or_else(|| self.sample());
        let used = after.since(&self.before.unwrap_or(after));
        Ended { used, at_ns: after.at_ns, cut_short: self.cut_short }
    }
}

/// Whether records that were acknowledged by `idle_ns` may still reach a consumer at `now_ns`. `tracked`: they can be
/// followed there.
pub fn awaits_arrivals(
    workload: &Workload,
    recorder: &Recorder,
    tracked: bool,
    (idle_ns, now_ns): (u64, u64),
) -> bool {
    let follows = workload.consumers > 0 && workload.read_from == ReadFrom::Latest;
    let wanted = recorder.produce.len() * workload.groups.max(1) as u64;
    let missing = recorder.end_to_end.len() < wanted;
    follows && tracked && missing && now_ns < idle_ns + ARRIVAL_NS
}
