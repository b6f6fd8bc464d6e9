//! What the clients of a simulation know: what they sent, what was acknowledged, what they saw. It
//! outlives every crash, and rests on nothing that the engine keeps.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millrace_engine::types::{Offset, TopicId};

use super::batch::{BatchId, Found, is_same};
use super::commits::Commits;
use super::streams::Streams;

/// A topic's place in the ledger. Names are used again, places are not.
pub type TopicIndex = usize;

/// A partition of a topic in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which topic.
    pub topic: TopicIndex,
    /// Which partition.
    pub partition: i32,
}

/// Whether a topic exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// It was asked for; no answer came.
    Creating,
    /// It was acknowledged, or found.
    Live,
    /// Its deletion was asked for; no answer came.
    Deleting,
    /// Its deletion was acknowledged, or it was not found.
    Gone,
}

/// A topic as the clients know it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id, once known.
    pub id: Option<TopicId>,
    /// How many partitions it certainly has.
    pub partitions: i32,
    /// How many it may have: more were asked for.
    pub partitions_asked: i32,
    /// Whether it exists.
    pub existence: Existence,
    /// Largest batch that it takes; 0 if it is one of the broker's own. Bytes.
    pub batch_bytes_max: usize,
    /// The value of `flush.ms` that was acknowledged.
    pub setting: Option<i64>,
    /// Values that were asked for since.
    pub settings_asked: Vec<i64>,
    logs: BTreeMap<i32, Log>,
}

/// What must stand in a partition.
#[derive(Debug, Default, Clone)]
struct Log {
    /// Batches by base offset: behind the last record, and which batch. Each was acknowledged or seen.
    known: BTreeMap<Offset, (Offset, BatchId)>,
    /// Highest log start that was asked for.
    start_asked: Offset,
    /// Batches of which nobody knows whether they are there, and which are not sent again.
    unsure: BTreeSet<BatchId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody knows.
    Sent,
    /// It stands at this offset.
    Known(Offset),
    /// It was refused, or was not there after a crash: it never comes.
    Dead,
}

#[derive(Debug, Clone)]
struct Attempt {
    place: Place,
    bytes: Bytes,
    records: i32,
    fate: Fate,
}

/// See the module.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// All topics that ever were.
    pub topics: Vec<Topic>,
    /// Idempotent producers.
    pub streams: Streams,
    /// Offsets that groups committed.
    pub commits: Commits,
    /// Behind the last producer id that was given out.
    pub producer_ids_end: i64,
    /// The broker's cluster id, once told.
    pub cluster_id: Option<String>,
    attempts: BTreeMap<BatchId, Attempt>,
    next_id: BatchId,
    /// Batches that were acknowledged.
    pub acked: u64,
}

impl Ledger {
    /// The broker is gone, and with it everything that was under way.
    pub fn crashed(&mut self) {
        self.streams.crashed();
    }

    /// A topic is about to be asked for.
    pub fn creating(
        &mut self,
        name: String,
        partitions: i32,
        batch_bytes_max: usize,
    ) -> TopicIndex {
        self.topics.push(Topic {
            name,
            id: None,
            partitions,
            partitions_asked: partitions,
            existence: Existence::Creating,
            batch_bytes_max,
            setting: None,
            settings_asked: Vec::new(),
            logs: BTreeMap::new(),
        });
        self.topics.len() - 1
    }

    /// A topic.
    pub fn topic(&self, index: TopicIndex) -> &Topic {
        &self.topics[index]
    }

    /// A topic, to be changed.
    pub fn topic_mut(&mut self, index: TopicIndex) -> &mut Topic {
        &mut self.topics[index]
    }

    /// Whether no topic of this one's name was before it: no file can be another's.
    pub fn is_first_of_name(&self, index: TopicIndex) -> bool {
        let name = &self.topics[index].name;
        self.topics.iter().position(|topic| topic.name == *name) == Some(index)
    }

    /// The topic is gone.
    pub fn gone(&mut self, index: TopicIndex) {
        let topic = &mut self.topics[index];
        topic.existence = Existence::Gone;
        topic.logs.clear();
        self.attempts.retain(|_, attempt| attempt.place.topic != index);
        self.streams.gone(index);
        self.commits.gone(index);
    }

