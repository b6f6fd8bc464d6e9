//! OffsetDelete, version 0.
//!
//! Deletes committed offsets of a group (KIP-496) of topics that it is not subscribed to; the answer
//! comes when that is durable.

use std::collections::VecDeque;

use millrace_engine::group::call::{OffsetDeleteCall, TopicResults};
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_delete::{
    OffsetDeleteRequestTopic, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let image = ctx.image();
    let known = request.topics.iter().map(|topic| known_partitions(&image, topic));
    let topics = known.filter(|(_, partitions)| !partitions.is_empty()).collect();
    let group_id = request.group_id.to_string();
    let call = GroupCall::OffsetDelete(OffsetDeleteCall { group_id, topics });
    // A group that is refused is told even if nothing of what was asked for exists.
    match fanout::group(&ctx.client, &request.group_id, call).await {
        Ok(GroupAnswer::OffsetDelete(Ok(results))) => response(&image, request.topics, results),
        Ok(GroupAnswer::OffsetDelete(Err(error))) => failure(ErrorCode::from(&error)),
        Ok(other) => unreachable!("a deletion was answered with {other:?}"),
        Err(error) => failure(ErrorCode::from(&error)),
    }
}

fn known_partitions(image: &Image, topic: &OffsetDeleteRequestTopic) -> (String, Vec<i32>) {
    let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
    let known = indexes.filter(|index| is_known(image, &topic.name, *index)).collect();
    (topic.name.to_string(), known)
}

fn is_known(image: &Image, topic: &str, partition: i32) -> bool {
    image.topics.by_name(topic).is_some_and(|topic| topic.partition(partition).is_some())
}

/// The results, which come in the order of the call, among what was not asked for.
fn response(
    image: &Image,
    topics: Vec<OffsetDeleteRequestTopic>,
    results: Vec<TopicResults>,
) -> OffsetDeleteResponse {
    let mut results: VecDeque<_> = results.into_iter().flat_map(|topic| topic.partitions).collect();
    let mut responses = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            let error = if !is_known(image, &topic.name, partition_index) {
                ErrorCode::UnknownTopicOrPartition
            } else {
                match results.pop_front() {
                    Some((_, Ok(()))) => ErrorCode::None,
                    Some((_, Err(error))) => ErrorCode::from(&error),
                    None => ErrorCode::UnknownServerError,
                }
            };
            let error_code = error.code();
            partitions.push(OffsetDeleteResponsePartition { partition_index, error_code });
        }
        responses.push(OffsetDeleteResponseTopic { name: topic.name, partitions });
    }
    OffsetDeleteResponse { topics: responses, ..OffsetDeleteResponse::default() }
}

fn failure(error: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse { error_code: error.code(), ..OffsetDeleteResponse::default() }
}
