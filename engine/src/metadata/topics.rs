//! The topics of the image: by name, by id, each with its partitions.

use std::sync::Arc;

use super::record;
use super::table::Table;
use crate::codec::Str;
use crate::types::{LeaderEpoch, NodeId, TopicId, TopicPartition, Uuid};

/// Nobody leads the partition.
pub const NO_LEADER: NodeId = -1;
/// In a change: the leader is as before.
pub const NO_LEADER_CHANGE: NodeId = -2;

/// A directory id that stands for "not known, written before KIP-858".
pub const DIRECTORY_MIGRATING: Uuid = Uuid(0);
/// A directory id that stands for "the broker has not chosen yet".
pub const DIRECTORY_UNASSIGNED: Uuid = Uuid(1);
/// A directory id that stands for "a directory that is offline".
pub const DIRECTORY_LOST: Uuid = Uuid(2);

/// One partition's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Its index in its topic.
    pub index: i32,
    /// Who keeps it, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// The log directory of each replica, in the order of `replicas`.
    pub directories: Vec<Uuid>,
    /// Which replicas are in sync.
    pub isr: Vec<NodeId>,
    /// Which replicas are about to go.
    pub removing_replicas: Vec<NodeId>,
    /// Which replicas are about to come.
    pub adding_replicas: Vec<NodeId>,
    /// Replicas that may lead although they are not in sync (KIP-966).
    pub elr: Vec<NodeId>,
    /// The last of those that were known.
    pub last_known_elr: Vec<NodeId>,
    /// Who leads, or [`NO_LEADER`].
    pub leader: NodeId,
    /// Whether a leader that was not in sync is recovering.
    pub leader_recovering: bool,
    /// How often the leader has changed.
    pub leader_epoch: LeaderEpoch,
    /// How often anything has changed.
    pub partition_epoch: i32,
}

impl PartitionImage {
    /// The partition that a record describes.
    #[must_use]
    pub fn from_record(record: record::Partition) -> Self {
        let directories = directories_of(record.directories, record.replicas.len());
        Self {
            index: record.partition_id,
            directories,
            replicas: record.replicas,
            isr: record.isr,
            removing_replicas: record.removing_replicas,
            adding_replicas: record.adding_replicas,
            elr: record.eligible_leader_replicas.unwrap_or_default(),
            last_known_elr: record.last_known_elr.unwrap_or_default(),
            leader: record.leader,
            leader_recovering: record.leader_recovery_state != 0,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        }
    }

    /// The record that describes the partition whole.
    #[must_use]
    pub fn to_record(&self, topic_id: TopicId) -> record::Partition {
        let unless_empty =
            |replicas: &Vec<NodeId>| (!replicas.is_empty()).then(|| replicas.clone());
        record::Partition {
            partition_id: self.index,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            leader_recovery_state: i8::from(self.leader_recovering),
            eligible_leader_replicas: unless_empty(&self.elr),
            last_known_elr: unless_empty(&self.last_known_elr),
        }
    }

    /// The partition after a change: its partition epoch always rises by one, its leader epoch
    /// whenever the change names a leader, be it the same one.
    #[must_use]
    pub fn changed(&self, change: record::PartitionChange) -> Self {
        let replicas = change.replicas.unwrap_or_else(|| self.replicas.clone());
        let directories = change.directories.unwrap_or_else(|| self.directories.clone());
        let names_leader = change.leader != NO_LEADER_CHANGE;
        Self {
            index: self.index,
            directories: directories_of(directories, replicas.len()),
            replicas,
            isr: change.isr.unwrap_or_else(|| self.isr.clone()),
            removing_replicas: change
                .removing_replicas
                .unwrap_or_else(|| self.removing_replicas.clone()),
            adding_replicas: change.adding_replicas.unwrap_or_else(|| self.adding_replicas.clone()),
            elr: change.eligible_leader_replicas.unwrap_or_else(|| self.elr.clone()),
            last_known_elr: change.last_known_elr.unwrap_or_else(|| self.last_known_elr.clone()),
            leader: if names_leader { change.leader } else { self.leader },
            leader_recovering: match change.leader_recovery_state {
                -1 => self.leader_recovering,
                state => state != 0,
            },
            leader_epoch: self.leader_epoch.saturating_add(i32::from(names_leader)),
            partition_epoch: self.partition_epoch.saturating_add(1),
        }
    }

