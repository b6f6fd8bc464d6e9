//! Creating topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignment::DirectoryLoads;
use super::call::{CreateTopicResult, CreatedTopic, NewTopic};
use super::error::ControllerError;
use super::plan::Plan;
use super::{CALL_PARTITIONS_MAX, Controller, Random, assignment, name};
use crate::limits::PARTITIONS_MAX;
use crate::metadata::configs::{ConfigMap, ResourceKind};
use crate::metadata::record;
use crate::types::{NodeId, TopicId, Uuid};

impl Controller {
    pub(super) fn create_topics(
        &self,
        plan: &mut Plan,
        topics: Vec<NewTopic>,
        random: Random<'_>,
    ) -> Vec<CreateTopicResult> {
        let (topics, twice) = unique(topics);
        let excessive = self.total_partitions(&topics) > CALL_PARTITIONS_MAX;
        let mut results = Vec::with_capacity(topics.len());
        // Kafka compares with the topics before the call only; within a call, too, one is enough.
        let mut keys = BTreeMap::new();
        for topic in topics {
            let name = topic.name.clone();
            let result = if excessive {
                let message = "Excessively large number of partitions per request.";
                Err(ControllerError::PolicyViolation(message.to_owned()))
            } else {
                self.create_topic(plan, topic, &mut keys, random)
            };
            results.push(CreateTopicResult { name, result });
        }
        results.extend(twice.into_iter().map(|name| {
            let error = ControllerError::InvalidRequest("Duplicate topic name.".to_owned());
            CreateTopicResult { name, result: Err(error) }
        }));
        results
    }

    fn total_partitions(&self, topics: &[NewTopic]) -> i64 {
        let of = |topic: &NewTopic| match (topic.assignments.len(), topic.partitions) {
            (0, -1) => i64::from(self.settings.partitions_default),
            (0, count) => i64::from(count.max(0)),
            (count, _) => i64::try_from(count).unwrap_or(i64::MAX),
        };
        topics.iter().map(of).fold(0, i64::saturating_add)
    }

    fn create_topic(
        &self,
        plan: &mut Plan,
        topic: NewTopic,
        keys: &mut BTreeMap<String, String>,
        random: Random<'_>,
    ) -> Result<CreatedTopic, ControllerError> {
        self.check_name(plan, &topic.name, keys)?;
        let configs = self.check_configs(&topic)?;
        let replicas = self.replicas_of(plan, &topic)?;
        check_room(plan, replicas.len())?;
        let topic_id = new_topic_id(plan, random);
        let created = CreatedTopic {
            topic_id,
            partitions: i32::try_from(replicas.len()).unwrap_or(i32::MAX),
            replication_factor: replicas
                .first()
                .and_then(|replicas| i16::try_from(replicas.len()).ok())
                .unwrap_or(i16::MAX),
            configs,
        };
        let name = topic.name.as_str().into();
        let mut records = vec![record::Topic { name, topic_id }.into()];
        records.extend(created.configs.iter().map(|(name, value)| {
            record::Config {
                resource_type: ResourceKind::TOPIC.0,
                resource_name: topic.name.as_str().into(),
                name: name.as_str().into(),
                value: Some(value.as_str().into()),
            }
            .into()
        }));
        let manual = !topic.assignments.is_empty();
        let (cluster, mut loads) = (&plan.image().cluster, DirectoryLoads::of(plan.image()));
        for (index, replicas) in (0..).zip(replicas) {
            let count = replicas.len();
            let partition =
                assignment::new_partition(cluster, &mut loads, topic_id, index, replicas);
            let partition = partition.ok_or_else(|| nobody_leads(manual, index, count))?;
            records.push(partition.into());
        }
        plan.push(records)?;
        if let Some(key) = name::collision_key(&topic.name) {
            keys.insert(key, topic.name);
        }
        Ok(created)
    }

    fn check_name(
        &self,
        plan: &Plan,
        topic: &str,
        keys: &BTreeMap<String, String>,
    ) -> Result<(), ControllerError> {
        if topic == name::CLUSTER_METADATA {
            let message = format!("Creation of internal topic {topic} is prohibited.");
            return Err(ControllerError::InvalidRequest(message));
        }
        name::check(topic)?;
        if plan.image().topics.id_of(topic).is_some() {
            let message = format!("Topic '{topic}' already exists.");
            return Err(ControllerError::TopicExists(message));
        }
        let Some(key) = name::collision_key(topic) else { return Ok(()) };
        let existing = self.collisions.get(&key).and_then(|names| names.first());
        let existing = existing.map(Arc::as_ref).or_else(|| keys.get(&key).map(String::as_str));
        existing.map_or(Ok(()), |existing| {
            let message = format!("Topic '{topic}' collides with existing topic: {existing}");
            Err(ControllerError::InvalidTopic(message))
        })
    }

