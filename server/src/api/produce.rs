//! Produce, versions 3 to 13: record batches are appended, and answered when they are durable.
//!
//! On a single node `acks=1` and `acks=-1` mean the same: the leader's disk has the batch. Transactions
//! are not built: a transactional batch is refused with `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, as Kafka
//! refuses one whose transactional id may not be used. Internal topics take batches of Kafka's
//! administration tools only. `timeout_ms` has no effect: nothing waits for other brokers.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use millrace_engine::codec::{Records, Str};
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::metadata::controller::name::is_internal;
use millrace_engine::metadata::topics::TopicImage;
use millrace_engine::partition::AppendError;
use millrace_engine::shard::call::{Acks, Answer, Append, AppendItem, Appended, Call};
use millrace_engine::shard::stages::AppendTimes;
use millrace_engine::types::{NodeId, TopicPartition, Uuid};

use super::errors::refused_records;
use super::{Ctx, Refusal, RequestMeta};
use crate::fanout::Scatter;
use crate::protocol::ErrorCode;
use crate::protocol::messages::produce::{
    ProduceRequest, ProduceRequestPartition, ProduceRequestTopic, ProduceResponse,
    ProduceResponseCurrentLeader, ProduceResponseNodeEndpoint, ProduceResponsePartition,
    ProduceResponseRecordError, ProduceResponseTopic,
};

/// The client id by which Kafka's own tools write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";
/// Where a batch says whether it belongs to a transaction.
const ATTRIBUTES_LOW_AT: usize = 22;
const TRANSACTIONAL_BIT: u8 = 1 << 4;

const NO_TRANSACTIONS: &str = "transactions are not built yet in this broker";

/// A partition that is refused before any shard is asked: code, and a text if there is more to say.
type EarlyRefusal = (ErrorCode, Option<&'static str>);

/// A partition's answer: there already, or that of the next batch on its way.
enum Part {
    Refused(i32, EarlyRefusal),
    Sent(i32),
}

struct TopicParts {
    name: Str,
    topic_id: Uuid,
    parts: Vec<Part>,
}

/// What became of a Produce request.
pub struct Produced {
    /// What the client is told.
    pub response: ProduceResponse,
    /// When its batches reached which stage, of several shards the one that was last; none if nothing had
    /// to become durable.
    pub times: Option<AppendTimes>,
    /// Partitions whose batches went to a shard.
    pub partitions: usize,
}

/// Sends the batches to their shards, in the order of the request, and returns what waits for them. The
/// future's result is none if the client wants no answer (`acks=0`).
pub fn start<E: Env>(
    ctx: &Rc<Ctx<E>>,
    meta: &RequestMeta,
    request: ProduceRequest,
) -> impl Future<Output = Result<Option<Produced>, Refusal>> + use<E> {
    let acks = match request.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        _ => Acks::All,
    };
    let refuse_all = whole_refusal(&request);
    let admission = Admission {
        image: ctx.image(),
        node_id: ctx.node_id(),
        version: meta.version(),
        has_valid_acks: matches!(request.acks, -1..=1),
        is_admin: meta.client_id() == ADMIN_CLIENT_ID,
    };
    let mut items = Vec::new();
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for ProduceRequestTopic { name, topic_id, partition_data } in request.topic_data {
        let topic = admission.topic(&name, topic_id);
        let parts = partition_data
            .into_iter()
            .map(|ProduceRequestPartition { index, records }| {
                let checked = match refuse_all {
                    Some(refusal) => Err(refusal),
                    None => topic.and_then(|topic| admission.partition(topic, index)),
                };
                match checked {
                    Err(refusal) => Part::Refused(index, refusal),
                    Ok(partition) => {
                        let records = records.map(Records::into_bytes).unwrap_or_default();
                        items.push((partition, AppendItem { partition, records }));
                        Part::Sent(index)
                    }
                }
            })
            .collect();
        topics.push(TopicParts { name, topic_id, parts });
    }
    let zstd_allowed = meta.version() >= 7;
    let sent = Scatter::begin(&ctx.client, items, |items| {
        Call::Append(Append { items, acks, zstd_allowed })
    });
    let (ctx, meta) = (Rc::clone(ctx), meta.clone());
    async move {
        let mut times = None;
        let results = sent.gather(|answer| appended(answer, &mut times)).await;
        let partitions = results.len();
        let response = response(&ctx, &meta, topics, results);
        if acks != Acks::None {
            return Ok(Some(Produced { response, times, partitions }));
        }
        match first_error(&response) {
            None => Ok(None),
            Some(error) => Err(Refusal::Unacknowledged(error)),
        }
    }
}

/// The results in a shard's answer; `last` becomes its times if they are later.
fn appended(answer: Answer, last: &mut Option<AppendTimes>) -> Vec<Result<Appended, AppendError>> {
    match answer {
        Answer::Appended { results, times } => {
            *last = (*last).into_iter().chain(times).max_by_key(|times| times.flushed);
            results
        }
        other => unreachable!("an append was answered with {other:?}"),
    }
}

