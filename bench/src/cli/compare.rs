//! `millrace-bench compare`: two targets in one run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Blame;
use super::load::LoadArgs;
use super::run::CUT_SHORT;
use super::target::{Opened, StartArgs, TargetWish, flushing, turn_to, wishes};
use super::unit;
use crate::compare::{self, Comparison};
use crate::report::{self, live::Live};
use crate::result::RunResult;
use crate::session::{Measured, Session, SessionError};
use crate::sys;
use crate::target::broker::StartError;
use crate::target::kafka::Flushing;
use crate::target::warm::Warm;
use crate::{floor, terminal};

const EXAMPLES: &str = "Examples:
  This build's broker and Apache Kafka, both started for it, one core for the broker and one for the client:
    millrace-bench compare --millrace --kafka --broker-core 0 --client-core 1 --rate max --batch-size 128KiB --partitions 6 --out compared
  Two brokers that are there, at a steady rate:
    millrace-bench compare host-a:9092 host-b:9092 --rate 20k --duration 30s --pairs 6
  Kafka with itself, to see what a difference of nothing looks like:
    millrace-bench compare kafka kafka --rate 10k
Exit status: 0 done, 1 could not be done, 2 wrong flags, 4 cut short.";

/// Flags of `compare`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct CompareArgs {
    /// Targets: HOST:PORT, millrace, kafka, kafka:flush. Two in all, with --millrace and --kafka.
    #[arg(value_name = "TARGET")]
    targets: Vec<TargetWish>,
    /// Starts the millrace of this build as a target.
    #[arg(long)]
    millrace: bool,
    /// Starts Apache Kafka 4.3.1 as a target, assembled from Maven Central: as it comes, or flushing each append.
    #[arg(long, value_name = "default|flush", num_args = 0..=1, default_missing_value = "default", value_parser = flushing)]
    kafka: Option<Flushing>,
    /// Pairs of runs, in the order A B, B A, A B, ...
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    pairs: u16,
    /// Load on each target before the first pair, unmeasured: a JVM compiles while it runs, for minutes on one core.
    #[arg(long, default_value = "20s", value_parser = unit::duration)]
    settle: Duration,
    /// Pins the generator to one core.
    #[arg(long, value_name = "CORE")]
    client_core: Option<usize>,
    /// Does not keep memory warm beside brokers that use the page cache (see `feeder`).
    #[arg(long)]
    no_feeder: bool,
    /// Most memory that is kept warm.
    #[arg(long, value_name = "SIZE", value_parser = unit::bytes)]
    feeder_most: Option<u64>,
    /// Lets the target that is not measured run on beside the other, instead of holding it still.
    #[arg(long)]
    no_hold: bool,
    /// Does not measure what the machine can do at all.
    #[arg(long)]
    no_floor: bool,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    load: LoadArgs,
    /// Directory for report.html, result.json, pairs.csv and both targets' results.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Why `compare` could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A target could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A run could not be done.
    #[error("{label}: {source}")]
    Run {
        /// The target.
        label: String,
        /// Why.
        source: SessionError,
    },
    /// The results could not be written, or the flags do not fit.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Blame for CompareError {
    fn flags(&self) -> bool {
        match self {
            Self::Start(error) => error.flags(),
            Self::Run { source, .. } | Self::Session(source) => source.flags(),
        }
    }
}

/// The runs of both targets so far.
#[derive(Default)]
struct Runs {
    pairs: Vec<(RunResult, RunResult)>,
    sides: [Option<Measured>; 2],
    /// Why there are not as many as were wanted.
    partial: Option<String>,
}

impl Runs {
    fn cut_short(mut self, why: impl Into<String>) -> Self {
        self.partial = Some(why.into());
        self
    }
}

const INTERRUPTED: &str = "interrupted";

/// Which clusters the sides say they are.
#[derive(Default)]
struct Clusters([Option<String>; 2]);

impl Clusters {
    /// A side has told its cluster. Two addresses may lead to one: that is said once, and at once.
    fn note(&mut self, side: usize, result: &RunResult, remarks: &mut Vec<String>) {
        let is_new = self.0[side].is_none();
        self.0[side].clone_from(&result.target.cluster);
        if is_new
            && let [Some(a), Some(b)] = &self.0
            && a == b
        {
            let text = format!(
                "A and B both say that they are cluster {a}: if they are one, it is compared with itself and the differences are noise"
            );
            terminal::complain(&format!("warning: {text}"));
            remarks.push(text);
        }
    }
}

