//! The fold: what each record of the metadata log does to an image.

use std::sync::Arc;

use super::changes::{Changes, Touched};
use super::cluster::BrokerImage;
use super::configs::{ConfigResource, ResourceKind};
use super::features::{
    KRAFT_VERSION, METADATA_VERSION, METADATA_VERSION_MAX, METADATA_VERSION_MIN,
};
use super::image::{Image, Provenance};
use super::record::{self, MetadataRecord};
use super::topics::PartitionImage;
use crate::types::{NodeId, TopicId, Uuid};

/// Why a record does not fit the state before it: the log is damaged, or not read from its
/// beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A topic is created whose name or id is taken.
    #[error("topic {name} with id {id} exists already")]
    TopicExists {
        /// The name.
        name: String,
        /// The id.
        id: TopicId,
    },
    /// A record speaks of a topic that is not there.
    #[error("no topic has the id {0}")]
    NoTopic(TopicId),
    /// A record speaks of a partition that is not there.
    #[error("topic {topic_id} has no partition {partition}")]
    NoPartition {
        /// The topic.
        topic_id: TopicId,
        /// The partition.
        partition: i32,
    },
    /// A partition's index is negative, or its replicas and directories differ in number.
    #[error("partition {partition} of topic {topic_id} is not well-formed")]
    Partition {
        /// The topic.
        topic_id: TopicId,
        /// The partition.
        partition: i32,
    },
    /// A record speaks of a broker that is not registered, or of another registration of it.
    #[error("broker {id} is not registered with epoch {epoch}")]
    NoBroker {
        /// The broker.
        id: NodeId,
        /// The registration.
        epoch: i64,
    },
    /// An access control entry is removed that is not there.
    #[error("no access control entry has the id {0}")]
    NoEntry(Uuid),
    /// The log needs a newer release than this.
    #[error(
        "metadata.version {0} is not supported (supported are {METADATA_VERSION_MIN} to \
        {METADATA_VERSION_MAX})"
    )]
    MetadataVersion(i16),
    /// A metadata transaction begins in another, or ends where none is open.
    #[error("metadata transactions are not well-formed")]
    Transaction,
}

/// An image in the making: a base and the records folded in since.
#[derive(Debug, Clone)]
pub struct Delta {
    base: Image,
    image: Image,
    touched: Touched,
    /// What to return to if the open metadata transaction is aborted.
    before_transaction: Option<Box<(Image, Touched)>>,
}

impl Delta {
    /// Nothing folded in yet.
    #[must_use]
    pub fn new(base: &Image) -> Self {
        Self {
            base: base.clone(),
            image: base.clone(),
            touched: Touched::default(),
            before_transaction: None,
        }
    }

    /// A fold from nothing, as a snapshot is loaded: what `base` has and the snapshot has not is
    /// gone.
    #[must_use]
    pub fn from_nothing(base: &Image) -> Self {
        let image = Image::default();
        let touched = Touched::all(base);
        Self { base: base.clone(), image, touched, before_transaction: None }
    }

    /// The state so far, an open metadata transaction included.
    #[must_use]
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// Whether a metadata transaction is open: then the state must not be published yet.
    #[must_use]
    pub const fn in_transaction(&self) -> bool {
        self.before_transaction.is_some()
    }

    /// Forgets the records of the open metadata transaction, if one is open.
    pub(super) fn abort_transaction(&mut self) {
        if let Some(before) = self.before_transaction.take() {
            (self.image, self.touched) = *before;
        }
    }

    /// The new image at `provenance`, and how it differs from the base.
    #[must_use]
    pub fn finish(self, provenance: Provenance) -> (Image, Changes) {
        let Self { base, mut image, touched, before_transaction } = self;
        debug_assert!(before_transaction.is_none(), "an open transaction is not published");
        image.provenance = provenance;
        let changes = touched.changes(&base, &image);
        (image, changes)
    }

