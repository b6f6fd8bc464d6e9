//! Joining, leaving, heartbeats and what is refused.

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupAnswer, GroupCall, GroupConfig};

#[test]
fn one_member_joins_syncs_and_leaves() {
    let mut host = Host::new();
    let joined = host.join(dynamic("a")).unwrap();
    assert_eq!(joined.generation, 1);
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].metadata, subscription(&["orders"]));
    assert_eq!(host.state(), GroupState::CompletingRebalance);
    assert_eq!(host.log, [], "nothing is stored before the assignment");

    let id = joined.member_id.clone();
    let synced = host.sync(sync(&joined, &[(&id, "A")])).unwrap();
    assert_eq!(synced.assignment, "A");
    assert_eq!(host.state(), GroupState::Stable);
    assert_eq!(host.log.len(), 1);
    let described = host.describe();
    assert_eq!(described.protocol, "range");
    assert_eq!(described.members[0].assignment, "A");
    assert_eq!(described.members[0].client_host, "/127.0.0.1");

    assert_eq!(host.heartbeat(&id, 1), Ok(()));
    assert_eq!(host.leave(&[(&id, None)]), [Ok(())]);
    assert_eq!(host.state(), GroupState::Empty);
    assert_eq!(host.log.len(), 2, "the empty group is stored");
    assert_eq!(host.heartbeat(&id, 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_new_dynamic_member_is_told_its_id_first() {
    let mut host = Host::new();
    let asking = JoinCall { require_known_member_id: true, ..dynamic("a") };
    let Err(GroupError::MemberIdRequired { member_id }) = host.join(asking.clone()) else {
        panic!()
    };
    assert!(member_id.starts_with("a-") && member_id.len() == 38, "{member_id}");
    assert_eq!(host.state(), GroupState::Empty);
    let joined = host.join(JoinCall { member_id: member_id.clone(), ..asking.clone() }).unwrap();
    assert_eq!(joined.member_id, member_id);

    // A pending member that does not come back is forgotten after its session timeout.
    let other = JoinCall { random: 99, group_id: "h".into(), ..asking };
    let Err(GroupError::MemberIdRequired { member_id }) = host.join(other.clone()) else {
        panic!()
    };
    assert_eq!(host.machine.group_count(), 2);
    host.advance(10_001);
    assert_eq!(host.machine.group_count(), 1, "nothing came of the group");
    let late = host.join(JoinCall { member_id, ..other });
    assert_eq!(late, Err(GroupError::UnknownMemberId));
}

#[test]
fn a_static_member_needs_no_id_beforehand() {
    let mut host = Host::new();
    let call = JoinCall { require_known_member_id: true, ..fixed("i", 1) };
    assert!(host.join(call).unwrap().member_id.starts_with("i-"));
}

#[test]
fn refused_joins() {
    let mut host = Host::new();
    let base = dynamic("a");
    let long = "x".repeat(40_000);
    for (call, error) in [
        (JoinCall { group_id: String::new(), ..base.clone() }, GroupError::InvalidGroupId),
        (JoinCall { group_id: long.clone(), ..base.clone() }, GroupError::InvalidGroupId),
        (JoinCall { session_timeout_ms: 5_999, ..base.clone() }, GroupError::InvalidSessionTimeout),
        (
            JoinCall { session_timeout_ms: 1_800_001, ..base.clone() },
            GroupError::InvalidSessionTimeout,
        ),
        (JoinCall { member_id: "x".into(), ..base.clone() }, GroupError::UnknownMemberId),
        (JoinCall { protocols: vec![], ..base.clone() }, GroupError::InconsistentGroupProtocol),
        (
            JoinCall { protocol_type: String::new(), ..base.clone() },
            GroupError::InconsistentGroupProtocol,
        ),
        (JoinCall { client_id: long, ..base.clone() }, GroupError::GroupTooLarge),
    ] {
        assert_eq!(host.join(call), Err(error));
        assert_eq!(host.machine.group_count(), 0);
        assert_eq!(host.machine.next_deadline(), crate::types::Nanos::NEVER);
    }
    host.stable_one();
    for (call, error) in [
        (JoinCall { member_id: "x".into(), ..base.clone() }, GroupError::UnknownMemberId),
        (
            JoinCall { protocol_type: "connect".into(), ..base.clone() },
            GroupError::InconsistentGroupProtocol,
        ),
        (
            JoinCall { protocols: vec![("other".into(), "".into())], ..base.clone() },
            GroupError::InconsistentGroupProtocol,
        ),
    ] {
        assert_eq!(host.join(call), Err(error));
    }
    assert_eq!(host.state(), GroupState::Stable);
}

#[test]
fn a_full_group_takes_nobody() {
    let config =
        GroupConfig { initial_rebalance_delay_ms: 0, members_max: 2, ..GroupConfig::default() };
    let mut host = Host::with(config);
    let (leader, follower) = host.stable_two();
    assert_eq!(host.join(dynamic("c")), Err(GroupError::GroupMaxSizeReached));
    assert_eq!(host.state(), GroupState::Stable);
    // While it rebalances, the first to come have the room.
    let first = host.send(GroupCall::Join(JoinCall { member_id: leader, ..dynamic("a") }));
    let second = host.send(GroupCall::Join(dynamic("c")));
    assert_eq!(host.take(second), None);
    let third = host.join(JoinCall { member_id: follower, ..dynamic("b") });
    assert_eq!(third, Err(GroupError::GroupMaxSizeReached));
    let first = joined(host.take(first).unwrap()).unwrap();
    assert_eq!((first.generation, first.members.len()), (3, 2));
}

#[test]
fn two_members_share_a_generation() {
    let mut host = Host::new();
    let (leader, follower) = host.stable_two();
    for id in [&leader, &follower] {
        assert_eq!(host.heartbeat(id, 2), Ok(()));
        assert_eq!(host.heartbeat(id, 1), Err(GroupError::IllegalGeneration));
    }
    assert_eq!(host.heartbeat("nobody", 2), Err(GroupError::UnknownMemberId));
    assert_eq!(
        host.leave(&[(&leader, None), ("x", None)]),
        [Ok(()), Err(GroupError::UnknownMemberId)]
    );
    assert_eq!(host.heartbeat(&follower, 2), Err(GroupError::RebalanceInProgress));
    let again = host.join(JoinCall { member_id: follower.clone(), ..dynamic("b") }).unwrap();
    assert_eq!((again.generation, again.leader), (3, follower));
}

#[test]
fn a_session_that_ends_removes_the_member() {
    let mut host = Host::new();
    let (leader, follower) = host.stable_two();
    for _ in 0..3 {
        host.advance(4_000);
        assert_eq!(host.heartbeat(&leader, 2).is_ok(), host.state() == GroupState::Stable);
    }
    assert_eq!(host.heartbeat(&leader, 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(host.heartbeat(&follower, 2), Err(GroupError::UnknownMemberId));
    host.advance(10_001);
    assert_eq!(host.state(), GroupState::Empty, "nobody is left");
}

#[test]
fn heartbeats_keep_a_member_for_ever() {
    let mut host = Host::new();
    let id = host.stable_one();
    for _ in 0..100 {
        host.advance(9_999);
        assert_eq!(host.heartbeat(&id, 1), Ok(()));
    }
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut host = Host::new();
    let id = host.stable_one();
    for i in 0..10 {
        host.advance(9_999);
        assert_eq!(host.commit(commit(&id, 1, i)), Ok(()));
    }
    assert_eq!(host.heartbeat(&id, 1), Ok(()));
}

#[test]
fn a_held_join_is_a_sign_of_life() {
    let mut host = Host::new();
    let (leader, _) = host.stable_two();
    let held = host.send(GroupCall::Join(JoinCall { member_id: leader.clone(), ..dynamic("a") }));
    host.advance(9_000);
    assert_eq!(host.take(held), None, "the follower may still come");
    host.advance(1_001);
    let joined = joined(host.take(held).expect("the follower's session is over")).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (3, 1));
    assert_eq!(joined.member_id, leader);
}

#[test]
fn a_join_sent_twice_is_answered_twice() {
    let mut host = Host::new();
    let (leader, _) = host.stable_two();
    let call = JoinCall { member_id: leader, ..dynamic("a") };
    let first = host.send(GroupCall::Join(call.clone()));
    let second = host.send(GroupCall::Join(call));
    let given_up = joined(host.take(first).unwrap());
    assert_eq!(given_up, Err(GroupError::RebalanceInProgress));
    assert_eq!(host.take(second), None);
    host.advance(10_001);
    assert!(host.take(second).is_some());
}

#[test]
fn a_lost_answer_to_a_join_is_given_again() {
    let mut host = Host::new();
    let first = host.join(dynamic("a")).unwrap();
    let call = JoinCall { member_id: first.member_id.clone(), ..dynamic("a") };
    assert_eq!(host.join(call), Ok(first));
}

#[test]
fn a_follower_that_joins_again_unchanged_disturbs_nobody() {
    let mut host = Host::new();
    let (_, follower) = host.stable_two();
    let call = JoinCall { member_id: follower, ..dynamic("b") };
    let again = host.join(call.clone()).unwrap();
    assert_eq!((again.generation, again.members.len()), (2, 0));
    assert_eq!(host.state(), GroupState::Stable);
    let changed = vec![("range".into(), subscription(&["orders", "more"]))];
    host.send(GroupCall::Join(JoinCall { protocols: changed, ..call }));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
}

#[test]
fn calls_about_no_group() {
    let mut host = Host::new();
    assert_eq!(host.heartbeat("x", 1), Err(GroupError::UnknownMemberId));
    assert_eq!(host.leave(&[("x", None)]), [Err(GroupError::UnknownMemberId)]);
    let call = SyncCall { group_id: "g".into(), ..SyncCall::default() };
    assert_eq!(host.sync(call), Err(GroupError::UnknownMemberId));
    assert_eq!(host.sync(SyncCall::default()), Err(GroupError::InvalidGroupId));
    let leave = host.ask(GroupCall::Leave(LeaveCall::default()));
    assert_eq!(leave, Some(GroupAnswer::Leave(Err(GroupError::InvalidGroupId))));
    let heartbeat = host.ask(GroupCall::Heartbeat(HeartbeatCall::default()));
    assert_eq!(heartbeat, Some(GroupAnswer::Heartbeat(Err(GroupError::InvalidGroupId))));
    assert_eq!(host.machine.next_deadline(), crate::types::Nanos::NEVER, "no polling");
}

#[test]
fn a_member_that_leaves_while_it_waits_is_answered() {
    let mut host = Host::new();
    let (leader, follower) = host.stable_two();
    let join = host.send(GroupCall::Join(JoinCall { member_id: leader.clone(), ..dynamic("a") }));
    assert_eq!(host.leave(&[(&leader, None)]), [Ok(())]);
    let answer = joined(host.take(join).unwrap());
    assert_eq!(answer, Err(GroupError::UnknownMemberId));
    let alone = host.join(JoinCall { member_id: follower, ..dynamic("b") }).unwrap();
    let other = host.send(GroupCall::Join(dynamic("c")));
    let both = host.join(JoinCall { member_id: alone.member_id, ..dynamic("b") }).unwrap();
    let follow = joined(host.take(other).unwrap()).unwrap();
    let held = host.send(GroupCall::Sync(sync(&follow, &[])));
    assert_eq!(host.leave(&[(&follow.member_id, None)]), [Ok(())]);
    assert_eq!(host.take(held), Some(GroupAnswer::Sync(Err(GroupError::UnknownMemberId))));
    assert_eq!(host.heartbeat(&both.member_id, 4), Err(GroupError::RebalanceInProgress));
}

#[test]
fn unloading_answers_everybody() {
    let mut host = Host::new();
    let (leader, _) = host.stable_two();
    let join = host.send(GroupCall::Join(JoinCall { member_id: leader, ..dynamic("a") }));
    let mut orders = Vec::new();
    host.machine.unload(&mut orders);
    host.obey(orders);
    let answer = joined(host.take(join).unwrap());
    assert_eq!(answer, Err(GroupError::NotCoordinator));
    assert!(host.waiting.is_empty());
    assert_eq!(host.machine.next_deadline(), crate::types::Nanos::NEVER);
    assert_eq!(host.machine.group_count(), 0);
}