    /// Partitions of the workload's topics that certainly exist.
    pub fn places(&self) -> Vec<Place> {
        let is_live =
            |topic: &Topic| topic.existence == Existence::Live && topic.batch_bytes_max > 0;
        let live = self.topics.iter().enumerate().filter(|(_, topic)| is_live(topic));
        live.flat_map(|(topic, of)| {
            (0..of.partitions).map(move |partition| Place { topic, partition })
        })
        .collect()
    }

    /// A number for the next batch.
    pub fn next_batch(&mut self) -> BatchId {
        self.next_id += 1;
        self.next_id
    }

    /// A batch is about to be sent for the first time.
    pub fn sending(
        &mut self,
        id: BatchId,
        place: Place,
        records: i32,
        bytes: Bytes,
        is_sequenced: bool,
    ) {
        self.attempts.insert(id, Attempt { place, bytes, records, fate: Fate::Sent });
        // What is sent again may come although it was not there.
        if !is_sequenced {
            let log = self.topics[place.topic].logs.entry(place.partition).or_default();
            log.unsure.insert(id);
        }
    }

    /// What was sent; none once its topic is gone.
    pub fn sent(&self, id: BatchId) -> Option<Bytes> {
        self.attempts.get(&id).map(|attempt| attempt.bytes.clone())
    }

    /// Where a batch certainly stands.
    pub fn offset_of(&self, id: BatchId) -> Option<Offset> {
        match self.attempts.get(&id)?.fate {
            Fate::Known(offset) => Some(offset),
            Fate::Sent | Fate::Dead => None,
        }
    }

    /// A batch was refused for good.
    pub fn refused(&mut self, id: BatchId) {
        if let Some(attempt) = self.attempts.get_mut(&id)
            && attempt.fate == Fate::Sent
        {
            attempt.fate = Fate::Dead;
        }
    }

    /// A batch was acknowledged.
    ///
    /// # Errors
    /// It cannot be.
    pub fn acked(&mut self, id: BatchId, offset: Offset) -> Result<(), String> {
        self.acked += 1;
        let Some(attempt) = self.attempts.get(&id) else { return Ok(()) };
        let next = offset + i64::from(attempt.records);
        self.stands(id, offset, next, "acknowledged")
    }

    /// Offset behind everything that certainly stands in a partition.
    pub fn end(&self, place: Place) -> Offset {
        let log = self.topic(place.topic).logs.get(&place.partition);
        log.and_then(|log| log.known.last_key_value()).map_or(0, |(_, (next, _))| *next)
    }

    /// The highest log start that was asked for.
    pub fn start_asked(&self, place: Place) -> Offset {
        self.topic(place.topic).logs.get(&place.partition).map_or(0, |log| log.start_asked)
    }

    /// A log start is about to be asked for.
    pub fn starting(&mut self, place: Place, start: Offset) {
        let log = self.topics[place.topic].logs.entry(place.partition).or_default();
        log.start_asked = log.start_asked.max(start);
    }

    /// A batch was read.
    ///
    /// # Errors
    /// It should not be there, or not be so.
    pub fn seen(&mut self, place: Place, found: &Found<'_>) -> Result<(), String> {
        let Some(attempt) = self.attempts.get(&found.id) else {
            let name = &self.topic(place.topic).name;
            return Err(format!("{name} {place:?}: batch {found:?} was never sent there"));
        };
        if attempt.place != place {
            let (is, was) = (place, attempt.place);
            return Err(format!("batch {} stands in {is:?}, was sent to {was:?}", found.id));
        }
        if !is_same(&attempt.bytes, found.bytes) {
            return Err(format!(
                "batch {} at {} is not what was sent",
                found.id, found.base_offset
            ));
        }
        self.stands(found.id, found.base_offset, found.next_offset, "seen")
    }

