//! Fetch, versions 4 to 18: record batches, byte for byte as they stand on disk, with incremental sessions.
//!
//! Records are shared slices from the shards' memory or fresh reads; only short ones are copied on the way
//! out. Their memory is counted until they are sent: a fetch waits for it, and gets no more than there is. A
//! fetch that finds less than `min_bytes` watches its partitions and reads again when one has moved, until
//! `max_wait_ms`. Followers are refused: there is one broker. The rack id has no effect.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use millrace_engine::client::Pending;
use millrace_engine::codec::Records;
use millrace_engine::io::Env;
use millrace_engine::limits::{CHUNK_BYTES, READ_BYTES_MAX};
use millrace_engine::metadata::Image;
use millrace_engine::shard::call::{
    Answer, Call, Isolation, Read, ReadError, ReadItem, ReadPart, Watch,
};
use millrace_engine::types::{Nanos, Offset, ShardId, TopicPartition};

use super::{Ctx, RequestMeta};
use crate::budget::Share;
use crate::fetch_sessions::{FetchContext, Fetched, TopicKey, Wanted};
use crate::limits::{COPIED_SLICE_PART, FETCH_BYTES_LEAST, FETCH_MEMORY_PART};
use crate::protocol::ErrorCode;
use crate::protocol::messages::fetch::{
    FetchRequest, FetchResponse, FetchResponseAbortedTransaction, FetchResponseCurrentLeader,
    FetchResponseDivergingEpoch, FetchResponseNodeEndpoint, FetchResponsePartition,
    FetchResponseTopic,
};
use crate::stages::FetchTimes;

/// A fetch over several shards renews its watches so often: of those on the other shards nobody is told
/// when one is answered, so they must not stand for long. Milliseconds.
const WATCH_MS_MAX: u64 = 1_000;

/// What bounds a fetch.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    bytes_max: usize,
    bytes_min: usize,
    deadline: Nanos,
    isolation: Isolation,
}

/// A partition that can be read, and where it stands among those wanted.
struct Target {
    at: usize,
    item: ReadItem,
}

/// Answers the request, and tells how it got its records; not if its session is refused. `memory` is what they
/// take.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: FetchRequest,
    memory: &mut Share,
) -> (FetchResponse, Option<FetchTimes>) {
    let env = ctx.client.env();
    let begun = env.now();
    let opened = ctx.fetch_sessions.borrow_mut().open(begun, meta.version(), &request);
    let context = match opened {
        Ok(context) => context,
        Err(error) => return (failed(error), None),
    };
    let non_negative = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
    let bytes_cap = usize::try_from(ctx.config.fetch.bytes_max).unwrap_or(usize::MAX);
    let bytes_max = non_negative(request.max_bytes).min(bytes_cap);
    let max_wait_ms = u64::try_from(request.max_wait_ms).unwrap_or(0);
    let bounds = Bounds {
        bytes_max,
        bytes_min: non_negative(request.min_bytes).min(bytes_max),
        deadline: begun.plus_ms(max_wait_ms),
        isolation: match request.isolation_level {
            1 => Isolation::Committed,
            _ => Isolation::Uncommitted,
        },
    };
    let is_follower = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
    // The request's frame is let go before a long wait.
    drop(request);
    let mut answers = vec![None; context.wanted.len()];
    let targets = targets(ctx, &context, is_follower, &mut answers);
    let fetch = Fetch { ctx, bounds };
    let (parts, times) = fetch.wait(&by_shard(ctx, targets), begun, memory).await;
    for (at, part) in parts {
        if let Some(wanted) = context.wanted.get(at) {
            answers[at] = Some(answer(wanted, bounds.isolation, meta.version(), part));
        }
    }
    let mut parts: Vec<Fetched> = context
        .wanted
        .iter()
        .zip(answers)
        .filter_map(|(wanted, answer)| Some((wanted.topic.clone(), answer?)))
        .collect();
    let mut sessions = ctx.fetch_sessions.borrow_mut();
    match sessions.finish(env.now(), &context, &mut parts, || env.random()) {
        Err(error) => (failed(error), None),
        Ok(session_id) => (response(ctx, meta, session_id, parts), Some(times)),
    }
}

fn failed(error: ErrorCode) -> FetchResponse {
    FetchResponse { error_code: error.code(), ..FetchResponse::default() }
}

