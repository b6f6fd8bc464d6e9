//! Clients that commit and fetch offsets of groups.

use std::rc::Rc;

use millrace_engine::group::call::{
    CommitPartition, CommitTopic, FetchTopic, GroupAnswer, GroupCall, OffsetCommitCall,
    OffsetFetchCall,
};
use millrace_engine::group::partition_for;
use millrace_engine::shard::call::{Answer, Call, CoordinatorError};
use millrace_engine::types::{Offset, TopicId, TopicPartition};

use super::administer::offsets_topic;
use super::ledger::Place;
use super::world::{SimClient, World, pause};

/// Asks a group's coordinator, again while it is loading. None if it cannot be asked.
async fn coordinate(
    world: &Rc<World>,
    client: &SimClient,
    group: &str,
    call: &GroupCall,
) -> Option<Result<GroupAnswer, CoordinatorError>> {
    let index = offsets_topic(world)?;
    let (id, partitions) = {
        let ledger = world.ledger.borrow();
        let topic = ledger.topic(index);
        (topic.id?, topic.partitions)
    };
    let partition = partition_for(group, partitions);
    let at = TopicPartition { topic_id: id, partition };
    let owner = client.owner(at);
    for _ in 0..2_000 {
        let asked = world.asking("a question to a group's coordinator");
        let answer = client.call(owner, Call::Group { partition, call: call.clone() }).await;
        drop(asked);
        match answer {
            _ if client.is_stopping() => return None,
            // Kafka's clients come again then, as its partition is being opened or read.
            Answer::Group(Err(CoordinatorError::Loading | CoordinatorError::NotHere)) => {
                pause(client, 5_000_000).await;
            }
            Answer::Group(Err(CoordinatorError::Storage)) if world.is_in_trouble(client, at) => {
                return None;
            }
            Answer::Group(result) => return Some(result),
            other => {
                world.wrong(format!("a group's call was answered with {other:?}"));
                return None;
            }
        }
        if client.is_stopping() || world.is_in_trouble(client, at) {
            return None;
        }
    }
    world.wrong(format!("the coordinator of {group} does not come up"));
    None
}

/// One group, which commits and fetches.
pub async fn commit(world: Rc<World>, client: SimClient, group: String) {
    while !client.is_stopping() {
        if let Some(place) = world.any_place() {
            let offset = i64::try_from(world.dice.below(1 << 50)).unwrap_or_default();
            store(&world, &client, &group, place, offset).await;
            if world.dice.percent(30) && world.is_live(place) {
                fetch(&world, &client, &group, place, false).await;
            }
        }
        pause(&client, world.dice.magnitude(20_000_000)).await;
    }
}

fn identity(world: &Rc<World>, place: Place) -> Option<(String, TopicId)> {
    let ledger = world.ledger.borrow();
    let topic = ledger.topic(place.topic);
    Some((topic.name.clone(), topic.id?))
}

/// Commits an offset. Says whether it was acknowledged.
pub async fn store(
    world: &Rc<World>,
    client: &SimClient,
    group: &str,
    place: Place,
    offset: Offset,
) -> bool {
    let Some((name, topic_id)) = identity(world, place) else { return false };
    world.ledger.borrow_mut().commits.asking(group, place, offset);
    let partition = CommitPartition {
        partition: place.partition,
        offset,
        leader_epoch: -1,
        metadata: Some(format!("at {offset}")),
    };
    let call = GroupCall::OffsetCommit(OffsetCommitCall {
        group_id: group.to_owned(),
        generation: -1,
        member_id: String::new(),
        instance_id: None,
        retention_ms: None,
        topics: vec![CommitTopic { name, topic_id, partitions: vec![partition] }],
    });
    let answer = coordinate(world, client, group, &call).await;
    match answer {
        Some(Ok(GroupAnswer::OffsetCommit(Ok(results)))) => {
            let result = results.first().and_then(|topic| topic.partitions.first());
            if !matches!(result, Some((_, Ok(())))) {
                world.wrong(format!("a commit of {group} was answered with {results:?}"));
                return false;
            }
            world.tell(|| format!("  {group} committed {offset} of {place:?}"));
            world.ledger.borrow_mut().commits.acked(group, place, offset);
            true
        }
        Some(other) => {
            world.wrong(format!("a commit of {group} was answered with {other:?}"));
            false
        }
        None => false,
    }
}

/// Fetches an offset and compares it with the ledger.
pub async fn fetch(
    world: &Rc<World>,
    client: &SimClient,
    group: &str,
    place: Place,
    is_after_crash: bool,
) {
    let Some((name, topic_id)) = identity(world, place) else { return };
    let topic = FetchTopic { name, topic_id, partitions: vec![place.partition] };
    let call = GroupCall::OffsetFetch(OffsetFetchCall {
        group_id: group.to_owned(),
        topics: Some(vec![topic]),
        require_stable: true,
    });
    match coordinate(world, client, group, &call).await {
        Some(Ok(GroupAnswer::OffsetFetch(Ok(topics)))) => {
            let found = topics.first().and_then(|topic| topic.partitions.first());
            let Some(found) = found else {
                return world.wrong(format!("a fetch of {group} was answered with nothing"));
            };
            if found.offset >= 0 && found.metadata != format!("at {}", found.offset) {
                world.wrong(format!("group {group}: {found:?} has another's text"));
            }
            if world.is_live(place) {
                let mut ledger = world.ledger.borrow_mut();
                let result = ledger.commits.fetched(group, place, found.offset, is_after_crash);
                drop(ledger);
                world.check(result);
            }
        }
        Some(other) => world.wrong(format!("a fetch of {group} was answered with {other:?}")),
        None => {}
    }
}
