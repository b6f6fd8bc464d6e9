//! Records of configuration, features, quotas and producer ids.

use crate::codec::Str;
use crate::message;
use crate::types::{NodeId, ProducerId};

message! {
    /// A configuration value is set, or removed by null.
    pub struct Config(0..=0, flexible 0..) {
        /// What kind of thing is configured: 2 topic, 4 broker, 16 client metrics, 32 group.
        resource_type: i8,
        /// Which one; an empty broker name is the default of all brokers.
        resource_name: Str,
        /// The configuration's name.
        name: Str,
        /// Its value, or null.
        value: Option<Str> [.., null 0..],
    }

    /// A feature is finalized at a level.
    pub struct FeatureLevel(0..=0, flexible 0..) {
        /// The feature.
        name: Str,
        /// Its level; 0 is "not supported".
        feature_level: i16,
    }

    /// A quota is set or removed.
    pub struct ClientQuota(0..=0, flexible 0..) {
        /// Whom it bounds.
        entity: Vec<QuotaEntityPart>,
        /// What it bounds.
        key: Str,
        /// The bound.
        value: f64,
        /// Whether it is removed.
        remove: bool,
    }

    /// One part of whom a quota bounds.
    pub struct QuotaEntityPart {
        /// `user`, `client-id` or `ip`.
        entity_type: Str,
        /// Which one; null is the default.
        entity_name: Option<Str> [.., null 0..],
    }

    /// Producer ids below a number are given out.
    pub struct ProducerIds(0..=0, flexible 0..) {
        /// The broker that got the last block.
        broker_id: NodeId,
        /// Its registration's number.
        broker_epoch: i64 = -1,
        /// The first id of the next block.
        next_producer_id: ProducerId,
    }
}
