//! DeleteRecords, versions 0 to 2.
//!
//! Deletes what is before an offset (-1: all there is) and tells where the log starts then. Whole
//! segments leave the disk, records of the segment that the offset is in are only hidden. Records of
//! internal topics and of topics that are only compacted cannot be deleted.

use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::metadata::controller::name::is_internal;
use millrace_engine::shard::call::{Answer, Call, DeleteRecords};
use millrace_engine::types::TopicPartition;

use super::{Ctx, RequestMeta};
use crate::fanout::Scatter;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_records::{
    DeleteRecordsResponsePartition, DeleteRecordsResponseTopic,
};
use crate::protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let image = ctx.image();
    let mut wishes = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let found = find(&image, &topic.name, asked.partition_index);
            if let Ok(partition) = found {
                wishes.push((partition, DeleteRecords { partition, before: asked.offset }));
            }
            partitions.push((asked.partition_index, found.err()));
        }
        topics.push((topic.name, partitions));
    }
    let mut starts = Scatter::begin(&ctx.client, wishes, Call::DeleteRecords)
        .gather(|answer| match answer {
            Answer::LogStarts(starts) => starts,
            other => unreachable!("a deletion of records was answered with {other:?}"),
        })
        .await
        .into_iter();
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition_index, refused)| {
            let start = match refused {
                Some(error) => Err(error),
                None => {
                    let start = starts.next().expect("each wish has a result");
                    start.map_err(|error| ErrorCode::from(&error))
                }
            };
            DeleteRecordsResponsePartition {
                partition_index,
                low_watermark: start.unwrap_or(-1),
                error_code: start.err().unwrap_or_default().code(),
            }
        });
        DeleteRecordsResponseTopic { partitions: partitions.collect(), name }
    });
    DeleteRecordsResponse { topics: topics.collect(), ..DeleteRecordsResponse::default() }
}

fn find(image: &Image, topic: &str, partition: i32) -> Result<TopicPartition, ErrorCode> {
    let found = image.topics.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    found.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    Ok(TopicPartition { topic_id: found.id, partition })
}
