//! What librdkafka's threads tell the run.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

use crate::clock::Clock;
use crate::error;

/// A record that was handed over, as it comes back with its delivery report.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// When it was due, nanoseconds of the run's clock.
    pub due_ns: u64,
    /// When it was handed over.
    pub sent_ns: u64,
    /// Bytes of its value.
    pub bytes: u64,
}

/// A record that came to a consumer.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When.
    pub at_ns: u64,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Bytes of its value.
    pub bytes: u64,
    /// When it was due, if it says so.
    pub due_ns: Option<u64>,
    /// Whether it was there before the run, and has no arrival time worth knowing.
    pub old: bool,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// A record was acknowledged.
    Acked { producer: usize, mark: Mark, at_ns: u64, partition: i32, offset: i64 },
    /// A record was given up.
    Failed { producer: usize, code: Option<RDKafkaErrorCode> },
    /// Records came to a consumer.
    Arrived(Vec<Arrival>),
    /// Reading failed.
    FetchFailed(Option<RDKafkaErrorCode>),
    /// A group member was given so many partitions.
    Assigned { consumer: usize, partitions: usize },
    /// How many requests an instance has sent so far.
    Requests { instance: usize, at_ns: u64, count: u64 },
    /// No broker can be reached.
    Down(String),
}

/// Tells the run what one instance's callbacks see.
pub struct Teller {
    /// The run's clock.
    pub clock: Clock,
    /// Where to.
    pub events: Sender<Event>,
    /// The instance: producers first, then consumers.
    pub instance: usize,
    /// The requests that count: `Produce` or `Fetch`.
    pub counted: &'static str,
}

/// The part of librdkafka's statistics that is read.
#[derive(Deserialize)]
struct Statistics {
    brokers: BTreeMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    req: BTreeMap<String, u64>,
}

impl Teller {
    /// Tells it. A run that is over no longer listens.
    pub fn tell(&self, event: Event) {
        self.events.send(event).ok();
    }

    /// Statistics came in.
    pub fn statistics(&self, json: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(json) else { return };
        let count = statistics.brokers.values().filter_map(|broker| broker.req.get(self.counted));
        let (instance, at_ns) = (self.instance, self.clock.now_ns());
        self.tell(Event::Requests { instance, at_ns, count: count.sum() });
    }

    /// librdkafka says that something is wrong, and tries again by itself.
    pub fn trouble(&self, error: &KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.tell(Event::Down(reason.to_owned()));
        }
    }
}

/// The name of an error: Kafka's where the broker said it, librdkafka's where it did.
pub fn name(code: Option<RDKafkaErrorCode>) -> String {
    let Some(code) = code else { return "unknown".into() };
    match i16::try_from(code as i32) {
        Ok(wire) if wire > 0 => error::name(wire),
        _ => code.to_string(),
    }
}
