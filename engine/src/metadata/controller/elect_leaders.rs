//! Electing leaders. With one broker there is seldom anyone else to elect.

use super::call::ElectionResult;
use super::error::ControllerError;
use super::plan::Plan;
use crate::metadata::record;
use crate::metadata::topics::{NO_LEADER, PartitionImage};
use crate::types::{NodeId, TopicId};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(super) fn elect(
    plan: &mut Plan,
    election_type: i8,
    partitions: Option<Vec<(String, Vec<i32>)>>,
) -> Result<Vec<ElectionResult>, ControllerError> {
    if ![PREFERRED, UNCLEAN].contains(&election_type) {
        let message = format!("Unknown election type {election_type}");
        return Err(ControllerError::InvalidRequest(message));
    }
    let all = partitions.is_none();
    let partitions = partitions.unwrap_or_else(|| {
        let topics = plan.image().topics.iter();
        topics
            .map(|topic| {
                let indexes = topic.partitions.iter().map(|partition| partition.index);
                (topic.name.to_string(), indexes.collect())
            })
            .collect()
    });
    let mut results = Vec::new();
    for (topic, indexes) in partitions {
        for partition in indexes {
            let result = elect_one(plan, &topic, partition, election_type);
            if !(all && matches!(result, Err(ControllerError::ElectionNotNeeded(_)))) {
                results.push(ElectionResult { topic: topic.clone(), partition, result });
            }
        }
    }
    Ok(results)
}

fn elect_one(
    plan: &mut Plan,
    topic: &str,
    index: i32,
    election_type: i8,
) -> Result<(), ControllerError> {
    let unknown =
        |what: String| ControllerError::UnknownTopicOrPartition(format!("No such {what}"));
    let found = plan.image().topics.by_name(topic);
    let found = found.ok_or_else(|| unknown(format!("topic as {topic}")))?;
    let partition = found.partition(index);
    let partition = partition.ok_or_else(|| unknown(format!("partition as {topic}-{index}")))?;
    let preferred = partition.replicas.first().copied();
    let not_needed = match election_type {
        PREFERRED => Some(partition.leader) == preferred,
        _ => partition.leader != NO_LEADER,
    };
    if not_needed {
        let message = "Leader election not needed for topic partition.";
        return Err(ControllerError::ElectionNotNeeded(message.to_owned()));
    }
    let can_lead = |id: &NodeId| plan.image().cluster.is_active(*id);
    let in_sync = |id: &NodeId| partition.isr.contains(id) && can_lead(id);
    let change = match election_type {
        PREFERRED => preferred.filter(in_sync).map(|leader| (leader, false)),
        _ => {
            let clean = partition.replicas.iter().find(|id| in_sync(id));
            let unclean = partition.replicas.iter().find(|id| can_lead(id));
            clean.map(|id| (*id, false)).or_else(|| unclean.map(|id| (*id, true)))
        }
    };
    let (leader, unclean) = change.ok_or_else(|| nobody(election_type))?;
    let change = change_to(partition, found.id, leader, unclean);
    plan.push(vec![change.into()])
}

/// The change that makes `leader` lead; one that was not in sync is then the only one that is.
fn change_to(
    partition: &PartitionImage,
    topic_id: TopicId,
    leader: NodeId,
    unclean: bool,
) -> record::PartitionChange {
    record::PartitionChange {
        partition_id: partition.index,
        topic_id,
        leader,
        isr: unclean.then(|| vec![leader]),
        leader_recovery_state: if unclean { 1 } else { -1 },
        ..record::PartitionChange::default()
    }
}

fn nobody(election_type: i8) -> ControllerError {
    if election_type == PREFERRED {
        let message = "The preferred leader was not available.";
        ControllerError::PreferredLeaderNotAvailable(message.to_owned())
    } else {
        let message = "Eligible topic partition leaders are not available.";
        ControllerError::EligibleLeadersNotAvailable(message.to_owned())
    }
}