    /// Folds in one record.
    ///
    /// # Errors
    /// [`ApplyError`]; the delta is then of no more use.
    pub fn apply(&mut self, record: MetadataRecord) -> Result<(), ApplyError> {
        use MetadataRecord as R;
        match record {
            R::RegisterBroker(record) => self.register_broker(record),
            R::UnregisterBroker(record) => self.unregister_broker(&record),
            R::FenceBroker(record) => self.fence(record.id, record.epoch, 1)?,
            R::UnfenceBroker(record) => self.fence(record.id, record.epoch, -1)?,
            R::BrokerRegistrationChange(record) => self.change_broker(record)?,
            R::RegisterController(record) => {
                Arc::make_mut(&mut self.image.cluster).put_controller(record);
            }
            R::UnregisterController(record) => {
                Arc::make_mut(&mut self.image.cluster).controllers.remove(&record.controller_id);
            }
            R::Topic(record) => self.create_topic(&record)?,
            R::RemoveTopic(record) => self.remove_topic(record.topic_id)?,
            R::Partition(record) => self.put_partition(record)?,
            R::PartitionChange(record) => self.change_partition(record)?,
            R::ClearElr(record) => self.clear_elr(&record.topic_name),
            R::Config(record) => self.set_config(&record),
            R::FeatureLevel(record) => self.set_feature(&record)?,
            R::ClientQuota(record) => Arc::make_mut(&mut self.image.quotas).apply(&record),
            R::ProducerIds(record) => self.image.next_producer_id = record.next_producer_id,
            R::BeginTransaction(_) | R::EndTransaction(_) | R::AbortTransaction(_) => {
                self.transaction(&record)?;
            }
            R::AccessControlEntry(_)
            | R::RemoveAccessControlEntry(_)
            | R::UserScramCredential(_)
            | R::RemoveUserScramCredential(_)
            | R::DelegationToken(_)
            | R::RemoveDelegationToken(_) => self.change_access(record)?,
            R::NoOp(_) | R::ZkMigrationState(_) => {}
        }
        Ok(())
    }

    fn register_broker(&mut self, record: record::RegisterBroker) {
        let broker = BrokerImage::from_record(record);
        self.touched.brokers.insert(broker.id);
        Arc::make_mut(&mut self.image.cluster).brokers.insert(broker.id, Arc::new(broker));
    }

    fn unregister_broker(&mut self, record: &record::UnregisterBroker) {
        self.touched.brokers.insert(record.broker_id);
        Arc::make_mut(&mut self.image.cluster).brokers.remove(&record.broker_id);
    }

    fn fence(
        &mut self,
        broker_id: NodeId,
        broker_epoch: i64,
        fenced: i8,
    ) -> Result<(), ApplyError> {
        let change = record::BrokerRegistrationChange {
            broker_id,
            broker_epoch,
            fenced,
            ..record::BrokerRegistrationChange::default()
        };
        self.change_broker(change)
    }

    fn change_broker(
        &mut self,
        change: record::BrokerRegistrationChange,
    ) -> Result<(), ApplyError> {
        let (id, epoch) = (change.broker_id, change.broker_epoch);
        let no_broker = ApplyError::NoBroker { id, epoch };
        if self.image.cluster.broker(id).is_none_or(|broker| broker.epoch != epoch) {
            return Err(no_broker);
        }
        let brokers = &mut Arc::make_mut(&mut self.image.cluster).brokers;
        Arc::make_mut(brokers.get_mut(&id).ok_or(no_broker)?).change(change);
        self.touched.brokers.insert(id);
        Ok(())
    }

    fn create_topic(&mut self, record: &record::Topic) -> Result<(), ApplyError> {
        if !Arc::make_mut(&mut self.image.topics).create(&record.name, record.topic_id) {
            let name = record.name.to_string();
            return Err(ApplyError::TopicExists { name, id: record.topic_id });
        }
        self.touched.topics.insert(record.topic_id);
        Ok(())
    }

    fn remove_topic(&mut self, id: TopicId) -> Result<(), ApplyError> {
        let topics = Arc::make_mut(&mut self.image.topics);
        let topic = topics.remove(id).ok_or(ApplyError::NoTopic(id))?;
        self.touched.topics.insert(id);
        let resource = ConfigResource::topic(&topic.name);
        if self.image.configs.of(&resource).is_some() {
            Arc::make_mut(&mut self.image.configs).remove(&resource);
            self.touched.configs.insert(resource);
        }
        Ok(())
    }

    fn put_partition(&mut self, record: record::Partition) -> Result<(), ApplyError> {
        let (topic_id, partition) = (record.topic_id, record.partition_id);
        let directories = record.directories.len();
        if partition < 0 || (directories != 0 && directories != record.replicas.len()) {
            return Err(ApplyError::Partition { topic_id, partition });
        }
        let image = PartitionImage::from_record(record);
        if !Arc::make_mut(&mut self.image.topics).put_partition(topic_id, image) {
            return Err(ApplyError::NoTopic(topic_id));
        }
        self.touched.topics.insert(topic_id);
        Ok(())
    }

