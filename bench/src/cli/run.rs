//! `millrace-bench run`: one workload against one target.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Blame;
use super::load::LoadArgs;
use super::target::TargetArgs;
use crate::budget::Budget;
use crate::floor;
use crate::report::{self, live::Live};
use crate::session::{Session, SessionError};
use crate::target::broker::{Broker, StartError};
use crate::terminal;

/// Exit status when the target refused everything.
const IN_VAIN: u8 = 1;
/// Exit status of `--strict` when the generator was the limit.
const CLIENT_WAS_THE_LIMIT: u8 = 3;
/// Exit status of a run that was cut short.
pub const CUT_SHORT: u8 = 4;
/// Exit status when a budget is not kept.
pub const OVER_BUDGET: u8 = 6;

const EXAMPLES: &str = "Examples:
  A steady rate, latencies from the time each record was due (open loop):
    millrace-bench run --bootstrap localhost:9092 --rate 50k --record-size 1KiB --duration 20s --out result
  As much as goes in, 128 KiB batches, 4 connections with 4 requests in flight each (closed loop):
    millrace-bench run --bootstrap localhost:9092 --rate max --batch-size 128KiB --producers 4 --in-flight 4 --partitions 6 --consumers 0
  Only reading, the last 64 MiB of a topic over and over, without producing:
    millrace-bench run --bootstrap localhost:9092 --topic t --producers 0 --consumers 2 --read window:64MiB
  A gate for CI: exit status 6 unless the budget is kept:
    millrace-bench run --bootstrap localhost:9092 --rate 20k --budget p99=5ms --budget errors=0
Exit status: 0 done, 1 could not be done, 2 wrong flags, 3 (--strict) the generator was the limit, 4 cut short,
6 over budget.";

/// Flags of `run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct RunArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    load: LoadArgs,
    /// Directory for report.html, result.json, seconds.csv and latency.hlog; it is made if needed.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The broker's process, for its CPU and memory; found by the listening port if it is on this machine.
    #[arg(long)]
    broker_pid: Option<u32>,
    /// Pins the generator to one core.
    #[arg(long)]
    core: Option<usize>,
    /// Exit status 3 if the generator was the limit.
    #[arg(long)]
    strict: bool,
    /// Exit status 6 unless a figure stays inside: p99=5ms, service-p50=1ms, e2e-p999=20ms, errors=0, rate=50k (at
    /// least). May be repeated.
    #[arg(long, value_name = "FIGURE=LIMIT")]
    budget: Vec<Budget>,
    /// Measures first, for a few seconds, what this machine can do at all, and reports it beside the broker's figures;
    /// with a directory on the broker's disk.
    #[arg(long, value_name = "DIR")]
    floor: Option<PathBuf>,
}

/// Why `run` failed.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// The target could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The run could not be done.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Blame for RunFailure {
    fn flags(&self) -> bool {
        match self {
            Self::Start(error) => error.flags(),
            Self::Session(error) => error.flags(),
        }
    }
}

impl RunArgs {
    /// Does the run, prints and saves its result.
    pub fn execute(&self) -> Result<ExitCode, RunFailure> {
        self.load.check().map_err(SessionError::Flags)?;
        for budget in &self.budget {
            let fits = budget.fits(self.load.producers, self.load.consumers);
            fits.map_err(SessionError::Flags)?;
        }
        if let Some(path) = &self.out {
            // Better to know before the run than after it.
            report::save::prepare(path)?;
        }
        let floor = self.floor.as_deref().map(|dir| floor::measure(dir, floor::QUICK)).transpose();
        let floor = floor.map_err(|error| {
            let path = self.floor.clone().unwrap_or_default();
            SessionError::Floor { path, source: error }
        })?;
        let opened = self.target.open()?;
        let session = Session {
            bootstrap: &opened.address,
            load: &self.load,
            broker_pid: self.broker_pid.or_else(|| opened.broker.as_ref().map(Broker::pid)),
            core: self.core,
        };
        let mut live = Live::new(&self.load);
        let mut measured = session.measure(|second| live.second(second))?;
        live.end();
        measured.result.floor = floor;
        let result = &measured.result;
        for line in report::text::summary(result) {
            terminal::line(&line);
        }
        let mut kept = true;
        for budget in &self.budget {
            let (ok, text) = budget.judge(result);
            kept &= ok;
            terminal::line(&text);
        }
        if let Some(path) = &self.out {
            report::save::run(path, &measured)?;
            terminal::line(&format!("written: {}", path.join("report.html").display()));
        }
        Ok(if result.partial.is_some() {
            ExitCode::from(CUT_SHORT)
        } else if result.in_vain() {
            ExitCode::from(IN_VAIN)
        } else if !kept {
            ExitCode::from(OVER_BUDGET)
        } else if self.strict && result.client.was_the_limit {
            ExitCode::from(CLIENT_WAS_THE_LIMIT)
        } else {
            ExitCode::SUCCESS
        })
    }
}