/// Sorts out what cannot be read, with the reason.
fn targets<E: Env>(
    ctx: &Ctx<E>,
    context: &FetchContext,
    is_follower: bool,
    answers: &mut [Option<FetchResponsePartition>],
) -> Vec<Target> {
    let image = ctx.image();
    let mut targets = Vec::with_capacity(context.wanted.len());
    for (at, wanted) in context.wanted.iter().enumerate() {
        let target = target(&image, wanted).and_then(|(partition, leader)| {
            let is_here = leader == ctx.node_id() && !is_follower;
            is_here.then_some(partition).ok_or(ErrorCode::NotLeaderOrFollower)
        });
        match target {
            Err(error) => answers[at] = Some(refused(wanted.partition, error)),
            Ok(partition) => {
                let item = ReadItem {
                    partition,
                    offset: wanted.offset,
                    bytes_max: usize::try_from(wanted.bytes_max).unwrap_or(0),
                    leader_epoch: wanted.leader_epoch,
                    last_fetched_epoch: wanted.last_fetched_epoch,
                };
                targets.push(Target { at, item });
            }
        }
    }
    targets
}

/// The partition and its leader.
fn target(image: &Image, wanted: &Wanted) -> Result<(TopicPartition, i32), ErrorCode> {
    let topic = match &wanted.topic {
        TopicKey::Id(id) => image.topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId)?,
        TopicKey::Name(name) => {
            let topic = image.topics.by_name(name.as_str());
            topic.ok_or(ErrorCode::UnknownTopicOrPartition)?
        }
    };
    let partition = topic.partition(wanted.partition);
    let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok((TopicPartition { topic_id: topic.id, partition: wanted.partition }, partition.leader))
}

/// Shards in the order in which the client prefers their partitions, each with its part of them.
fn by_shard<E: Env>(ctx: &Ctx<E>, targets: Vec<Target>) -> Vec<(ShardId, Vec<Target>)> {
    let mut shards: Vec<(ShardId, Vec<Target>)> = Vec::new();
    for target in targets {
        let owner = ctx.client.owner(target.item.partition);
        match shards.iter_mut().find(|(shard, _)| *shard == owner) {
            Some((_, part)) => part.push(target),
            None => shards.push((owner, vec![target])),
        }
    }
    shards
}

/// What one round of reads has brought, by the partition's place.
type Parts = Vec<(usize, Result<ReadPart, ReadError>)>;

struct Fetch<'a, E: Env> {
    ctx: &'a Ctx<E>,
    bounds: Bounds,
}

