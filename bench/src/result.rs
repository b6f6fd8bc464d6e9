//! The result file of a run, `result.json`: a versioned schema that scripts may rely on.
//!
//! Numbers that are not known are null, never zero. GB are 10^9 bytes. `bytes` of produced records are value bytes; so are
//! consumed bytes, except of compressed batches, which consumers do not unpack: those count as they came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::batch::compression::Codec;
use crate::client::choice;
use crate::client::outcome::Outcome;
use crate::floor::Floor;
use crate::measure::latency::{Summary, curve};
use crate::measure::recorder::{Phase, Recorder, Second};
use crate::measure::used::Used;
use crate::stages::fetch::FetchStages;
use crate::stages::note::Stages;
use crate::target::durability::Durability;
use crate::workload::WorkloadNote;

/// Version of the schema; raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// A run's result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    pub schema: u32,
    pub tool: String,
    pub command: Vec<String>,
    pub started_unix_ms: u64,
    /// What this file is: `run`.
    pub kind: String,
    /// Why the run ended early; null for a whole run.
    pub partial: Option<String>,
    pub workload: WorkloadNote,
    pub target: TargetNote,
    pub measured_s: f64,
    pub produce: Option<Produce>,
    pub end_to_end: EndToEnd,
    pub consume: Option<Consume>,
    pub client: Client,
    pub broker: Broker,
    pub disk: Disk,
    pub errors: u64,
    pub errors_by_name: BTreeMap<String, u64>,
    pub late_sends: u64,
    pub late_sends_by_client: u64,
    pub skipped_sends: u64,
    pub unanswered: u64,
    pub reconnects: u64,
    /// What a reader should know before believing the figures.
    pub remarks: Vec<String>,
    /// Stretches of different rates, where there are any.
    pub phases: Vec<PhaseNote>,
    /// Where the broker says the time of produce requests went; null where it does not.
    #[serde(default)]
    pub stages: Option<Stages>,
    /// The same of fetch requests.
    #[serde(default)]
    pub fetch_stages: Option<FetchStages>,
    /// What the machine can do, where it was measured beside.
    pub floor: Option<Floor>,
    pub curves: Curves,
    pub seconds: Vec<Second>,
}

/// A stretch of one rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhaseNote {
    pub from_s: f64,
    pub to_s: f64,
    pub acked_records: u64,
    pub latency_us: Summary,
}

/// Percentile curves, as `[quantile, microseconds]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Curves {
    pub produce: Vec<[f64; 2]>,
    pub service: Vec<[f64; 2]>,
    pub end_to_end: Vec<[f64; 2]>,
}

/// Whom the run was against.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetNote {
    pub bootstrap: String,
    pub cluster: Option<String>,
    pub kind: Option<String>,
    pub command: Option<String>,
    pub brokers: usize,
    pub produce_version: i16,
    pub fetch_version: i16,
    pub durability: Durability,
}

/// What producing came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Produce {
    pub latency_us: Summary,
    pub service_us: Summary,
    pub records: u64,
    pub bytes: u64,
    pub requests: u64,
    pub records_per_s: f64,
    pub bytes_per_s: f64,
    /// Null where the client does not tell.
    pub batch_bytes_per_s: Option<f64>,
    pub requests_per_s: f64,
}

/// Latency from the due time to a consumer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndToEnd {
    pub latency_us: Summary,
}

/// What consuming came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consume {
    pub records: u64,
    pub bytes: u64,
    pub requests: u64,
    pub records_per_s: f64,
    pub bytes_per_s: f64,
    /// Null where the client does not tell.
    pub batch_bytes_per_s: Option<f64>,
    pub requests_per_s: f64,
}

/// What made the loads of results that do not say it.
fn own() -> String {
    "own".into()
}

/// What the generator used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Client {
    /// Its name and version.
    #[serde(default = "own")]
    pub name: String,
    pub cpu_s: f64,
    /// Share of one core.
    pub cores: f64,
    pub cpu_s_per_gb: Option<f64>,
    pub cpu_us_per_request: Option<f64>,
    pub rss_max_bytes: u64,
    pub switches: u64,
    pub lag_us: Summary,
    /// The generator, not the target, was what limited the run.
    pub was_the_limit: bool,
}

/// What the broker used; null where its process is not known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Broker {
    pub pid: Option<u32>,
    pub cpu_s: Option<f64>,
    pub cores: Option<f64>,
    pub cpu_s_per_gb: Option<f64>,
    pub cpu_us_per_request: Option<f64>,
    pub rss_bytes: Option<u64>,
    pub rss_max_bytes: Option<u64>,
    pub switches: Option<u64>,
    pub threads: Option<u64>,
    pub written_bytes: Option<u64>,
}

