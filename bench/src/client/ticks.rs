//! The seconds of a run.

use std::ops::Range;

use crate::measure::process;
use crate::measure::recorder::{Recorder, Second};
use crate::sys;

const SECOND_NS: u64 = 1_000_000_000;

/// Closes one second after the other.
pub struct Ticks {
    begin_ns: u64,
    /// End of the last closed second.
    pub last_ns: u64,
    /// When the current second is over.
    pub next_ns: u64,
    broker: Option<u32>,
    broker_cpu_us: Option<u64>,
    client_cpu_us: u64,
}

impl Ticks {
    /// The first second begins at `begin_ns`.
    pub fn new(begin_ns: u64, broker: Option<u32>) -> Self {
        Self {
            begin_ns,
            last_ns: begin_ns,
            next_ns: begin_ns + SECOND_NS,
            broker,
            broker_cpu_us: broker.and_then(process::cpu_us),
            client_cpu_us: sys::usage().unwrap_or_default().cpu_us,
        }
    }

    /// Closes the second that ends now.
    pub fn close<'r>(&mut self, recorder: &'r mut Recorder, now_ns: u64) -> &'r Second {
        let broker_us = self.broker.and_then(process::cpu_us);
        let client_us = sys::usage().unwrap_or_default().cpu_us;
        let broker_cpu_s = match (self.broker_cpu_us, broker_us) {
            (Some(before), Some(after)) => Some(after.saturating_sub(before) as f64 / 1e6),
            _ => None,
        };
        let client_cpu_s = client_us.saturating_sub(self.client_cpu_us) as f64 / 1e6;
        let span: Range<u64> = self.last_ns..now_ns;
        self.last_ns = now_ns;
        while self.next_ns <= now_ns {
            self.next_ns += SECOND_NS;
        }
        self.broker_cpu_us = broker_us;
        self.client_cpu_us = client_us;
        recorder.close_second(self.begin_ns, span, broker_cpu_s, client_cpu_s)
    }
}