    fn change_partition(&mut self, change: record::PartitionChange) -> Result<(), ApplyError> {
        let (topic_id, partition) = (change.topic_id, change.partition_id);
        let topic = self.image.topics.by_id(topic_id).ok_or(ApplyError::NoTopic(topic_id))?;
        let old =
            topic.partition(partition).ok_or(ApplyError::NoPartition { topic_id, partition })?;
        let new = old.changed(change);
        if new.directories.len() != new.replicas.len() {
            return Err(ApplyError::Partition { topic_id, partition });
        }
        Arc::make_mut(&mut self.image.topics).put_partition(topic_id, new);
        self.touched.topics.insert(topic_id);
        Ok(())
    }

    fn clear_elr(&mut self, topic_name: &str) {
        let named = |name: &str| topic_name.is_empty() || name == topic_name;
        let mut cleared = Vec::new();
        for topic in self.image.topics.iter().filter(|topic| named(&topic.name)) {
            for old in &topic.partitions {
                if !old.elr.is_empty() || !old.last_known_elr.is_empty() {
                    let new = PartitionImage {
                        elr: Vec::new(),
                        last_known_elr: Vec::new(),
                        partition_epoch: old.partition_epoch.saturating_add(1),
                        ..(**old).clone()
                    };
                    cleared.push((topic.id, new));
                }
            }
        }
        for (id, partition) in cleared {
            self.touched.topics.insert(id);
            Arc::make_mut(&mut self.image.topics).put_partition(id, partition);
        }
    }

    fn set_config(&mut self, record: &record::Config) {
        let resource = ConfigResource {
            kind: ResourceKind(record.resource_type),
            name: record.resource_name.to_string(),
        };
        let configs = Arc::make_mut(&mut self.image.configs);
        configs.set(&resource, &record.name, record.value.as_deref());
        self.touched.configs.insert(resource);
    }

    fn set_feature(&mut self, record: &record::FeatureLevel) -> Result<(), ApplyError> {
        let (name, level) = (record.name.as_str(), record.feature_level);
        if name == KRAFT_VERSION {
            return Ok(());
        }
        let supported = METADATA_VERSION_MIN..=METADATA_VERSION_MAX;
        if name == METADATA_VERSION && !supported.contains(&level) {
            return Err(ApplyError::MetadataVersion(level));
        }
        Arc::make_mut(&mut self.image.features).set(name, level);
        Ok(())
    }

    fn transaction(&mut self, record: &MetadataRecord) -> Result<(), ApplyError> {
        match (record, self.in_transaction()) {
            (MetadataRecord::BeginTransaction(_), false) => {
                let before = (self.image.clone(), self.touched.clone());
                self.before_transaction = Some(Box::new(before));
            }
            (MetadataRecord::EndTransaction(_), true) => self.before_transaction = None,
            (MetadataRecord::AbortTransaction(_), true) => self.abort_transaction(),
            _ => return Err(ApplyError::Transaction),
        }
        Ok(())
    }

    fn change_access(&mut self, record: MetadataRecord) -> Result<(), ApplyError> {
        let access = Arc::make_mut(&mut self.image.access);
        match record {
            MetadataRecord::AccessControlEntry(entry) => {
                access.entries.insert(entry.id, Arc::new(entry));
            }
            MetadataRecord::RemoveAccessControlEntry(record) => {
                let removed = access.entries.remove(&record.id);
                removed.ok_or(ApplyError::NoEntry(record.id))?;
            }
            MetadataRecord::UserScramCredential(record) => {
                access
                    .credentials
                    .insert((record.mechanism, record.name.to_string()), Arc::new(record));
            }
            MetadataRecord::RemoveUserScramCredential(record) => {
                access.credentials.remove(&(record.mechanism, record.name.to_string()));
            }
            MetadataRecord::DelegationToken(record) => {
                access.tokens.insert(record.token_id.to_string(), Arc::new(record));
            }
            MetadataRecord::RemoveDelegationToken(record) => {
                access.tokens.remove(record.token_id.as_str());
            }
            _ => {}
        }
        Ok(())
    }
}
