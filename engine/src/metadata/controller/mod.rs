//! The controller of a broker that is its own leader of the metadata log: it checks what is asked
//! and says which records to write.
//!
//! Pure: a call gives a [`Planned`], that is records for one batch, the image after them, and the
//! answer. The host appends the batch to `__cluster_metadata-0` where the plan says, and when it is
//! durable publishes the image and gives the answer. Several plans may be on their way: each call
//! is checked against the state after all plans before it. So an answer without records, too, is
//! given only once all plans before it are durable: it may rest on them. If a write fails, the
//! controller is ahead of its log and must be thrown away.

mod alter_configs;
mod assignment;
pub mod call;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elect_leaders;
pub mod error;
pub mod internal;
pub mod name;
mod plan;
mod producer_ids;
mod register_broker;
mod update_features;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use call::{ControllerAnswer, ControllerCall};
pub use error::ControllerError;

use self::plan::Plan;
use super::changes::Changes;
use super::configs::ConfigMap;
use super::image::{Image, Provenance};
use crate::machine::MachineRecord;
use crate::topic_config::TopicConfig;
use crate::types::{LeaderEpoch, NodeId, Offset, TimestampMs};

/// Most partitions created by one call, as in Kafka. Partitions.
pub const CALL_PARTITIONS_MAX: i64 = 10_000;
/// Most records that one call writes on a client's behalf, as in Kafka. Records.
pub const CALL_RECORDS_MAX: usize = 10_000;
/// Most bytes of record values that one call writes on a client's behalf: they are one batch.
/// Bytes.
pub const CALL_BYTES_MAX: usize = 7 * 1024 * 1024;

/// What the controller needs to know of the broker's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllerSettings {
    /// This broker and controller, `node.id`.
    pub node_id: NodeId,
    /// `num.partitions`.
    pub partitions_default: i32,
    /// `default.replication.factor`.
    pub replication_factor_default: i16,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// The broker's defaults for its topics.
    pub topic_defaults: TopicConfig,
    /// The features that this release can be finalized at: name, lowest and highest level.
    pub features_supported: Vec<(&'static str, i16, i16)>,
}

/// The broker's own dynamic configuration: the server knows its names and values.
pub trait BrokerRules: Send {
    /// Refuses values that a broker cannot take while it runs. `is_default` is whether they are for
    /// all brokers. The message is for the client.
    ///
    /// # Errors
    /// The reason.
    fn check(&self, values: &ConfigMap, is_default: bool) -> Result<(), String>;

    /// The default of a configuration that is a list, as text; none if there is no such list.
    fn list_default(&self, name: &str) -> Option<String>;
}

/// No rules: every setting is taken. For brokers in simulations and tests.
#[derive(Debug, Clone, Copy)]
pub struct AnySetting;

impl BrokerRules for AnySetting {
    fn check(&self, _: &ConfigMap, _: bool) -> Result<(), String> {
        Ok(())
    }

    fn list_default(&self, _: &str) -> Option<String> {
        None
    }
}

/// A source of chance: 128 random bits at each call.
pub type Random<'a> = &'a mut dyn FnMut() -> u128;

/// The controller.
pub struct Controller {
    settings: ControllerSettings,
    rules: Box<dyn BrokerRules>,
    /// The state after all plans.
    image: Image,
    /// Where the next plan's records go.
    next_offset: Offset,
    epoch: LeaderEpoch,
    /// Topics that are the same in names of metrics.
    collisions: BTreeMap<String, BTreeSet<Arc<str>>>,
}

/// A state to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The new image.
    pub image: Arc<Image>,
    /// How it differs from the one before.
    pub changes: Changes,
}

/// What the host is to do for one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Where the first record must stand.
    pub base_offset: Offset,
    /// What to append as one batch; empty if nothing changes.
    pub records: Vec<MachineRecord>,
    /// What to publish when the batch is durable; none without records.
    pub publication: Option<Publication>,
    /// What to answer then; without records, as soon as all plans before are durable.
    pub answer: ControllerAnswer,
}

impl Controller {
    /// A controller that goes on from `image`, whose log's next offset is `next_offset` (behind the
    /// [leader change](super::bootstrap) of this epoch), as leader of `epoch`.
    #[must_use]
    pub fn new(
        settings: ControllerSettings,
        rules: Box<dyn BrokerRules>,
        image: &Image,
        next_offset: Offset,
        epoch: LeaderEpoch,
    ) -> Self {
        let mut controller = Self {
            settings,
            rules,
            image: image.clone(),
            next_offset,
            epoch,
            collisions: BTreeMap::new(),
        };
        for topic in image.topics.iter() {
            controller.note_name(&topic.name);
        }
        controller
    }

