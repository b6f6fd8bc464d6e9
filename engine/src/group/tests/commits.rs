//! Offsets: who may commit when, and what readers see.

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupAnswer, GroupCall, GroupConfig};
use crate::types::Uuid;

fn orders(offset: i64) -> Vec<(String, i32, i64)> {
    vec![("orders".into(), 0, offset)]
}

#[test]
fn a_simple_consumer_needs_no_group() {
    let mut host = Host::new();
    assert_eq!(host.offsets(), []);
    assert_eq!(host.commit(commit("", -1, 5)), Ok(()));
    assert_eq!(host.offsets(), orders(5));
    let described = host.describe();
    assert!(described.found);
    assert_eq!((described.state, described.protocol_type.as_str()), (GroupState::Empty, ""));
    assert_eq!(host.commit(commit("x", 0, 6)), Err(GroupError::UnknownMemberId));
    assert_eq!(host.commit(commit("", -1, 7)), Ok(()));
    assert_eq!(host.offsets(), orders(7));
    // The group may have no name at all.
    let nameless = OffsetCommitCall { group_id: String::new(), ..commit("", -1, 9) };
    assert_eq!(host.commit(nameless), Ok(()));
}

#[test]
fn commits_in_each_state() {
    let mut host = Host::new();
    assert_eq!(host.commit(commit("x", 1, 1)), Err(GroupError::GroupIdNotFound));
    assert_eq!(host.machine.group_count(), 0);
    let joined = host.join(dynamic("a")).unwrap();
    let id = joined.member_id.clone();
    assert_eq!(host.commit(commit(&id, 1, 1)), Err(GroupError::RebalanceInProgress));
    assert_eq!(host.commit(commit(&id, 0, 1)), Err(GroupError::IllegalGeneration));
    assert_eq!(host.commit(commit("", -1, 1)), Err(GroupError::UnknownMemberId));
    host.sync(sync(&joined, &[])).unwrap();
    assert_eq!(host.commit(commit(&id, 1, 2)), Ok(()));
    assert_eq!(host.commit(commit(&id, 2, 3)), Err(GroupError::IllegalGeneration));
    assert_eq!(host.commit(commit(&id, -1, 3)), Err(GroupError::IllegalGeneration));
    assert_eq!(host.commit(commit("", -1, 3)), Err(GroupError::UnknownMemberId));
    assert_eq!(host.commit(commit("x", 1, 3)), Err(GroupError::UnknownMemberId));
    // Members may commit before they join again.
    host.send(GroupCall::Join(dynamic("b")));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    assert_eq!(host.commit(commit(&id, 1, 4)), Ok(()));
    host.advance(300_000);
    assert_eq!(host.state(), GroupState::Empty);
    assert_eq!(host.commit(commit("", -1, 5)), Ok(()));
    assert_eq!(host.commit(commit(&id, 1, 6)), Err(GroupError::UnknownMemberId));
    assert_eq!(host.offsets(), orders(5));
}

#[test]
fn long_texts_are_refused_one_by_one() {
    let config = GroupConfig { offset_metadata_units_max: 4, ..GroupConfig::default() };
    let mut host = Host::with(config);
    let mut call = commit("", -1, 1);
    let texts = ["abcd", "abcde", "\u{e9}\u{e9}\u{e9}\u{e9}", "\u{1F600}\u{1F600}\u{1F600}"];
    let partitions = texts.iter().zip(0..).map(|(text, partition)| CommitPartition {
        partition,
        offset: 1,
        leader_epoch: -1,
        metadata: Some((*text).into()),
    });
    call.topics[0].partitions = partitions.collect();
    let Some(GroupAnswer::OffsetCommit(Ok(results))) = host.ask(GroupCall::OffsetCommit(call))
    else {
        panic!()
    };
    let too_long = Err(GroupError::OffsetMetadataTooLarge);
    let expected = [(0, Ok(())), (1, too_long.clone()), (2, Ok(())), (3, too_long)];
    assert_eq!(results[0].partitions, expected);
    assert_eq!(host.offsets().len(), 2);
    assert_eq!(host.log.len(), 2);
}

#[test]
fn a_commit_that_no_batch_holds_is_refused() {
    let mut host = Host::with(GroupConfig { batch_bytes_max: 500, ..GroupConfig::default() });
    let mut call = commit("", -1, 1);
    call.topics[0].partitions = (0..20)
        .map(|partition| CommitPartition { partition, offset: 1, leader_epoch: -1, metadata: None })
        .collect();
    assert_eq!(host.commit(call), Err(GroupError::InvalidCommitOffsetSize));
    let long = "t".repeat(40_000);
    let call = commit_of(&long, 0, ("", -1), 1);
    assert_eq!(host.commit(call), Err(GroupError::InvalidCommitOffsetSize));
    assert_eq!(host.log, []);
    let nothing = OffsetCommitCall { topics: Vec::new(), ..commit("", -1, 1) };
    let answer = host.ask(GroupCall::OffsetCommit(nothing));
    assert_eq!(answer, Some(GroupAnswer::OffsetCommit(Ok(Vec::new()))));
    assert_eq!(host.machine.group_count(), 0);
}

