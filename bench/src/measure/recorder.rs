//! Collects what happens during a run: histograms of the measured window, counters, and one entry per second.

use std::collections::BTreeMap;
use std::ops::Range;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::latency::{Summary, heat, histogram};
use super::log::Log;
use super::room::{LATE_NS, Room};

/// Counters over the measured window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records acknowledged.
    pub acked_records: u64,
    /// Their value bytes.
    pub acked_bytes: u64,
    /// Their batch bytes.
    pub acked_batch_bytes: u64,
    /// Produce requests answered.
    pub produce_requests: u64,
    /// Records consumed.
    pub consumed_records: u64,
    /// Value bytes consumed (batch bytes where batches are compressed).
    pub consumed_bytes: u64,
    /// Batch bytes consumed.
    pub consumed_batch_bytes: u64,
    /// Fetch requests answered.
    pub fetch_requests: u64,
    /// Records sent more than `LATE_NS` after they were ready to go.
    pub late_sends: u64,
    /// Those of them that were late by the generator's own fault: see `Room`.
    pub late_by_client: u64,
}

/// One second of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Second {
    /// End of the second since the start of the load.
    pub at_s: f64,
    /// Still warming up.
    pub warmup: bool,
    /// Records acknowledged.
    pub produced_records: u64,
    /// Value bytes acknowledged.
    pub produced_bytes: u64,
    /// Value bytes consumed.
    pub consumed_bytes: u64,
    /// Produce latency of records acknowledged in it.
    pub produce_latency_us: Summary,
    /// End-to-end latency of records received in it.
    pub end_to_end_latency_us: Summary,
    /// CPU time of the broker, seconds (null where unknown).
    pub broker_cpu_s: Option<f64>,
    /// CPU time of the generator, seconds.
    pub client_cpu_s: f64,
    /// Errors.
    pub errors: u64,
    /// Produce latencies counted by `latency::bucket`, as `[bucket, records]`.
    #[serde(default)]
    pub produce_heat: Vec<[u64; 2]>,
    /// End-to-end latencies, likewise.
    #[serde(default)]
    pub end_to_end_heat: Vec<[u64; 2]>,
}

/// A stretch of a run whose latencies are told apart from the rest.
pub struct Phase {
    /// When its records are due, nanoseconds of the run's clock.
    pub span: Range<u64>,
    /// Produce latency of its records.
    pub produce: Histogram<u64>,
    /// Records acknowledged in it.
    pub acked_records: u64,
}

/// Everything recorded so far.
pub struct Recorder {
    /// When records must be due to count, nanoseconds of the run's clock.
    pub window: Range<u64>,
    /// Counters of the window.
    pub counters: Counters,
    /// Latency from the due time to the acknowledgement.
    pub produce: Histogram<u64>,
    /// Latency from the send to the acknowledgement.
    pub service: Histogram<u64>,
    /// Latency from the due time to the arrival at a consumer.
    pub end_to_end: Histogram<u64>,
    /// How late the generator's own loop woke.
    pub lag: Histogram<u64>,
    /// Errors by name, of the whole run.
    pub errors: BTreeMap<String, u64>,
    /// Phases, in order.
    pub phases: Vec<Phase>,
    second_produce: Histogram<u64>,
    second_end_to_end: Histogram<u64>,
    second: (u64, u64, u64, u64),
    /// One entry per second.
    pub seconds: Vec<Second>,
    /// The seconds' histograms, encoded: as histograms they would fill memory in a long run.
    pub log: Log,
}

/// An acknowledged batch.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Records.
    pub records: u64,
    /// Value bytes.
    pub bytes: u64,
    /// Batch bytes.
    pub batch_bytes: u64,
    /// When it was written to the socket.
    pub sent_ns: u64,
    /// When its answer was read.
    pub acked_ns: u64,
}

impl Recorder {
    /// Records for the given window, and for phases of the given spans.
    pub fn new(window: Range<u64>, phases: &[Range<u64>]) -> Self {
        let phase = |span: &Range<u64>| Phase {
            span: span.clone(),
            produce: histogram(),
            acked_records: 0,
        };
        Self {
            window,
            counters: Counters::default(),
            produce: histogram(),
            service: histogram(),
            end_to_end: histogram(),
            lag: histogram(),
            errors: BTreeMap::new(),
            phases: phases.iter().map(phase).collect(),
            second_produce: histogram(),
            second_end_to_end: histogram(),
            second: (0, 0, 0, 0),
            seconds: Vec::new(),
            log: Log::default(),
        }
    }

    /// A batch came back; its records were due at the given times (as `(due_ns, records)`).
    pub fn acked(&mut self, acked: &Acked, dues: impl Iterator<Item = (u64, u64)>) {
        for (due_ns, records) in dues {
            let latency = acked.acked_ns.saturating_sub(due_ns);
            self.second_produce.saturating_record_n(latency, records);
            if self.window.contains(&due_ns) {
                self.produce.saturating_record_n(latency, records);
            }
            if !self.phases.is_empty() {
                let at = self.phases.partition_point(|phase| phase.span.end <= due_ns);
                if let Some(phase) = self.phases.get_mut(at) {
                    phase.produce.saturating_record_n(latency, records);
                    phase.acked_records += records;
                }
            }
        }
        if self.window.contains(&acked.sent_ns) {
            let service = acked.acked_ns.saturating_sub(acked.sent_ns);
            self.service.saturating_record_n(service, acked.records);
        }
        self.second.0 += acked.records;
        self.second.1 += acked.bytes;
        if self.window.contains(&acked.acked_ns) {
            self.counters.acked_records += acked.records;
            self.counters.acked_bytes += acked.bytes;
            self.counters.acked_batch_bytes += acked.batch_bytes;
        }
    }

