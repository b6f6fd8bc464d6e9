//! OffsetForLeaderEpoch, versions 2 to 4: where leader epochs end (KIP-101), by which a consumer sees that
//! what it has read was truncated (KIP-320).

use millrace_engine::io::Env;
use millrace_engine::shard::call::{Answer, Call, EpochEnd, EpochQuery, ReadError};
use millrace_engine::types::TopicPartition;

use super::{Ctx, RequestMeta};
use crate::fanout::Scatter;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderEpochResponsePartition, OffsetForLeaderEpochResponseTopic,
};

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let image = ctx.image();
    let mut queries = Vec::new();
    let mut response = OffsetForLeaderEpochResponse::default();
    for (at, topic) in request.topics.iter().enumerate() {
        let known = image.topics.by_name(topic.topic.as_str());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (slot, asked) in topic.partitions.iter().enumerate() {
            if let Some(known) = known.filter(|known| known.partition(asked.partition).is_some()) {
                let partition = TopicPartition { topic_id: known.id, partition: asked.partition };
                let (current_epoch, epoch) = (asked.current_leader_epoch, asked.leader_epoch);
                let query = EpochQuery { partition, current_epoch, epoch };
                queries.push(((at, slot), partition, query));
            }
            partitions.push(OffsetForLeaderEpochResponsePartition {
                // Replaced for those that a shard answers.
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                partition: asked.partition,
                ..OffsetForLeaderEpochResponsePartition::default()
            });
        }
        let topic = topic.topic.clone();
        response.topics.push(OffsetForLeaderEpochResponseTopic { topic, partitions });
    }
    let items = queries.iter().map(|(_, partition, query)| (*partition, *query));
    let ends = Scatter::begin(&ctx.client, items, Call::EpochEnds).gather(epoch_ends).await;
    for (((at, slot), ..), end) in queries.iter().zip(ends) {
        response.topics[*at].partitions[*slot].set(end);
    }
    response
}

fn epoch_ends(answer: Answer) -> Vec<Result<EpochEnd, ReadError>> {
    match answer {
        Answer::EpochEnds(ends) => ends,
        other => unreachable!("a search for epochs was answered with {other:?}"),
    }
}

impl OffsetForLeaderEpochResponsePartition {
    fn set(&mut self, end: Result<EpochEnd, ReadError>) {
        match end {
            Ok(end) => {
                self.error_code = ErrorCode::None.code();
                self.leader_epoch = end.epoch;
                self.end_offset = end.end_offset;
            }
            Err(error) => self.error_code = ErrorCode::from(&error).code(),
        }
    }
}