#[test]
fn readers_see_only_what_is_durable() {
    let mut host = Host::new();
    host.commit(commit("", -1, 1)).unwrap();
    host.is_fast = false;
    let second = host.send(GroupCall::OffsetCommit(commit("", -1, 2)));
    let third = host.send(GroupCall::OffsetCommit(commit("", -1, 3)));
    assert_eq!((host.take(second), host.take(third)), (None, None));
    assert_eq!(host.offsets(), orders(1));

    let stable = OffsetFetchCall {
        group_id: "g".into(),
        require_stable: true,
        topics: Some(vec![FetchTopic {
            name: "orders".into(),
            topic_id: Uuid::ZERO,
            partitions: vec![0, 1],
        }]),
    };
    let stable = host.send(GroupCall::OffsetFetch(stable));
    host.write_one();
    assert!(host.take(second).is_some());
    assert_eq!(host.offsets(), orders(2));
    assert_eq!(host.take(stable), None, "it shows the third, which is not durable");
    host.write_one();
    let Some(GroupAnswer::OffsetFetch(Ok(topics))) = host.take(stable) else { panic!() };
    let offsets = topics[0].partitions.iter().map(|p| (p.partition, p.offset, p.leader_epoch));
    assert_eq!(offsets.collect::<Vec<_>>(), [(0, 3, 3), (1, -1, -1)]);
    assert_eq!(host.offsets(), orders(3));
}

#[test]
fn a_deletion_shows_when_it_is_durable() {
    let mut host = Host::new();
    host.commit(commit("", -1, 1)).unwrap();
    host.is_fast = false;
    let delete =
        OffsetDeleteCall { group_id: "g".into(), topics: vec![("orders".into(), vec![0])] };
    let delete = host.send(GroupCall::OffsetDelete(delete));
    assert_eq!(host.offsets(), orders(1));
    let again = host.send(GroupCall::OffsetCommit(commit("", -1, 2)));
    host.write_one();
    assert!(host.take(delete).is_some());
    assert_eq!(host.offsets(), []);
    host.write_one();
    assert!(host.take(again).is_some());
    assert_eq!(host.offsets(), orders(2));
}

#[test]
fn topic_ids_tell_topics_of_one_name_apart() {
    let mut host = Host::new();
    let mut call = commit("", -1, 5);
    call.topics[0].topic_id = Uuid(7);
    host.commit(call).unwrap();
    tell_apart(&mut host);
    host.restart();
    tell_apart(&mut host);
    assert_eq!(host.machine.topics(), [("orders".to_owned(), Uuid(7))].into());
    let all = OffsetFetchCall { group_id: "g".into(), topics: None, require_stable: false };
    let Some(GroupAnswer::OffsetFetch(Ok(topics))) = host.ask(GroupCall::OffsetFetch(all)) else {
        panic!()
    };
    assert_eq!(topics.iter().map(|topic| topic.topic_id).collect::<Vec<_>>(), [Uuid(7)]);
}

fn tell_apart(host: &mut Host) {
    for (asked, expected) in [(Uuid::ZERO, 5), (Uuid(7), 5), (Uuid(8), -1)] {
        let fetch = OffsetFetchCall {
            group_id: "g".into(),
            topics: Some(vec![FetchTopic {
                name: "orders".into(),
                topic_id: asked,
                partitions: vec![0],
            }]),
            require_stable: false,
        };
        let Some(GroupAnswer::OffsetFetch(Ok(topics))) = host.ask(GroupCall::OffsetFetch(fetch))
        else {
            panic!()
        };
        assert_eq!(topics[0].topic_id, asked);
        assert_eq!(topics[0].partitions[0].offset, expected);
    }
}

#[test]
fn offsets_are_deleted_unless_somebody_is_subscribed() {
    let delete = |host: &mut Host| {
        let topics = vec![("orders".into(), vec![0]), ("other".into(), vec![0, 9])];
        let call = OffsetDeleteCall { group_id: "g".into(), topics };
        match host.ask(GroupCall::OffsetDelete(call)) {
            Some(GroupAnswer::OffsetDelete(result)) => {
                result.map(|t| t.into_iter().flat_map(|t| t.partitions).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        }
    };
    let mut host = Host::new();
    assert_eq!(delete(&mut host), Err(GroupError::GroupIdNotFound));
    let nameless = host.ask(GroupCall::OffsetDelete(OffsetDeleteCall::default()));
    assert_eq!(nameless, Some(GroupAnswer::OffsetDelete(Err(GroupError::InvalidGroupId))));
    let id = host.stable_one();
    host.commit(commit(&id, 1, 1)).unwrap();
    host.commit(commit_of("other", 0, (&id, 1), 1)).unwrap();
    let subscribed = Err(GroupError::GroupSubscribedToTopic);
    assert_eq!(delete(&mut host), Ok(vec![(0, subscribed), (0, Ok(())), (9, Ok(()))]));
    assert_eq!(host.offsets(), orders(1));
    host.leave(&[(&id, None)]);
    assert_eq!(delete(&mut host), Ok(vec![(0, Ok(())), (0, Ok(())), (9, Ok(()))]));
    assert_eq!(host.offsets(), []);

    // Of groups that are not consumers nothing is known, so they must be empty.
    let mut host = Host::new();
    host.join(JoinCall { protocol_type: "connect".into(), ..dynamic("a") }).unwrap();
    assert_eq!(delete(&mut host), Err(GroupError::NonEmptyGroup));
}

#[test]
fn offsets_of_deleted_topics_go() {
    let mut host = Host::new();
    for (topic, id) in [("a", 1), ("b", 2), ("c", 3)] {
        let mut call = commit_of(topic, 0, ("", -1), 1);
        call.topics[0].topic_id = Uuid(id);
        host.commit(call).unwrap();
    }
    let deleted = [("a".to_owned(), Uuid(1)), ("b".into(), Uuid(9)), ("c".into(), Uuid::ZERO)];
    let mut orders = Vec::new();
    host.machine.topics_deleted(host.now(), host.wall_ms(), &deleted, &mut orders);
    host.obey(orders);
    assert_eq!(host.offsets(), [("b".into(), 0, 1)], "that one was another topic");
    let tombstones = host.log.iter().filter(|record| record.value.is_none()).count();
    assert_eq!(tombstones, 2);
}
