//! How one image differs from another: what the host opens, closes and deletes when it takes up a
//! new one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::configs::ConfigResource;
use super::image::Image;
use super::topics::{PartitionImage, TopicImage};
use crate::types::{NodeId, TopicId, TopicPartition};

/// One partition with its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOf {
    /// The topic: the new one, or the old one if the partition is gone.
    pub topic: Arc<TopicImage>,
    /// The partition of that topic.
    pub partition: Arc<PartitionImage>,
}

impl PartitionOf {
    /// The partition's identity.
    #[must_use]
    pub fn at(&self) -> TopicPartition {
        TopicPartition { topic_id: self.topic.id, partition: self.partition.index }
    }
}

/// The net difference between two images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Topics that are new, by id.
    pub topics_created: Vec<Arc<TopicImage>>,
    /// Topics that are gone, as they were, by id.
    pub topics_removed: Vec<Arc<TopicImage>>,
    /// Partitions that are new, those of new topics included.
    pub partitions_created: Vec<PartitionOf>,
    /// Partitions that are gone, as they were, those of removed topics included.
    pub partitions_removed: Vec<PartitionOf>,
    /// Partitions that are there as before but not the same, as they are now.
    pub partitions_changed: Vec<PartitionOf>,
    /// Brokers that are new, gone or not the same.
    pub brokers: BTreeSet<NodeId>,
    /// Resources whose configuration was written, be it the same value: those are to be loaded
    /// again.
    pub configs: BTreeSet<ConfigResource>,
    /// Whether finalized features are not the same.
    pub features: bool,
    /// Whether access control entries, credentials, tokens or quotas are not the same.
    pub access: bool,
}

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All differences between two images that need not follow each other.
    #[must_use]
    pub fn between(old: &Image, new: &Image) -> Self {
        let mut touched = Touched::all(old);
        touched.add_all(new);
        let mut changes = touched.changes(old, new);
        changes.configs.retain(|resource| old.configs.of(resource) != new.configs.of(resource));
        changes
    }
}

/// What the records of a delta spoke of: only there can images differ.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    pub(super) topics: BTreeSet<TopicId>,
    pub(super) brokers: BTreeSet<NodeId>,
    pub(super) configs: BTreeSet<ConfigResource>,
}

impl Touched {
    /// Everything in an image.
    pub(super) fn all(image: &Image) -> Self {
        let mut touched = Self::default();
        touched.add_all(image);
        touched
    }

    fn add_all(&mut self, image: &Image) {
        self.topics.extend(image.topics.iter_by_id().map(|topic| topic.id));
        self.brokers.extend(image.cluster.brokers.keys());
        self.configs.extend(image.configs.iter().map(|(resource, _)| resource.clone()));
    }

    /// The net differences in what was touched.
    pub(super) fn changes(self, old: &Image, new: &Image) -> Changes {
        let mut changes = Changes {
            configs: self.configs,
            features: old.features != new.features,
            access: old.access != new.access || old.quotas != new.quotas,
            ..Changes::default()
        };
        let differs = |id: &NodeId| old.cluster.brokers.get(id) != new.cluster.brokers.get(id);
        changes.brokers = self.brokers.into_iter().filter(differs).collect();
        for id in self.topics {
            match (old.topics.by_id(id), new.topics.by_id(id)) {
                (Some(old), Some(new)) => changes.put_both(old, new),
                (None, Some(new)) => {
                    changes.topics_created.push(Arc::clone(new));
                    changes.partitions_created.extend(all_partitions(new));
                }
                (Some(old), None) => {
                    changes.topics_removed.push(Arc::clone(old));
                    changes.partitions_removed.extend(all_partitions(old));
                }
                (None, None) => {}
            }
        }
        changes
    }
}

fn all_partitions(topic: &Arc<TopicImage>) -> impl Iterator<Item = PartitionOf> {
    topic.partitions.iter().map(|partition| partition_of(topic, partition))
}

fn partition_of(topic: &Arc<TopicImage>, partition: &Arc<PartitionImage>) -> PartitionOf {
    PartitionOf { topic: Arc::clone(topic), partition: Arc::clone(partition) }
}

impl Changes {
    /// A topic that is there before and after.
    fn put_both(&mut self, old: &Arc<TopicImage>, new: &Arc<TopicImage>) {
        if Arc::ptr_eq(old, new) {
            return;
        }
        for partition in &new.partitions {
            match old.partition(partition.index) {
                None => self.partitions_created.push(partition_of(new, partition)),
                Some(before) if Arc::ptr_eq(before, partition) || before == partition => {}
                Some(_) => self.partitions_changed.push(partition_of(new, partition)),
            }
        }
        for partition in &old.partitions {
            if new.partition(partition.index).is_none() {
                self.partitions_removed.push(partition_of(old, partition));
            }
        }
    }
}
