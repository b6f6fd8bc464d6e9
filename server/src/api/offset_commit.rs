//! OffsetCommit, versions 2 to 10.
//!
//! Stores offsets of a group; the answer comes when they are durable. Topics are named up to version 9
//! and given by id from version 10. Offsets of topics and partitions that do not exist are refused, the
//! others are stored.
//!
//! Not done: members of the new protocol (KIP-848), so an epoch is a generation here.

use std::collections::VecDeque;

use millrace_engine::group::call::{
    CommitPartition, CommitTopic, GroupError, OffsetCommitCall, TopicResults,
};
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let version = meta.version();
    let image = ctx.image();
    let mut response_topics = Vec::with_capacity(request.topics.len());
    let mut topics = Vec::new();
    for topic in &request.topics {
        let (response, accepted) = check(version, &image, topic);
        response_topics.push(response);
        topics.extend(accepted);
    }
    let response = |topics| OffsetCommitResponse { topics, ..OffsetCommitResponse::default() };
    if topics.is_empty() {
        return response(response_topics);
    }
    let retention_ms = Some(request.retention_time_ms).filter(|ms| version <= 4 && *ms != -1);
    let call = GroupCall::OffsetCommit(OffsetCommitCall {
        group_id: request.group_id.to_string(),
        generation: request.generation_id_or_member_epoch,
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        retention_ms,
        topics,
    });
    let results = match fanout::group(&ctx.client, &request.group_id, call).await {
        Ok(GroupAnswer::OffsetCommit(Ok(results))) => Ok(results),
        Ok(GroupAnswer::OffsetCommit(Err(error))) => Err(code_of(version, &error)),
        Ok(other) => unreachable!("a commit was answered with {other:?}"),
        Err(error) => Err(ErrorCode::from(&error)),
    };
    fill(version, &mut response_topics, results);
    response(response_topics)
}

/// A partition that is to be stored, until its result is known.
const PENDING: i16 = i16::MIN;

/// What to answer of a topic, and what of it is to be stored.
fn check(
    version: i16,
    image: &Image,
    topic: &OffsetCommitRequestTopic,
) -> (OffsetCommitResponseTopic, Option<CommitTopic>) {
    let (found, unknown) = if version >= 10 {
        (image.topics.by_id(topic.topic_id), ErrorCode::UnknownTopicId)
    } else {
        (image.topics.by_name(&topic.name), ErrorCode::UnknownTopicOrPartition)
    };
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    let mut accepted = Vec::new();
    for partition in &topic.partitions {
        let index = partition.partition_index;
        let error_code = match found {
            None => unknown.code(),
            Some(found) if found.partition(index).is_none() => {
                ErrorCode::UnknownTopicOrPartition.code()
            }
            Some(_) => {
                accepted.push(CommitPartition {
                    partition: index,
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.committed_metadata.as_ref().map(ToString::to_string),
                });
                PENDING
            }
        };
        partitions.push(OffsetCommitResponsePartition { partition_index: index, error_code });
    }
    let (name, topic_id) = (topic.name.clone(), topic.topic_id);
    let response = OffsetCommitResponseTopic { name, topic_id, partitions };
    let commit = found.filter(|_| !accepted.is_empty()).map(|found| CommitTopic {
        name: found.name.to_string(),
        topic_id: found.id,
        partitions: accepted,
    });
    (response, commit)
}

/// Puts results, which come in the order of the call, where they are pending.
fn fill(
    version: i16,
    topics: &mut [OffsetCommitResponseTopic],
    results: Result<Vec<TopicResults>, ErrorCode>,
) {
    let (mut results, otherwise) = match results {
        Ok(results) => {
            let results = results.into_iter().flat_map(|topic| topic.partitions);
            (results.collect(), ErrorCode::UnknownServerError)
        }
        Err(error) => (VecDeque::new(), error),
    };
    let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|partition| partition.error_code == PENDING) {
        let error = match results.pop_front() {
            Some((_, Ok(()))) => ErrorCode::None,
            Some((_, Err(error))) => code_of(version, &error),
            None => otherwise,
        };
        partition.error_code = error.code();
    }
}

/// Before version 9 a missing group is one of another generation.
fn code_of(version: i16, error: &GroupError) -> ErrorCode {
    match error {
        GroupError::GroupIdNotFound if version < 9 => ErrorCode::IllegalGeneration,
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::offset_commit::OffsetCommitRequestPartition;
    use millrace_engine::types::Uuid;

    #[test]
    fn what_does_not_exist_is_not_asked_for() {
        let partition = OffsetCommitRequestPartition::default();
        let topic = OffsetCommitRequestTopic {
            name: "orders".into(),
            topic_id: Uuid(7),
            partitions: vec![partition],
        };
        for (version, code) in [(2, 3), (9, 3), (10, 100)] {
            let (response, accepted) = check(version, &Image::default(), &topic);
            assert_eq!(accepted, None);
            assert_eq!(response.partitions[0].error_code, code, "version {version}");
        }
    }

    #[test]
    fn results_go_where_they_are_pending() {
        let partition = |partition_index, error_code| OffsetCommitResponsePartition {
            partition_index,
            error_code,
        };
        let topics = || {
            let one = vec![partition(0, PENDING), partition(9, 3), partition(1, PENDING)];
            let two = vec![partition(0, PENDING)];
            [one, two].map(|partitions| OffsetCommitResponseTopic {
                partitions,
                ..OffsetCommitResponseTopic::default()
            })
        };
        let codes = |topics: &[OffsetCommitResponseTopic]| {
            let partitions = topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|partition| partition.error_code).collect::<Vec<_>>()
        };
        let result =
            |partitions| TopicResults { name: String::new(), topic_id: Uuid::ZERO, partitions };
        let mut filled = topics();
        let error = Err(GroupError::OffsetMetadataTooLarge);
        let results = vec![result(vec![(0, Ok(())), (1, error)]), result(vec![(0, Ok(()))])];
        fill(10, &mut filled, Ok(results));
        assert_eq!(codes(&filled), [0, 3, 12, 0]);
        let mut filled = topics();
        fill(10, &mut filled, Err(ErrorCode::NotCoordinator));
        assert_eq!(codes(&filled), [16, 3, 16, 16]);
    }
}
