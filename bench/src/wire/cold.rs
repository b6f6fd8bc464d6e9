//! What is asked a few times per run, through the messages of the project's protocol: versions, metadata, topics,
//! producer ids, offsets and configuration.
//!
//! The versions are fixed: old enough for any broker since 2.1, and offered by all of 4.x.

use std::collections::BTreeMap;

use millrace::protocol::messages::api_versions::ApiVersionsRequest;
use millrace::protocol::messages::create_topics::{
    CreateTopicsRequest, CreateTopicsRequestConfig, CreateTopicsRequestTopic,
};
use millrace::protocol::messages::delete_topics::DeleteTopicsRequest;
use millrace::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsRequestResource,
};
use millrace::protocol::messages::find_coordinator::FindCoordinatorRequest;
use millrace::protocol::messages::init_producer_id::InitProducerIdRequest;
use millrace::protocol::messages::list_offsets::{
    ListOffsetsRequest, ListOffsetsRequestPartition, ListOffsetsRequestTopic,
};
use millrace::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use super::ask::{AskError, Asker, refused};

const API_VERSIONS: i16 = 0;
const FIND_COORDINATOR: i16 = 1;
const METADATA: i16 = 4;
const CREATE_TOPICS: i16 = 4;
const DELETE_TOPICS: i16 = 3;
const INIT_PRODUCER_ID: i16 = 1;
const LIST_OFFSETS: i16 = 3;
const DESCRIBE_CONFIGS: i16 = 1;

/// How long the controller may take, milliseconds.
const CONTROLLER_MS: i32 = 30_000;

/// A broker of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Broker id.
    pub id: i32,
    /// `host:port` as advertised.
    pub address: String,
}

/// What the cluster says about itself and one topic.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Cluster id, if told.
    pub cluster: Option<String>,
    /// Brokers.
    pub nodes: Vec<Node>,
    /// Error code of the topic, 0 if it is there.
    pub topic_error: i16,
    /// Leader of each partition, by partition (-1: none).
    pub leaders: BTreeMap<i32, i32>,
}

impl Metadata {
    /// Partitions by the address of their leader; those without one are left out.
    pub fn led(&self) -> BTreeMap<String, Vec<i32>> {
        let mut led: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (partition, leader) in &self.leaders {
            if let Some(node) = self.nodes.iter().find(|node| node.id == *leader) {
                led.entry(node.address.clone()).or_default().push(*partition);
            }
        }
        led
    }
}

/// Whose configuration is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// A topic.
    Topic(&'a str),
    /// A broker.
    Broker(i32),
}

/// Which end of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The offset of the first record there is.
    Earliest,
    /// The offset the next record gets.
    Latest,
}

impl Asker {
    /// The version range of every API the broker offers.
    pub fn api_versions(&mut self) -> Result<BTreeMap<i16, (i16, i16)>, AskError> {
        let answer = self.ask(API_VERSIONS, &ApiVersionsRequest::default())?;
        refused("ApiVersions", answer.error_code, None)?;
        Ok(answer
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect())
    }

    /// The cluster and the leaders of `topic`.
    pub fn metadata(&mut self, topic: &str) -> Result<Metadata, AskError> {
        let wish = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(vec![wish]),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let answer = self.ask(METADATA, &request)?;
        let mut metadata = Metadata {
            cluster: answer.cluster_id.map(|id| id.as_str().to_owned()),
            ..Default::default()
        };
        for broker in &answer.brokers {
            let address = format!("{}:{}", broker.host, broker.port);
            metadata.nodes.push(Node { id: broker.node_id, address });
        }
        for topic in &answer.topics {
            metadata.topic_error = topic.error_code;
            for partition in &topic.partitions {
                metadata.leaders.insert(partition.partition_index, partition.leader_id);
            }
        }
        Ok(metadata)
    }

