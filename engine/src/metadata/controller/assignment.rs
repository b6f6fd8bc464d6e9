//! Which brokers keep a partition.

use std::collections::BTreeMap;

use super::error::ControllerError;
use crate::metadata::cluster::{BrokerImage, Cluster};
use crate::metadata::image::Image;
use crate::metadata::record;
use crate::metadata::topics::DIRECTORY_MIGRATING;
use crate::types::{NodeId, TopicId, Uuid};

/// Replicas for `count` partitions from index `first` on, spread over the active brokers: each
/// partition begins at the next broker. The message of a refusal is to be put into a sentence.
///
/// # Errors
/// Why there cannot be as many replicas.
pub(super) fn spread(
    cluster: &Cluster,
    first: i32,
    count: i32,
    replication_factor: i16,
) -> Result<Vec<Vec<NodeId>>, String> {
    let usable = cluster.brokers.values().filter(|broker| broker.has_uncordoned_dir()).count();
    let active: Vec<NodeId> = cluster
        .active()
        .filter(|broker| broker.has_uncordoned_dir())
        .map(|broker| broker.id)
        .collect();
    let replicas = usize::try_from(replication_factor).unwrap_or_default();
    if replicas == 0 {
        return Err(format!(
            "Invalid replication factor {replication_factor}: the replication factor must be \
            positive."
        ));
    }
    if active.is_empty() {
        return Err("All brokers are currently fenced.".to_owned());
    }
    if replicas > usable {
        return Err(format!(
            "The target replication factor of {replication_factor} cannot be reached because \
            only {usable} broker(s) are registered."
        ));
    }
    // Kafka fills up with brokers that are fenced; so do we, behind the active ones.
    let fenced = cluster.brokers.values().filter(|broker| !broker.is_active());
    let fenced: Vec<NodeId> = fenced.map(|broker| broker.id).collect();
    let assign = |index: i32| {
        let start = usize::try_from(index).unwrap_or_default() % active.len();
        let rotated = active.iter().cycle().skip(start).take(active.len());
        rotated.chain(&fenced).copied().take(replicas).collect()
    };
    Ok((first..first.saturating_add(count)).map(assign).collect())
}

/// Refuses replicas that a client chose and that cannot be.
///
/// # Errors
/// [`ControllerError::InvalidReplicaAssignment`].
pub(super) fn check_manual(
    cluster: &Cluster,
    replicas: &[NodeId],
    replication_factor: Option<usize>,
) -> Result<(), ControllerError> {
    let invalid = |what: String| {
        let message = format!("The manual partition assignment includes {what}");
        Err(ControllerError::InvalidReplicaAssignment(message))
    };
    if replicas.is_empty() {
        return invalid("an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    for (i, id) in sorted.iter().enumerate() {
        let Some(broker) = cluster.broker(*id) else {
            return invalid(format!("broker {id}, but no such broker is registered."));
        };
        if !broker.has_uncordoned_dir() {
            return invalid(format!("broker {id}, but all its log directories are cordoned."));
        }
        if i > 0 && sorted.get(i - 1) == Some(id) {
            return invalid(format!("the broker {id} more than once."));
        }
    }
    match replication_factor {
        Some(expected) if expected != replicas.len() => invalid(format!(
            "a partition with {} replica(s), but this is not consistent with previous \
            partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// How many partitions each log directory has, where there is a choice.
pub(super) struct DirectoryLoads(BTreeMap<Uuid, usize>);

impl DirectoryLoads {
    /// Those of an image.
    pub(super) fn of(image: &Image) -> Self {
        let mut loads = BTreeMap::new();
        if image.cluster.brokers.values().all(|broker| broker.log_dirs.len() < 2) {
            return Self(loads);
        }
        for partition in image.topics.iter_by_id().flat_map(|topic| &topic.partitions) {
            for directory in &partition.directories {
                *loads.entry(*directory).or_default() += 1;
            }
        }
        Self(loads)
    }

    /// The directory of a new replica on a broker: that with the fewest partitions, the first of them,
    /// as a Kafka broker chooses.
    fn choose(&mut self, broker: &BrokerImage) -> Uuid {
        let load = |directory: &Uuid| self.0.get(directory).copied().unwrap_or_default();
        let chosen = broker.uncordoned_dirs().min_by_key(load).unwrap_or(DIRECTORY_MIGRATING);
        *self.0.entry(chosen).or_default() += 1;
        chosen
    }
}

/// The record of a new partition; none if no replica can lead it.
pub(super) fn new_partition(
    cluster: &Cluster,
    loads: &mut DirectoryLoads,
    topic_id: TopicId,
    partition_id: i32,
    replicas: Vec<NodeId>,
) -> Option<record::Partition> {
    let mut directory =
        |id: &NodeId| cluster.broker(*id).map(|broker| loads.choose(broker)).unwrap_or_default();
    let isr: Vec<NodeId> = replicas.iter().copied().filter(|id| cluster.is_active(*id)).collect();
    Some(record::Partition {
        partition_id,
        topic_id,
        leader: *isr.first()?,
        isr,
        directories: replicas.iter().map(&mut directory).collect(),
        replicas,
        leader_epoch: 0,
        partition_epoch: 0,
        ..record::Partition::default()
    })
}
