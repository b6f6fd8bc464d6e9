//! One measured run against one target, from making the topic to putting the result together.

use std::io;
use std::path::PathBuf;

use crate::cli::Blame;
use crate::cli::load::LoadArgs;
use crate::client::driver::{Driver, RunError};
use crate::client::outcome::Outcome;
use crate::client::setup::{self, SetupError, Target, TopicWish};
use crate::measure::process;
use crate::measure::recorder::Second;
use crate::result::{Context, RunResult, TargetNote};
use crate::stages::watch::Watch;
use crate::sys;
use crate::target::durability;
use crate::terminal;

/// Why a run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The flags do not fit together.
    #[error("{0}")]
    Flags(String),
    /// The target could not be prepared.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The run could not begin.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The topic could not be filled.
    #[error("filling the topic before the run ended early: {0}")]
    Prefill(String),
    /// What the machine can do could not be measured.
    #[error("--floor {path}: {source}")]
    Floor {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The results could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Blame for SessionError {
    fn flags(&self) -> bool {
        matches!(self, Self::Flags(_))
    }
}

/// What to run, and against what.
pub struct Session<'s> {
    /// Broker addresses.
    pub bootstrap: &'s str,
    /// The load.
    pub load: &'s LoadArgs,
    /// The broker's process, if it is told.
    pub broker_pid: Option<u32>,
    /// The generator's core, if it is to be pinned.
    pub core: Option<usize>,
}

/// What came of it.
pub struct Measured {
    /// In figures.
    pub result: RunResult,
    /// As recorded.
    pub outcome: Outcome,
    /// What the result says beside the figures.
    pub context: Context,
}

impl Session<'_> {
    /// Makes the topic ready, runs, and deletes the topic if it was made for the run.
    pub fn measure(&self, second: impl FnMut(&Second)) -> Result<Measured, SessionError> {
        let wish = self.load.wish();
        let target = setup::prepare(self.bootstrap, &wish)?;
        let done = self.drive(&wish, &target, second);
        if self.load.topic.is_none()
            && target.created
            && let Err(error) = target.asker().and_then(|mut asker| asker.delete_topic(&wish.name))
        {
            terminal::complain(&format!("warning: topic `{}` stays: {error}", wish.name));
        }
        done
    }

    fn drive(
        &self,
        wish: &TopicWish,
        target: &Target,
        second: impl FnMut(&Second),
    ) -> Result<Measured, SessionError> {
        let system = |what| move |source| RunError::System { what, source };
        if let Some(core) = self.core {
            sys::pin(core)
                .map_err(system("cannot pin the generator to the core that was named"))?;
        }
        sys::exact_timers().map_err(system("cannot ask for exact timers"))?;
        if let Some(bytes) = self.load.prefill {
            let workload = self.load.prefilling(wish, bytes);
            let outcome = Driver::new(&workload, target, None)?.run(|_| ());
            if let Some(text) = outcome.cut_short {
                return Err(SessionError::Prefill(text));
            }
            terminal::line(&format!(
                "filled with {} records",
                outcome.recorder.counters.acked_records
            ));
        }
        let workload = self.load.resolve(wish);
        if let Some(pid) = self.broker_pid
            && process::command(pid).is_none()
        {
            return Err(SessionError::Flags(format!("--broker-pid: there is no process {pid}")));
        }
        let broker = self.broker_pid.or_else(|| process::listener(&target.bootstrap));
        let run = self.load.client.prepare(&workload, target, broker)?;
        let (clock, window_ns) = run.window();
        let watch = Watch::begin(target, clock, window_ns);
        let mut outcome = run.run(second);
        outcome.stages = watch.and_then(Watch::end);
        let command = |line: String| line.chars().take(400).collect();
        let context = Context {
            command: std::env::args().collect(),
            workload: self.load.note(&workload, target),
            target: TargetNote {
                bootstrap: target.bootstrap.clone(),
                cluster: target.cluster.clone(),
                kind: broker.and_then(process::kind).map(str::to_owned),
                command: broker.and_then(process::command).map(command),
                brokers: target.led.len(),
                produce_version: target.produce_version,
                fetch_version: target.fetch_version,
                durability: durability::read(target, workload.acks),
            },
            broker_pid: broker,
        };
        let result = RunResult::new(context.clone(), &outcome);
        Ok(Measured { result, outcome, context })
    }
}
