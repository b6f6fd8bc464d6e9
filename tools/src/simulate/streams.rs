//! Idempotent producers: for each partition the next sequence number, and what was sent and not
//! acknowledged, which is sent again until it is.

use std::collections::{BTreeMap, VecDeque};

use millrace_engine::types::{ProducerEpoch, ProducerId};

use super::batch::BatchId;
use super::ledger::{Place, TopicIndex};

/// Most requests under way to one partition, as Kafka's clients have it.
pub const IN_FLIGHT_MAX: usize = 5;

/// A producer's place in the ledger.
pub type ProducerIndex = usize;

/// What a producer sends to one partition.
#[derive(Debug, Default, Clone)]
pub struct Stream {
    /// Sequence of the next new record.
    pub next_sequence: i32,
    /// Not acknowledged, in order.
    pub unacked: VecDeque<BatchId>,
    /// The last one that was acknowledged.
    pub last_acked: Option<BatchId>,
    /// Requests under way.
    pub in_flight: usize,
    /// Something failed: nothing new is sent before all of `unacked` has been sent again.
    pub is_broken: bool,
}

/// An idempotent producer.
#[derive(Debug, Clone)]
pub struct Producer {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    streams: BTreeMap<Place, Stream>,
}

/// All idempotent producers.
#[derive(Debug, Default, Clone)]
pub struct Streams {
    /// The producers.
    pub producers: Vec<Producer>,
}

impl Streams {
    /// A new producer.
    pub fn add(&mut self, id: ProducerId) -> ProducerIndex {
        self.producers.push(Producer { id, epoch: 0, streams: BTreeMap::new() });
        self.producers.len() - 1
    }

    /// What a producer sends to a partition.
    pub fn stream(&mut self, producer: ProducerIndex, place: Place) -> &mut Stream {
        self.producers[producer].streams.entry(place).or_default()
    }

    /// What it sends anywhere: partitions with something that must be sent again.
    pub fn broken(&self, producer: ProducerIndex) -> Vec<Place> {
        let streams = self.producers[producer].streams.iter();
        streams.filter(|(_, stream)| stream.is_broken).map(|(place, _)| *place).collect()
    }

    /// Partitions in which everything is acknowledged, and the last batch there.
    pub fn settled(&self, producer: ProducerIndex) -> Vec<(Place, BatchId)> {
        let streams = self.producers[producer].streams.iter();
        streams
            .filter(|(_, stream)| stream.unacked.is_empty())
            .filter_map(|(place, stream)| Some((*place, stream.last_acked?)))
            .collect()
    }

    /// A batch was acknowledged.
    pub fn acked(&mut self, producer: ProducerIndex, place: Place, id: BatchId) {
        let stream = self.stream(producer, place);
        stream.unacked.retain(|unacked| *unacked != id);
        stream.last_acked = stream.last_acked.max(Some(id));
    }

    /// A topic is gone.
    pub fn gone(&mut self, topic: TopicIndex) {
        for producer in &mut self.producers {
            producer.streams.retain(|place, _| place.topic != topic);
        }
    }

    /// The broker is gone, and with it everything that was under way.
    pub fn crashed(&mut self) {
        for producer in &mut self.producers {
            for stream in producer.streams.values_mut() {
                stream.in_flight = 0;
                stream.is_broken = !stream.unacked.is_empty();
            }
        }
    }
}
