//! DescribeTopicPartitions, version 0: topics with their partitions, page by page (KIP-966).

use std::collections::BTreeSet;

use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::metadata::controller::name::{self, is_internal};
use millrace_engine::metadata::topics::{NO_LEADER, PartitionImage, TopicImage};

use super::metadata::offline;
use super::{Ctx, RequestMeta, authorized_operations};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponseNextCursor, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let limit = i32::try_from(ctx.config.topics.described_partitions_max).unwrap_or(i32::MAX);
    let limit = usize::try_from(request.response_partition_limit.min(limit)).unwrap_or(0).max(1);
    page(&ctx.image(), &request, limit)
}

/// One page of at most `limit` partitions.
fn page(
    image: &Image,
    request: &DescribeTopicPartitionsRequest,
    limit: usize,
) -> DescribeTopicPartitionsResponse {
    let cursor = request.cursor.as_ref().map(|c| (c.topic_name.as_str(), c.partition_index));
    let (first_topic, first_partition) = cursor.unwrap_or_default();
    let wants_all = request.topics.is_empty();
    let names: BTreeSet<&str> = if wants_all {
        image.topics.iter_from(first_topic).map(|topic| &*topic.name).collect()
    } else {
        let named = request.topics.iter().map(|topic| topic.name.as_str());
        named.filter(|name| *name >= first_topic).collect()
    };
    let is_lost = !wants_all && cursor.is_some() && !names.contains(first_topic);
    let Ok(first_partition) = usize::try_from(first_partition) else { return invalid(request) };
    if is_lost {
        return invalid(request);
    }
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut left = limit;
    for name in names {
        if left == 0 {
            response.next_cursor = Some(cursor_at(name, 0));
            break;
        }
        let Some(topic) = image.topics.by_name(name) else {
            if !wants_all {
                response.topics.push(unknown(name));
            }
            continue;
        };
        let begin = if name == first_topic { first_partition } else { 0 };
        let end = begin.saturating_add(left).min(topic.partitions.len());
        let shown = topic.partitions.get(begin..end).unwrap_or_default();
        left -= shown.len();
        response.topics.push(described(image, topic, shown));
        if end < topic.partitions.len() {
            response.next_cursor = Some(cursor_at(name, end));
            break;
        }
    }
    response
}

fn cursor_at(name: &str, partition: usize) -> DescribeTopicPartitionsResponseNextCursor {
    DescribeTopicPartitionsResponseNextCursor {
        topic_name: name.into(),
        partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
    }
}

/// The cursor does not fit the topics, or names no partition.
fn invalid(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let refused = |topic: &crate::protocol::messages::describe_topic_partitions::DescribeTopicPartitionsRequestTopic| {
        DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::InvalidRequest.code(),
            name: Some(topic.name.clone()),
            ..DescribeTopicPartitionsResponseTopic::default()
        }
    };
    DescribeTopicPartitionsResponse {
        topics: request.topics.iter().map(refused).collect(),
        ..DescribeTopicPartitionsResponse::default()
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match name::check(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name.into()),
        is_internal: is_internal(name),
        topic_authorized_operations: authorized_operations::TOPIC,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn described(
    image: &Image,
    topic: &TopicImage,
    partitions: &[std::sync::Arc<PartitionImage>],
) -> DescribeTopicPartitionsResponseTopic {
    let partition = |p: &std::sync::Arc<PartitionImage>| DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode::None.code(),
        partition_index: p.index,
        leader_id: if image.cluster.is_active(p.leader) { p.leader } else { NO_LEADER },
        leader_epoch: p.leader_epoch,
        replica_nodes: p.replicas.clone(),
        isr_nodes: p.isr.clone(),
        eligible_leader_replicas: Some(p.elr.clone()),
        last_known_elr: Some(p.last_known_elr.clone()),
        offline_replicas: offline(image, &p.replicas),
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some((&*topic.name).into()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.iter().map(partition).collect(),
        topic_authorized_operations: authorized_operations::TOPIC,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