impl<E: Env> Fetch<'_, E> {
    /// Reads, and while that is too little, waits and reads again.
    async fn wait(
        &self,
        shards: &[(ShardId, Vec<Target>)],
        begun: Nanos,
        memory: &mut Share,
    ) -> (Parts, FetchTimes) {
        let client = &self.ctx.client;
        let mut waited_ns = None;
        loop {
            let parts = self.round(shards, memory).await;
            let now = client.env().now();
            let is_late = now >= self.bounds.deadline || client.is_stopping();
            if is_late || shards.is_empty() || self.is_enough(&parts) {
                let is_cold = parts.iter().flat_map(|(_, part)| part).any(|part| part.is_cold);
                return (parts, FetchTimes { begun, waited_ns, read: now, is_cold });
            }
            let ends = self.visible_ends(&parts);
            // Nothing is held while nothing comes.
            drop(parts);
            memory.shrink(usize::MAX);
            self.watch(shards, &ends, now).await;
            *waited_ns.get_or_insert(0) += client.env().now().0.saturating_sub(now.0);
        }
    }

    fn call(&self, shard: ShardId, targets: &[Target], bytes_max: usize) -> Pending<E> {
        let items = targets.iter().map(|target| target.item.clone()).collect();
        let isolation = self.bounds.isolation;
        self.ctx.client.call(shard, Call::Read(Read { items, bytes_max, isolation }))
    }

    /// Reads once, as much as there is memory for. It is taken before, and what was not needed is given
    /// back; where a batch needs more, there is a second read once there is room for it.
    async fn round(&self, shards: &[(ShardId, Vec<Target>)], memory: &mut Share) -> Parts {
        let wanted = shards.iter().flat_map(|(_, targets)| targets);
        let wanted = wanted.fold(0_usize, |sum, t| sum.saturating_add(t.item.bytes_max));
        let part = memory.budget().free() / FETCH_MEMORY_PART;
        let bytes_max = self.bounds.bytes_max.min(part.max(FETCH_BYTES_LEAST));
        memory.grow(bytes_max.min(wanted)).await;
        loop {
            let mut parts = self.read(shards, wanted, bytes_max).await;
            let read = parts.iter_mut().filter_map(|(_, part)| part.as_mut().ok());
            let held = read.map(hold).sum();
            if memory.settle(held) {
                return parts;
            }
            drop(parts);
            memory.shrink(usize::MAX);
            memory.grow(held).await;
        }
    }

    async fn read(
        &self,
        shards: &[(ShardId, Vec<Target>)],
        wanted: usize,
        bytes_max: usize,
    ) -> Parts {
        let mut parts = Parts::new();
        if wanted <= bytes_max {
            // The partitions' own bounds keep to that of the whole: all shards at once.
            let calls: Vec<_> = shards
                .iter()
                .map(|(shard, targets)| self.call(*shard, targets, bytes_max))
                .collect();
            for ((_, targets), call) in shards.iter().zip(calls) {
                let read = read_parts(call.await);
                parts.extend(targets.iter().map(|target| target.at).zip(read));
            }
            return parts;
        }
        let mut left = bytes_max;
        let mut is_first = true;
        for (shard, targets) in shards {
            let read = read_parts(self.call(*shard, targets, left).await);
            for (target, mut result) in targets.iter().zip(read) {
                if let Ok(part) = &mut result {
                    // A shard gives one batch however large it is; only the first may do so.
                    if part.bytes > left && !is_first {
                        part.records = Vec::new();
                        part.bytes = 0;
                    }
                    left = left.saturating_sub(part.bytes);
                    is_first &= part.bytes == 0;
                }
                parts.push((target.at, result));
            }
        }
        parts
    }

    /// Whether the client gets this without waiting longer.
    fn is_enough(&self, parts: &Parts) -> bool {
        let mut bytes = 0;
        for (_, part) in parts {
            match part {
                Err(_) => return true,
                Ok(part) if part.diverging.is_some() => return true,
                Ok(part) => bytes += part.bytes,
            }
        }
        // Whole batches seldom fill a bound to the byte: what was cut off by one is there.
        let is_cut = |(_, part): &(usize, Result<ReadPart, ReadError>)| {
            part.as_ref().is_ok_and(|part| {
                let end = self.visible_end(part);
                next_offset(&part.records).is_some_and(|next| next < end)
            })
        };
        bytes >= self.bounds.bytes_min || parts.iter().any(is_cut)
    }

    fn visible_end(&self, part: &ReadPart) -> Offset {
        match self.bounds.isolation {
            Isolation::Uncommitted => part.high_watermark,
            Isolation::Committed => part.last_stable_offset,
        }
    }

    /// How far what can be read of each partition reached, by its place.
    fn visible_ends(&self, parts: &Parts) -> Vec<Offset> {
        let mut ends = vec![0; parts.iter().map(|(at, _)| at + 1).max().unwrap_or(0)];
        for (at, part) in parts {
            ends[*at] = part.as_ref().map_or(0, |part| self.visible_end(part));
        }
        ends
    }

    /// Ends when some partition has moved, or at the deadline.
    async fn watch(&self, shards: &[(ShardId, Vec<Target>)], ends: &[Offset], now: Nanos) {
        let deadline = if shards.len() > 1 {
            self.bounds.deadline.min(now.plus_ms(WATCH_MS_MAX))
        } else {
            self.bounds.deadline
        };
        let mut watches: Vec<_> = shards
            .iter()
            .map(|(shard, targets)| {
                let items = targets.iter().map(|t| (t.item.partition, ends[t.at])).collect();
                let watch = Watch { items, isolation: self.bounds.isolation, deadline };
                self.ctx.client.call(*shard, Call::Watch(watch))
            })
            .collect();
        poll_fn(|cx| {
            let is_answered = watches.iter_mut().any(|watch| Pin::new(watch).poll(cx).is_ready());
            if is_answered { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// How much memory a part keeps from its next use: of each slice the whole piece of memory that it is of, so
/// short ones are copied.
fn hold(part: &mut ReadPart) -> usize {
    let piece = if part.is_cold { READ_BYTES_MAX } else { CHUNK_BYTES };
    let hold = |slice: &mut Bytes| {
        if slice.len() >= piece / COPIED_SLICE_PART {
            return slice.len().max(piece);
        }
        *slice = Bytes::copy_from_slice(slice);
        slice.len()
    };
    part.records.iter_mut().map(hold).sum()
}

fn read_parts(answer: Answer) -> Vec<Result<ReadPart, ReadError>> {
    match answer {
        Answer::Read(parts) => parts,
        other => unreachable!("a read was answered with {other:?}"),
    }
}

/// The offset behind the last whole batch header in these slices; none if there is none.
fn next_offset(records: &[Bytes]) -> Option<Offset> {
    let len: usize = records.iter().map(Bytes::len).sum();
    let mut next = None;
    let mut at = 0_usize;
    // Base offset, length of what follows, and after 11 more bytes the last offset delta.
    while let Some(head) = bytes_at::<27>(records, at).filter(|_| at + 27 <= len) {
        let (base, rest) = head.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let delta = rest.last_chunk::<4>()?;
        next = Some(i64::from_be_bytes(*base) + i64::from(i32::from_be_bytes(*delta)) + 1);
        at += 12 + usize::try_from(i32::from_be_bytes(*length)).ok()?;
    }
    next
}

/// Some bytes of a rope; a batch may begin in one slice and go on in the next.
fn bytes_at<const N: usize>(slices: &[Bytes], at: usize) -> Option<[u8; N]> {
    let mut found = [0; N];
    let mut filled = 0;
    let mut skip = at;
    for slice in slices {
        let part = slice.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(slice.len());
        let take = part.len().min(N - filled);
        found[filled..filled + take].copy_from_slice(&part[..take]);
        filled += take;
        if filled == N {
            return Some(found);
        }
    }
    None
}

fn refused(partition: i32, error: ErrorCode) -> FetchResponsePartition {
    FetchResponsePartition {
        partition_index: partition,
        error_code: error.code(),
        high_watermark: -1,
        records: Some(Records::new()),
        ..FetchResponsePartition::default()
    }
}

fn answer(
    wanted: &Wanted,
    isolation: Isolation,
    version: i16,
    part: Result<ReadPart, ReadError>,
) -> FetchResponsePartition {
    let part = match part {
        Ok(part) => part,
        // Clients of that time do not know the storage error; they look for the leader and come back.
        Err(ReadError::Storage) if version <= 5 => {
            return refused(wanted.partition, ErrorCode::NotLeaderOrFollower);
        }
        Err(error) => return refused(wanted.partition, ErrorCode::from(&error)),
    };
    let aborted =
        |(producer_id, first_offset)| FetchResponseAbortedTransaction { producer_id, first_offset };
    FetchResponsePartition {
        partition_index: wanted.partition,
        high_watermark: part.high_watermark,
        last_stable_offset: part.last_stable_offset,
        log_start_offset: part.log_start_offset,
        diverging_epoch: part.diverging.map_or_else(FetchResponseDivergingEpoch::default, |end| {
            FetchResponseDivergingEpoch { epoch: end.epoch, end_offset: end.end_offset }
        }),
        aborted_transactions: (isolation == Isolation::Committed)
            .then(|| part.aborted.into_iter().map(aborted).collect()),
        records: Some(Records::from(part.records)),
        ..FetchResponsePartition::default()
    }
}

fn response<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    session_id: i32,
    parts: Vec<Fetched>,
) -> FetchResponse {
    let mut response = FetchResponse { session_id, ..FetchResponse::default() };
    let image = ctx.image();
    let mut last: Option<TopicKey> = None;
    for (topic, mut part) in parts {
        if meta.version() >= 16 {
            name_leader(ctx, meta, &image, (&topic, &mut part), &mut response.node_endpoints);
        }
        // Neighbours of one topic share its entry; the order of partitions stays.
        match response.responses.last_mut().filter(|_| last.as_ref() == Some(&topic)) {
            Some(entry) => entry.partitions.push(part),
            None => {
                let (name, topic_id) = match &topic {
                    TopicKey::Name(name) => (name.clone(), millrace_engine::types::Uuid::ZERO),
                    TopicKey::Id(id) => (millrace_engine::codec::Str::default(), *id),
                };
                let partitions = vec![part];
                response.responses.push(FetchResponseTopic { topic: name, topic_id, partitions });
            }
        }
        last = Some(topic);
    }
    response
}

/// Says who leads a partition that this broker does not, or in which epoch (KIP-951).
fn name_leader<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    image: &Arc<Image>,
    (topic, part): (&TopicKey, &mut FetchResponsePartition),
    endpoints: &mut Vec<FetchResponseNodeEndpoint>,
) {
    let is_moved = [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch]
        .iter()
        .any(|error| error.code() == part.error_code);
    if !is_moved {
        return;
    }
    let known = match topic {
        TopicKey::Id(id) => image.topics.by_id(*id),
        TopicKey::Name(name) => image.topics.by_name(name.as_str()),
    };
    let Some(known) = known.and_then(|topic| topic.partition(part.partition_index)) else { return };
    let (leader_id, leader_epoch) = (known.leader, known.leader_epoch);
    part.current_leader = FetchResponseCurrentLeader { leader_id, leader_epoch };
    if let Some(broker) = image.cluster.broker(leader_id)
        && let Some(endpoint) = ctx.endpoint(broker, &meta.peer)
        && !endpoints.iter().any(|endpoint| endpoint.node_id == leader_id)
    {
        endpoints.push(FetchResponseNodeEndpoint {
            node_id: leader_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone(),
        });
    }
}
