//! `millrace-bench perf-tools`: Kafka's own Java perf tools against two targets in one run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Blame;
use super::run::CUT_SHORT;
use super::target::{Opened, StartArgs, TargetWish, flushing, turn_to, wishes};
use super::unit;
use crate::client::setup::{self, SetupError, TopicWish};
use crate::compare::figure::Kind;
use crate::compare::{self, Figures};
use crate::java::{JavaError, Tools, Work};
use crate::measure::process::ProcessSample;
use crate::report;
use crate::session::SessionError;
use crate::target::broker::{Broker, StartError};
use crate::target::durability;
use crate::target::kafka::{self, Flushing};
use crate::target::warm::Warm;
use crate::wire::ask::AskError;
use crate::{sys, terminal};

const EXAMPLES: &str = "Examples:
  kafka-producer-perf-test and kafka-consumer-perf-test against this build's broker and Apache Kafka in turn:
    millrace-bench perf-tools --millrace --kafka
  Beside a Kafka that flushes each append, with fewer records, as that takes long:
    millrace-bench perf-tools --millrace --kafka flush --records 500k
Exit status: 0 done, 1 could not be done, 2 wrong flags, 4 cut short.";

/// Flags of `perf-tools`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PerfToolsArgs {
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
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..))]
    pairs: u16,
    /// Records of each run, and once before the first pair, unmeasured: a JVM compiles while it runs.
    #[arg(long, default_value = "2M", value_parser = unit::count)]
    records: u64,
    /// Value size.
    #[arg(long, default_value = "1KiB", value_parser = unit::bytes)]
    record_size: u64,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// A setting of the producer; may be repeated. Also set, unless named: acks=all, batch.size=131072, linger.ms=5.
    #[arg(long, value_name = "KEY=VALUE", value_parser = unit::pair)]
    producer_set: Vec<(String, String)>,
    /// A setting of the consumer; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = unit::pair)]
    consumer_set: Vec<(String, String)>,
    /// Pins the tools to one core.
    #[arg(long, value_name = "CORE")]
    client_core: Option<usize>,
    /// Does not keep memory warm beside brokers that use the page cache (see `feeder`).
    #[arg(long)]
    no_feeder: bool,
    #[command(flatten)]
    start: StartArgs,
    /// Directory for result.json and pairs.csv.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Why `perf-tools` could not be done.
