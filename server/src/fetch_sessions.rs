//! Incremental fetch sessions (KIP-227): what a consumer fetches is remembered, so that its requests and
//! the answers name only what changed.
//!
//! A session lives on the shard of the connection that began it. A client that comes back on another
//! shard is told that there is no such session, and begins a new one.

use std::collections::BTreeMap;

use millrace_engine::codec::Str;
use millrace_engine::types::{LeaderEpoch, Nanos, Offset, Uuid};

use crate::protocol::ErrorCode;
use crate::protocol::messages::fetch::{FetchRequest, FetchResponsePartition};

/// The first version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;
/// Session epochs with a meaning of their own.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;
/// A session that nobody used for so long, or that is at least so old and smaller, makes room. As in Kafka.
const EVICTION_MS: u64 = 120_000;
/// Partitions that all sessions of a shard remember together. More get no session, which is always legal.
const PARTITIONS_MAX: usize = 200_000;

/// A topic as the request's version names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicKey {
    /// By name, before version 13.
    Name(Str),
    /// By id.
    Id(Uuid),
}

impl TopicKey {
    fn new(name: &Str, id: Uuid, version: i16) -> Self {
        if version >= TOPIC_ID_VERSION { Self::Id(id) } else { Self::Name(name.detached()) }
    }
}

/// A partition that a client fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its topic.
    pub topic: TopicKey,
    /// Its index.
    pub partition: i32,
    /// From where.
    pub offset: Offset,
    /// A limit that the first batch may exceed. Bytes.
    pub bytes_max: i32,
    /// The leader epoch that the client knows, or -1.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the last record that the client has, or -1.
    pub last_fetched_epoch: LeaderEpoch,
}

/// One partition's answer with its topic.
pub type Fetched = (TopicKey, FetchResponsePartition);

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    /// The key of this entry in the order.
    place: u64,
    /// What the client was told last.
    high_watermark: Offset,
    log_start_offset: Offset,
}

#[derive(Debug)]
struct Session {
    /// The epoch that the next request must have.
    epoch: i32,
    uses_ids: bool,
    created: Nanos,
    used: Nanos,
    partitions: BTreeMap<(TopicKey, i32), Entry>,
    /// The order in which partitions are served: whoever got records goes to the end.
    order: BTreeMap<u64, (TopicKey, i32)>,
    next_place: u64,
}

/// How a request relates to sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sessionless,
    /// A session shall begin.
    Begin,
    /// This session goes on; its epoch was that of the request.
    Continue {
        id: i32,
        next_epoch: i32,
    },
}

/// A request seen through its session: what it fetches.
#[derive(Debug)]
pub struct FetchContext {
    kind: Kind,
    version: i16,
    /// The partitions, in the order in which they are to be served.
    pub wanted: Vec<Wanted>,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    sessions_max: usize,
    partition_count: usize,
}

const fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        ..0 => FINAL_EPOCH,
        i32::MAX => 1,
        _ => epoch + 1,
    }
}

fn wanted_of(request: &FetchRequest, version: i16) -> impl Iterator<Item = Wanted> {
    request.topics.iter().flat_map(move |topic| {
        let key = TopicKey::new(&topic.topic, topic.topic_id, version);
        topic.partitions.iter().map(move |partition| Wanted {
            topic: key.clone(),
            partition: partition.partition,
            offset: partition.fetch_offset,
            bytes_max: partition.partition_max_bytes,
            leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        })
    })
}

impl Session {
    fn put(&mut self, wanted: Wanted) {
        let key = (wanted.topic.clone(), wanted.partition);
        if let Some(entry) = self.partitions.get_mut(&key) {
            entry.wanted = wanted;
            return;
        }
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, key.clone());
        let entry = Entry { wanted, place, high_watermark: -1, log_start_offset: -1 };
        self.partitions.insert(key, entry);
    }

    fn forget(&mut self, key: &(TopicKey, i32)) {
        if let Some(entry) = self.partitions.remove(key) {
            self.order.remove(&entry.place);
        }
    }

    fn move_to_end(&mut self, key: &(TopicKey, i32)) {
        if let Some(entry) = self.partitions.get_mut(key) {
            let last = self.next_place;
            self.next_place += 1;
            let old = std::mem::replace(&mut entry.place, last);
            if let Some(key) = self.order.remove(&old) {
                self.order.insert(last, key);
            }
        }
    }

    fn wanted(&self) -> Vec<Wanted> {
        let entries = self.order.values().filter_map(|key| self.partitions.get(key));
        entries.map(|entry| entry.wanted.clone()).collect()
    }

    /// Remembers what the client is told. Says whether there is anything to tell.
    fn note(&mut self, topic: &TopicKey, part: &FetchResponsePartition) -> bool {
        let key = (topic.clone(), part.partition_index);
        let Some(entry) = self.partitions.get_mut(&key) else { return true };
        let has_records = part.records.as_ref().is_some_and(|records| !records.is_empty());
        let is_failed = part.error_code != ErrorCode::None.code();
        let is_changed = entry.high_watermark != part.high_watermark
            || entry.log_start_offset != part.log_start_offset;
        // An error is told again and again, and what follows it is told even if nothing changed.
        entry.high_watermark = if is_failed { -1 } else { part.high_watermark };
        entry.log_start_offset = part.log_start_offset;
        if has_records {
            self.move_to_end(&key);
        }
        has_records || is_failed || is_changed || part.diverging_epoch.epoch >= 0
    }
}

