//! Rebalances: delays, deadlines, votes, and assignments that are stored before they are given.

use bytes::Bytes;

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupAnswer, GroupCall, GroupConfig};

#[test]
fn the_first_rebalance_waits_for_more_members() {
    let mut host = Host::with(GroupConfig::default());
    let first = host.send(GroupCall::Join(dynamic("a")));
    host.advance(2_000);
    let second = host.send(GroupCall::Join(dynamic("b")));
    host.advance(1_500);
    assert_eq!(host.take(first), None, "the delay began again");
    host.advance(2_500);
    let first = joined(host.take(first).unwrap()).unwrap();
    let second = joined(host.take(second).unwrap()).unwrap();
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.leader, second.leader);
    let mut seen = [first.members.len(), second.members.len()];
    seen.sort_unstable();
    assert_eq!(seen, [0, 2], "only the leader sees the members");
}

#[test]
fn the_initial_delay_is_bounded_by_the_rebalance_timeout() {
    let mut host = Host::with(GroupConfig::default());
    let call = |i: u128| JoinCall { rebalance_timeout_ms: 7_000, random: i, ..dynamic("a") };
    let first = host.send(GroupCall::Join(call(0)));
    for i in 1..=7 {
        host.advance(1_000);
        host.send(GroupCall::Join(call(i)));
    }
    assert!(host.take(first).is_some(), "not longer than 7 s");
}

#[test]
fn members_that_do_not_come_back_are_removed() {
    let mut host = Host::new();
    let (leader, follower) = host.stable_two();
    let call =
        JoinCall { session_timeout_ms: 300_000, member_id: follower.clone(), ..dynamic("b") };
    let held = host.send(GroupCall::Join(JoinCall {
        protocols: vec![("range".into(), subscription(&["other"]))],
        ..call
    }));
    // The leader's heartbeats go on but it does not join.
    for _ in 0..59 {
        host.advance(1_000);
        assert_eq!(host.heartbeat(&leader, 2), Err(GroupError::RebalanceInProgress));
    }
    assert_eq!(host.take(held), None);
    host.advance(1_000);
    let alone = joined(host.take(held).unwrap()).unwrap();
    assert_eq!((alone.generation, alone.leader), (3, follower));
    assert_eq!(host.heartbeat(&leader, 2), Err(GroupError::UnknownMemberId));
}

#[test]
fn members_that_do_not_sync_are_removed() {
    let mut host = Host::new();
    let leader = host.stable_one();
    let second = host.send(GroupCall::Join(dynamic("b")));
    let lead = host.join(JoinCall { member_id: leader.clone(), ..dynamic("a") }).unwrap();
    let follow = joined(host.take(second).unwrap()).unwrap();
    let held = host.send(GroupCall::Sync(sync(&follow, &[])));
    for _ in 0..60 {
        host.advance(1_000);
        // It lives, but brings no assignment.
        let _ignored = host.heartbeat(&lead.member_id, 2);
    }
    assert_eq!(host.take(held), Some(GroupAnswer::Sync(Err(GroupError::RebalanceInProgress))));
    assert_eq!(host.heartbeat(&leader, 2), Err(GroupError::UnknownMemberId));
    assert_eq!(host.heartbeat(&follow.member_id, 2), Err(GroupError::RebalanceInProgress));
}

#[test]
fn the_protocol_is_voted_for() {
    let with = |name: &str, protocols: &[&str]| JoinCall {
        protocols: protocols.iter().map(|p| ((*p).to_owned(), Bytes::new())).collect(),
        protocol_type: "connect".into(),
        ..dynamic(name)
    };
    for (votes, winner) in [
        (&[&["x", "y"][..], &["x", "y"]][..], "x"),
        (&[&["x", "y"], &["y", "x"], &["y", "x"]], "y"),
        (&[&["x", "y"], &["y"]], "y"),
        (&[&["z", "x", "y"], &["y", "x", "z"], &["x", "y"]], "x"),
        (&[&["x", "x", "y"], &["y", "x"], &["y"]], "y"),
    ] {
        let config = GroupConfig { initial_rebalance_delay_ms: 1, ..GroupConfig::default() };
        let mut host = Host::with(config);
        let calls = votes.iter().zip(["a", "b", "c"]);
        let tokens = calls.map(|(v, name)| host.send(GroupCall::Join(with(name, v))));
        let tokens = tokens.collect::<Vec<_>>();
        host.advance(2);
        for token in tokens {
            let joined = joined(host.take(token).unwrap()).unwrap();
            assert_eq!(joined.protocol.as_deref(), Some(winner), "{votes:?}");
        }
    }
}

