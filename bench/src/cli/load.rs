//! The flags that say what load to make: shared by all commands that make one.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::unit::{self, Rate};
use crate::batch::compression::Codec;
use crate::batch::key::KeyMix;
use crate::batch::payload::Payload;
use crate::batch::size::SizeMix;
use crate::client::choice::Client;
use crate::client::driver;
use crate::client::schedule::Step;
use crate::client::setup::{Target, TopicWish};
use crate::clock::Clock;
use crate::workload::{Pace, ReadFrom, Workload, WorkloadNote};

/// Steps of a ramp.
const RAMP_STEPS: u32 = 20;

/// Who has to have a record before it is acknowledged.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Acks {
    /// All in-sync replicas.
    #[value(alias = "-1")]
    All,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// Nobody.
    #[value(name = "0")]
    Nobody,
}

/// What load to make.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Records per second of all producers together (50k, 1M), bytes per second (100MiB/s), or max.
    #[arg(long, value_name = "N|max", default_value = "10k", value_parser = unit::rate)]
    pub rate: Rate,
    /// A stretch of another rate, such as 100k:10s; may be repeated. Replaces --rate and --duration.
    #[arg(long, value_name = "RATE:TIME", value_parser = unit::step)]
    pub step: Vec<(Rate, Duration)>,
    /// A rate that grows from the first to the second value over --duration, in twenty steps: 10k..100k.
    #[arg(long, value_name = "FROM..TO", value_parser = unit::ramp, conflicts_with = "step")]
    pub ramp: Option<(f64, f64)>,
    /// Measured time.
    #[arg(long, default_value = "20s", value_parser = unit::duration)]
    pub duration: Duration,
    /// Load before measuring.
    #[arg(long, default_value = "2s", value_parser = unit::duration)]
    pub warmup: Duration,
    /// Value size: 1KiB, a range 100..2KiB, or weights 100:70,1KiB:25,64KiB:5.
    #[arg(long, default_value = "1KiB")]
    pub record_size: SizeMix,
    /// Topic; it is created if it is not there. Without this, a topic is made for the run and deleted after it.
    #[arg(long)]
    pub topic: Option<String>,
    /// Partitions of the topic.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Replicas of a topic that the run creates.
    #[arg(long, default_value_t = 1)]
    pub replication_factor: i16,
    /// Configuration of a topic that the run creates; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = unit::pair)]
    pub topic_config: Vec<(String, String)>,
    /// The client that makes the load: this program's own, or librdkafka.
    #[arg(long, value_enum, default_value = "own")]
    pub client: Client,
    /// Producing connections.
    #[arg(long, visible_alias = "connections", default_value_t = 1)]
    pub producers: usize,
    /// Most requests in flight per producing connection.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub in_flight: u16,
    /// Most bytes per batch; a batch always holds at least one record.
    #[arg(long, default_value = "16KiB", value_parser = unit::bytes)]
    pub batch_size: u64,
    /// Most records per batch.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_records: u32,
    /// Most partitions per request; with keys, as many batches as are ready go together.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub request_partitions: u32,
    /// Keys: none, uniform:COUNT, zipf:COUNT or zipf:COUNT:EXPONENT; they decide each record's partition as Kafka's
    /// default partitioner does.
    #[arg(long, default_value = "none")]
    pub keys: KeyMix,
    /// Compression; each batch is compressed once and sent many times.
    #[arg(long, value_enum, default_value = "none")]
    pub compression: Codec,
    /// Value bytes to write before the load begins, as fast as they go in.
    #[arg(long, value_parser = unit::bytes)]
    pub prefill: Option<u64>,
    /// How long a batch may wait to fill (0: what is due is sent at once).
    #[arg(long, default_value = "0s", value_parser = unit::duration)]
    pub linger: Duration,
    /// Who has to have a record before it is acknowledged.
    #[arg(long, value_enum, default_value = "all")]
    pub acks: Acks,
    /// Produce with producer ids and sequences.
    #[arg(long)]
    pub idempotent: bool,
    /// What values hold.
    #[arg(long, value_enum, default_value = "json")]
    pub payload: Payload,
    /// Consuming connections; they share the partitions.
    #[arg(long, default_value_t = 1)]
    pub consumers: usize,
    /// Consumer groups (classic protocol, with heartbeats and commits); each has --consumers members and reads
    /// everything. 0: consumers without a group.
    #[arg(long, default_value_t = 0)]
    pub groups: usize,
    /// Most bytes per second that each consumer reads (10MiB/s): a slow consumer.
    #[arg(long, value_parser = unit::byte_rate)]
    pub consume_rate: Option<f64>,
    /// Where consumers begin: latest, earliest, or window:SIZE (the last SIZE bytes, over and over).
    #[arg(long, default_value = "latest", value_parser = read_from)]
    pub read: ReadFrom,
    /// Most bytes per fetch answer, and per partition in it.
    #[arg(long, default_value = "1MiB", value_parser = unit::bytes_i32)]
    pub fetch_size: i32,
    /// Fetches wait for this many bytes.
    #[arg(long, default_value = "1B", value_parser = unit::bytes_i32)]
    pub fetch_min: i32,
    /// Fetches wait at most this long.
    #[arg(long, default_value = "500ms", value_parser = unit::duration)]
    pub fetch_wait: Duration,
    /// Makes broken connections again and sends again what was on its way, instead of ending the run. Without
    /// --idempotent, that may double records.
    #[arg(long)]
    pub reconnect: bool,
    /// An answer that takes longer ends the run.
    #[arg(long, default_value = "30s", value_parser = unit::duration)]
    pub timeout: Duration,
    /// Never sleeps: takes a whole core, and saves the wake-up from every latency.
    #[arg(long)]
    pub spin: bool,
    /// Seed of sizes, keys and payloads.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// File with these flags: the project's TOML (names as here), or an OpenMessaging Benchmark workload (.yaml).
    /// Flags on the command line count more.
    #[arg(long, value_name = "FILE")]
    pub workload: Option<PathBuf>,
}

