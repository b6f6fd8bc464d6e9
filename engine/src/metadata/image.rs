//! The image: everything that the metadata log says, at one of its offsets.

use std::sync::Arc;

use super::access::{Access, Quotas};
use super::cluster::Cluster;
use super::configs::Configs;
use super::features::{Features, METADATA_VERSION};
use super::record::{self, MetadataRecord};
use super::topics::Topics;
use crate::types::{LeaderEpoch, Offset, ProducerId, TimestampMs};

/// Up to where in the log an image goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// The last offset folded in; -1 is none.
    pub offset: Offset,
    /// The leader epoch of that record; -1 is none.
    pub epoch: LeaderEpoch,
    /// When that record was appended; -1 is none.
    pub timestamp_ms: TimestampMs,
}

impl Provenance {
    /// Before the first record.
    pub const NONE: Self = Self { offset: -1, epoch: -1, timestamp_ms: -1 };
}

impl Default for Provenance {
    fn default() -> Self {
        Self::NONE
    }
}

/// The cluster's metadata at one offset. Never changed once shared: all shards and the server read
/// the same one, and a newer one replaces it. A clone copies a dozen words; images that follow each
/// other share all that did not change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Image {
    /// Up to where in the log this goes.
    pub provenance: Provenance,
    /// Finalized features.
    pub features: Arc<Features>,
    /// Brokers and controllers.
    pub cluster: Arc<Cluster>,
    /// Topics and partitions.
    pub topics: Arc<Topics>,
    /// Dynamic configuration.
    pub configs: Arc<Configs>,
    /// Quotas.
    pub quotas: Arc<Quotas>,
    /// The first producer id not given out yet.
    pub next_producer_id: ProducerId,
    /// Access control, credentials, tokens.
    pub access: Arc<Access>,
}

impl Image {
    /// Whether nothing was ever folded in, or all of it was removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Self { provenance: Provenance::NONE, ..self.clone() } == Self::default()
    }

    /// Whether both say the same, at whatever offsets.
    #[must_use]
    pub fn is_same_state(&self, other: &Self) -> bool {
        let other = Self { provenance: self.provenance, ..other.clone() };
        *self == other
    }

    /// Records whose fold from nothing is this image, in the order of a snapshot: features
    /// (`metadata.version` first), cluster, topics each with its partitions, configuration, quotas,
    /// producer ids, access.
    #[must_use]
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records =
            Vec::with_capacity(self.topics.partition_count() + self.topics.len() + 16);
        self.put_features(&mut records);
        records.extend(self.cluster.brokers.values().map(|broker| broker.to_record().into()));
        let controllers = self.cluster.controllers.values();
        records.extend(controllers.map(|controller| (**controller).clone().into()));
        for topic in self.topics.iter() {
            let name = topic.name.as_ref().into();
            records.push(record::Topic { name, topic_id: topic.id }.into());
            let partitions = topic.partitions.iter();
            records.extend(partitions.map(|partition| partition.to_record(topic.id).into()));
        }
        for (resource, values) in self.configs.iter() {
            records.extend(values.iter().map(|(name, value)| {
                MetadataRecord::from(record::Config {
                    resource_type: resource.kind.0,
                    resource_name: resource.name.as_str().into(),
                    name: name.as_str().into(),
                    value: Some(value.as_str().into()),
                })
            }));
        }
        records.extend(self.quotas.records().map(MetadataRecord::from));
        if self.next_producer_id > 0 {
            let next_producer_id = self.next_producer_id;
            let record = record::ProducerIds { broker_id: -1, broker_epoch: -1, next_producer_id };
            records.push(record.into());
        }
        records.extend(self.access.entries.values().map(|entry| (**entry).clone().into()));
        records.extend(self.access.credentials.values().map(|one| (**one).clone().into()));
        records.extend(self.access.tokens.values().map(|token| (**token).clone().into()));
        records
    }

    fn put_features(&self, records: &mut Vec<MetadataRecord>) {
        let record = |(name, level): (&str, i16)| {
            record::FeatureLevel { name: name.into(), feature_level: level }.into()
        };
        let is_first = |(name, _): &(&str, i16)| *name == METADATA_VERSION;
        records.extend(self.features.iter().filter(is_first).map(record));
        records.extend(self.features.iter().filter(|feature| !is_first(feature)).map(record));
    }
}
