//! ListOffsets, versions 1 to 11: earliest, latest, by time, largest timestamp.
//!
//! There is no tiered storage: the earliest local offset is the earliest, and what is latest tiered (-5) or
//! earliest to be uploaded (-6) is answered with -1, as Kafka does where tiering is off. `timeout_ms` has
//! no effect: no answer waits for remote storage.

use std::collections::BTreeSet;

use millrace_engine::io::Env;
use millrace_engine::shard::call::{
    Answer, Call, FoundOffset, Isolation, OffsetQuery, OffsetWish, ReadError,
};
use millrace_engine::types::TopicPartition;

use super::{Ctx, RequestMeta};
use crate::fanout::Scatter;
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_offsets::{
    ListOffsetsRequest, ListOffsetsRequestPartition, ListOffsetsResponse,
    ListOffsetsResponsePartition, ListOffsetsResponseTopic,
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// What a timestamp of a request asks for.
enum Wish {
    /// A shard knows.
    Find(OffsetWish),
    /// Nothing is tiered: -1.
    Tiered,
    /// The version does not have this timestamp.
    Unsupported,
}

fn wish(timestamp: i64, version: i16) -> Wish {
    match timestamp {
        0.. => Wish::Find(OffsetWish::AtTime(timestamp)),
        LATEST => Wish::Find(OffsetWish::Latest),
        EARLIEST => Wish::Find(OffsetWish::Earliest),
        MAX_TIMESTAMP if version >= 7 => Wish::Find(OffsetWish::MaxTimestamp),
        EARLIEST_LOCAL if version >= 8 => Wish::Find(OffsetWish::Earliest),
        LATEST_TIERED if version >= 9 => Wish::Tiered,
        EARLIEST_PENDING_UPLOAD if version >= 11 => Wish::Tiered,
        _ => Wish::Unsupported,
    }
}

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let isolation =
        if request.isolation_level == 1 { Isolation::Committed } else { Isolation::Uncommitted };
    let image = ctx.image();
    let mut seen = BTreeSet::new();
    let mut doubled = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.as_str(), partition.partition_index);
            if !seen.insert(key) {
                doubled.insert(key);
            }
        }
    }
    let mut queries = Vec::new();
    let mut response = ListOffsetsResponse::default();
    for (at, topic) in request.topics.iter().enumerate() {
        let known = image.topics.by_name(topic.name.as_str());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (slot, asked) in topic.partitions.iter().enumerate() {
            let index = asked.partition_index;
            let here = known.filter(|known| known.partition(index).is_some());
            let answer = match wish(asked.timestamp, meta.version()) {
                _ if doubled.contains(&(topic.name.as_str(), index)) => {
                    failed(asked, ErrorCode::InvalidRequest)
                }
                Wish::Unsupported => failed(asked, ErrorCode::UnsupportedVersion),
                Wish::Tiered if here.is_some() => failed(asked, ErrorCode::None),
                Wish::Find(wish) if let Some(known) = here => {
                    let partition = TopicPartition { topic_id: known.id, partition: index };
                    let leader_epoch = asked.current_leader_epoch;
                    let query = OffsetQuery { partition, wish, leader_epoch, isolation };
                    queries.push(((at, slot), partition, query));
                    // Replaced when the shard has answered.
                    failed(asked, ErrorCode::UnknownServerError)
                }
                Wish::Tiered | Wish::Find(_) => failed(asked, ErrorCode::UnknownTopicOrPartition),
            };
            partitions.push(answer);
        }
        let name = topic.name.clone();
        response.topics.push(ListOffsetsResponseTopic { name, partitions });
    }
    let items = queries.iter().map(|(_, partition, query)| (*partition, *query));
    let found = Scatter::begin(&ctx.client, items, Call::Offsets).gather(offsets).await;
    for (((at, slot), ..), found) in queries.iter().zip(found) {
        response.topics[*at].partitions[*slot].set(found);
    }
    response
}

fn offsets(answer: Answer) -> Vec<Result<FoundOffset, ReadError>> {
    match answer {
        Answer::Offsets(found) => found,
        other => unreachable!("a search for offsets was answered with {other:?}"),
    }
}

fn failed(asked: &ListOffsetsRequestPartition, error: ErrorCode) -> ListOffsetsResponsePartition {
    ListOffsetsResponsePartition {
        partition_index: asked.partition_index,
        error_code: error.code(),
        ..ListOffsetsResponsePartition::default()
    }
}

impl ListOffsetsResponsePartition {
    fn set(&mut self, found: Result<FoundOffset, ReadError>) {
        match found {
            Ok(found) => {
                self.error_code = ErrorCode::None.code();
                self.timestamp = found.timestamp;
                self.offset = found.offset;
                self.leader_epoch = found.leader_epoch;
            }
            Err(error) => self.error_code = ErrorCode::from(&error).code(),
        }
    }
}
