//! ListPartitionReassignments, version 0.
//!
//! The partitions that are moving between brokers (KIP-455). A single broker moves nothing, so the list
//! is empty unless the metadata log of a Kafka cluster says otherwise.

use millrace_engine::io::Env;
use millrace_engine::metadata::topics::{PartitionImage, TopicImage};

use super::{Ctx, RequestMeta};
use crate::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsResponsePartition, ListPartitionReassignmentsResponseTopic,
};
use crate::protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let image = ctx.image();
    let topics = match request.topics {
        None => image.topics.iter().filter_map(|topic| moving(topic, None)).collect(),
        Some(topics) => {
            let found = topics.iter().filter_map(|wanted| {
                let topic = image.topics.by_name(&wanted.name)?;
                moving(topic, Some(&wanted.partition_indexes))
            });
            found.collect()
        }
    };
    ListPartitionReassignmentsResponse { topics, ..Default::default() }
}

fn moving(
    topic: &TopicImage,
    only: Option<&[i32]>,
) -> Option<ListPartitionReassignmentsResponseTopic> {
    let is_wanted = |partition: &PartitionImage| {
        let is_moving =
            !partition.adding_replicas.is_empty() || !partition.removing_replicas.is_empty();
        is_moving && only.is_none_or(|only| only.contains(&partition.index))
    };
    let partitions = topic.partitions.iter().filter(|partition| is_wanted(partition));
    let partitions: Vec<_> = partitions
        .map(|partition| ListPartitionReassignmentsResponsePartition {
            partition_index: partition.index,
            replicas: partition.replicas.clone(),
            adding_replicas: partition.adding_replicas.clone(),
            removing_replicas: partition.removing_replicas.clone(),
        })
        .collect();
    let name = (&*topic.name).into();
    let found = ListPartitionReassignmentsResponseTopic { name, partitions };
    (!found.partitions.is_empty()).then_some(found)
}
