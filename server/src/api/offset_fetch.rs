//! OffsetFetch, versions 1 to 10.
//!
//! Reads committed offsets: of one group up to version 7, of several from version 8; null topics (from
//! version 2) are all of a group's. With `require_stable` (from version 7) the answer waits for commits
//! that are on their way (KIP-447). Topics are given by id from version 10. A partition without a commit
//! has offset -1 and no error; what was committed to a deleted topic of the same name is no commit.
//!
//! Not done: member id and epoch of the new protocol (KIP-848) are not looked at; pending transactional
//! commits, because there are no transactions yet.

use millrace_engine::group::call::{FetchTopic, OffsetFetchCall, PartitionOffset, TopicOffsets};
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::types::TopicId;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestGroupTopic, OffsetFetchResponseGroup,
    OffsetFetchResponseGroupTopic, OffsetFetchResponseGroupTopicPartition,
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use crate::protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let version = meta.version();
    let require_stable = request.require_stable;
    let groups = if version >= 8 { request.groups } else { vec![only_group(request)] };
    let image = ctx.image();
    let mut responses = Vec::with_capacity(groups.len());
    for group in groups {
        let call = call_of(version, &image, &group, require_stable);
        let call = GroupCall::OffsetFetch(call);
        responses.push(match fanout::group(&ctx.client, &group.group_id, call).await {
            Ok(GroupAnswer::OffsetFetch(Ok(topics))) => offsets(version, &image, group, topics),
            Ok(GroupAnswer::OffsetFetch(Err(error))) => failure(version, group, (&error).into()),
            Ok(other) => unreachable!("a fetch of offsets was answered with {other:?}"),
            Err(error) => failure(version, group, (&error).into()),
        });
    }
    if version >= 8 {
        return OffsetFetchResponse { groups: responses, ..OffsetFetchResponse::default() };
    }
    responses.into_iter().next().map(of_one_group).unwrap_or_default()
}

/// The request of an old version as a group of a new one.
fn only_group(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestGroupTopic {
            name: topic.name,
            topic_id: TopicId::ZERO,
            partition_indexes: topic.partition_indexes,
        });
        topics.collect()
    });
    OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        ..OffsetFetchRequestGroup::default()
    }
}

fn call_of(
    version: i16,
    image: &Image,
    group: &OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchCall {
    let wanted = |topic: &OffsetFetchRequestGroupTopic| {
        let (name, topic_id) = match version {
            ..10 => (topic.name.to_string(), image.topics.id_of(&topic.name).unwrap_or_default()),
            _ => (image.topics.by_id(topic.topic_id)?.name.to_string(), topic.topic_id),
        };
        Some(FetchTopic { name, topic_id, partitions: topic.partition_indexes.clone() })
    };
    let topics = group.topics.as_ref();
    OffsetFetchCall {
        group_id: group.group_id.to_string(),
        topics: topics.map(|topics| topics.iter().filter_map(wanted).collect()),
        require_stable,
    }
}

fn offsets(
    version: i16,
    image: &Image,
    group: OffsetFetchRequestGroup,
    found: Vec<TopicOffsets>,
) -> OffsetFetchResponseGroup {
    let topic = |topic: TopicOffsets| {
        let id = Some(topic.topic_id).filter(|id| !id.is_zero());
        let current = image.topics.id_of(&topic.name);
        if id.is_some() && id != current {
            return None;
        }
        let topic_id = match version {
            ..10 => TopicId::ZERO,
            // Without an id the topic cannot be told of: it is left out.
            _ => current?,
        };
        Some(OffsetFetchResponseGroupTopic {
            name: topic.name.into(),
            topic_id,
            partitions: topic.partitions.into_iter().map(partition).collect(),
        })
    };
    let mut topics: Vec<_> = found.into_iter().filter_map(topic).collect();
    if version >= 10 {
        let asked = group.topics.unwrap_or_default().into_iter();
        let unknown = asked.filter(|topic| image.topics.by_id(topic.topic_id).is_none());
        topics.extend(unknown.map(|topic| refused(topic, ErrorCode::UnknownTopicId)));
    }
    OffsetFetchResponseGroup { group_id: group.group_id, topics, error_code: 0 }
}

fn partition(found: PartitionOffset) -> OffsetFetchResponseGroupTopicPartition {
    OffsetFetchResponseGroupTopicPartition {
        partition_index: found.partition,
        committed_offset: found.offset,
        committed_leader_epoch: found.leader_epoch,
        metadata: Some(found.metadata.into()),
        error_code: 0,
    }
}

fn refused(topic: OffsetFetchRequestGroupTopic, error: ErrorCode) -> OffsetFetchResponseGroupTopic {
    let partitions = topic.partition_indexes.into_iter();
    OffsetFetchResponseGroupTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: partitions
            .map(|partition_index| OffsetFetchResponseGroupTopicPartition {
                partition_index,
                committed_offset: -1,
                committed_leader_epoch: -1,
                metadata: Some(Default::default()),
                error_code: error.code(),
            })
            .collect(),
    }
}

/// No offsets of the group can be told. Version 1 can say so of each partition only.
fn failure(
    version: i16,
    group: OffsetFetchRequestGroup,
    error: ErrorCode,
) -> OffsetFetchResponseGroup {
    let topics = match version {
        ..2 => group.topics.unwrap_or_default(),
        _ => Vec::new(),
    };
    let topics = topics.into_iter().map(|topic| refused(topic, error)).collect();
    OffsetFetchResponseGroup { group_id: group.group_id, topics, error_code: error.code() }
}

fn of_one_group(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition =
        |partition: OffsetFetchResponseGroupTopicPartition| OffsetFetchResponsePartition {
            partition_index: partition.partition_index,
            committed_offset: partition.committed_offset,
            committed_leader_epoch: partition.committed_leader_epoch,
            metadata: partition.metadata,
            error_code: partition.error_code,
        };
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(topic_id: TopicId) -> OffsetFetchRequestGroup {
        let topic = OffsetFetchRequestGroupTopic {
            name: "orders".into(),
            topic_id,
            partition_indexes: vec![4],
        };
        OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        }
    }

    #[test]
    fn version_1_tells_errors_per_partition_and_later_ones_do_not() {
        let response = of_one_group(failure(1, group(TopicId::ZERO), ErrorCode::NotCoordinator));
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.partition_index, partition.committed_offset), (4, -1));
        assert_eq!(partition.error_code, 16);
        let response = of_one_group(failure(2, group(TopicId::ZERO), ErrorCode::NotCoordinator));
        assert_eq!((response.topics.len(), response.error_code), (0, 16));
    }

    #[test]
    fn an_unknown_id_is_told_and_a_topic_without_id_is_left_out() {
        let gone =
            TopicOffsets { name: "gone".into(), topic_id: TopicId::ZERO, partitions: vec![] };
        let image = Image::default();
        let id = millrace_engine::types::Uuid(7);
        let response = offsets(10, &image, group(id), vec![gone.clone()]);
        let told = &response.topics[0];
        assert_eq!((response.topics.len(), told.topic_id), (1, id));
        assert_eq!(told.partitions[0].error_code, 100);
        assert_eq!(offsets(9, &image, group(TopicId::ZERO), vec![gone.clone()]).topics.len(), 1);
        let of_another = TopicOffsets { topic_id: id, ..gone };
        assert_eq!(offsets(9, &image, group(TopicId::ZERO), vec![of_another]).topics.len(), 0);
    }
}
