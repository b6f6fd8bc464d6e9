//! How a run goes, while it goes: a bar that moves on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};

use super::text::{self, rate, time};
use crate::cli::load::LoadArgs;
use crate::measure::recorder::Second;
use crate::terminal;

const BAR_CELLS: usize = 24;

/// The view of one run.
pub struct Live {
    total_s: f64,
    moves: bool,
    shown: bool,
    errors: u64,
    max_us: f64,
}

impl Live {
    /// Nothing shown yet.
    pub fn new(load: &LoadArgs) -> Self {
        Self {
            total_s: (load.warmup + load.measured()).as_secs_f64(),
            moves: io::stdout().is_terminal(),
            shown: false,
            errors: 0,
            max_us: 0.0,
        }
    }

    /// A second has ended.
    pub fn second(&mut self, second: &Second) {
        if !self.moves {
            return terminal::line(&text::second(second));
        }
        self.errors += second.errors;
        if !second.warmup {
            self.max_us = self.max_us.max(second.produce_latency_us.max);
        }
        let share = (second.at_s / self.total_s).clamp(0.0, 1.0);
        let full = (share * BAR_CELLS as f64).round() as usize;
        let latency = if second.produce_latency_us.count > 0 {
            second.produce_latency_us
        } else {
            second.end_to_end_latency_us
        };
        let line = format!(
            "[{}{}] {:>5.1} s {:<8}  {:>9.0}/s {:>11}  in {:>11}  p50 {:<8} p99 {:<8} p99.9 {:<8} max so far {:<8} errors {}",
            "#".repeat(full),
            "-".repeat(BAR_CELLS - full),
            second.at_s,
            if second.warmup { "warm-up" } else { "measured" },
            second.produced_records,
            rate(second.produced_bytes as f64),
            rate(second.consumed_bytes as f64),
            time(latency.p50),
            time(latency.p99),
            time(latency.p999),
            time(self.max_us),
            self.errors,
        );
        let mut out = io::stdout().lock();
        // To the begin of the line, and clear it. A closed terminal is no reason to end a run.
        write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush()).ok();
        self.shown = true;
    }

    /// The run is over.
    pub fn end(&self) {
        if self.shown {
            terminal::line("");
        }
    }
}