    /// The log directory of a replica on `broker`.
    #[must_use]
    pub fn directory_on(&self, broker: NodeId) -> Option<Uuid> {
        let at = self.replicas.iter().position(|&replica| replica == broker)?;
        self.directories.get(at).copied()
    }
}

/// Directories as they are if none were told.
fn directories_of(directories: Vec<Uuid>, replica_count: usize) -> Vec<Uuid> {
    if directories.is_empty() { vec![DIRECTORY_MIGRATING; replica_count] } else { directories }
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// The name.
    pub name: Arc<str>,
    /// The identity.
    pub id: TopicId,
    /// The partitions by ascending index, without gaps in any log that a controller wrote.
    pub partitions: Vec<Arc<PartitionImage>>,
}

impl TopicImage {
    /// The partition of an index.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Arc<PartitionImage>> {
        self.partitions.get(self.position(index).ok()?)
    }

    /// How many replicas the first partition has: the topic's replication factor.
    #[must_use]
    pub fn replication_factor(&self) -> i16 {
        let count = self.partitions.first().map_or(0, |partition| partition.replicas.len());
        i16::try_from(count).unwrap_or(i16::MAX)
    }

    /// Where a partition stands or would stand.
    fn position(&self, index: i32) -> Result<usize, usize> {
        // Without gaps it stands at its index.
        let direct = usize::try_from(index).unwrap_or(usize::MAX);
        match self.partitions.get(direct) {
            Some(partition) if partition.index == index => Ok(direct),
            _ => self.partitions.binary_search_by_key(&index, |partition| partition.index),
        }
    }
}

/// All topics.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topics {
    by_id: Table<TopicId, Arc<TopicImage>>,
    by_name: Table<Arc<str>, TopicId>,
    partition_count: usize,
}

impl Topics {
    /// The topic of a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// The topic of an id.
    #[must_use]
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.by_id.get(&id)
    }

    /// The id of a name.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<TopicId> {
        self.by_name.get(name).copied()
    }

    /// A partition by identity.
    #[must_use]
    pub fn partition(&self, at: TopicPartition) -> Option<&Arc<PartitionImage>> {
        self.by_id(at.topic_id)?.partition(at.partition)
    }

    /// How many topics there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many partitions all topics have together.
    #[must_use]
    pub const fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// All topics by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// Topics by name, from `name` on.
    pub fn iter_from<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        self.by_name.iter_from(name).filter_map(|(_, id)| self.by_id.get(id))
    }

    /// All topics by id.
    pub fn iter_by_id(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_id.values()
    }

    /// Adds a topic without partitions. False if the name or the id is taken.
    pub(super) fn create(&mut self, name: &Str, id: TopicId) -> bool {
        if self.by_name.get(name.as_str()).is_some() || self.by_id.get(&id).is_some() {
            return false;
        }
        let name: Arc<str> = Arc::from(name.as_str());
        self.by_name.insert(Arc::clone(&name), id);
        self.by_id.insert(id, Arc::new(TopicImage { name, id, partitions: Vec::new() }));
        true
    }

    /// Takes a topic out.
    pub(super) fn remove(&mut self, id: TopicId) -> Option<Arc<TopicImage>> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(&*topic.name);
        self.partition_count -= topic.partitions.len();
        Some(topic)
    }

    /// Adds or replaces a partition. False if there is no such topic.
    pub(super) fn put_partition(&mut self, id: TopicId, partition: PartitionImage) -> bool {
        let Some(topic) = self.by_id.get_mut(&id) else { return false };
        let topic = Arc::make_mut(topic);
        match topic.position(partition.index) {
            Ok(at) => {
                if let Some(slot) = topic.partitions.get_mut(at) {
                    *slot = Arc::new(partition);
                }
            }
            Err(at) => {
                topic.partitions.insert(at, Arc::new(partition));
                self.partition_count += 1;
            }
        }
        true
    }
}
