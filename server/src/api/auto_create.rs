//! Topics that are made because somebody asked for them: those of clients (`auto.create.topics.enable`)
//! and the broker's own.

use std::collections::BTreeSet;

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::call::NewTopic;
use millrace_engine::metadata::controller::internal::{self, InternalTopic};
use millrace_engine::metadata::controller::name::{CONSUMER_OFFSETS, is_internal};
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall, ControllerError};

use super::Ctx;
use crate::fanout;
use crate::protocol::ErrorCode;

/// Makes topics and waits until this shard knows them. Returns those that could not be made; that another
/// request was faster is no error.
pub async fn create<E: Env>(ctx: &Ctx<E>, names: &BTreeSet<String>) -> Vec<(String, ErrorCode)> {
    let topics: Vec<_> = names.iter().filter_map(|name| new_topic(ctx, name)).collect();
    if topics.is_empty() {
        return Vec::new();
    }
    let call = ControllerCall::CreateTopics { topics, validate_only: false };
    let results = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::CreateTopics(results)) => results,
        Ok(other) => unreachable!("a creation of topics was answered with {other:?}"),
        Err(error) => {
            let code = ErrorCode::from(&error);
            return names.iter().map(|name| (name.clone(), code)).collect();
        }
    };
    results
        .into_iter()
        .filter_map(|created| match created.result {
            Ok(_) | Err(ControllerError::TopicExists(_)) => None,
            Err(error) => {
                tracing::warn!(topic = created.name, %error, "a topic could not be created on demand");
                Some((created.name, ErrorCode::from(&error)))
            }
        })
        .collect()
}

/// None for an internal topic that this release does not make.
fn new_topic<E: Env>(ctx: &Ctx<E>, name: &str) -> Option<NewTopic> {
    if name == CONSUMER_OFFSETS {
        return Some(consumer_offsets(ctx));
    }
    if is_internal(name) {
        return None;
    }
    let name = name.to_owned();
    Some(NewTopic { name, partitions: -1, replication_factor: -1, ..NewTopic::default() })
}

/// `__consumer_offsets` as the configuration wants it.
fn consumer_offsets<E: Env>(ctx: &Ctx<E>) -> NewTopic {
    let offsets = &ctx.config.offsets;
    let brokers = ctx.image().cluster.active().count();
    internal::consumer_offsets(&InternalTopic {
        partitions: i32::try_from(offsets.topic_partitions).unwrap_or(i32::MAX),
        replication_factor: ctx
            .config
            .replication_factor_for(offsets.topic_replication_factor, brokers),
        segment_bytes: i32::try_from(offsets.topic_segment_bytes).unwrap_or(i32::MAX),
        min_insync_replicas: 1,
    })
}
