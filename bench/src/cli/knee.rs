//! `millrace-bench knee`: the highest rate at which a budget is kept.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Blame;
use super::load::LoadArgs;
use super::run::{CUT_SHORT, OVER_BUDGET};
use super::target::{Opened, TargetArgs};
use super::unit::{self, Rate};
use crate::budget::Budget;
use crate::report;
use crate::session::{Measured, Session, SessionError};
use crate::target::broker::StartError;
use crate::{sys, terminal};

/// Search ends when the highest kept and the lowest broken rate are this close.
const CLOSE: f64 = 1.05;
/// A target keeps up if it acknowledges this share of what is due.
const KEPT_UP: f64 = 0.98;
/// How often a confirmation may fail before the search gives up; each time the rate is lowered by `CLOSE`.
const CONFIRMATIONS: u32 = 5;

const EXAMPLES: &str = "Example:
    millrace-bench knee --bootstrap localhost:9092 --budget p99=5ms --record-size 1KiB --partitions 6 --out knee
Exit status: 0 found, 1 could not be done, 2 wrong flags, 4 cut short, 6 no rate keeps the budget.";

/// Flags of `knee`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct KneeArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    load: LoadArgs,
    /// What has to be kept, such as p99=5ms or e2e-p999=50ms; may be repeated.
    #[arg(long, required = true, value_name = "FIGURE=LIMIT")]
    budget: Vec<Budget>,
    /// Lowest rate tried, records per second.
    #[arg(long, default_value = "1k", value_parser = unit::count)]
    from: u64,
    /// Highest rate tried.
    #[arg(long, default_value = "5M", value_parser = unit::count)]
    to: u64,
    /// Measured time of each try; the confirmation takes --duration.
    #[arg(long, default_value = "4s", value_parser = unit::duration)]
    probe: Duration,
    /// Pins the generator to one core.
    #[arg(long)]
    core: Option<usize>,
    /// Directory for knee.json and the confirmation's report.html and result.json.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// One try.
#[derive(Clone, Debug, Serialize)]
struct Probe {
    rate: f64,
    kept: bool,
    records_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    client_was_the_limit: bool,
}

/// What was found, as `knee.json` has it.
#[derive(Debug, Serialize)]
struct Found {
    schema: u32,
    budget: Vec<String>,
    /// Highest confirmed rate, records per second.
    rate: Option<f64>,
    /// The generator, not the target, was the limit at the rate above it.
    client_was_the_limit: bool,
    probes: Vec<Probe>,
}

/// Why `knee` could not be done.
#[derive(Debug, thiserror::Error)]
pub enum KneeError {
    /// The target could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A run could not be done.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Blame for KneeError {
    fn flags(&self) -> bool {
        match self {
            Self::Start(error) => error.flags(),
            Self::Session(error) => error.flags(),
        }
    }
}

impl KneeArgs {
    /// Searches, confirms, prints and saves.
    pub fn execute(&self) -> Result<ExitCode, KneeError> {
        self.load.check().map_err(SessionError::Flags)?;
        if self.from == 0 || self.to < self.from || self.probe.is_zero() {
            let text = "knee needs --from above 0, --to not below --from, and --probe above 0";
            return Err(SessionError::Flags(text.into()).into());
        }
        if self.load.producers == 0 {
            return Err(SessionError::Flags("knee needs --producers".into()).into());
        }
        for budget in &self.budget {
            let fits = budget.fits(self.load.producers, self.load.consumers);
            fits.map_err(SessionError::Flags)?;
        }
        if let Some(path) = &self.out {
            report::save::prepare(path)?;
        }
        let opened = self.target.open()?;
        let mut probes = Vec::new();
        let (mut low, mut high) = (None, None);
        let mut rate = self.from as f64;
        let mut limited = false;
        while !sys::interrupted() {
            let (probe, _) = self.try_rate(&opened, rate, self.probe)?;
            let kept = probe.kept;
            if kept {
                low = Some(rate);
            } else {
                high = Some(rate);
                limited = probe.client_was_the_limit;
            }
            probes.push(probe);
            rate = match (low, high) {
                (Some(low), Some(high)) if high / low <= CLOSE => break,
                (Some(low), Some(high)) => f64::sqrt(low * high),
                (Some(low), None) if low >= self.to as f64 => break,
                (Some(low), None) => (low * 2.0).min(self.to as f64),
                (None, _) => break,
            };
        }
        let mut found = None;
        let mut rate = low.unwrap_or_default();
        for _ in 0..CONFIRMATIONS {
            if rate <= 0.0 || sys::interrupted() {
                break;
            }
            terminal::line(&format!("confirming {rate:.0} records/s"));
            let (probe, measured) = self.try_rate(&opened, rate, self.load.measured())?;
            let kept = probe.kept;
            probes.push(probe);
            if kept {
                found = Some((rate, measured));
                break;
            }
            rate /= CLOSE;
        }
        self.tell(probes, found, limited)
    }

    fn tell(
        &self,
        probes: Vec<Probe>,
        found: Option<(f64, Measured)>,
        limited: bool,
    ) -> Result<ExitCode, KneeError> {
        let budget = self.budget.iter().map(Budget::to_string).collect();
        let rate = found.as_ref().map(|found| found.0);
        if let Some(path) = &self.out {
            let told = Found { schema: 1, budget, rate, client_was_the_limit: limited, probes };
            match &found {
                Some((_, measured)) => report::save::run(path, measured)?,
                None => report::save::clear(path)?,
            }
            report::save::json(&path.join("knee.json"), &told)?;
        }
        if sys::interrupted() {
            terminal::line("cut short: the search was interrupted, and no rate is confirmed by it");
            return Ok(ExitCode::from(CUT_SHORT));
        }
        let Some((rate, measured)) = found else {
            terminal::line("no rate keeps the budget; try a lower --from");
            return Ok(ExitCode::from(OVER_BUDGET));
        };
        for line in report::text::summary(&measured.result) {
            terminal::line(&line);
        }
        terminal::line(&format!("the budget is kept up to {rate:.0} records/s"));
        if limited {
            terminal::line("note: above it the generator was the limit; the target may keep more");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn try_rate(
        &self,
        opened: &Opened,
        rate: f64,
        time: Duration,
    ) -> Result<(Probe, Measured), KneeError> {
        let mut load = self.load.clone();
        load.hold(Rate::Records(rate), time);
        let session = Session {
            bootstrap: &opened.address,
            load: &load,
            broker_pid: opened.broker.as_ref().map(crate::target::broker::Broker::pid),
            core: self.core,
        };
        let measured = session.measure(|_| ())?;
        let result = &measured.result;
        let latency = result.produce.as_ref().map(|p| p.latency_us).unwrap_or_default();
        let records_per_s = result.produce.as_ref().map_or(0.0, |p| p.records_per_s);
        let kept = result.partial.is_none()
            && result.errors == 0
            && records_per_s >= rate * KEPT_UP
            && self.budget.iter().all(|budget| budget.judge(result).0);
        let probe = Probe {
            rate,
            kept,
            records_per_s,
            p50_us: latency.p50,
            p99_us: latency.p99,
            p999_us: latency.p999,
            client_was_the_limit: result.client.was_the_limit,
        };
        terminal::line(&format!(
            "{rate:>10.0} records/s asked, {records_per_s:>10.0} done  p50 {:<9} p99 {:<9} p99.9 {:<9} {}",
            report::text::time(latency.p50),
            report::text::time(latency.p99),
            report::text::time(latency.p999),
            if kept { "kept" } else { "NOT KEPT" }
        ));
        Ok((probe, measured))
    }
}
