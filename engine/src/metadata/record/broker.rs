//! Records of brokers and controllers.

use crate::codec::Str;
use crate::message;
use crate::types::{NodeId, Uuid};

message! {
    /// A broker has registered, replacing what was known of it.
    pub struct RegisterBroker(0..=4, flexible 0..) {
        /// The broker.
        broker_id: NodeId,
        /// Whether it comes from a ZooKeeper cluster.
        is_migrating_zk_broker: bool [2..],
        /// One life of its process.
        incarnation_id: Uuid,
        /// The registration's number: the offset of this record.
        broker_epoch: i64,
        /// Where it listens.
        end_points: Vec<Endpoint>,
        /// What it supports.
        features: Vec<FeatureRange>,
        /// Where it stands.
        rack: Option<Str> [.., null 0..],
        /// Whether it may lead nothing yet.
        fenced: bool = true,
        /// Whether it is about to stop.
        in_controlled_shutdown: bool [1..],
        /// Its log directories (KIP-858).
        log_dirs: Vec<Uuid> [3.., tag 0],
        /// Those that take no new partitions; null until it has told.
        cordoned_log_dirs: Option<Vec<Uuid>> [4.., null 4.., tag 1],
    }

    /// A listener's address.
    pub struct Endpoint {
        /// The listener's name.
        name: Str,
        /// The host to connect to.
        host: Str,
        /// The port to connect to.
        port: u16,
        /// 0 plaintext, 1 TLS, 2 SASL, 3 SASL over TLS.
        security_protocol: i16,
    }

    /// The levels of a feature that a node supports.
    pub struct FeatureRange {
        /// The feature.
        name: Str,
        /// The lowest level.
        min_supported_version: i16,
        /// The highest level.
        max_supported_version: i16,
    }

    /// A broker is gone for good.
    pub struct UnregisterBroker(0..=0, flexible 0..) {
        /// The broker.
        broker_id: NodeId,
        /// The registration's number.
        broker_epoch: i64,
    }

    /// A broker may lead nothing (written before `metadata.version` 7).
    pub struct FenceBroker(0..=0, flexible 0..) {
        /// The broker.
        id: NodeId,
        /// The registration's number.
        epoch: i64,
    }

    /// A broker may lead again (written before `metadata.version` 7).
    pub struct UnfenceBroker(0..=0, flexible 0..) {
        /// The broker.
        id: NodeId,
        /// The registration's number.
        epoch: i64,
    }

    /// Something about a broker's registration has changed.
    pub struct BrokerRegistrationChange(0..=3, flexible 0..) {
        /// The broker.
        broker_id: NodeId,
        /// The registration's number.
        broker_epoch: i64,
        /// 1 now fenced, -1 no longer fenced, 0 as before.
        fenced: i8 [.., tag 0],
        /// 1 now about to stop, 0 as before.
        in_controlled_shutdown: i8 [1.., tag 1],
        /// The log directories that it now has; empty as before.
        log_dirs: Vec<Uuid> [2.., tag 2],
        /// The log directories that are now cordoned; null as before.
        cordoned_log_dirs: Option<Vec<Uuid>> [3.., null 3.., tag 3],
    }

    /// A controller has registered, replacing what was known of it.
    pub struct RegisterController(0..=0, flexible 0..) {
        /// The controller.
        controller_id: NodeId,
        /// One life of its process.
        incarnation_id: Uuid,
        /// Whether it could migrate from ZooKeeper.
        zk_migration_ready: bool,
        /// Where it listens.
        end_points: Vec<Endpoint>,
        /// What it supports.
        features: Vec<FeatureRange>,
    }

    /// A controller is gone for good.
    pub struct UnregisterController(0..=0, flexible 0..) {
        /// The controller.
        controller_id: NodeId,
    }
}
