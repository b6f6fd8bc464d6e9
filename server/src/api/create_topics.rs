//! CreateTopics, versions 2 to 7.
//!
//! Creates topics, or with `validate_only` says what would happen. The answer comes when the topics are
//! durable in the metadata log and every shard knows them, so `timeout_ms` is not needed. From version 5
//! the answer has the topics' settings (KIP-525), from version 7 their ids.
//!
//! Not done: `CreateTopicPolicy` classes, quotas on mutations (KIP-599).

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::call::{CreateTopicResult, CreatedTopic, NewTopic};
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::config::BrokerConfig;
use crate::config::describe::{ConfigEntry, describe_topic};
use crate::fanout;
use crate::protocol::messages::create_topics::{
    CreateTopicsRequestTopic, CreateTopicsResponseConfig, CreateTopicsResponseTopic,
};
use crate::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let call = ControllerCall::CreateTopics {
        topics: request.topics.iter().map(new_topic).collect(),
        validate_only: request.validate_only,
    };
    let topics = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::CreateTopics(results)) => {
            results.into_iter().map(|result| result_of(&ctx.config, result)).collect()
        }
        Ok(other) => unreachable!("a creation was answered with {other:?}"),
        Err(error) => {
            let topics = request.topics.into_iter();
            topics.map(|topic| failure(&topic.name, error.into())).collect()
        }
    };
    CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
}

fn new_topic(topic: &CreateTopicsRequestTopic) -> NewTopic {
    let assignments = topic.assignments.iter();
    let configs = topic.configs.iter();
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.map(|one| (one.partition_index, one.broker_ids.clone())).collect(),
        configs: configs
            .map(|one| (one.name.to_string(), one.value.as_ref().map(ToString::to_string)))
            .collect(),
    }
}

fn result_of(config: &BrokerConfig, result: CreateTopicResult) -> CreateTopicsResponseTopic {
    match result.result {
        Ok(created) => created_topic(config, &result.name, &created),
        Err(error) => failure(&result.name, Told::from(&error)),
    }
}

fn created_topic(
    config: &BrokerConfig,
    name: &str,
    created: &CreatedTopic,
) -> CreateTopicsResponseTopic {
    let entry = |entry: ConfigEntry| CreateTopicsResponseConfig {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.number(),
        is_sensitive: entry.sensitive,
    };
    // The controller has checked the settings, so they can be described.
    let entries = describe_topic(config, &created.configs).unwrap_or_default();
    CreateTopicsResponseTopic {
        name: name.into(),
        topic_id: created.topic_id,
        num_partitions: created.partitions,
        replication_factor: created.replication_factor,
        configs: Some(entries.into_iter().map(entry).collect()),
        ..CreateTopicsResponseTopic::default()
    }
}

fn failure(name: &str, told: Told) -> CreateTopicsResponseTopic {
    CreateTopicsResponseTopic {
        name: name.into(),
        error_code: told.code,
        error_message: told.message,
        configs: Some(Vec::new()),
        ..CreateTopicsResponseTopic::default()
    }
}
