//! Registering the broker that starts.

use std::collections::BTreeSet;

use super::call::Registration;
use super::error::ControllerError;
use super::plan::Plan;
use crate::metadata::record::{self, MetadataRecord};
use crate::metadata::topics::{NO_LEADER, PartitionImage};
use crate::types::{NodeId, TopicPartition, Uuid};

/// Directory ids below this stand for something else than a directory.
const DIRECTORY_IDS_RESERVED: u128 = 100;

/// Registers the broker fenced, as Kafka does, and lets it lead in the same batch: who is its own
/// controller need not prove that it lives. Partitions that have no leader and may be led by this
/// broker (a Kafka broker leaves them so when it stops) get it as leader.
pub(super) fn register(
    plan: &mut Plan,
    registration: Registration,
) -> Result<i64, ControllerError> {
    check(plan, &registration)?;
    let id = registration.broker_id;
    let known = plan.image().cluster.broker(id);
    let known = known.filter(|broker| broker.incarnation_id == registration.incarnation_id);
    let broker_epoch = known.map_or_else(|| plan.next_offset(), |broker| broker.epoch);
    let register = record::RegisterBroker {
        broker_id: id,
        incarnation_id: registration.incarnation_id,
        broker_epoch,
        end_points: registration.endpoints,
        features: registration.features,
        rack: registration.rack.map(Into::into),
        fenced: true,
        log_dirs: registration.log_dirs,
        ..record::RegisterBroker::default()
    };
    let unfence = record::BrokerRegistrationChange {
        broker_id: id,
        broker_epoch,
        fenced: -1,
        ..record::BrokerRegistrationChange::default()
    };
    let mut records: Vec<MetadataRecord> = vec![register.into(), unfence.into()];
    for topic in plan.image().topics.iter() {
        let elected = topic.partitions.iter().filter_map(|partition| elected(partition, id));
        let change = |change| record::PartitionChange { topic_id: topic.id, ..change };
        records.extend(elected.map(|elected| MetadataRecord::from(change(elected))));
    }
    let moved = registration.moved.into_iter();
    records.extend(moved.filter_map(|(at, directory)| found_in(plan, at, id, directory)));
    plan.push_own(records);
    Ok(broker_epoch)
}

/// The change that says in which directory of broker `id` a partition was found.
fn found_in(
    plan: &Plan,
    at: TopicPartition,
    id: NodeId,
    directory: Uuid,
) -> Option<MetadataRecord> {
    let partition = plan.image().topics.partition(at)?;
    let mut directories = partition.directories.clone();
    let replica = partition.replicas.iter().position(|replica| *replica == id)?;
    *directories.get_mut(replica)? = directory;
    let change = record::PartitionChange {
        topic_id: at.topic_id,
        partition_id: at.partition,
        directories: Some(directories),
        ..record::PartitionChange::default()
    };
    Some(change.into())
}

/// Takes directories that failed out of a broker's registration: they get no new partitions. If none is
/// left nothing is written, as nothing can be.
pub(super) fn directories_failed(plan: &mut Plan, id: NodeId, failed: &[Uuid]) {
    let Some(broker) = plan.image().cluster.broker(id) else { return };
    let left = broker.log_dirs.iter().copied().filter(|directory| !failed.contains(directory));
    let log_dirs: Vec<Uuid> = left.collect();
    if log_dirs.is_empty() || log_dirs.len() == broker.log_dirs.len() {
        return;
    }
    let (broker_id, broker_epoch) = (id, broker.epoch);
    let change = record::BrokerRegistrationChange {
        broker_id,
        broker_epoch,
        log_dirs,
        ..record::BrokerRegistrationChange::default()
    };
    plan.push_own(vec![change.into()]);
}

/// The change that makes broker `id` lead a partition that nobody leads, if it has all that was
/// committed: it is in sync, or nobody is and it is eligible all the same (KIP-966), or it is the
/// only replica.
fn elected(partition: &PartitionImage, id: NodeId) -> Option<record::PartitionChange> {
    if partition.leader != NO_LEADER {
        return None;
    }
    let change = record::PartitionChange {
        partition_id: partition.index,
        leader: id,
        ..record::PartitionChange::default()
    };
    if partition.isr.contains(&id) {
        return Some(change);
    }
    let eligible = partition.elr.contains(&id) || partition.replicas == [id];
    let others = partition.elr.iter().copied().filter(|other| *other != id);
    (partition.isr.is_empty() && eligible).then(|| record::PartitionChange {
        isr: Some(vec![id]),
        eligible_leader_replicas: Some(others.collect()),
        last_known_elr: Some(Vec::new()),
        ..change
    })
}

fn check(plan: &Plan, registration: &Registration) -> Result<(), ControllerError> {
    let invalid = |message: &str| Err(ControllerError::InvalidRegistration(message.to_owned()));
    if registration.broker_id < 0 {
        return invalid("A broker's number cannot be negative.");
    }
    if registration.log_dirs.is_empty() {
        return invalid("No directories specified in request");
    }
    let mut seen = BTreeSet::new();
    if !registration.log_dirs.iter().all(|directory| seen.insert(*directory)) {
        return invalid("Duplicate directory ids in request");
    }
    if registration.log_dirs.iter().any(|directory| directory.0 < DIRECTORY_IDS_RESERVED) {
        return invalid("Reserved directory id in request");
    }
    for (name, level) in plan.image().features.iter() {
        let range = registration.features.iter().find(|range| range.name == *name);
        let fits = range.is_some_and(|range| {
            (range.min_supported_version..=range.max_supported_version).contains(&level)
        });
        if !fits {
            let message = format!(
                "Unable to register because the broker does not support finalized version \
                {level} of {name}."
            );
            return Err(ControllerError::UnsupportedVersion(message));
        }
    }
    Ok(())
}