    /// A produce request was answered.
    pub fn produced(&mut self, now_ns: u64) {
        if self.window.contains(&now_ns) {
            self.counters.produce_requests += 1;
        }
    }

    /// `records` with `bytes` of values in `batch_bytes` of batches arrived at a consumer.
    pub fn consumed(&mut self, records: u64, bytes: u64, batch_bytes: u64, now_ns: u64) {
        self.second.2 += bytes;
        if self.window.contains(&now_ns) {
            self.counters.consumed_records += records;
            self.counters.consumed_bytes += bytes;
            self.counters.consumed_batch_bytes += batch_bytes;
        }
    }

    /// A fetch was answered.
    pub fn fetched(&mut self, now_ns: u64) {
        if self.window.contains(&now_ns) {
            self.counters.fetch_requests += 1;
        }
    }

    /// `records` due at `due_ns` arrived at a consumer.
    pub fn arrived(&mut self, due_ns: u64, records: u64, now_ns: u64) {
        let latency = now_ns.saturating_sub(due_ns);
        self.second_end_to_end.saturating_record_n(latency, records);
        if self.window.contains(&due_ns) {
            self.end_to_end.saturating_record_n(latency, records);
        }
    }

    /// `records` that were ready at `ready_ns` went out at `sent_ns`, as there was `room`.
    pub fn sent(&mut self, records: u64, ready_ns: u64, room: &mut Room, sent_ns: u64) {
        let late_by_client = room.late_by_sender(ready_ns, sent_ns);
        if !self.window.contains(&ready_ns) || sent_ns <= ready_ns + LATE_NS {
            return;
        }
        self.counters.late_sends += records;
        if late_by_client {
            self.counters.late_by_client += records;
        }
    }

    /// The loop wanted to wake at `wanted_ns` and did so at `now_ns`.
    pub fn woke(&mut self, wanted_ns: u64, now_ns: u64) {
        if self.window.contains(&now_ns) {
            self.lag.saturating_record(now_ns.saturating_sub(wanted_ns));
        }
    }

    /// Something went wrong.
    pub fn error(&mut self, name: impl Into<String>) {
        *self.errors.entry(name.into()).or_default() += 1;
        self.second.3 += 1;
    }

    /// All errors.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Closes a second that lasted over `span`; the load began at `begin_ns`.
    pub fn close_second(
        &mut self,
        begin_ns: u64,
        span: Range<u64>,
        broker_cpu_s: Option<f64>,
        client_cpu_s: f64,
    ) -> &Second {
        let (produced_records, produced_bytes, consumed_bytes, errors) =
            std::mem::take(&mut self.second);
        let second = Second {
            at_s: span.end.saturating_sub(begin_ns) as f64 / 1e9,
            warmup: span.start + span.end < 2 * self.window.start,
            produced_records,
            produced_bytes,
            consumed_bytes,
            produce_latency_us: Summary::of(&self.second_produce),
            end_to_end_latency_us: Summary::of(&self.second_end_to_end),
            broker_cpu_s,
            client_cpu_s,
            errors,
            produce_heat: heat(&self.second_produce),
            end_to_end_heat: heat(&self.second_end_to_end),
        };
        self.log.push("produce", &span, &self.second_produce);
        self.log.push("end_to_end", &span, &self.second_end_to_end);
        self.second_produce.reset();
        self.second_end_to_end.reset();
        self.seconds.push(second);
        &self.seconds[self.seconds.len() - 1]
    }

    /// Adds what another run recorded; its seconds follow these.
    pub fn append(&mut self, other: &Self) {
        let mut counters = self.counters;
        let more = &other.counters;
        counters.acked_records += more.acked_records;
        counters.acked_bytes += more.acked_bytes;
        counters.acked_batch_bytes += more.acked_batch_bytes;
        counters.produce_requests += more.produce_requests;
        counters.consumed_records += more.consumed_records;
        counters.consumed_bytes += more.consumed_bytes;
        counters.consumed_batch_bytes += more.consumed_batch_bytes;
        counters.fetch_requests += more.fetch_requests;
        counters.late_sends += more.late_sends;
        counters.late_by_client += more.late_by_client;
        self.counters = counters;
        for (mine, theirs) in [
            (&mut self.produce, &other.produce),
            (&mut self.service, &other.service),
            (&mut self.end_to_end, &other.end_to_end),
            (&mut self.lag, &other.lag),
        ] {
            mine.add(theirs).expect("all histograms of a run have the same bounds");
        }
        for (name, count) in &other.errors {
            *self.errors.entry(name.clone()).or_default() += count;
        }
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            mine.produce.add(&theirs.produce).expect("the same bounds");
            mine.acked_records += theirs.acked_records;
        }
        let offset_s = self.seconds.last().map_or(0.0, |second| second.at_s);
        self.seconds.extend(other.seconds.iter().map(|second| {
            let mut second = second.clone();
            second.at_s += offset_s;
            second
        }));
        self.log.append(&other.log);
    }
}