/// What the machine's disks did, whoever caused it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disk {
    pub written_bytes: u64,
    pub read_bytes: u64,
    pub written_per_produced_byte: Option<f64>,
    pub writes_per_s: f64,
    pub flushes_per_s: f64,
}

/// What is known about a run besides its outcome.
#[derive(Clone)]
pub struct Context {
    /// The command line.
    pub command: Vec<String>,
    /// The workload.
    pub workload: WorkloadNote,
    /// The target.
    pub target: TargetNote,
    /// The broker's process.
    pub broker_pid: Option<u32>,
}

fn per(amount: f64, units: f64) -> Option<f64> {
    (units > 0.0).then(|| amount / units)
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl RunResult {
    /// Puts the figures of a run together.
    pub fn new(context: Context, outcome: &Outcome) -> Self {
        let Context { command, workload, target, broker_pid } = context;
        let Outcome { recorder, used, .. } = outcome;
        let measured_s = used.time_ns as f64 / 1e9;
        let counters = &recorder.counters;
        let rate = |amount: u64| if measured_s > 0.0 { amount as f64 / measured_s } else { 0.0 };
        let gb = (counters.acked_bytes + counters.consumed_bytes) as f64 / 1e9;
        let requests = (counters.produce_requests + counters.fetch_requests) as f64;
        let batches = workload.client == choice::Client::Own;
        let produce = (workload.producers > 0).then(|| Produce {
            latency_us: Summary::of(&recorder.produce),
            service_us: Summary::of(&recorder.service),
            records: counters.acked_records,
            bytes: counters.acked_bytes,
            requests: counters.produce_requests,
            records_per_s: round(rate(counters.acked_records)),
            bytes_per_s: round(rate(counters.acked_bytes)),
            batch_bytes_per_s: batches.then(|| round(rate(counters.acked_batch_bytes))),
            requests_per_s: round(rate(counters.produce_requests)),
        });
        let consume = (workload.consumers > 0).then(|| Consume {
            records: counters.consumed_records,
            bytes: counters.consumed_bytes,
            requests: counters.fetch_requests,
            records_per_s: round(rate(counters.consumed_records)),
            bytes_per_s: round(rate(counters.consumed_bytes)),
            batch_bytes_per_s: batches.then(|| round(rate(counters.consumed_batch_bytes))),
            requests_per_s: round(rate(counters.fetch_requests)),
        });
        let client = client(workload.client, outcome, measured_s, (gb, requests));
        let (device, written) = (&used.device, used.device.written_bytes);
        let told = outcome.stages.as_ref().ok();
        let mut result = Self {
            schema: SCHEMA,
            kind: "run".into(),
            tool: concat!("millrace-bench ", env!("CARGO_PKG_VERSION")).into(),
            command,
            started_unix_ms: outcome.start_unix_ns / 1_000_000,
            partial: outcome.cut_short.clone(),
            target,
            measured_s: round(measured_s),
            produce,
            end_to_end: EndToEnd { latency_us: Summary::of(&recorder.end_to_end) },
            consume,
            client,
            broker: broker(broker_pid, used, measured_s, gb, requests),
            disk: Disk {
                written_bytes: written,
                read_bytes: device.read_bytes,
                written_per_produced_byte: per(written as f64, counters.acked_bytes as f64)
                    .map(round),
                writes_per_s: round(rate(device.writes)),
                flushes_per_s: round(rate(device.flushes)),
            },
            errors: recorder.error_count(),
            errors_by_name: recorder.errors.clone(),
            late_sends: counters.late_sends,
            late_sends_by_client: counters.late_by_client,
            skipped_sends: outcome.unsent,
            unanswered: outcome.unanswered,
            reconnects: outcome.reconnects,
            phases: phases(recorder),
            stages: told.and_then(Stages::of),
            fetch_stages: told.and_then(|told| told.fetch.as_ref()).and_then(FetchStages::of),
            floor: None,
            curves: Curves {
                produce: curve(&recorder.produce),
                service: curve(&recorder.service),
                end_to_end: curve(&recorder.end_to_end),
            },
            remarks: Vec::new(),
            seconds: recorder.seconds.clone(),
            workload,
        };
        result.remark(outcome);
        result
    }

    /// Whether records were to be produced and the target acknowledged none.
    pub fn in_vain(&self) -> bool {
        self.errors > 0 && self.produce.as_ref().is_some_and(|produce| produce.records == 0)
    }

    fn remark(&mut self, outcome: &Outcome) {
        let mut remarks = Vec::new();
        if let Some(reason) = &self.partial {
            remarks.push(format!("the run ended early: {reason}"));
        }
        if self.in_vain() {
            remarks.push("the target acknowledged no record".into());
        }
        if self.workload.pace == "closed" && self.workload.producers > 0 {
            remarks.push(
                "closed loop: each send waited for an answer, so latencies do not include the time records would have queued"
                    .into(),
            );
        }
        if self.workload.acks == 0 {
            remarks.push("acks=0: latencies are only those of the write to the socket".into());
        }
        if self.workload.consumers > 0 && self.workload.producers > 0 && outcome.untracked {
            remarks.push(
                "records of this workload cannot be followed to consumers: no end-to-end latency"
                    .into(),
            );
        }
        if self.workload.client == choice::Client::Librdkafka {
            remarks.push("librdkafka made the load: service time begins where a record is handed to it, so its queueing and linger are in it; it packs batches and requests as it sees fit, and connects again by itself".into());
        } else if self.workload.compression != Codec::None {
            remarks.push("each batch was compressed once and sent many times: the generator's CPU does not include compressing, and compressed consumed bytes count as they came".into());
        }
        if self.reconnects > 0 {
            remarks.push(format!("{} connections broke and were made again", self.reconnects));
        }
        if self.skipped_sends > 0 {
            remarks.push(format!(
                "the target fell behind: {} records that were due had not been sent at the end, and their waiting is not in the latencies",
                self.skipped_sends
            ));
        }
        let sent = self.produce.as_ref().map_or(0, |produce| produce.latency_us.count).max(1);
        let late = self.late_sends_by_client as f64 / sent as f64;
        if self.client.was_the_limit {
            remarks.push(
                "the generator was the limit: its core was busy, or it sent late by its own fault; the target may be able to do more"
                    .into(),
            );
        } else if late > LATE_WORTH_SAYING {
            remarks.push(format!(
                "{:.1} % of the records went out more than 1 ms late by the generator's own fault (its core was taken); that is part of their latency",
                late * 100.0
            ));
        }
        if let Err(Some(missing)) = &outcome.stages {
            remarks.push(missing.clone());
        }
        self.remarks = remarks;
    }
}

/// From this share of its core on, the generator is taken to be the limit of a closed loop.
const BUSY_CORES: f64 = 0.95;
/// In an open loop it is the limit when this share of records went out late by its own fault.
const LATE_SHARE: f64 = 0.05;
/// From this share on, it is mentioned.
const LATE_WORTH_SAYING: f64 = 0.001;

fn client(
    kind: choice::Client,
    outcome: &Outcome,
    measured_s: f64,
    (gb, requests): (f64, f64),
) -> Client {
    let Outcome { recorder, used, .. } = outcome;
    let counters = &recorder.counters;
    let cpu_s = used.client.cpu_us as f64 / 1e6;
    let cores = per(cpu_s, measured_s).unwrap_or(0.0);
    let late = counters.late_by_client as f64 > LATE_SHARE * counters.acked_records.max(1) as f64;
    let name = match kind {
        choice::Client::Own => "own",
        choice::Client::Librdkafka => "librdkafka",
    };
    Client {
        name: format!("{name} {}", kind.version().unwrap_or_default()),
        cpu_s: round(cpu_s),
        cores: round(cores),
        cpu_s_per_gb: per(cpu_s, gb).map(round),
        cpu_us_per_request: per(cpu_s * 1e6, requests).map(round),
        rss_max_bytes: used.client.rss_max_bytes,
        switches: used.client.switches,
        lag_us: Summary::of(&recorder.lag),
        was_the_limit: cores >= BUSY_CORES || late,
    }
}

fn broker(pid: Option<u32>, used: &Used, measured_s: f64, gb: f64, requests: f64) -> Broker {
    let broker = used.broker;
    let cpu_s = broker.map(|broker| broker.cpu_us as f64 / 1e6);
    Broker {
        pid,
        cpu_s: cpu_s.map(round),
        cores: cpu_s.and_then(|cpu_s| per(cpu_s, measured_s)).map(round),
        cpu_s_per_gb: cpu_s.and_then(|cpu_s| per(cpu_s, gb)).map(round),
        cpu_us_per_request: cpu_s.and_then(|cpu_s| per(cpu_s * 1e6, requests)).map(round),
        rss_bytes: broker.map(|broker| broker.rss_bytes),
        rss_max_bytes: broker.map(|broker| broker.rss_max_bytes),
        switches: broker.map(|broker| broker.switches),
        threads: broker.map(|broker| broker.threads),
        written_bytes: broker.map(|broker| broker.written_bytes),
    }
}

fn phases(recorder: &Recorder) -> Vec<PhaseNote> {
    let begin_ns = recorder.phases.first().map_or(0, |phase| phase.span.start);
    let seconds = |ns: u64| round(ns.saturating_sub(begin_ns) as f64 / 1e9);
    let note = |phase: &Phase| PhaseNote {
        from_s: seconds(phase.span.start),
        to_s: seconds(phase.span.end),
        acked_records: phase.acked_records,
        latency_us: Summary::of(&phase.produce),
    };
    recorder.phases.iter().map(note).collect()
}
