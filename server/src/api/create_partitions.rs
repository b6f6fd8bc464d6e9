//! CreatePartitions, versions 0 to 3.
//!
//! Gives topics more partitions, or with `validate_only` says what would happen. The answer comes when
//! the partitions are durable in the metadata log and every shard knows them.
//!
//! Not done: quotas on mutations (KIP-599).

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::call::MorePartitions;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::messages::create_partitions::{
    CreatePartitionsRequestTopic, CreatePartitionsResponseTopic,
};
use crate::protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let call = ControllerCall::CreatePartitions {
        topics: request.topics.iter().map(more_partitions).collect(),
        validate_only: request.validate_only,
    };
    let results = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::CreatePartitions(results)) => {
            let results = results.into_iter();
            results.map(|(name, result)| response(&name, Told::from(&result))).collect()
        }
        Ok(other) => unreachable!("a creation was answered with {other:?}"),
        Err(error) => {
            let topics = request.topics.iter();
            topics.map(|topic| response(&topic.name, error.into())).collect()
        }
    };
    CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
}

fn more_partitions(topic: &CreatePartitionsRequestTopic) -> MorePartitions {
    let assignments = topic.assignments.as_ref();
    MorePartitions {
        name: topic.name.to_string(),
        count: topic.count,
        assignments: assignments
            .map(|assignments| assignments.iter().map(|one| one.broker_ids.clone()).collect()),
    }
}

fn response(name: &str, told: Told) -> CreatePartitionsResponseTopic {
    CreatePartitionsResponseTopic {
        name: name.into(),
        error_code: told.code,
        error_message: told.message,
    }
}