impl FetchSessions {
    /// Room for so many sessions.
    #[must_use]
    pub const fn new(sessions_max: usize) -> Self {
        Self { sessions: BTreeMap::new(), sessions_max, partition_count: 0 }
    }

    /// Finds or forgets the session of a request, and what is to be fetched.
    ///
    /// # Errors
    /// The error code of the whole answer.
    pub fn open(
        &mut self,
        now: Nanos,
        version: i16,
        request: &FetchRequest,
    ) -> Result<FetchContext, ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if id != 0 {
                self.remove(id);
            }
            let kind = if epoch == INITIAL_EPOCH { Kind::Begin } else { Kind::Sessionless };
            return Ok(FetchContext {
                kind,
                version,
                wanted: wanted_of(request, version).collect(),
            });
        }
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_ids != (version >= TOPIC_ID_VERSION) {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.partitions.len();
        wanted_of(request, version).for_each(|wanted| session.put(wanted));
        for topic in &request.forgotten_topics_data {
            let key = TopicKey::new(&topic.topic, topic.topic_id, version);
            topic.partitions.iter().for_each(|p| session.forget(&(key.clone(), *p)));
        }
        let count = session.partitions.len();
        session.used = now;
        session.epoch = next_epoch(epoch);
        self.partition_count = self.partition_count + count - before;
        if count == 0 || self.partition_count > PARTITIONS_MAX {
            let wanted = session.wanted();
            self.remove(id);
            return Ok(FetchContext { kind: Kind::Sessionless, version, wanted });
        }
        let kind = Kind::Continue { id, next_epoch: next_epoch(epoch) };
        Ok(FetchContext { kind, version, wanted: session.wanted() })
    }

    /// Leaves out of the answer what its session need not tell. Returns the session's id, 0 if there is
    /// none. `random` is a number for a new one.
    ///
    /// # Errors
    /// The error code of the whole answer.
    pub fn finish(
        &mut self,
        now: Nanos,
        context: &FetchContext,
        parts: &mut Vec<Fetched>,
        mut random: impl FnMut() -> u64,
    ) -> Result<i32, ErrorCode> {
        match context.kind {
            Kind::Sessionless => Ok(0),
            Kind::Begin => {
                if !self.make_room(now, context.wanted.len()) {
                    return Ok(0);
                }
                let id = loop {
                    let id = i32::try_from(random() >> 33).unwrap_or_default();
                    if id != 0 && !self.sessions.contains_key(&id) {
                        break id;
                    }
                };
                let mut session = Session {
                    epoch: next_epoch(INITIAL_EPOCH),
                    uses_ids: context.version >= TOPIC_ID_VERSION,
                    created: now,
                    used: now,
                    partitions: BTreeMap::new(),
                    order: BTreeMap::new(),
                    next_place: 0,
                };
                context.wanted.iter().for_each(|wanted| session.put(wanted.clone()));
                for (topic, part) in parts.iter() {
                    session.note(topic, part);
                }
                self.partition_count += session.partitions.len();
                self.sessions.insert(id, session);
                Ok(id)
            }
            Kind::Continue { id, next_epoch } => {
                let session =
                    self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
                if session.epoch != next_epoch {
                    return Err(ErrorCode::InvalidFetchSessionEpoch);
                }
                parts.retain(|(topic, part)| session.note(topic, part));
                Ok(id)
            }
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partition_count -= session.partitions.len();
        }
    }

    /// Makes room for a session of so many partitions, as Kafka does it: the one longest unused goes if
    /// that is long ago, else the smallest if it is old and smaller than the new one.
    fn make_room(&mut self, now: Nanos, partitions: usize) -> bool {
        if self.sessions_max == 0 || self.partition_count + partitions > PARTITIONS_MAX {
            return false;
        }
        if self.sessions.len() < self.sessions_max {
            return true;
        }
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
        let stale = oldest.filter(|(_, s)| now.ms_since(s.used) > EVICTION_MS).map(|(id, _)| *id);
        let smallest = || {
            let old = self.sessions.iter().filter(|(_, s)| now.ms_since(s.created) > EVICTION_MS);
            let smallest = old.min_by_key(|(_, session)| session.partitions.len());
            smallest.filter(|(_, s)| s.partitions.len() <= partitions).map(|(id, _)| *id)
        };
        let victim = stale.or_else(smallest);
        victim.is_some_and(|id| {
            self.remove(id);
            true
        })
    }
}

#[cfg(test)]
#[path = "fetch_sessions_tests.rs"]
mod tests;