    fn check_configs(&self, topic: &NewTopic) -> Result<ConfigMap, ControllerError> {
        let nulls = topic.configs.iter().filter(|(_, value)| value.is_none());
        let nulls: Vec<&str> = nulls.map(|(name, _)| name.as_str()).collect();
        if !nulls.is_empty() {
            let names = nulls.join(",");
            let message = format!("Null value not supported for topic configs: {names}");
            return Err(ControllerError::InvalidConfig(message));
        }
        let configs: ConfigMap = topic
            .configs
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect();
        self.check_topic_values(&configs)?;
        Ok(configs)
    }

    /// The replicas of each partition.
    fn replicas_of(
        &self,
        plan: &Plan,
        topic: &NewTopic,
    ) -> Result<Vec<Vec<NodeId>>, ControllerError> {
        let cluster = &plan.image().cluster;
        if !topic.assignments.is_empty() {
            return manual_replicas(plan, topic);
        }
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let message =
                "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(ControllerError::InvalidReplicationFactor(message.to_owned()));
        }
        if topic.partitions < -1 || topic.partitions == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(ControllerError::InvalidPartitions(message.to_owned()));
        }
        let defaults = &self.settings;
        let replication_factor = match topic.replication_factor {
            -1 => defaults.replication_factor_default,
            replicas => replicas,
        };
        let partitions = match topic.partitions {
            -1 => defaults.partitions_default,
            partitions => partitions,
        };
        assignment::spread(cluster, 0, partitions, replication_factor).map_err(|reason| {
            let message =
                format!("Unable to replicate the partition {replication_factor} time(s): {reason}");
            ControllerError::InvalidReplicationFactor(message)
        })
    }
}

/// Nobody of a new partition's replicas can lead it.
pub(super) fn nobody_leads(manual: bool, index: i32, replicas: usize) -> ControllerError {
    if manual {
        ControllerError::InvalidReplicaAssignment(format!(
            "All brokers specified in the manual partition assignment for partition {index} are \
            fenced or in controlled shutdown."
        ))
    } else {
        ControllerError::InvalidReplicationFactor(format!(
            "Unable to replicate the partition {replicas} time(s): All brokers are currently \
            fenced or in controlled shutdown."
        ))
    }
}

/// Refuses more partitions than a broker should have.
pub(super) fn check_room(plan: &Plan, additional: usize) -> Result<(), ControllerError> {
    let total = plan.image().topics.partition_count().saturating_add(additional);
    if total > usize::try_from(PARTITIONS_MAX).unwrap_or(usize::MAX) {
        let message = format!("There would be {total} partitions, more than {PARTITIONS_MAX}.");
        return Err(ControllerError::PolicyViolation(message));
    }
    Ok(())
}

/// The topics whose names stand once, in order, and the names that do not.
fn unique(topics: Vec<NewTopic>) -> (Vec<NewTopic>, BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for topic in &topics {
        if !seen.insert(topic.name.clone()) {
            twice.insert(topic.name.clone());
        }
    }
    let topics = topics.into_iter().filter(|topic| !twice.contains(&topic.name)).collect();
    (topics, twice)
}

fn manual_replicas(plan: &Plan, topic: &NewTopic) -> Result<Vec<Vec<NodeId>>, ControllerError> {
    let invalid = |message: &str| Err(ControllerError::InvalidRequest(message.to_owned()));
    if topic.replication_factor != -1 {
        return invalid(
            "A manual partition assignment was specified, but replication factor was not set to \
            -1.",
        );
    }
    if topic.partitions != -1 {
        return invalid(
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        );
    }
    let mut by_index = BTreeMap::new();
    let mut replication_factor = None;
    for (index, replicas) in &topic.assignments {
        assignment::check_manual(&plan.image().cluster, replicas, replication_factor)?;
        replication_factor = Some(replicas.len());
        if by_index.insert(*index, replicas.clone()).is_some() {
            return Err(ControllerError::InvalidReplicaAssignment(format!(
                "Found multiple manual partition assignments for partition {index}"
            )));
        }
    }
    if !by_index.keys().copied().eq((0..).take(by_index.len())) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(ControllerError::InvalidReplicaAssignment(message.to_owned()));
    }
    Ok(by_index.into_values().collect())
}

/// An id that no topic has.
fn new_topic_id(plan: &Plan, random: Random<'_>) -> TopicId {
    loop {
        let id = Uuid::from_random(random());
        if let Some(id) = id.filter(|id| plan.image().topics.by_id(*id).is_none()) {
            return id;
        }
    }
}
