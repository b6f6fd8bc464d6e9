//! What a crash leaves, and what comes back from the log.

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupCall, GroupConfig};

#[test]
fn a_stable_group_comes_back() {
    let mut host = Host::new();
    let (leader, follower) = host.stable_two();
    host.commit(commit(&leader, 2, 9)).unwrap();
    let before = host.describe();
    host.restart();
    assert_eq!(host.describe(), before);
    assert_eq!(host.offsets(), [("orders".into(), 0, 9)]);
    assert_eq!(host.heartbeat(&leader, 2), Ok(()));
    assert_eq!(host.heartbeat(&follower, 2), Ok(()));
    assert_eq!(host.commit(commit(&follower, 2, 10)), Ok(()));
    // Sessions run from the restart on.
    host.advance(9_000);
    assert_eq!(host.heartbeat(&leader, 2), Ok(()));
    host.advance(1_001);
    assert_eq!(host.heartbeat(&leader, 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(host.heartbeat(&follower, 2), Err(GroupError::UnknownMemberId));
    // The leader is still the leader, and the protocol still known.
    let lead = host.join(JoinCall { member_id: leader.clone(), ..dynamic("a") }).unwrap();
    assert_eq!((lead.leader, lead.generation), (leader, 3));
}

#[test]
fn static_members_come_back() {
    let mut host = Host::new();
    let first = host.join(fixed("i", 1)).unwrap();
    host.sync(sync(&first, &[(&first.member_id, "I")])).unwrap();
    host.restart();
    let back = host.join(fixed("i", 2)).unwrap();
    assert_eq!(back.generation, 1);
    assert_eq!(host.sync(sync(&back, &[])).unwrap().assignment, "I");
    assert_eq!(host.heartbeat(&first.member_id, 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn what_was_not_durable_was_never_shown() {
    let mut host = Host::new();
    let id = host.stable_one();
    host.commit(commit(&id, 1, 1)).unwrap();
    host.is_fast = false;
    host.send(GroupCall::OffsetCommit(commit(&id, 1, 2)));
    let seen = host.offsets();
    host.restart();
    assert_eq!(host.offsets(), seen);
    // A generation whose assignment was not stored did not happen.
    let lead = host.join(JoinCall { member_id: id.clone(), ..dynamic("a") }).unwrap();
    assert_eq!(lead.generation, 2);
    host.send(GroupCall::Sync(sync(&lead, &[(&id, "X")])));
    host.restart();
    assert_eq!(host.heartbeat(&id, 2), Err(GroupError::IllegalGeneration));
    assert_eq!(host.describe().members[0].assignment, "A");
}

#[test]
fn an_empty_group_comes_back_empty() {
    let mut host = Host::new();
    let id = host.stable_one();
    host.leave(&[(&id, None)]);
    host.restart();
    let described = host.describe();
    assert_eq!(
        (described.state, described.protocol_type.as_str()),
        (GroupState::Empty, "consumer")
    );
    let joined = host.join(dynamic("a")).unwrap();
    assert_eq!(joined.generation, 3, "generations go on");
}

#[test]
fn a_group_larger_than_now_allowed_rebalances() {
    let mut host = Host::new();
    let (leader, _) = host.stable_two();
    host.config = GroupConfig { members_max: 1, ..host.config };
    host.restart();
    assert_eq!(host.heartbeat(&leader, 2), Err(GroupError::RebalanceInProgress));
}

#[test]
fn offsets_without_their_group_come_back() {
    let mut host = Host::new();
    host.commit(commit("", -1, 3)).unwrap();
    // As after compaction: a tombstone of the group behind an offset of it.
    let tombstone = crate::group::record::group_record(0, "g", None).unwrap();
    host.log.push(tombstone);
    host.restart();
    assert_eq!(host.offsets().len(), 1);
    assert!(host.describe().found, "so that its offsets can expire");
}