fn read_from(text: &str) -> Result<ReadFrom, String> {
    match text.split_once(':') {
        None if text == "latest" => Ok(ReadFrom::Latest),
        None if text == "earliest" => Ok(ReadFrom::Earliest),
        Some(("window", size)) => unit::bytes(size).map(ReadFrom::Window),
        _ => Err("say latest, earliest or window:SIZE".into()),
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

impl LoadArgs {
    /// Turns it into a load of one rate for one time.
    pub fn hold(&mut self, rate: Rate, time: Duration) {
        self.rate = rate;
        self.duration = time;
        self.step.clear();
        self.ramp = None;
    }

    /// Turns it into the same load for another time, without warm-up and filling.
    pub fn settle(&mut self, time: Duration) {
        let rate = self.step.first().map_or(self.rate, |step| step.0);
        self.hold(rate, time);
        self.warmup = Duration::ZERO;
        if self.producers > 0 {
            self.prefill = None; // who only reads needs something to read
        }
    }

    /// Whether the client can do what the flags say; if not, why.
    fn check_client(&self) -> Result<(), String> {
        self.client.version()?;
        if self.client == Client::Librdkafka && self.spin {
            return Err(
                "--spin is for --client own: librdkafka's threads sleep as they will".into()
            );
        }
        if self.client == Client::Librdkafka && self.compression == Codec::Zstd {
            return Err("--client librdkafka is built without zstd: say gzip, snappy or lz4".into());
        }
        Ok(())
    }

    /// Whether the flags fit together; if not, why.
    pub fn check(&self) -> Result<(), String> {
        let wrong = |text: &str| Err(text.to_owned());
        if self.producers == 0 && self.consumers == 0 {
            return wrong("--producers 0 and --consumers 0 leave nothing to do");
        }
        if self.producers == 0 && self.topic.is_none() && self.prefill.is_none() {
            return wrong("--producers 0 needs a --topic with records in it, or --prefill");
        }
        if self.idempotent && !matches!(self.acks, Acks::All) {
            return wrong("--idempotent needs --acks all");
        }
        if self.idempotent && self.in_flight > 5 {
            return wrong(
                "--idempotent allows at most --in-flight 5: brokers remember five batches",
            );
        }
        if self.timeout.is_zero() {
            return wrong("--timeout 0 would wait for no answer");
        }
        if self.replication_factor < 1 {
            return wrong("--replication-factor is at least 1");
        }
        if self.measured().is_zero() {
            return wrong("--duration 0 measures nothing");
        }
        if self.groups > 0 && self.consumers == 0 {
            return wrong("--groups needs --consumers, the members of each group");
        }
        if self.step.iter().any(|(rate, _)| *rate == Rate::Max) {
            return wrong("--step needs a rate; max is for --rate");
        }
        if self.batch_size > 1 << 30 {
            return wrong("--batch-size above 1 GiB does not fit a request");
        }
        self.check_client()
    }

    /// The measured time.
    pub fn measured(&self) -> Duration {
        if self.step.is_empty() { self.duration } else { self.step.iter().map(|step| step.1).sum() }
    }

    fn per_second(&self, rate: Rate) -> Option<f64> {
        match rate {
            Rate::Max => None,
            Rate::Records(rate) => Some(rate),
            Rate::Bytes(rate) => Some(rate / self.record_size.mean().max(1.0)),
        }
    }

    /// The rates of an open loop; none for a closed one.
    fn rates(&self) -> Vec<Step> {
        let step = |rate: Rate, time: Duration| {
            Some(Step { rate: self.per_second(rate)?, duration_ns: nanos(time) })
        };
        if let Some((from, to)) = self.ramp {
            let grow = (to - from) / f64::from(RAMP_STEPS - 1);
            let rate = |index: u32| Rate::Records(from + grow * f64::from(index));
            let time = self.duration / RAMP_STEPS;
            return (0..RAMP_STEPS).filter_map(|index| step(rate(index), time)).collect();
        }
        if self.step.is_empty() {
            return step(self.rate, self.duration).into_iter().collect();
        }
        self.step.iter().filter_map(|(rate, time)| step(*rate, *time)).collect()
    }

    /// The topic the load wants.
    pub fn wish(&self) -> TopicWish {
        let fresh = || format!("millrace-bench-{}", Clock::start().start_unix_ns() / 1_000_000);
        TopicWish {
            name: self.topic.clone().unwrap_or_else(fresh),
            partitions: self.partitions,
            created_partitions: 1,
            create: self.producers > 0 || self.prefill.is_some(),
            replicas: self.replication_factor,
            configs: self.topic_config.clone(),
        }
    }

    /// The load as it is driven.
    pub fn resolve(&self, wish: &TopicWish) -> Workload {
        let rates = self.rates();
        let pace = if rates.is_empty() {
            Pace::Closed
        } else {
            Pace::Open(driver::steps(nanos(self.warmup), &rates))
        };
        Workload {
            topic: wish.name.clone(),
            producers: self.producers,
            in_flight: usize::from(self.in_flight),
            pace,
            sizes: self.record_size.clone(),
            payload: self.payload,
            keys: self.keys,
            codec: self.compression,
            request_partitions: self.request_partitions as usize,
            batch_bytes: self.batch_size as usize,
            batch_records: self.batch_records as usize,
            linger_ns: nanos(self.linger),
            acks: match self.acks {
                Acks::All => -1,
                Acks::Leader => 1,
                Acks::Nobody => 0,
            },
            idempotent: self.idempotent,
            consumers: self.consumers,
            groups: self.groups,
            consume_rate: self.consume_rate,
            read_from: self.read,
            fetch_bytes: self.fetch_size,
            fetch_min_bytes: self.fetch_min,
            fetch_wait_ms: self.fetch_wait.as_millis() as i32,
            warmup_ns: nanos(self.warmup),
            duration_ns: nanos(self.measured()),
            limit_bytes: None,
            reconnect: self.reconnect,
            timeout_ns: nanos(self.timeout),
            spin: self.spin,
            seed: self.seed,
        }
    }

    /// The load that fills a topic with `bytes` of values: closed, in large batches, unmeasured.
    pub fn prefilling(&self, wish: &TopicWish, bytes: u64) -> Workload {
        Workload {
            producers: self.producers.clamp(1, 4),
            in_flight: 5,
            pace: Pace::Closed,
            batch_bytes: (self.batch_size as usize).max(128 << 10),
            linger_ns: 0,
            acks: -1,
            idempotent: false,
            consumers: 0,
            groups: 0,
            warmup_ns: 0,
            duration_ns: u64::MAX / 4,
            limit_bytes: Some(bytes),
            reconnect: false,
            spin: false,
            ..self.resolve(wish)
        }
    }

    /// The load as the result tells it.
    pub fn note(&self, workload: &Workload, target: &Target) -> WorkloadNote {
        let rates = self.rates();
        let mean = rates.iter().map(|step| step.rate).sum::<f64>() / rates.len().max(1) as f64;
        WorkloadNote {
            topic: workload.topic.clone(),
            partitions: target.partitions(),
            producers: workload.producers,
            in_flight: workload.in_flight,
            client: self.client,
            pace: if rates.is_empty() { "closed" } else { "open" }.into(),
            rate: (!rates.is_empty()).then_some(mean),
            record_size: workload.sizes.to_string(),
            keys: workload.keys.to_string(),
            compression: workload.codec,
            request_partitions: workload.request_partitions,
            batch_bytes: workload.batch_bytes,
            batch_records: workload.batch_records,
            linger_us: workload.linger_ns as f64 / 1e3,
            acks: workload.acks,
            idempotent: workload.idempotent,
            consumers: workload.consumers,
            groups: workload.groups,
            consume_rate: workload.consume_rate,
            fetch_bytes: workload.fetch_bytes,
            warmup_s: self.warmup.as_secs_f64(),
            duration_s: self.measured().as_secs_f64(),
            seed: workload.seed,
        }
    }
}
