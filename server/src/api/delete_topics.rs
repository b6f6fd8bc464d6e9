//! DeleteTopics, versions 1 to 6.
//!
//! Deletes topics by name, or from version 6 by id too. The answer comes when that is durable in the
//! metadata log and every shard knows of it; the files go a little later.
//!
//! Not done: quotas on mutations (KIP-599).

use millrace_engine::codec::Str;
use millrace_engine::io::Env;
use millrace_engine::metadata::controller::call::{DeleteTopicResult, TopicName};
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall, ControllerError};
use millrace_engine::types::TopicId;

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_topics::DeleteTopicsResponseTopic;
use crate::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let topics = topics_of(meta.version(), request);
    let call = ControllerCall::DeleteTopics { topics: topics.clone() };
    let responses = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::DeleteTopics(results)) => {
            results.into_iter().map(|result| result_of(meta.version(), result)).collect()
        }
        Ok(other) => unreachable!("a deletion was answered with {other:?}"),
        Err(error) => topics.into_iter().map(|topic| response(topic, error.into())).collect(),
    };
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

fn topics_of(version: i16, request: DeleteTopicsRequest) -> Vec<TopicName> {
    if version <= 5 {
        let names = request.topic_names.iter();
        return names
            .map(|name| TopicName { name: Some(name.to_string()), topic_id: TopicId::ZERO })
            .collect();
    }
    let topics = request.topics.iter();
    topics
        .map(|topic| TopicName {
            name: topic.name.as_ref().map(ToString::to_string),
            topic_id: topic.topic_id,
        })
        .collect()
}

fn result_of(version: i16, result: DeleteTopicResult) -> DeleteTopicsResponseTopic {
    let told = match &result.result {
        // Clients of these versions do not know the code.
        Err(ControllerError::TopicDeletionDisabled(_)) if version < 3 => {
            let message = "This version does not support topic deletion.";
            Told::with(ErrorCode::InvalidRequest, message)
        }
        result => Told::from(result),
    };
    response(result.topic, told)
}

fn response(topic: TopicName, told: Told) -> DeleteTopicsResponseTopic {
    DeleteTopicsResponseTopic {
        name: topic.name.map(Str::from),
        topic_id: topic.topic_id,
        error_code: told.code,
        error_message: told.message,
    }
}
