//! One librdkafka producer: hands over the records that are due, as long as there is room for them.

use std::rc::Rc;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

use super::event::{Event, Mark, Teller};
use super::settings;
use crate::batch::key::{self, KeyMix};
use crate::batch::payload::Chance;
use crate::batch::ring::Ring;
use crate::batch::stamp::{STAMP_BYTES, Stamp};
use crate::client::driver::RunError;
use crate::client::schedule::Schedule;
use crate::client::setup::{ASK_TIMEOUT, Target};
use crate::clock::Clock;
use crate::measure::recorder::Recorder;
use crate::measure::room::Room;
use crate::workload::Workload;

/// How long to wait when librdkafka has no room.
const FULL_NS: u64 = 1_000_000;

/// The values of a run; producers send them over and over.
pub struct Values(Ring);

impl Values {
    /// Makes them.
    pub fn new(workload: &Workload) -> Self {
        let mut chance = Chance::new(workload.seed);
        Self(Ring::new(&workload.sizes, workload.payload, per_batch(workload), &mut chance))
    }

    /// The largest, bytes.
    pub fn largest(&self) -> usize {
        (0..self.0.len()).map(|place| self.0.value(place).len()).max().unwrap_or(0)
    }
}

/// About how many of them fill a batch.
fn per_batch(workload: &Workload) -> usize {
    let mean = workload.sizes.mean().max(1.0) as usize;
    (workload.batch_bytes / mean).clamp(1, workload.batch_records.max(1))
}

/// Hears of deliveries, on librdkafka's thread.
struct Reports(Teller);

impl ClientContext for Reports {
    fn stats_raw(&self, json: &[u8]) {
        self.0.statistics(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.trouble(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Mark>;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: Box<Mark>) {
        let producer = self.0.instance;
        self.0.tell(match result {
            Ok(message) => Event::Acked {
                producer,
                mark: *mark,
                at_ns: self.0.clock.now_ns(),
                partition: message.partition(),
                offset: message.offset(),
            },
            Err((error, _)) => Event::Failed { producer, code: error.rdkafka_error_code() },
        });
    }
}

/// What all producers of a run share.
#[derive(Clone)]
pub struct Shared {
    /// The clock.
    pub clock: Clock,
    /// Stamped into the records.
    pub run: u32,
    /// Topic.
    pub topic: Rc<str>,
    /// Values.
    pub values: Rc<Values>,
}

/// A producer.
pub struct Producer {
    shared: Shared,
    index: usize,
    instance: ThreadedProducer<Reports>,
    schedule: Option<Schedule>,
    keys: KeyMix,
    chance: Chance,
    /// Number of the next record.
    next: u64,
    /// Records without a delivery report.
    pub outstanding: u64,
    /// Most of them in a closed loop: a batch for each request in flight, and the one that fills.
    outstanding_max: u64,
    /// Room for the next record.
    room: Room,
    full: bool,
    stopped: bool,
    value: Vec<u8>,
}

impl Producer {
    /// Starts an instance, and lets it find the topic.
    pub fn start(
        shared: Shared,
        workload: &Workload,
        target: &Target,
        teller: Teller,
    ) -> Result<Self, RunError> {
        let index = teller.instance;
        let config = settings::producer(workload, target, shared.values.largest());
        let instance: ThreadedProducer<Reports> = config.create_with_context(Reports(teller))?;
        instance.client().fetch_metadata(Some(&shared.topic), ASK_TIMEOUT)?;
        Ok(Self {
            index,
            instance,
            schedule: None,
            keys: workload.keys,
            chance: Chance::new(workload.seed ^ index as u64),
            next: 0,
            outstanding: 0,
            outstanding_max: (workload.in_flight as u64 + 1) * per_batch(workload) as u64,
            room: Room::default(),
            full: false,
            stopped: false,
            value: Vec::new(),
            shared,
        })
    }

    /// Sets when records are due; without a schedule it sends as fast as it can.
    pub fn plan(&mut self, schedule: Schedule) {
        self.schedule = Some(schedule);
    }

    /// Hands over nothing more.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The load is over: a closed loop stops, an open one still sends what was due.
    pub fn end_load(&mut self) {
        self.stopped |= self.schedule.is_none();
    }

    /// Whether nothing is on its way, nor was due by `now_ns` and may still be sent.
    pub fn idle(&self, now_ns: u64) -> bool {
        self.outstanding == 0 && (self.stopped || self.unsent(now_ns) == 0)
    }

    /// Records that were due by `now_ns` and never handed over.
    pub fn unsent(&self, now_ns: u64) -> u64 {
        let due = self.schedule.as_ref().map_or(0, |schedule| schedule.due_count(now_ns));
        due.saturating_sub(self.next)
    }

    /// Hands over what is due and fits. Returns when to come again (`u64::MAX`: a delivery report must come first).
    pub fn pump(&mut self, recorder: &mut Recorder) -> Result<u64, RDKafkaErrorCode> {
        while !self.stopped {
            let now_ns = self.shared.clock.now_ns();
            let due_ns = match &self.schedule {
                Some(schedule) => {
                    let due_ns = schedule.due_ns(self.next);
                    if due_ns >= schedule.end_ns() {
                        return Ok(u64::MAX);
                    }
                    if due_ns > now_ns {
                        return Ok(due_ns);
                    }
                    due_ns
                }
                None if self.outstanding >= self.outstanding_max => return Ok(u64::MAX),
                None => now_ns,
            };
            match self.hand_over(due_ns, now_ns) {
                Ok(()) => {}
                Err(RDKafkaErrorCode::QueueFull) => {
                    self.full = true;
                    return Ok(now_ns + FULL_NS);
                }
                Err(code) => return Err(code),
            }
            if self.full {
                self.full = false;
                self.room.opened(now_ns);
            }
            if self.schedule.is_some() {
                recorder.sent(1, due_ns, &mut self.room, now_ns);
            }
            self.next += 1;
            self.outstanding += 1;
        }
        Ok(u64::MAX)
    }

    fn hand_over(&mut self, due_ns: u64, now_ns: u64) -> Result<(), RDKafkaErrorCode> {
        let Shared { values, topic, run, .. } = &self.shared;
        let value = values.0.value((self.next % values.0.len() as u64) as usize);
        self.value.clear();
        self.value.extend_from_slice(value);
        if let Some(front) = self.value.first_chunk_mut::<STAMP_BYTES>() {
            let producer = self.index as u32;
            *front = Stamp { run: *run, producer, first: self.next, due_ns }.encode();
        }
        let mark = Mark { due_ns, sent_ns: now_ns, bytes: value.len() as u64 };
        let record = BaseRecord::with_opaque_to(topic, Box::new(mark)).payload(&self.value[..]);
        let key = (self.keys != KeyMix::None).then(|| key::bytes(self.keys.draw(&mut self.chance)));
        let record = match &key {
            Some(key) => record.key(&key[..]),
            None => record,
        };
        self.instance
            .send(record)
            .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
    }
}