/// Transactions are refused as a whole, before anything is appended.
fn whole_refusal(request: &ProduceRequest) -> Option<EarlyRefusal> {
    let is_transactional = |records: &Records| {
        let first = records.slices().first();
        let attributes = first.and_then(|slice| slice.get(ATTRIBUTES_LOW_AT));
        attributes.is_some_and(|attributes| attributes & TRANSACTIONAL_BIT != 0)
    };
    let mut records = request
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data)
        .filter_map(|partition| partition.records.as_ref());
    (request.transactional_id.is_some() || records.any(is_transactional))
        .then_some((ErrorCode::TransactionalIdAuthorizationFailed, Some(NO_TRANSACTIONS)))
}

/// What decides whether a partition's batch is sent to its shard.
struct Admission {
    image: Arc<Image>,
    node_id: NodeId,
    version: i16,
    has_valid_acks: bool,
    is_admin: bool,
}

impl Admission {
    fn topic(&self, name: &Str, topic_id: Uuid) -> Result<&Arc<TopicImage>, EarlyRefusal> {
        if self.version >= 13 {
            return self.image.topics.by_id(topic_id).ok_or((ErrorCode::UnknownTopicId, None));
        }
        let topic = self.image.topics.by_name(name.as_str());
        topic.ok_or((ErrorCode::UnknownTopicOrPartition, None))
    }

    /// In the order of Kafka's checks.
    fn partition(&self, topic: &TopicImage, index: i32) -> Result<TopicPartition, EarlyRefusal> {
        let partition = topic.partition(index).ok_or((ErrorCode::UnknownTopicOrPartition, None))?;
        if !self.has_valid_acks {
            return Err((ErrorCode::InvalidRequiredAcks, None));
        }
        if is_internal(&topic.name) && !self.is_admin {
            let text = "clients cannot write to an internal topic";
            return Err((ErrorCode::InvalidTopicException, Some(text)));
        }
        if partition.leader != self.node_id {
            return Err((ErrorCode::NotLeaderOrFollower, None));
        }
        Ok(TopicPartition { topic_id: topic.id, partition: index })
    }
}

fn response<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    topics: Vec<TopicParts>,
    results: Vec<Result<Appended, AppendError>>,
) -> ProduceResponse {
    let mut results = results.into_iter();
    let mut response = ProduceResponse::default();
    for TopicParts { name, topic_id, parts } in topics {
        let mut partition_responses = Vec::with_capacity(parts.len());
        for part in parts {
            let partition = match part {
                Part::Refused(index, (error, text)) => refused(index, error, text),
                Part::Sent(index) => match results.next().expect("one result for each batch") {
                    Ok(appended) => accepted(index, &appended),
                    Err(error) => failed(index, &error),
                },
            };
            partition_responses.push(partition);
        }
        response.responses.push(ProduceResponseTopic { name, topic_id, partition_responses });
    }
    if meta.version() >= 10 {
        name_leaders(ctx, meta, &mut response);
    }
    response
}

fn accepted(index: i32, appended: &Appended) -> ProduceResponsePartition {
    ProduceResponsePartition {
        index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..ProduceResponsePartition::default()
    }
}

fn refused(index: i32, error: ErrorCode, text: Option<&'static str>) -> ProduceResponsePartition {
    ProduceResponsePartition {
        index,
        error_code: error.code(),
        base_offset: -1,
        error_message: text.map(Str::from_static),
        ..ProduceResponsePartition::default()
    }
}

fn failed(index: i32, error: &AppendError) -> ProduceResponsePartition {
    let record_error =
        |record: &millrace_engine::record::validate::RefusedRecord| ProduceResponseRecordError {
            batch_index: record.batch_index,
            batch_index_error_message: Some(record.reason.to_string().into()),
        };
    ProduceResponsePartition {
        record_errors: refused_records(error).iter().map(record_error).collect(),
        error_message: Some(error.to_string().into()),
        ..refused(index, ErrorCode::from(error), None)
    }
}

/// Says who leads the partitions that this broker does not (KIP-951).
fn name_leaders<E: Env>(ctx: &Ctx<E>, meta: &RequestMeta, response: &mut ProduceResponse) {
    let image = ctx.image();
    for topic in &mut response.responses {
        let is_elsewhere = |partition: &&mut ProduceResponsePartition| {
            partition.error_code == ErrorCode::NotLeaderOrFollower.code()
        };
        for partition in topic.partition_responses.iter_mut().filter(is_elsewhere) {
            let by_id = image.topics.by_id(topic.topic_id);
            let known = by_id.or_else(|| image.topics.by_name(topic.name.as_str()));
            let Some(known) = known.and_then(|topic| topic.partition(partition.index)) else {
                continue;
            };
            let (leader_id, leader_epoch) = (known.leader, known.leader_epoch);
            partition.current_leader = ProduceResponseCurrentLeader { leader_id, leader_epoch };
            let is_named = |e: &ProduceResponseNodeEndpoint| e.node_id == leader_id;
            let broker = image.cluster.broker(leader_id);
            if let Some(broker) = broker
                && let Some(endpoint) = ctx.endpoint(broker, &meta.peer)
                && !response.node_endpoints.iter().any(is_named)
            {
                response.node_endpoints.push(ProduceResponseNodeEndpoint {
                    node_id: leader_id,
                    host: endpoint.host.clone(),
                    port: i32::from(endpoint.port),
                    rack: broker.rack.clone(),
                });
            }
        }
    }
}

fn first_error(response: &ProduceResponse) -> Option<String> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions
        .filter_map(|partition| ErrorCode::from_code(partition.error_code))
        .find(|error| !error.is_none())
        .map(|error| format!("{error}: {}", error.message()))
}