    /// The state after all plans, durable or not.
    #[must_use]
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// Where the next plan's records go.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Plans what `call` asks for. `now_ms` is the wall clock; `random` gives topics their ids.
    #[must_use]
    pub fn call(
        &mut self,
        now_ms: TimestampMs,
        call: ControllerCall,
        random: Random<'_>,
    ) -> Planned {
        let mut plan = Plan::new(&self.image, self.next_offset);
        let (answer, validate_only) = match call {
            ControllerCall::CreateTopics { topics, validate_only } => {
                let results = self.create_topics(&mut plan, topics, random);
                (ControllerAnswer::CreateTopics(results), validate_only)
            }
            ControllerCall::DeleteTopics { topics } => {
                let results = self.delete_topics(&mut plan, topics);
                (ControllerAnswer::DeleteTopics(results), false)
            }
            ControllerCall::CreatePartitions { topics, validate_only } => {
                let results = create_partitions::create(&mut plan, topics);
                (ControllerAnswer::CreatePartitions(results), validate_only)
            }
            ControllerCall::IncrementalAlterConfigs { resources, validate_only } => {
                let results = self.incremental_alter_configs(&mut plan, resources);
                (ControllerAnswer::AlterConfigs(results), validate_only)
            }
            ControllerCall::AlterConfigs { resources, validate_only } => {
                let results = self.alter_configs(&mut plan, resources);
                (ControllerAnswer::AlterConfigs(results), validate_only)
            }
            ControllerCall::AllocateProducerIds { broker_id, broker_epoch } => {
                let result = producer_ids::allocate(&mut plan, broker_id, broker_epoch);
                (ControllerAnswer::AllocateProducerIds(result), false)
            }
            ControllerCall::RegisterBroker(registration) => {
                let result = register_broker::register(&mut plan, *registration);
                (ControllerAnswer::RegisterBroker(result), false)
            }
            ControllerCall::DirectoriesFailed { broker_id, directories } => {
                register_broker::directories_failed(&mut plan, broker_id, &directories);
                (ControllerAnswer::DirectoriesFailed, false)
            }
            ControllerCall::UpdateFeatures { updates, validate_only } => {
                let result = self.update_features(&mut plan, &updates);
                (ControllerAnswer::UpdateFeatures(result), validate_only)
            }
            ControllerCall::ElectLeaders { election_type, partitions } => {
                let result = elect_leaders::elect(&mut plan, election_type, partitions);
                (ControllerAnswer::ElectLeaders(result), false)
            }
        };
        if validate_only {
            plan = Plan::new(&self.image, self.next_offset);
        }
        self.take_up(plan, now_ms, answer)
    }

    /// Goes on from the state after `plan`.
    fn take_up(
        &mut self,
        plan: Plan,
        timestamp_ms: TimestampMs,
        answer: ControllerAnswer,
    ) -> Planned {
        let base_offset = self.next_offset;
        let (delta, values) = plan.into_parts();
        if values.is_empty() {
            return Planned { base_offset, records: Vec::new(), publication: None, answer };
        }
        let record = |value| MachineRecord { timestamp_ms, key: None, value: Some(value) };
        let records: Vec<_> = values.into_iter().map(record).collect();
        self.next_offset = base_offset.saturating_add_unsigned(records.len() as u64);
        let provenance =
            Provenance { offset: self.next_offset - 1, epoch: self.epoch, timestamp_ms };
        let (image, changes) = delta.finish(provenance);
        for topic in &changes.topics_removed {
            self.forget_name(&topic.name);
        }
        for topic in &changes.topics_created {
            self.note_name(&topic.name);
        }
        self.image = image.clone();
        let publication = Some(Publication { image: Arc::new(image), changes });
        Planned { base_offset, records, publication, answer }
    }

    fn note_name(&mut self, name: &Arc<str>) {
        if let Some(key) = name::collision_key(name) {
            self.collisions.entry(key).or_default().insert(Arc::clone(name));
        }
    }

    fn forget_name(&mut self, name: &Arc<str>) {
        let Some(key) = name::collision_key(name) else { return };
        if let Some(names) = self.collisions.get_mut(&key) {
            names.remove(name);
            if names.is_empty() {
                self.collisions.remove(&key);
            }
        }
    }
}
