//! Static members (KIP-345).

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupAnswer, GroupCall};

/// A stable group of the static members `i` (leading) and `j`, and their ids.
fn stable_statics(host: &mut Host) -> (String, String) {
    let first = host.join(fixed("i", 1)).unwrap();
    let second = host.send(GroupCall::Join(fixed("j", 2)));
    let lead = host.join(JoinCall { member_id: first.member_id, ..fixed("i", 0) }).unwrap();
    let follow = joined(host.take(second).unwrap()).unwrap();
    let held = host.send(GroupCall::Sync(sync(&follow, &[])));
    let assignments = [(lead.member_id.as_str(), "I"), (follow.member_id.as_str(), "J")];
    host.sync(sync(&lead, &assignments)).unwrap();
    assert!(matches!(host.take(held), Some(GroupAnswer::Sync(Ok(_)))));
    (lead.member_id, follow.member_id)
}

#[test]
fn a_restarted_follower_disturbs_nobody() {
    let mut host = Host::new();
    let (leader, old) = stable_statics(&mut host);
    let stored = host.log.len();
    let back = host.join(fixed("j", 7)).unwrap();
    assert_ne!(back.member_id, old);
    assert_eq!((back.generation, &back.leader), (2, &leader));
    assert_eq!(host.state(), GroupState::Stable);
    assert_eq!(host.log.len(), stored + 1, "its new id is stored");
    assert_eq!(host.sync(sync(&back, &[])).unwrap().assignment, "J");
    assert_eq!(host.heartbeat(&leader, 2), Ok(()));

    // The earlier self is fenced wherever it shows.
    let fenced = HeartbeatCall {
        group_id: "g".into(),
        generation: 2,
        member_id: old.clone(),
        instance_id: Some("j".into()),
    };
    let answer = host.ask(GroupCall::Heartbeat(fenced));
    assert_eq!(answer, Some(GroupAnswer::Heartbeat(Err(GroupError::FencedInstanceId))));
    let mut zombie = commit(&old, 2, 5);
    zombie.instance_id = Some("j".into());
    assert_eq!(host.commit(zombie), Err(GroupError::FencedInstanceId));
    let call = JoinCall { member_id: old.clone(), ..fixed("j", 0) };
    assert_eq!(host.join(call), Err(GroupError::FencedInstanceId));
    let call =
        SyncCall { instance_id: Some("j".into()), member_id: old.clone(), ..sync(&back, &[]) };
    assert_eq!(host.sync(call), Err(GroupError::FencedInstanceId));
    assert_eq!(host.leave(&[(&old, Some("j"))]), [Err(GroupError::FencedInstanceId)]);
}

#[test]
fn a_restarted_leader_does_not_assign_again() {
    for skips in [false, true] {
        let mut host = Host::new();
        let (old, _) = stable_statics(&mut host);
        let call = JoinCall { supports_skip_assignment: skips, ..fixed("i", 7) };
        let back = host.join(call).unwrap();
        assert_eq!(back.skip_assignment, skips);
        if skips {
            assert_eq!((&back.leader, back.members.len()), (&back.member_id, 2));
        } else {
            assert_eq!((back.leader, back.members.len()), (old, 0), "it must not think it leads");
        }
        assert_eq!(host.state(), GroupState::Stable);
    }
}

#[test]
fn the_answer_waits_for_the_new_id_to_be_durable() {
    let mut host = Host::new();
    stable_statics(&mut host);
    host.is_fast = false;
    let held = host.send(GroupCall::Join(fixed("j", 7)));
    assert_eq!(host.take(held), None);
    host.write_one();
    assert!(joined(host.take(held).unwrap()).is_ok());
}

#[test]
fn a_restarted_member_whose_choice_changes_the_vote_causes_a_rebalance() {
    let mut host = Host::new();
    let mut call = fixed("i", 1);
    call.protocols.push(("sticky".into(), subscription(&["orders"])));
    let first = host.join(call.clone()).unwrap();
    host.sync(sync(&first, &[])).unwrap();
    call.protocols.reverse();
    call.random = 2;
    let back = host.join(call).unwrap();
    assert_eq!((back.generation, back.protocol.as_deref()), (2, Some("sticky")));
}

#[test]
fn a_member_that_restarts_while_it_waits_fences_itself() {
    let mut host = Host::new();
    let (leader, _) = stable_statics(&mut host);
    let held = host.send(GroupCall::Join(JoinCall { member_id: leader, ..fixed("i", 0) }));
    let again = host.send(GroupCall::Join(fixed("i", 8)));
    let answer = joined(host.take(held).unwrap());
    assert_eq!(answer, Err(GroupError::FencedInstanceId));
    host.join(fixed("j", 9)).unwrap();
    assert_eq!(joined(host.take(again).unwrap()).unwrap().generation, 3);

    // Now both are to sync; one restarts: the rebalance begins again.
    let held = host.send(GroupCall::Join(fixed("j", 10)));
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    assert_eq!(host.take(held), None);
}

#[test]
fn static_members_are_kept_through_a_rebalance_until_their_session_ends() {
    let mut host = Host::new();
    let (leader, follower) = stable_statics(&mut host);
    let long = JoinCall { session_timeout_ms: 200_000, ..fixed("j", 0) };
    // The follower gets a long session and is silent then.
    let held = host.send(GroupCall::Join(JoinCall { member_id: leader.clone(), ..fixed("i", 0) }));
    host.join(JoinCall { member_id: follower.clone(), ..long }).unwrap();
    let lead = joined(host.take(held).unwrap()).unwrap();
    host.sync(sync(&lead, &[])).unwrap();
    let call = SyncCall { member_id: follower.clone(), ..sync(&lead, &[]) };
    host.sync(call).unwrap();
    let held = host.send(GroupCall::Join(JoinCall { member_id: leader.clone(), ..fixed("i", 0) }));
    host.advance(60_001);
    let lead = joined(host.take(held).unwrap()).unwrap();
    assert_eq!(lead.members.len(), 2, "the silent static member is still there");
    // It does not sync either: it is removed with the sync deadline.
    host.sync(sync(&lead, &[])).unwrap();
    for _ in 0..60 {
        host.advance(1_000);
        let _ignored = host.heartbeat(&leader, lead.generation);
    }
    let described = host.describe();
    assert_eq!(described.members.len(), 1);
    assert_eq!(described.members[0].member_id, leader);
}

#[test]
fn an_administrator_removes_by_instance_id() {
    let mut host = Host::new();
    let (_, follower) = stable_statics(&mut host);
    let results =
        host.leave(&[("", Some("i")), ("", Some("x")), ("", None), (&follower, Some("x"))]);
    let unknown = Err(GroupError::UnknownMemberId);
    assert_eq!(results, [Ok(()), unknown.clone(), unknown.clone(), unknown]);
    assert_eq!(host.state(), GroupState::PreparingRebalance);
    let alone = host.join(JoinCall { member_id: follower.clone(), ..fixed("j", 0) }).unwrap();
    assert_eq!(alone.leader, follower);
}

#[test]
fn a_pending_id_is_not_for_static_members() {
    let mut host = Host::new();
    let asking = JoinCall { require_known_member_id: true, ..dynamic("a") };
    let Err(GroupError::MemberIdRequired { member_id }) = host.join(asking) else { panic!() };
    let call = JoinCall { member_id, ..fixed("i", 3) };
    assert_eq!(host.join(call), Err(GroupError::UnknownMemberId));
}
