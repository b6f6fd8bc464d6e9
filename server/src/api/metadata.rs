//! Metadata, versions 0 to 13: brokers, topics, partitions and their leaders; creates topics that do not
//! exist if the client and `auto.create.topics.enable` allow it.
//!
//! Kafka answers the request that creates a topic before the topic is there; here it waits, and
//! the client sees the topic at once.

use std::collections::BTreeSet;

use millrace_engine::codec::Str;
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::metadata::controller::name::{self, is_internal};
use millrace_engine::metadata::topics::{NO_LEADER, PartitionImage, TopicImage};
use millrace_engine::types::{NodeId, Uuid};

use super::{Ctx, Peer, RequestMeta, authorized_operations, auto_create};
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};

/// Which topics are asked for.
enum Asked {
    All,
    Names(BTreeSet<String>),
    Ids(BTreeSet<Uuid>),
    /// Fields that the version does not allow together.
    Nonsense,
}

fn asked(request: &MetadataRequest, version: i16) -> Asked {
    let Some(topics) = &request.topics else { return Asked::All };
    if version == 0 && topics.is_empty() {
        return Asked::All;
    }
    let is_nonsense = |topic: &crate::protocol::messages::metadata::MetadataRequestTopic| {
        topic.name.is_none() || !topic.topic_id.is_zero()
    };
    if version < 12 && topics.iter().any(is_nonsense) {
        return Asked::Nonsense;
    }
    let ids: BTreeSet<_> =
        topics.iter().map(|topic| topic.topic_id).filter(|id| !id.is_zero()).collect();
    if !ids.is_empty() {
        return Asked::Ids(ids);
    }
    let names = topics.iter().filter_map(|topic| topic.name.as_ref());
    Asked::Names(names.map(|name| name.as_str().to_owned()).collect())
}

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: MetadataRequest,
) -> MetadataResponse {
    let asked = asked(&request, meta.version());
    let mut failed = Vec::new();
    if let Asked::Names(names) = &asked
        && request.allow_auto_topic_creation
        && ctx.config.topics.auto_create
    {
        let image = ctx.image();
        let is_missing = |name: &&String| {
            image.topics.by_name(name).is_none() && name::check(name.as_str()).is_ok()
        };
        let missing = names.iter().filter(is_missing).cloned().collect();
        failed = auto_create::create(ctx, &missing).await;
    }
    let image = ctx.image();
    let describe = Describe { ctx, peer: &meta.peer, image: &image, version: meta.version() };
    let mut topics = match asked {
        Asked::All => image.topics.iter().map(|topic| describe.topic(topic)).collect(),
        Asked::Names(names) => names
            .iter()
            .map(|name| match image.topics.by_name(name) {
                Some(topic) => describe.topic(topic),
                None => missing(name, &failed),
            })
            .collect(),
        Asked::Ids(ids) => ids
            .iter()
            .map(|id| match image.topics.by_id(*id) {
                Some(topic) => describe.topic(topic),
                None => MetadataResponseTopic {
                    error_code: ErrorCode::UnknownTopicId.code(),
                    topic_id: *id,
                    ..MetadataResponseTopic::default()
                },
            })
            .collect(),
        Asked::Nonsense => nonsense(&request),
    };
    if request.include_topic_authorized_operations {
        let known = topics.iter_mut().filter(|topic| topic.error_code == ErrorCode::None.code());
        known.for_each(|topic| topic.topic_authorized_operations = authorized_operations::TOPIC);
    }
    MetadataResponse {
        brokers: describe.brokers(),
        cluster_id: Some(ctx.cluster_id.clone()),
        controller_id: ctx.node_id(),
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            authorized_operations::CLUSTER
        } else {
            i32::MIN
        },
        ..MetadataResponse::default()
    }
}

fn missing(name: &str, failed: &[(String, ErrorCode)]) -> MetadataResponseTopic {
    let error = match name::check(name) {
        Err(_) => ErrorCode::InvalidTopicException,
        Ok(()) => failed
            .iter()
            .find(|(failed, _)| failed == name)
            .map_or(ErrorCode::UnknownTopicOrPartition, |(_, error)| *error),
    };
    MetadataResponseTopic {
        error_code: error.code(),
        name: Some(name.into()),
        is_internal: is_internal(name),
        ..MetadataResponseTopic::default()
    }
}

/// Kafka refuses such a request as a whole: every topic gets the error.
fn nonsense(request: &MetadataRequest) -> Vec<MetadataResponseTopic> {
    let topics = request.topics.iter().flatten();
    topics
        .map(|topic| MetadataResponseTopic {
            error_code: ErrorCode::InvalidRequest.code(),
            // Versions below 12 have no null here.
            name: Some(topic.name.clone().unwrap_or_else(|| Str::from_static(""))),
            topic_id: topic.topic_id,
            ..MetadataResponseTopic::default()
        })
        .collect()
}

struct Describe<'a, E: Env> {
    ctx: &'a Ctx<E>,
    peer: &'a Peer,
    image: &'a Image,
    version: i16,
}

impl<E: Env> Describe<'_, E> {
    fn brokers(&self) -> Vec<MetadataResponseBroker> {
        let active = self.image.cluster.active();
        active
            .filter_map(|broker| {
                let endpoint = self.ctx.endpoint(broker, self.peer)?;
                Some(MetadataResponseBroker {
                    node_id: broker.id,
                    host: endpoint.host.clone(),
                    port: i32::from(endpoint.port),
                    rack: broker.rack.clone(),
                })
            })
            .collect()
    }

    fn topic(&self, topic: &TopicImage) -> MetadataResponseTopic {
        MetadataResponseTopic {
            name: Some((&*topic.name).into()),
            topic_id: topic.id,
            is_internal: is_internal(&topic.name),
            partitions: topic.partitions.iter().map(|p| self.partition(p)).collect(),
            ..MetadataResponseTopic::default()
        }
    }

    fn partition(&self, partition: &PartitionImage) -> MetadataResponsePartition {
        let leader = self.image.cluster.broker(partition.leader).filter(|b| b.is_active());
        let reachable = leader.and_then(|leader| self.ctx.endpoint(leader, self.peer));
        let error = match (leader, reachable) {
            (_, Some(_)) => ErrorCode::None,
            // Listeners differ from broker to broker: a fault of the configuration.
            (Some(_), None) if self.version >= 6 => ErrorCode::ListenerNotFound,
            _ => ErrorCode::LeaderNotAvailable,
        };
        MetadataResponsePartition {
            error_code: error.code(),
            partition_index: partition.index,
            leader_id: if error.is_none() { partition.leader } else { NO_LEADER },
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.isr.clone(),
            offline_replicas: offline(self.image, &partition.replicas),
        }
    }
}

/// Those of some replicas whose brokers are not there.
pub(super) fn offline(image: &Image, replicas: &[NodeId]) -> Vec<NodeId> {
    replicas.iter().copied().filter(|id| !image.cluster.is_active(*id)).collect()
}
