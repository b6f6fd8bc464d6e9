//! Giving topics more partitions.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::assignment::DirectoryLoads;
use super::call::MorePartitions;
use super::create_topics::{check_room, nobody_leads};
use super::error::ControllerError;
use super::plan::Plan;
use super::{CALL_PARTITIONS_MAX, assignment};
use crate::metadata::topics::TopicImage;
use crate::types::NodeId;

pub(super) fn create(
    plan: &mut Plan,
    topics: Vec<MorePartitions>,
) -> Vec<(String, Result<(), ControllerError>)> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> = topics
        .iter()
        .filter(|topic| !seen.insert(topic.name.as_str()))
        .map(|topic| topic.name.clone())
        .collect();
    let mut answered = BTreeSet::new();
    let mut results = Vec::with_capacity(topics.len());
    for topic in topics {
        if !answered.insert(topic.name.clone()) {
            continue;
        }
        let result = if twice.contains(&topic.name) {
            Err(ControllerError::InvalidRequest("Duplicate topic name.".to_owned()))
        } else {
            more_partitions(plan, &topic)
        };
        results.push((topic.name, result));
    }
    results
}

fn more_partitions(plan: &mut Plan, wanted: &MorePartitions) -> Result<(), ControllerError> {
    let topic = plan.image().topics.by_name(&wanted.name);
    let topic = Arc::clone(topic.ok_or_else(ControllerError::unknown_topic)?);
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if wanted.count == count {
        let message = format!("Topic already has {count} partition(s).");
        return Err(ControllerError::InvalidPartitions(message));
    }
    if wanted.count < count {
        return Err(ControllerError::InvalidPartitions(format!(
            "The topic {} currently has {count} partition(s); {} would not be an increase.",
            wanted.name, wanted.count
        )));
    }
    let additional = wanted.count - count;
    if i64::from(additional) > CALL_PARTITIONS_MAX {
        let message = "Excessively large number of partitions per request.";
        return Err(ControllerError::PolicyViolation(message.to_owned()));
    }
    check_room(plan, usize::try_from(additional).unwrap_or(usize::MAX))?;
    let replicas = replicas_of(plan, &topic, wanted, additional)?;
    let mut records = Vec::with_capacity(replicas.len());
    let (cluster, mut loads) = (&plan.image().cluster, DirectoryLoads::of(plan.image()));
    for (index, replicas) in (count..).zip(replicas) {
        let len = replicas.len();
        let partition = assignment::new_partition(cluster, &mut loads, topic.id, index, replicas);
        let manual = wanted.assignments.is_some();
        records.push(partition.ok_or_else(|| nobody_leads(manual, index, len))?.into());
    }
    plan.push(records)
}

/// The replicas of each new partition.
fn replicas_of(
    plan: &Plan,
    topic: &TopicImage,
    wanted: &MorePartitions,
    additional: i32,
) -> Result<Vec<Vec<NodeId>>, ControllerError> {
    let cluster = &plan.image().cluster;
    let replication_factor = topic.replication_factor();
    let Some(assignments) = &wanted.assignments else {
        let first = wanted.count - additional;
        return assignment::spread(cluster, first, additional, replication_factor)
            .map_err(ControllerError::InvalidReplicationFactor);
    };
    if i32::try_from(assignments.len()) != Ok(additional) {
        return Err(ControllerError::InvalidReplicaAssignment(format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) \
            were specified.",
            assignments.len()
        )));
    }
    let expected = usize::try_from(replication_factor).ok();
    for replicas in assignments {
        assignment::check_manual(cluster, replicas, expected)?;
    }
    Ok(assignments.clone())
}
