//! Describing, listing and deleting groups.

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupAnswer, GroupCall};

fn list(host: &mut Host, states: &[&str], types: &[&str]) -> Vec<String> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let call = ListCall { states: owned(states), types: owned(types) };
    match host.ask(GroupCall::List(call)) {
        Some(GroupAnswer::List(groups)) => groups
            .into_iter()
            .map(|g| format!("{} {} {}", g.group_id, g.protocol_type, g.state.name()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut host = Host::new();
    assert_eq!(list(&mut host, &[], &[]), Vec::<String>::new());
    host.stable_one();
    host.commit(OffsetCommitCall { group_id: "simple".into(), ..commit("", -1, 1) }).unwrap();
    let both = ["g consumer Stable", "simple  Empty"];
    assert_eq!(list(&mut host, &[], &[]), both);
    assert_eq!(list(&mut host, &[], &["Classic"]), both);
    assert_eq!(list(&mut host, &["empty", "dead"], &[]), both[1..]);
    assert_eq!(list(&mut host, &[" STABLE "], &["classic", "share"]), both[..1]);
    assert_eq!(list(&mut host, &["Assigning"], &[]), Vec::<String>::new());
    assert_eq!(list(&mut host, &[], &["consumer"]), Vec::<String>::new());
}

#[test]
fn a_group_that_is_not_there_is_dead() {
    let mut host = Host::new();
    let described = host.describe();
    assert_eq!((described.found, described.state), (false, GroupState::Dead));
    assert_eq!(described.group_id, "g");
}

#[test]
fn metadata_is_shown_of_stable_groups_only() {
    let mut host = Host::new();
    host.stable_two();
    let stable = host.describe();
    assert_eq!((stable.protocol.as_str(), stable.protocol_type.as_str()), ("range", "consumer"));
    assert!(stable.members.iter().all(|member| !member.metadata.is_empty()));
    host.send(GroupCall::Join(dynamic("c")));
    let preparing = host.describe();
    assert_eq!(
        (preparing.state, preparing.protocol.as_str()),
        (GroupState::PreparingRebalance, "")
    );
    assert!(preparing.members.iter().all(|member| member.metadata.is_empty()));
}

#[test]
fn only_empty_groups_are_deleted() {
    let mut host = Host::new();
    let id = host.stable_one();
    host.commit(commit(&id, 1, 4)).unwrap();
    let delete = |host: &mut Host, ids: &[&str]| {
        let group_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        match host.ask(GroupCall::Delete { group_ids }) {
            Some(GroupAnswer::Delete(results)) => {
                results.into_iter().map(|(_, result)| result).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let missing = Err(GroupError::GroupIdNotFound);
    assert_eq!(delete(&mut host, &["x", "g"]), [missing.clone(), Err(GroupError::NonEmptyGroup)]);
    host.leave(&[(&id, None)]);
    // A client that was told an id and has not come back is none of the group's members.
    let asking = JoinCall { require_known_member_id: true, ..dynamic("b") };
    assert!(host.join(asking).is_err());
    assert_eq!(delete(&mut host, &["g", "g"]), [Ok(()), missing]);
    assert_eq!(host.offsets(), []);
    assert_eq!(host.machine.group_count(), 0);
    assert_eq!(host.machine.next_deadline(), crate::types::Nanos::NEVER);
    host.restart();
    assert_eq!(host.machine.group_count(), 0);
    assert_eq!(host.offsets(), []);
}
