//! What the controller can be asked, and what it answers: plain data that crosses from shard to
//! shard.

use super::error::ControllerError;
use crate::metadata::configs::ConfigMap;
use crate::metadata::record::{Endpoint, FeatureRange};
use crate::types::{NodeId, ProducerId, TopicId, TopicPartition, Uuid};

/// What the controller is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum ControllerCall {
    /// Create topics.
    CreateTopics {
        /// The topics.
        topics: Vec<NewTopic>,
        /// Whether only to say what would happen.
        validate_only: bool,
    },
    /// Delete topics by name or id.
    DeleteTopics {
        /// The topics.
        topics: Vec<TopicName>,
    },
    /// Give topics more partitions.
    CreatePartitions {
        /// The topics.
        topics: Vec<MorePartitions>,
        /// Whether only to say what would happen.
        validate_only: bool,
    },
    /// Change single values of configurations (KIP-339).
    IncrementalAlterConfigs {
        /// The configured things and their changes.
        resources: Vec<ResourceChanges>,
        /// Whether only to say what would happen.
        validate_only: bool,
    },
    /// Replace whole configurations.
    AlterConfigs {
        /// The configured things and their values.
        resources: Vec<ResourceValues>,
        /// Whether only to say what would happen.
        validate_only: bool,
    },
    /// Give a broker a block of producer ids.
    AllocateProducerIds {
        /// Who gets them.
        broker_id: NodeId,
        /// Its registration.
        broker_epoch: i64,
    },
    /// Register the broker that starts, and let it lead.
    RegisterBroker(Box<Registration>),
    /// Log directories of a broker have failed: they take no new partitions.
    DirectoriesFailed {
        /// The broker.
        broker_id: NodeId,
        /// Their ids.
        directories: Vec<Uuid>,
    },
    /// Finalize features at other levels: all or none.
    UpdateFeatures {
        /// The features.
        updates: Vec<FeatureUpdate>,
        /// Whether only to say what would happen.
        validate_only: bool,
    },
    /// Elect leaders.
    ElectLeaders {
        /// 0 the preferred leader, 1 anyone.
        election_type: i8,
        /// Topics and partitions; none is all of them.
        partitions: Option<Vec<(String, Vec<i32>)>>,
    },
}

/// What the controller answers, in the order asked unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum ControllerAnswer {
    /// To [`ControllerCall::CreateTopics`]: a name that was given twice stands once, at the end.
    CreateTopics(Vec<CreateTopicResult>),
    /// To [`ControllerCall::DeleteTopics`]: what was given twice stands once.
    DeleteTopics(Vec<DeleteTopicResult>),
    /// To [`ControllerCall::CreatePartitions`]: a name that was given twice stands once.
    CreatePartitions(Vec<(String, Result<(), ControllerError>)>),
    /// To [`ControllerCall::IncrementalAlterConfigs`] and [`ControllerCall::AlterConfigs`].
    AlterConfigs(Vec<AlterConfigResult>),
    /// To [`ControllerCall::AllocateProducerIds`].
    AllocateProducerIds(Result<ProducerIdBlock, ControllerError>),
    /// To [`ControllerCall::RegisterBroker`]: the broker epoch.
    RegisterBroker(Result<i64, ControllerError>),
    /// To [`ControllerCall::DirectoriesFailed`].
    DirectoriesFailed,
    /// To [`ControllerCall::UpdateFeatures`].
    UpdateFeatures(Result<(), ControllerError>),
    /// To [`ControllerCall::ElectLeaders`]; of all partitions only those that needed an election.
    ElectLeaders(Result<Vec<ElectionResult>, ControllerError>),
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    /// The name.
    pub name: String,
    /// How many partitions; -1 is the broker's default, or with assignments as many as those.
    pub partitions: i32,
    /// How many replicas of each; -1 is the broker's default, or with assignments as they say.
    pub replication_factor: i16,
    /// The replicas of each partition by its index; empty lets the controller choose.
    pub assignments: Vec<(i32, Vec<NodeId>)>,
    /// Configuration by name; a null value is refused.
    pub configs: Vec<(String, Option<String>)>,
}

/// What became of a topic to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTopicResult {
    /// The name.
    pub name: String,
    /// What was created, or would have been.
    pub result: Result<CreatedTopic, ControllerError>,
}

/// A topic that was created, or would have been.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatedTopic {
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
    /// What it overrides of the broker's defaults.
    pub configs: ConfigMap,
}

/// A topic by name, or by id if there is no name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TopicName {
    /// The name.
    pub name: Option<String>,
    /// The id; zero is none.
    pub topic_id: TopicId,
}

/// What became of a topic to be deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteTopicResult {
    /// The topic; with both name and id as far as they are known.
    pub topic: TopicName,
    /// Whether it is deleted.
    pub result: Result<(), ControllerError>,
}

/// A topic that shall have more partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MorePartitions {
    /// The topic.
    pub name: String,
    /// How many it shall have.
    pub count: i32,
    /// The replicas of each new partition; none lets the controller choose.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// What is done to one value of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOp {
    /// Set it.
    Set,
    /// Return to the default.
    Delete,
    /// Add to a list.
    Append,
    /// Remove from a list.
    Subtract,
}

impl ConfigOp {
    /// The operation of a number on the wire.
    #[must_use]
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// One change of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The configuration's name.
    pub name: String,
    /// The number of a [`ConfigOp`], as on the wire.
    pub op: i8,
    /// The value; null only to delete.
    pub value: Option<String>,
}

/// A configured thing and its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChanges {
    /// What kind it is, as on the wire.
    pub kind: i8,
    /// Its name.
    pub name: String,
    /// The changes.
    pub changes: Vec<ConfigChange>,
}

/// A configured thing and all its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceValues {
    /// What kind it is, as on the wire.
    pub kind: i8,
    /// Its name.
    pub name: String,
    /// Values by name; a null value is refused.
    pub values: Vec<(String, Option<String>)>,
}

/// What became of a configured thing.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterConfigResult {
    /// What kind it is, as on the wire.
    pub kind: i8,
    /// Its name.
    pub name: String,
    /// Whether all its changes are made; if not, none is.
    pub result: Result<(), ControllerError>,
}

/// Producer ids that were given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first.
    pub first: ProducerId,
    /// How many.
    pub len: i32,
}

/// How a broker registers.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The broker.
    pub broker_id: NodeId,
    /// This life of its process, chosen by chance.
    pub incarnation_id: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: Vec<FeatureRange>,
    /// Where it stands.
    pub rack: Option<String>,
    /// The ids of its log directories.
    pub log_dirs: Vec<Uuid>,
    /// Partitions that were found in another directory than the metadata say.
    pub moved: Vec<(TopicPartition, Uuid)>,
}

/// A feature that shall have another level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: String,
    /// The level; 0 is "not supported".
    pub level: i16,
    /// 1 upgrade, 2 safe downgrade, 3 unsafe downgrade, as on the wire.
    pub upgrade_type: i8,
}

/// What became of an election.
#[derive(Debug, Clone, PartialEq)]
pub struct ElectionResult {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Whether there is a newly elected leader.
    pub result: Result<(), ControllerError>,
}
