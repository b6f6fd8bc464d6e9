//! DescribeQuorum, versions 0 to 2.
//!
//! Leader and voters of the metadata log: this node alone, which leads and votes. Its voters have no
//! directory ids, because the quorum is a fixed one (`kraft.version` 0), and it has no listener for other
//! controllers.

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::name::CLUSTER_METADATA;
use millrace_engine::shard::call::{Answer, Call, Isolation, OffsetQuery, OffsetWish};
use millrace_engine::shard::controller_host::METADATA_PARTITION;
use millrace_engine::types::Offset;

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout::CONTROLLER_SHARD;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_quorum::{
    DescribeQuorumRequestTopic, DescribeQuorumResponseNode, DescribeQuorumResponsePartition,
    DescribeQuorumResponseReplica, DescribeQuorumResponseTopic,
};
use crate::protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    if !is_metadata_log(&request.topics) {
        let topics = request.topics.into_iter().map(unknown).collect();
        return DescribeQuorumResponse { topics, ..DescribeQuorumResponse::default() };
    }
    let (high_watermark, log_end_offset) = log_ends(ctx).await;
    let now_ms = ctx.client.env().wall_ms();
    let voter = DescribeQuorumResponseReplica {
        replica_id: ctx.node_id(),
        log_end_offset,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..DescribeQuorumResponseReplica::default()
    };
    let partition = DescribeQuorumResponsePartition {
        partition_index: METADATA_PARTITION.partition,
        leader_id: ctx.node_id(),
        leader_epoch: ctx.image().provenance.epoch,
        high_watermark,
        current_voters: vec![voter],
        ..DescribeQuorumResponsePartition::default()
    };
    let topic = DescribeQuorumResponseTopic {
        topic_name: CLUSTER_METADATA.into(),
        partitions: vec![partition],
    };
    DescribeQuorumResponse {
        topics: vec![topic],
        nodes: vec![DescribeQuorumResponseNode { node_id: ctx.node_id(), listeners: Vec::new() }],
        ..DescribeQuorumResponse::default()
    }
}

fn is_metadata_log(topics: &[DescribeQuorumRequestTopic]) -> bool {
    let [topic] = topics else { return false };
    let [partition] = topic.partitions.as_slice() else { return false };
    let is_first = partition.partition_index == METADATA_PARTITION.partition;
    topic.topic_name == CLUSTER_METADATA && is_first
}

fn unknown(topic: DescribeQuorumRequestTopic) -> DescribeQuorumResponseTopic {
    let told = Told::plain(ErrorCode::UnknownTopicOrPartition);
    let partitions =
        topic.partitions.into_iter().map(|partition| DescribeQuorumResponsePartition {
            partition_index: partition.partition_index,
            error_code: told.code,
            error_message: told.message.clone(),
            ..DescribeQuorumResponsePartition::default()
        });
    DescribeQuorumResponseTopic { partitions: partitions.collect(), topic_name: topic.topic_name }
}

/// High watermark and end of the metadata log; -1 where it is not known.
async fn log_ends<E: Env>(ctx: &Ctx<E>) -> (Offset, Offset) {
    let query = OffsetQuery {
        partition: METADATA_PARTITION,
        wish: OffsetWish::Latest,
        leader_epoch: -1,
        isolation: Isolation::Uncommitted,
    };
    let found = ctx.client.call(CONTROLLER_SHARD, Call::Offsets(vec![query]));
    let size = ctx.client.call(CONTROLLER_SHARD, Call::Sizes(vec![METADATA_PARTITION]));
    let high_watermark = match found.await {
        Answer::Offsets(found) => found.into_iter().next().and_then(Result::ok),
        other => unreachable!("a question for offsets was answered with {other:?}"),
    };
    let size = match size.await {
        Answer::Sizes(sizes) => sizes.into_iter().next().flatten(),
        other => unreachable!("a question for sizes was answered with {other:?}"),
    };
    let high_watermark = high_watermark.map_or(-1, |found| found.offset);
    (high_watermark, size.map_or(-1, |size| size.log_end_offset))
}