impl CompareArgs {
    /// Runs all pairs, prints and saves the verdict.
    pub fn execute(&self) -> Result<ExitCode, CompareError> {
        self.load.check().map_err(SessionError::Flags)?;
        let [a, b] = wishes("compare", &self.targets, self.millrace, self.kafka)?;
        if let Some(path) = &self.out {
            report::save::prepare(path)?;
        }
        let mut remarks = Vec::new();
        let floor = (!self.no_floor
            && !matches!((&a, &b), (TargetWish::Address(_), TargetWish::Address(_))))
        .then(|| {
            // The brokers' directory may not be there before the first of them starts.
            std::fs::create_dir_all(self.start.directory())?;
            floor::measure(self.start.directory(), floor::QUICK)
        })
        .transpose()
        .unwrap_or_else(|error| {
            remarks.push(format!("the machine's floor could not be measured: {error}"));
            None
        });
        let mut opened = [self.start.open(&a, "a")?, self.start.open(&b, "b")?];
        if opened[0].label == opened[1].label {
            for (side, name) in opened.iter_mut().zip(["A", "B"]) {
                side.label = format!("{} ({name})", side.label);
            }
        }
        let _feeder = self.feed(&opened, &mut remarks)?;
        remarks.push(match (self.start.broker_core, self.client_core) {
            (Some(broker), Some(client)) => {
                format!(
                    "started brokers were pinned to core {broker}, the generator to core {client}"
                )
            }
            _ => "brokers and generator were not all pinned to cores: they may have shared one"
                .into(),
        });
        let runs = self.pairs(&mut opened, &mut remarks)?;
        let [Some(mut first), Some(mut second)] = runs.sides else {
            let why = runs.partial.unwrap_or_default();
            terminal::complain(&format!(
                "cut short before the first pair was complete, nothing to save: {why}"
            ));
            return Ok(ExitCode::from(CUT_SHORT));
        };
        first.result = RunResult::new(first.context.clone(), &first.outcome);
        second.result = RunResult::new(second.context.clone(), &second.outcome);
        first.result.floor.clone_from(&floor);
        second.result.floor.clone_from(&floor);
        let labels = (opened[0].label.as_str(), opened[1].label.as_str());
        let mut comparison = compare::compare(labels, &runs.pairs, remarks);
        comparison.floor = floor;
        if let Some(why) = runs.partial {
            comparison.cut_short(usize::from(self.pairs), why);
        }
        self.tell(&comparison, (&first, &second))?;
        let partial = comparison.partial.is_some();
        Ok(if partial { ExitCode::from(CUT_SHORT) } else { ExitCode::SUCCESS })
    }

    fn tell(
        &self,
        comparison: &Comparison,
        sides: (&Measured, &Measured),
    ) -> Result<(), SessionError> {
        for line in comparison.lines() {
            terminal::line(&line);
        }
        if let Some(path) = &self.out {
            report::save::comparison(path, comparison, sides)?;
            terminal::line(&format!("written: {}", path.join("report.html").display()));
        }
        Ok(())
    }

    /// Keeps memory warm where a target's page cache is on this machine.
    fn feed(
        &self,
        opened: &[Opened; 2],
        remarks: &mut Vec<String>,
    ) -> Result<Option<Warm>, CompareError> {
        if opened.iter().all(|side| side.broker.is_none()) {
            return Ok(None);
        }
        Ok(Warm::unless(self.no_feeder, self.feeder_most, remarks)?)
    }

    fn measure(&self, target: &Opened, load: &LoadArgs) -> Result<Measured, CompareError> {
        let session = Session {
            bootstrap: &target.address,
            load,
            broker_pid: target.broker.as_ref().map(crate::target::broker::Broker::pid),
            core: self.client_core,
        };
        let mut live = Live::new(load);
        let measured = session
            .measure(|second| live.second(second))
            .map_err(|source| CompareError::Run { label: target.label.clone(), source })?;
        live.end();
        Ok(measured)
    }

    fn pairs(
        &self,
        opened: &mut [Opened; 2],
        remarks: &mut Vec<String>,
    ) -> Result<Runs, CompareError> {
        if !self.no_hold && opened.iter().all(|side| side.broker.is_some()) {
            remarks.push("the target that was not measured was held still (SIGSTOP)".into());
        }
        let mut clusters = Clusters::default();
        if !self.settle.is_zero() {
            let mut load = self.load.clone();
            load.settle(self.settle);
            for side in 0..2 {
                terminal::line(&format!("settling {}", opened[side].label));
                turn_to(opened, side, !self.no_hold)?;
                let settled = self.measure(&opened[side], &load)?;
                clusters.note(side, &settled.result, remarks);
                if sys::interrupted() {
                    return Ok(Runs::default().cut_short(INTERRUPTED));
                }
            }
        }
        let mut runs = Runs::default();
        for pair in 0..usize::from(self.pairs) {
            let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
            let mut results = [None, None];
            for side in order {
                if sys::interrupted() {
                    return Ok(runs.cut_short(INTERRUPTED));
                }
                let label = &opened[side].label;
                terminal::line(&format!("pair {} of {}: {label}", pair + 1, self.pairs));
                turn_to(opened, side, !self.no_hold)?;
                let measured = match self.measure(&opened[side], &self.load) {
                    // The pairs that are whole are worth having.
                    Err(error) if !runs.pairs.is_empty() => {
                        return Ok(runs.cut_short(error.to_string()));
                    }
                    other => other?,
                };
                clusters.note(side, &measured.result, remarks);
                if sys::interrupted() {
                    return Ok(runs.cut_short(INTERRUPTED));
                }
                if let Some(reason) = &measured.result.partial {
                    let label = &opened[side].label;
                    return Ok(runs.cut_short(format!("a run of {label} ended early: {reason}")));
                }
                results[side] = Some(measured);
            }
            if let [Some(a), Some(b)] = results {
                runs.pairs.push((a.result.clone(), b.result.clone()));
                for (kept, measured) in runs.sides.iter_mut().zip([a, b]) {
                    match kept {
                        Some(kept) => kept.outcome.append(&measured.outcome),
                        None => *kept = Some(measured),
                    }
                }
            }
        }
        Ok(runs)
    }
}