    fn stands(
        &mut self,
        id: BatchId,
        offset: Offset,
        next: Offset,
        how: &str,
    ) -> Result<(), String> {
        let Some(attempt) = self.attempts.get_mut(&id) else { return Ok(()) };
        let place = attempt.place;
        let name = &self.topics[place.topic].name;
        let text = |what: &str| {
            Err(format!("{name}-{}: batch {id} is {how} at {offset}, {what}", place.partition))
        };
        match attempt.fate {
            Fate::Known(at) if at == offset => return Ok(()),
            Fate::Known(at) => return text(&format!("but stands at {at}: it is there twice")),
            Fate::Dead => return text("but was refused, or lost in a crash before"),
            Fate::Sent => {}
        }
        let log = self.topics[place.topic].logs.entry(place.partition).or_default();
        let before = log.known.range(..next).next_back();
        if let Some((base, (end, other))) = before.filter(|(_, (end, _))| *end > offset) {
            return Err(format!(
                "{place:?}: batch {id} is {how} at {offset}, where batch {other} ({base} to {end}) stands"
            ));
        }
        attempt.fate = Fate::Known(offset);
        log.known.insert(offset, (next, id));
        log.unsure.remove(&id);
        Ok(())
    }

    /// A whole partition was read from `start` to `end`, after a crash: `bases` are its batches. What
    /// was under way and is not there will never come.
    ///
    /// # Errors
    /// Something is missing.
    pub fn scanned(
        &mut self,
        place: Place,
        start: Offset,
        end: Offset,
        bases: &[Offset],
    ) -> Result<(), String> {
        let name = self.topic(place.topic).name.clone();
        let at = format!("{name}-{}", place.partition);
        let log = self.topics[place.topic].logs.entry(place.partition).or_default();
        if start > log.start_asked {
            return Err(format!("{at}: the log starts at {start}, asked was {}", log.start_asked));
        }
        log.known.retain(|base, _| *base >= start || bases.contains(base));
        for (base, (next, id)) in &log.known {
            if bases.binary_search(base).is_err() {
                return Err(format!(
                    "{at}: batch {id} ({base} to {next}) is LOST (log {start} to {end})"
                ));
            }
        }
        for id in std::mem::take(&mut log.unsure) {
            if let Some(attempt) = self.attempts.get_mut(&id)
                && attempt.fate == Fate::Sent
            {
                attempt.fate = Fate::Dead;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::batch::{build, take_apart};

    fn with_one() -> (Ledger, Place, BatchId, Bytes) {
        let mut ledger = Ledger::default();
        let topic = ledger.creating("t".to_owned(), 1, 1000);
        let place = Place { topic, partition: 0 };
        let id = ledger.next_batch();
        let bytes = build(id, 3, 100, 5, None);
        ledger.sending(id, place, 3, bytes.clone(), false);
        (ledger, place, id, bytes)
    }

    #[test]
    fn what_is_lost_doubled_or_changed_is_noticed() {
        let (mut ledger, place, id, bytes) = with_one();
        let (found, _) = take_apart(&bytes).unwrap();
        ledger.acked(id, 0).unwrap();
        ledger.seen(place, &found[0]).unwrap();
        assert!(ledger.acked(id, 3).unwrap_err().contains("twice"));
        let moved = Found { base_offset: 1, next_offset: 4, ..found[0] };
        assert!(ledger.seen(place, &moved).unwrap_err().contains("twice"));
        let mut changed = bytes.to_vec();
        changed[70] ^= 1;
        let changed = Found { bytes: &changed, ..found[0] };
        assert!(ledger.seen(place, &changed).unwrap_err().contains("not what was sent"));
        let other = ledger.next_batch();
        ledger.sending(other, place, 1, build(other, 1, 9, 5, None), false);
        assert!(ledger.acked(other, 2).unwrap_err().contains("stands"));
        ledger.scanned(place, 0, 3, &[0]).unwrap();
        assert!(ledger.acked(other, 3).unwrap_err().contains("lost"));
        assert!(ledger.scanned(place, 0, 0, &[]).unwrap_err().contains("LOST"));
        assert!(ledger.scanned(place, 3, 3, &[]).unwrap_err().contains("asked"));
        ledger.starting(place, 3);
        ledger.scanned(place, 3, 3, &[]).unwrap();
    }
}
