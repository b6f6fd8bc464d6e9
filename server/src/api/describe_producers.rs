//! DescribeProducers, version 0.
//!
//! The idempotent producers that partitions know, with their last sequence and open transaction
//! (KIP-664).

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::name;
use millrace_engine::shard::call::{Answer, Call, ProducerView};
use millrace_engine::types::TopicPartition;

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout::Scatter;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_producers::{
    DescribeProducersResponseActiveProducer, DescribeProducersResponsePartition,
    DescribeProducersResponseTopic,
};
use crate::protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let image = ctx.image();
    let mut asked = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let found = image.topics.by_name(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition in topic.partition_indexes {
            let refused = match (name::check(&topic.name), found) {
                (Err(error), _) => Some(Told::from(&error)),
                (Ok(()), Some(found)) if found.partition(partition).is_some() => {
                    let id = TopicPartition { topic_id: found.id, partition };
                    asked.push((id, id));
                    None
                }
                _ => Some(Told::plain(ErrorCode::UnknownTopicOrPartition)),
            };
            partitions.push((partition, refused));
        }
        topics.push((topic.name, partitions));
    }
    let mut views = Scatter::begin(&ctx.client, asked, Call::Producers)
        .gather(|answer| match answer {
            Answer::Producers(producers) => producers,
            other => unreachable!("a question for producers was answered with {other:?}"),
        })
        .await
        .into_iter();
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition_index, refused)| {
            let (told, producers) = match refused {
                Some(told) => (told, Vec::new()),
                None => match views.next().expect("each question has an answer") {
                    Ok(producers) => (Told::NONE, producers),
                    Err(error) => (Told::plain((&error).into()), Vec::new()),
                },
            };
            DescribeProducersResponsePartition {
                partition_index,
                error_code: told.code,
                error_message: told.message,
                active_producers: producers.into_iter().map(producer).collect(),
            }
        });
        DescribeProducersResponseTopic { partitions: partitions.collect(), name }
    });
    DescribeProducersResponse { topics: topics.collect(), ..DescribeProducersResponse::default() }
}

fn producer(view: ProducerView) -> DescribeProducersResponseActiveProducer {
    DescribeProducersResponseActiveProducer {
        producer_id: view.producer_id,
        producer_epoch: view.epoch.into(),
        last_sequence: view.last_sequence,
        last_timestamp: view.last_timestamp,
        coordinator_epoch: view.coordinator_epoch,
        current_txn_start_offset: view.txn_first_offset,
    }
}
