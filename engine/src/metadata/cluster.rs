//! The brokers and controllers of the image.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{self, Endpoint, FeatureRange};
use crate::codec::Str;
use crate::types::{NodeId, Uuid};

/// One registered broker.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerImage {
    /// The broker.
    pub id: NodeId,
    /// The registration's number.
    pub epoch: i64,
    /// One life of its process.
    pub incarnation_id: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: Vec<FeatureRange>,
    /// Where it stands.
    pub rack: Option<Str>,
    /// Whether it may lead nothing.
    pub fenced: bool,
    /// Whether it is about to stop.
    pub in_controlled_shutdown: bool,
    /// Whether it comes from a ZooKeeper cluster.
    pub is_migrating_zk_broker: bool,
    /// Its log directories.
    pub log_dirs: Vec<Uuid>,
    /// Those that take no new partitions; none until it has told.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl BrokerImage {
    /// The broker that a record describes.
    #[must_use]
    pub fn from_record(record: record::RegisterBroker) -> Self {
        Self {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record.end_points.into_iter().map(detached_endpoint).collect(),
            features: record.features.into_iter().map(detached_feature).collect(),
            rack: record.rack.map(|rack| rack.detached()),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            log_dirs: record.log_dirs,
            cordoned_log_dirs: record.cordoned_log_dirs,
        }
    }

    /// The record that describes the broker whole.
    #[must_use]
    pub fn to_record(&self) -> record::RegisterBroker {
        record::RegisterBroker {
            broker_id: self.id,
            is_migrating_zk_broker: self.is_migrating_zk_broker,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            end_points: self.endpoints.clone(),
            features: self.features.clone(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs.clone(),
            cordoned_log_dirs: self.cordoned_log_dirs.clone(),
        }
    }

    /// Whether it may lead partitions.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// The address of a listener by its name.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == *listener)
    }

    /// Whether there is a log directory that takes new partitions.
    #[must_use]
    pub fn has_uncordoned_dir(&self) -> bool {
        self.log_dirs.is_empty() || self.uncordoned_dirs().next().is_some()
    }

    /// The directories that take new partitions.
    pub fn uncordoned_dirs(&self) -> impl Iterator<Item = Uuid> {
        let cordoned = self.cordoned_log_dirs.as_deref().unwrap_or_default();
        self.log_dirs.iter().copied().filter(|dir| !cordoned.contains(dir))
    }

    /// Takes over what a change tells.
    pub(super) fn change(&mut self, change: record::BrokerRegistrationChange) {
        match change.fenced {
            1 => self.fenced = true,
            -1 => self.fenced = false,
            _ => {}
        }
        self.in_controlled_shutdown |= change.in_controlled_shutdown == 1;
        if !change.log_dirs.is_empty() {
            self.log_dirs = change.log_dirs;
        }
        if change.cordoned_log_dirs.is_some() {
            self.cordoned_log_dirs = change.cordoned_log_dirs;
        }
    }
}

/// An endpoint that keeps nothing of what it was decoded from.
fn detached_endpoint(endpoint: Endpoint) -> Endpoint {
    Endpoint { name: endpoint.name.detached(), host: endpoint.host.detached(), ..endpoint }
}

/// As [`detached_endpoint`].
fn detached_feature(feature: FeatureRange) -> FeatureRange {
    FeatureRange { name: feature.name.detached(), ..feature }
}

/// All brokers and controllers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cluster {
    /// The brokers by number.
    pub brokers: BTreeMap<NodeId, Arc<BrokerImage>>,
    /// The controllers by number.
    pub controllers: BTreeMap<NodeId, Arc<record::RegisterController>>,
}

impl Cluster {
    /// A broker by number.
    #[must_use]
    pub fn broker(&self, id: NodeId) -> Option<&BrokerImage> {
        self.brokers.get(&id).map(Arc::as_ref)
    }

    /// Whether a broker is registered and may lead.
    #[must_use]
    pub fn is_active(&self, id: NodeId) -> bool {
        self.broker(id).is_some_and(BrokerImage::is_active)
    }

    /// The brokers that may lead, by number.
    pub fn active(&self) -> impl Iterator<Item = &BrokerImage> {
        self.brokers.values().map(Arc::as_ref).filter(|broker| broker.is_active())
    }

    pub(super) fn put_controller(&mut self, record: record::RegisterController) {
        let end_points = record.end_points.into_iter().map(detached_endpoint).collect();
        let features = record.features.into_iter().map(detached_feature).collect();
        let controller = record::RegisterController { end_points, features, ..record };
        self.controllers.insert(controller.controller_id, Arc::new(controller));
    }
}