#[test]
fn nobody_sees_an_assignment_before_it_is_durable() {
    let mut host = Host::new();
    let joined = host.join(dynamic("a")).unwrap();
    host.is_fast = false;
    let id = joined.member_id.clone();
    let first = host.send(GroupCall::Sync(sync(&joined, &[(&id, "A")])));
    assert_eq!(host.take(first), None);
    assert_eq!(host.state(), GroupState::CompletingRebalance);
    // Sent twice: the second waits too, the first is given up, and nothing is written again.
    let second = host.send(GroupCall::Sync(sync(&joined, &[(&id, "B")])));
    assert_eq!(host.take(first), Some(GroupAnswer::Sync(Err(GroupError::RebalanceInProgress))));
    assert_eq!(host.in_flight.len(), 1);
    host.write_one();
    let Some(GroupAnswer::Sync(Ok(synced))) = host.take(second) else { panic!() };
    assert_eq!(synced.assignment, "A", "what was stored");
    assert_eq!(host.state(), GroupState::Stable);
    assert_eq!(host.sync(sync(&joined, &[])).unwrap().assignment, "A");
}

#[test]
fn a_rebalance_overtakes_an_assignment_that_is_being_stored() {
    let mut host = Host::new();
    let first = host.join(dynamic("a")).unwrap();
    host.is_fast = false;
    let id = first.member_id.clone();
    let held = host.send(GroupCall::Sync(sync(&first, &[(&id, "old")])));
    let other = host.send(GroupCall::Join(dynamic("b")));
    assert_eq!(host.take(held), Some(GroupAnswer::Sync(Err(GroupError::RebalanceInProgress))));
    host.write_one();
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    let lead = host.join(JoinCall { member_id: id.clone(), ..dynamic("a") }).unwrap();
    assert!(joined(host.take(other).unwrap()).is_ok());
    let held = host.send(GroupCall::Sync(sync(&lead, &[(&id, "new")])));
    host.write_one();
    let Some(GroupAnswer::Sync(Ok(synced))) = host.take(held) else { panic!() };
    assert_eq!((lead.generation, synced.assignment), (2, Bytes::from("new")));
}

#[test]
fn refused_syncs() {
    let mut host = Host::new();
    let joined = host.join(dynamic("a")).unwrap();
    let good = sync(&joined, &[]);
    for (call, error) in [
        (SyncCall { generation: 0, ..good.clone() }, GroupError::IllegalGeneration),
        (SyncCall { member_id: "x".into(), ..good.clone() }, GroupError::UnknownMemberId),
        (
            SyncCall { protocol_type: Some("x".into()), ..good.clone() },
            GroupError::InconsistentGroupProtocol,
        ),
        (
            SyncCall { protocol: Some("x".into()), ..good.clone() },
            GroupError::InconsistentGroupProtocol,
        ),
        (SyncCall { instance_id: Some("x".into()), ..good.clone() }, GroupError::UnknownMemberId),
    ] {
        assert_eq!(host.sync(call), Err(error));
    }
    let silent = SyncCall { protocol_type: None, protocol: None, ..good };
    assert_eq!(host.sync(silent.clone()).unwrap().assignment, "", "members left out get nothing");
    host.send(GroupCall::Join(dynamic("b")));
    assert_eq!(host.sync(silent), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_group_that_no_batch_holds_is_refused() {
    let config = GroupConfig {
        initial_rebalance_delay_ms: 0,
        batch_bytes_max: 1_000,
        ..GroupConfig::default()
    };
    let mut host = Host::with(config);
    let joined = host.join(dynamic("a")).unwrap();
    let mut call = sync(&joined, &[]);
    call.assignments = vec![(joined.member_id.clone(), Bytes::from(vec![7; 1_000]))];
    assert_eq!(host.sync(call), Err(GroupError::GroupTooLarge));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    let again = host.join(JoinCall { member_id: joined.member_id, ..dynamic("a") }).unwrap();
    assert_eq!(host.sync(sync(&again, &[])).unwrap().assignment, "");
}

#[test]
fn a_pending_member_holds_a_rebalance_up_until_it_is_forgotten() {
    let mut host = Host::new();
    let id = host.stable_one();
    let asking = JoinCall { require_known_member_id: true, ..dynamic("b") };
    assert!(matches!(host.join(asking), Err(GroupError::MemberIdRequired { .. })));
    assert_eq!(host.state(), GroupState::Stable, "asking for an id is no rebalance");
    let held = host.send(GroupCall::Join(JoinCall { member_id: id, ..dynamic("a") }));
    assert_eq!(host.take(held), None);
    host.advance(10_001);
    assert!(joined(host.take(held).unwrap()).is_ok());
}

#[test]
fn a_pending_member_can_leave() {
    let mut host = Host::new();
    let asking = JoinCall { require_known_member_id: true, ..dynamic("b") };
    let Err(GroupError::MemberIdRequired { member_id }) = host.join(asking) else { panic!() };
    assert_eq!(host.leave(&[(&member_id, None)]), [Ok(())]);
    assert_eq!(host.machine.group_count(), 0);
}

#[test]
fn negative_timeouts_come_to_rest() {
    let mut host = Host::new();
    let call = JoinCall { rebalance_timeout_ms: i32::MIN, ..fixed("i", 1) };
    let first = host.join(call).unwrap();
    // It had no time to sync, so it is gone.
    assert_eq!(host.sync(sync(&first, &[])), Err(GroupError::UnknownMemberId));
    let other = host.send(GroupCall::Join(fixed("j", 2)));
    host.advance(100_000);
    assert!(joined(host.take(other).unwrap()).is_ok());
}
