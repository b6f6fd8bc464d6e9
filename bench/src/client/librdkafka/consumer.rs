//! One librdkafka consumer on a thread of its own: reads, and tells what came when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::event::{Arrival, Event, Teller};
use super::settings;
use crate::batch::stamp::Stamp;
use crate::client::consumer::Place;
use crate::client::driver::RunError;
use crate::client::setup::{ASK_TIMEOUT, Target};
use crate::clock::pause;
use crate::workload::Workload;

/// Longest wait for a record, and longest pause of a slow consumer, so that the end of the run is seen.
const NAP: Duration = Duration::from_millis(100);
/// Arrivals told at once.
const ARRIVALS: usize = 1000;

/// Hears what happens to a consumer.
struct Watcher(Teller);

impl ClientContext for Watcher {
    fn stats_raw(&self, json: &[u8]) {
        self.0.statistics(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.trouble(&error, reason);
    }
}

impl ConsumerContext for Watcher {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let partitions = match rebalance {
            Rebalance::Assign(list) => list.count(),
            Rebalance::Revoke(_) | Rebalance::Error(_) => 0,
        };
        self.0.tell(Event::Assigned { consumer: self.0.instance, partitions });
    }
}

/// What a consumer reads.
pub struct Task {
    /// Where it begins, by partition; of a group member, all partitions of the topic.
    pub places: BTreeMap<i32, Place>,
    /// The group's name. Without groups it is only a name.
    pub group: String,
    /// The run whose stamps count.
    pub run: u32,
    /// When to stop.
    pub over: Arc<AtomicBool>,
}

/// A consumer at work.
pub struct Reader {
    instance: BaseConsumer<Watcher>,
    task: Task,
    topic: String,
    rate: Option<f64>,
    arrivals: Vec<Arrival>,
}

/// Its partitions with the offsets they begin at.
fn starts(topic: &str, places: &BTreeMap<i32, Place>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, place) in places {
        list.add_partition_offset(topic, *partition, Offset::Offset(place.offset))?;
    }
    Ok(list)
}

/// Lets a group that has no members yet begin at the given places.
pub fn begin_group(
    workload: &Workload,
    target: &Target,
    group: &str,
    places: &BTreeMap<i32, Place>,
) -> Result<(), RunError> {
    let instance: BaseConsumer = settings::consumer(workload, target, group).create()?;
    instance.commit(&starts(&workload.topic, places)?, CommitMode::Sync)?;
    Ok(())
}

impl Reader {
    /// Starts an instance on a thread of its own.
    pub fn start(
        workload: &Workload,
        target: &Target,
        teller: Teller,
        task: Task,
    ) -> Result<JoinHandle<()>, RunError> {
        let name = format!("consumer-{}", teller.instance);
        let config = settings::consumer(workload, target, &task.group);
        let instance: BaseConsumer<Watcher> = config.create_with_context(Watcher(teller))?;
        if workload.groups > 0 {
            instance.subscribe(&[&workload.topic])?;
        } else {
            instance.assign(&starts(&workload.topic, &task.places)?)?;
        }
        let (topic, rate) = (workload.topic.clone(), workload.consume_rate);
        let reader = Self { instance, task, topic, rate, arrivals: Vec::new() };
        let what = "cannot start a consumer's thread";
        Builder::new()
            .name(name)
            .spawn(move || reader.read())
            .map_err(|source| RunError::System { what, source })
    }

    fn read(mut self) {
        let mut free_ns = 0;
        while !self.task.over.load(Ordering::Relaxed) {
            let now_ns = self.teller().clock.now_ns();
            if free_ns > now_ns {
                self.tell_arrivals();
                pause(Duration::from_nanos(free_ns - now_ns).min(NAP));
                continue;
            }
            let wait = if self.arrivals.is_empty() { NAP } else { Duration::ZERO };
            let bytes = self.one(wait);
            if let Some(rate) = self.rate {
                free_ns = free_ns.max(now_ns) + (bytes as f64 / rate * 1e9) as u64;
            }
        }
        self.tell_arrivals();
    }

    fn teller(&self) -> &Teller {
        &self.instance.context().0
    }

    /// Takes one record, if one comes in time. Answers the bytes of its value.
    fn one(&mut self, wait: Duration) -> u64 {
        let message = match self.instance.poll(wait) {
            None => {
                self.tell_arrivals();
                return 0;
            }
            Some(Err(error)) => {
                self.teller().tell(Event::FetchFailed(error.rdkafka_error_code()));
                return 0;
            }
            Some(Ok(message)) => message,
        };
        let at_ns = self.instance.context().0.clock.now_ns();
        let (partition, offset) = (message.partition(), message.offset());
        let stamp = message.payload().and_then(Stamp::decode);
        let stamp = stamp.filter(|stamp| stamp.run == self.task.run);
        let place = self.task.places.get(&partition);
        let rewinds = place.filter(|place| place.rewind_at != i64::MAX);
        let bytes = message.payload_len() as u64;
        self.arrivals.push(Arrival {
            at_ns,
            partition,
            offset,
            bytes,
            due_ns: stamp.map(|stamp| stamp.due_ns),
            old: rewinds.is_some(),
        });
        if let Some(place) = rewinds.filter(|place| offset + 1 >= place.rewind_at) {
            let to = Offset::Offset(place.rewind_to);
            if let Err(error) = self.instance.seek(&self.topic, partition, to, ASK_TIMEOUT) {
                self.teller().tell(Event::FetchFailed(error.rdkafka_error_code()));
            }
        }
        if self.arrivals.len() >= ARRIVALS {
            self.tell_arrivals();
        }
        bytes
    }

    fn tell_arrivals(&mut self) {
        if !self.arrivals.is_empty() {
            let arrivals = std::mem::take(&mut self.arrivals);
            self.teller().tell(Event::Arrived(arrivals));
        }
    }
}