#[derive(Debug, thiserror::Error)]
pub enum PerfToolsError {
    /// A target could not be started, or the tools are not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The topic could not be made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The topic could not be deleted.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A tool failed.
    #[error("{label}: {source}")]
    Java {
        /// The target.
        label: String,
        /// Why.
        source: JavaError,
    },
    /// The results could not be written.
    #[error(transparent)]
    Write(#[from] SessionError),
}

impl Blame for PerfToolsError {
    fn flags(&self) -> bool {
        match self {
            Self::Start(error) => error.flags(),
            Self::Write(error) => error.flags(),
            Self::Setup(_) | Self::Ask(_) | Self::Java { .. } => false,
        }
    }
}

const fn kind(name: &'static str, unit: &'static str, more_is_better: bool) -> Kind {
    Kind { name, unit, more_is_better }
}

/// What is compared. Latencies are the tools' own: from the time a record is given to the client, so that with a
/// producer that never waits they are mostly the time in its buffer.
const KINDS: [Kind; 13] = [
    kind("produce.records_per_s", "records/s", true),
    kind("produce.bytes_per_s", "bytes/s", true),
    kind("produce.latency_ms.mean", "ms", false),
    kind("produce.latency_ms.p50", "ms", false),
    kind("produce.latency_ms.p99", "ms", false),
    kind("produce.latency_ms.p999", "ms", false),
    kind("produce.latency_ms.max", "ms", false),
    kind("produce.broker.cpu_s_per_gb", "s/GB", false),
    kind("produce.client.cpu_s_per_gb", "s/GB", false),
    kind("consume.bytes_per_s", "bytes/s", true),
    kind("consume.broker.cpu_s_per_gb", "s/GB", false),
    kind("consume.client.cpu_s_per_gb", "s/GB", false),
    kind(MEMORY, "bytes", false),
];
/// Resident memory of the broker behind a run.
const MEMORY: &str = "broker.rss_bytes";
/// `acks=all` as a number.
const ACKS_ALL: i16 = -1;

impl PerfToolsArgs {
    /// Runs all pairs, prints and saves the verdict.
    pub fn execute(&self) -> Result<ExitCode, PerfToolsError> {
        let [a, b] = wishes("perf-tools", &self.targets, self.millrace, self.kafka)?;
        if let Some(path) = &self.out {
            report::save::prepare(path)?;
        }
        let libraries = kafka::assemble(self.start.cache(), &terminal::line)?;
        let mut opened = [self.start.open(&a, "a")?, self.start.open(&b, "b")?];
        let mut remarks = vec![format!(
            "{} records of {} bytes a run, {} partitions, producer: {}",
            self.records,
            self.record_size,
            self.partitions,
            self.work()
                .producer
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(" ")
        )];
        let _warm = Warm::unless(self.no_feeder, None, &mut remarks)?;
        let mut durabilities = [String::new(), String::new()];
        for side in 0..2 {
            terminal::line(&format!("settling {}", opened[side].label));
            turn_to(&mut opened, side, true)?;
            durabilities[side] = self.round(&opened[side], &libraries)?.1;
        }
        let mut pairs: Vec<(Figures, Figures)> = Vec::new();
        for pair in 0..usize::from(self.pairs) {
            let mut figures = [Figures::new(), Figures::new()];
            for side in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
                if sys::interrupted() {
                    break;
                }
                let label = &opened[side].label;
                terminal::line(&format!("pair {} of {}: {label}", pair + 1, self.pairs));
                turn_to(&mut opened, side, true)?;
                figures[side] = self.round(&opened[side], &libraries)?.0;
                terminal::line(&shown(&figures[side]));
            }
            if sys::interrupted() {
                remarks.push("cut short: pairs that were not complete are left out".into());
                break;
            }
            let [a, b] = figures;
            pairs.push((a, b));
        }
        let labels = (opened[0].label.as_str(), opened[1].label.as_str());
        let [a, b] = durabilities;
        let comparison = compare::of_figures(labels, (a, b), &KINDS, &pairs, remarks);
        for line in comparison.lines() {
            terminal::line(&line);
        }
        if let Some(path) = &self.out {
            report::save::clear(path)?;
            report::save::json(&path.join("result.json"), &comparison)?;
            report::save::file(&path.join("pairs.csv"), comparison.csv().as_bytes())?;
            terminal::line(&format!("written: {}", path.join("result.json").display()));
        }
        Ok(if sys::interrupted() { ExitCode::from(CUT_SHORT) } else { ExitCode::SUCCESS })
    }

    fn work(&self) -> Work {
        let defaults = [("acks", "all"), ("batch.size", "131072"), ("linger.ms", "5")];
        let mut producer = self.producer_set.clone();
        for (name, value) in defaults {
            if !producer.iter().any(|(set, _)| set == name) {
                producer.push((name.into(), value.into()));
            }
        }
        let consumer = self.consumer_set.clone();
        Work { records: self.records, record_bytes: self.record_size, producer, consumer }
    }

    /// Produces into a new topic, consumes it, and deletes it: figures, and what an acknowledgement means.
    fn round(
        &self,
        target: &Opened,
        libraries: &PathBuf,
    ) -> Result<(Figures, String), PerfToolsError> {
        let topic = format!("perf-tools-{}", std::process::id());
        let wish = TopicWish {
            name: topic.clone(),
            partitions: Some(self.partitions),
            created_partitions: self.partitions,
            create: true,
            replicas: 1,
            configs: Vec::new(),
        };
        let ready = setup::prepare(&target.address, &wish)?;
        let broker = target.broker.as_ref().map(Broker::pid);
        let (bootstrap, core) = (target.address.as_str(), self.client_core);
        let tools = Tools { libraries, bootstrap, broker, core };
        let work = self.work();
        let failed = |source| PerfToolsError::Java { label: target.label.clone(), source };
        let mut figures = tools.produce(&topic, &work).map_err(failed)?;
        figures.extend(tools.consume(&topic, &work).map_err(failed)?);
        if let Some(sample) = broker.and_then(ProcessSample::read) {
            figures.insert(MEMORY.into(), sample.rss_bytes as f64);
        }
        ready.asker()?.delete_topic(&topic)?;
        Ok((figures, durability::read(&ready, ACKS_ALL).text))
    }
}

/// A run in one line.
fn shown(figures: &Figures) -> String {
    let value = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    format!(
        "  produced {:.1} MB/s (broker {:.2} s/GB), consumed {:.1} MB/s (broker {:.2} s/GB)",
        value("produce.bytes_per_s") / 1e6,
        value("produce.broker.cpu_s_per_gb"),
        value("consume.bytes_per_s") / 1e6,
        value("consume.broker.cpu_s_per_gb")
    )
}
