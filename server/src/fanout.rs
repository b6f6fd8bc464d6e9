//! From one request to calls on several shards, and back to one answer: by owner of a partition, to the
//! coordinator of a group, to the controller.

use millrace_engine::client::{Client, Pending};
use millrace_engine::group::{GroupAnswer, GroupCall, partition_for};
use millrace_engine::io::Env;
use millrace_engine::metadata::controller::name::CONSUMER_OFFSETS;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};
use millrace_engine::shard::call::{Answer, Call, CoordinatorError, StorageError};
use millrace_engine::types::{ShardId, TopicPartition};

/// The shard where the controller is.
pub const CONTROLLER_SHARD: ShardId = 0;

/// One call to each shard that owns some of the partitions asked about. The calls are on their way from
/// the beginning; the answers come together at the end.
pub struct Scatter<E: Env> {
    /// How many items there are in all.
    count: usize,
    /// For each call: which items it has, in order.
    calls: Vec<(Vec<usize>, Pending<E>)>,
}

impl<E: Env> Scatter<E> {
    /// Splits `items` by the owners of their partitions and makes one call per owner.
    pub fn begin<T>(
        client: &Client<E>,
        items: impl IntoIterator<Item = (TopicPartition, T)>,
        call: impl Fn(Vec<T>) -> Call,
    ) -> Self {
        let mut by_shard: Vec<(ShardId, Vec<usize>, Vec<T>)> = Vec::new();
        let mut count = 0;
        for (partition, item) in items {
            let owner = client.owner(partition);
            // Few shards own what one request names: a list is searched faster than a map.
            let at = by_shard.iter().position(|(shard, ..)| *shard == owner);
            let at = at.unwrap_or_else(|| {
                by_shard.push((owner, Vec::new(), Vec::new()));
                by_shard.len() - 1
            });
            let (_, indexes, part) = &mut by_shard[at];
            indexes.push(count);
            part.push(item);
            count += 1;
        }
        let calls = by_shard
            .into_iter()
            .map(|(shard, indexes, part)| (indexes, client.call(shard, call(part))))
            .collect();
        Self { count, calls }
    }

    /// All results, in the order of the items. `unpack` takes the results out of a shard's answer.
    pub async fn gather<R>(self, mut unpack: impl FnMut(Answer) -> Vec<R>) -> Vec<R> {
        let mut results: Vec<Option<R>> = Vec::new();
        results.resize_with(self.count, || None);
        for (indexes, pending) in self.calls {
            let part = unpack(pending.await);
            assert_eq!(part.len(), indexes.len(), "a shard answers item by item");
            for (index, result) in indexes.into_iter().zip(part) {
                results[index] = Some(result);
            }
        }
        results.into_iter().map(|result| result.expect("each item is in one call")).collect()
    }
}

/// Asks the coordinator of a group.
///
/// # Errors
/// [`CoordinatorError`]; `NotHere` also while there is no `__consumer_offsets` yet.
pub async fn group<E: Env>(
    client: &Client<E>,
    group_id: &str,
    call: GroupCall,
) -> Result<GroupAnswer, CoordinatorError> {
    let Some((topic_id, partitions)) = offsets_topic(client) else {
        return Err(CoordinatorError::NotHere);
    };
    let partition = partition_for(group_id, partitions);
    let owner = client.owner(TopicPartition { topic_id, partition });
    group_answer(client.call(owner, Call::Group { partition, call }).await)
}

/// Asks all coordinators of this broker; answers by partition of `__consumer_offsets`, none if there is
/// no such topic yet.
pub async fn all_groups<E: Env>(
    client: &Client<E>,
    call: &GroupCall,
) -> Vec<Result<GroupAnswer, CoordinatorError>> {
    let Some((topic_id, partitions)) = offsets_topic(client) else { return Vec::new() };
    let calls: Vec<_> = (0..partitions)
        .map(|partition| {
            let owner = client.owner(TopicPartition { topic_id, partition });
            client.call(owner, Call::Group { partition, call: call.clone() })
        })
        .collect();
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        answers.push(group_answer(call.await));
    }
    answers
}

/// Which coordinator a group has: the partition of `__consumer_offsets`, if there is the topic.
#[must_use]
pub fn coordinator_of<E: Env>(client: &Client<E>, group_id: &str) -> Option<i32> {
    offsets_topic(client).map(|(_, partitions)| partition_for(group_id, partitions))
}

fn offsets_topic<E: Env>(client: &Client<E>) -> Option<(millrace_engine::types::TopicId, i32)> {
    let image = client.image();
    let topic = image.topics.by_name(CONSUMER_OFFSETS)?;
    Some((topic.id, i32::try_from(topic.partitions.len()).ok()?))
}

fn group_answer(answer: Answer) -> Result<GroupAnswer, CoordinatorError> {
    match answer {
        Answer::Group(answer) => answer,
        other => unreachable!("a group call was answered with {other:?}"),
    }
}

/// Asks the controller. When this returns, every shard has the new metadata.
///
/// # Errors
/// [`StorageError`] if the metadata log is offline.
pub async fn controller<E: Env>(
    client: &Client<E>,
    call: ControllerCall,
) -> Result<ControllerAnswer, StorageError> {
    match client.call(CONTROLLER_SHARD, Call::Controller(call)).await {
        Answer::Controller(answer) => answer,
        other => unreachable!("a controller call was answered with {other:?}"),
    }
}
