//! DescribeLogDirs, versions 1 to 5.
//!
//! Each log directory with the sizes of the partitions asked for (null: all of them) that are in it, and
//! from version 4 with its file system's total and usable bytes (KIP-827). One that failed has
//! KAFKA_STORAGE_ERROR instead of partitions. Partitions that are not here are left out, as in Kafka; so is
//! the metadata log. A directory is never cordoned (KIP-1066).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use millrace_engine::codec::Str;
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::shard::call::{Answer, Call};
use millrace_engine::types::TopicPartition;

use super::{Ctx, RequestMeta};
use crate::fanout::Scatter;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_log_dirs::{
    DescribeLogDirsRequestTopic, DescribeLogDirsResponseDir, DescribeLogDirsResponsePartition,
    DescribeLogDirsResponseTopic,
};
use crate::protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let image = ctx.image();
    let asked = asked_partitions(&image, request.topics);
    let ids: Vec<_> = asked.iter().map(|(_, id)| (*id, *id)).collect();
    let sizes = Scatter::begin(&ctx.client, ids, Call::Sizes)
        .gather(|answer| match answer {
            Answer::Sizes(sizes) => sizes,
            other => unreachable!("a question for sizes was answered with {other:?}"),
        })
        .await;
    let directories = ctx.client.directories();
    let mut by_dir: Vec<BTreeMap<Str, Vec<_>>> = vec![BTreeMap::new(); ctx.config.log_dirs.len()];
    for ((topic, id), size) in asked.into_iter().zip(sizes) {
        let index = image.topics.partition(id).and_then(|partition| directories.of(partition));
        let topics = index.and_then(|index| by_dir.get_mut(index));
        let (Some(size), Some(topics)) = (size, topics) else { continue };
        topics.entry(topic).or_default().push(DescribeLogDirsResponsePartition {
            partition_index: id.partition,
            partition_size: i64::try_from(size.bytes).unwrap_or(i64::MAX),
            offset_lag: 0,
            is_future_key: false,
        });
    }
    let dirs = ctx.config.log_dirs.iter().zip(by_dir).enumerate();
    let results = dirs.map(|(index, (path, topics))| {
        let topics = topics.into_iter();
        let topics =
            topics.map(|(name, partitions)| DescribeLogDirsResponseTopic { name, partitions });
        log_dir(path, !ctx.client.has_failed(index), topics.collect())
    });
    DescribeLogDirsResponse { results: results.collect(), ..DescribeLogDirsResponse::default() }
}

/// What there is of what is asked for, each once.
fn asked_partitions(
    image: &Image,
    topics: Option<Vec<DescribeLogDirsRequestTopic>>,
) -> BTreeSet<(Str, TopicPartition)> {
    let mut asked = BTreeSet::new();
    match topics {
        None => {
            for topic in image.topics.iter() {
                let name = Str::from(&*topic.name);
                asked.extend(topic.partitions.iter().map(|partition| {
                    let id = TopicPartition { topic_id: topic.id, partition: partition.index };
                    (name.clone(), id)
                }));
            }
        }
        Some(topics) => {
            for wanted in topics {
                let Some(topic) = image.topics.by_name(&wanted.topic) else { continue };
                let known = wanted.partitions.into_iter();
                let known = known.filter(|partition| topic.partition(*partition).is_some());
                asked.extend(known.map(|partition| {
                    (wanted.topic.clone(), TopicPartition { topic_id: topic.id, partition })
                }));
            }
        }
    }
    asked
}

fn log_dir(
    path: &Path,
    is_online: bool,
    topics: Vec<DescribeLogDirsResponseTopic>,
) -> DescribeLogDirsResponseDir {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (total_bytes, usable_bytes, error) = match is_online.then(|| space(path)) {
        None => (-1, -1, ErrorCode::KafkaStorageError),
        Some(Ok((total, usable))) => (total, usable, ErrorCode::None),
        Some(Err(error)) => {
            tracing::error!(path = %absolute.display(), %error, "the log directory's file system \
                could not be asked for its size");
            (-1, -1, ErrorCode::KafkaStorageError)
        }
    };
    DescribeLogDirsResponseDir {
        error_code: error.code(),
        log_dir: absolute.display().to_string().into(),
        topics: if error.is_none() { topics } else { Vec::new() },
        total_bytes,
        usable_bytes,
        is_cordoned: false,
    }
}

/// All bytes of a path's file system, and those that we may still use.
fn space(path: &Path) -> std::io::Result<(i64, i64)> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes =
        |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
    Ok((bytes(stat.f_blocks), bytes(stat.f_bavail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_has_a_size_and_a_missing_directory_is_an_error() {
        let (total, usable) = space(Path::new(".")).expect("there is a current directory");
        assert!(0 < total && usable <= total);
        let dir = log_dir(Path::new("/nowhere/at/all"), true, vec![]);
        assert_eq!((dir.error_code, dir.total_bytes), (56, -1));
        let dir = log_dir(Path::new("."), false, vec![DescribeLogDirsResponseTopic::default()]);
        assert_eq!((dir.error_code, dir.total_bytes, dir.topics.len()), (56, -1, 0));
        let dir = log_dir(Path::new("/nowhere/at/all"), true, vec![]);
        assert_eq!(dir.log_dir, "/nowhere/at/all");
    }
}