    /// Creates a topic.
    pub fn create_topic(
        &mut self,
        topic: &str,
        partitions: i32,
        replicas: i16,
        configs: &[(String, String)],
    ) -> Result<(), AskError> {
        let configs = configs
            .iter()
            .map(|(name, value)| CreateTopicsRequestConfig {
                name: name.as_str().into(),
                value: Some(value.as_str().into()),
            })
            .collect();
        let wish = CreateTopicsRequestTopic {
            name: topic.into(),
            num_partitions: partitions,
            replication_factor: replicas,
            assignments: Vec::new(),
            configs,
        };
        let request = CreateTopicsRequest {
            topics: vec![wish],
            timeout_ms: CONTROLLER_MS,
            validate_only: false,
        };
        let answer = self.ask(CREATE_TOPICS, &request)?;
        for outcome in &answer.topics {
            let message = outcome.error_message.as_ref().map(|text| text.as_str());
            refused(&format!("creating topic `{topic}`"), outcome.error_code, message)?;
        }
        Ok(())
    }

    /// Deletes a topic.
    pub fn delete_topic(&mut self, topic: &str) -> Result<(), AskError> {
        let request = DeleteTopicsRequest {
            topic_names: vec![topic.into()],
            timeout_ms: CONTROLLER_MS,
            ..Default::default()
        };
        let answer = self.ask(DELETE_TOPICS, &request)?;
        for outcome in &answer.responses {
            refused(&format!("deleting topic `{topic}`"), outcome.error_code, None)?;
        }
        Ok(())
    }

    /// The address of a group's coordinator.
    pub fn coordinator(&mut self, group: &str) -> Result<String, AskError> {
        let request =
            FindCoordinatorRequest { key: group.into(), key_type: 0, ..Default::default() };
        let answer = self.ask(FIND_COORDINATOR, &request)?;
        let message = answer.error_message.as_ref().map(|text| text.as_str());
        refused(
            &format!("finding the coordinator of group `{group}`"),
            answer.error_code,
            message,
        )?;
        Ok(format!("{}:{}", answer.host, answer.port))
    }

    /// A fresh producer id and its epoch.
    pub fn init_producer_id(&mut self) -> Result<(i64, i16), AskError> {
        let request =
            InitProducerIdRequest { transaction_timeout_ms: 60_000, ..Default::default() };
        let answer = self.ask(INIT_PRODUCER_ID, &request)?;
        refused("getting a producer id", answer.error_code, None)?;
        Ok((answer.producer_id, answer.producer_epoch))
    }

    /// An end of each of `partitions` of `topic`.
    pub fn list_offsets(
        &mut self,
        topic: &str,
        partitions: &[i32],
        end: End,
    ) -> Result<BTreeMap<i32, i64>, AskError> {
        let timestamp = match end {
            End::Latest => -1,
            End::Earliest => -2,
        };
        let partitions = partitions
            .iter()
            .map(|partition| ListOffsetsRequestPartition {
                partition_index: *partition,
                timestamp,
                ..Default::default()
            })
            .collect();
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsRequestTopic { name: topic.into(), partitions }],
            ..Default::default()
        };
        let answer = self.ask(LIST_OFFSETS, &request)?;
        let mut offsets = BTreeMap::new();
        for outcome in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            refused(&format!("listing offsets of `{topic}`"), outcome.error_code, None)?;
            offsets.insert(outcome.partition_index, outcome.offset);
        }
        Ok(offsets)
    }

    /// Configuration values by name; values that are not told (secrets) are left out.
    pub fn configs(&mut self, owner: Owner<'_>) -> Result<BTreeMap<String, String>, AskError> {
        let (kind, name) = match owner {
            Owner::Topic(topic) => (2, topic.to_owned()),
            Owner::Broker(id) => (4, id.to_string()),
        };
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsRequestResource {
                resource_type: kind,
                resource_name: name.into(),
                configuration_keys: None,
            }],
            ..Default::default()
        };
        let answer = self.ask(DESCRIBE_CONFIGS, &request)?;
        let mut configs = BTreeMap::new();
        for resource in answer.results {
            let message = resource.error_message.as_ref().map(|text| text.as_str());
            let what = format!("reading the configuration of {owner:?}");
            refused(&what, resource.error_code, message)?;
            for config in resource.configs {
                if let Some(value) = config.value {
                    configs.insert(String::from(config.name.as_str()), value.as_str().to_owned());
                }
            }
        }
        Ok(configs)
    }
}
