//! Expiry of offsets and groups.

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupCall, GroupConfig};
use crate::types::Nanos;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[test]
fn offsets_of_simple_consumers_expire_after_their_commit() {
    let mut host = Host::new();
    host.commit(commit("", -1, 1)).unwrap();
    host.advance(4 * DAY_MS);
    host.commit(commit_of("other", 1, ("", -1), 2)).unwrap();
    host.advance(4 * DAY_MS);
    assert_eq!(host.offsets(), [("other".into(), 1, 2)]);
    assert_eq!(host.machine.group_count(), 1);
    host.advance(4 * DAY_MS);
    assert_eq!(host.offsets(), []);
    assert_eq!(host.machine.group_count(), 0);
    assert_eq!(host.machine.next_deadline(), Nanos::NEVER);
    assert!(!host.describe().found);
    let last = host.log.last().unwrap();
    assert_eq!((last.key.as_deref(), &last.value), (Some(&b"\0\x02\0\x01g"[..]), &None));
}

#[test]
fn offsets_of_members_expire_after_the_last_left() {
    let mut host = Host::new();
    let id = host.stable_one();
    host.commit(commit(&id, 1, 1)).unwrap();
    for _ in 0..(8 * DAY_MS / 9_000) {
        host.advance(9_000);
        host.heartbeat(&id, 1).unwrap();
    }
    assert_eq!(host.offsets().len(), 1, "the topic is subscribed to");
    host.leave(&[(&id, None)]);
    host.advance(6 * DAY_MS);
    assert_eq!(host.offsets().len(), 1);
    host.advance(DAY_MS + 600_000);
    assert_eq!(host.offsets(), []);
    assert_eq!(host.machine.group_count(), 0);
}

#[test]
fn offsets_of_topics_no_longer_subscribed_to_expire_while_the_group_lives() {
    let mut host = Host::with(GroupConfig {
        initial_rebalance_delay_ms: 0,
        offsets_retention_ms: 60_000,
        offsets_retention_check_ms: 10_000,
        ..GroupConfig::default()
    });
    let id = host.stable_one();
    host.commit(commit(&id, 1, 1)).unwrap();
    host.commit(commit_of("left", 0, (&id, 1), 1)).unwrap();
    for _ in 0..8 {
        host.advance(9_000);
        host.heartbeat(&id, 1).unwrap();
    }
    assert_eq!(host.offsets(), [("orders".into(), 0, 1)]);
    // While a rebalance goes on nothing expires, for subscriptions may change.
    host.commit(commit_of("left", 0, (&id, 1), 2)).unwrap();
    host.send(GroupCall::Join(dynamic("b")));
    for _ in 0..6 {
        host.advance(9_900);
        let _ignored = host.heartbeat(&id, 1);
    }
    assert_eq!(host.offsets().len(), 2);
}

#[test]
fn a_commit_may_set_its_own_retention() {
    let mut host = Host::new();
    let short = OffsetCommitCall { retention_ms: Some(60_000), ..commit("", -1, 1) };
    host.commit(short).unwrap();
    host.commit(commit_of("other", 0, ("", -1), 1)).unwrap();
    host.restart();
    host.advance(600_000);
    assert_eq!(host.offsets(), [("other".into(), 0, 1)]);
}

#[test]
fn a_group_without_offsets_is_forgotten_when_empty() {
    let mut host = Host::new();
    let id = host.stable_one();
    host.leave(&[(&id, None)]);
    assert_eq!(host.machine.group_count(), 1);
    host.advance(600_001);
    assert_eq!(host.machine.group_count(), 0);
    host.restart();
    assert_eq!(host.machine.group_count(), 0);
}

#[test]
fn many_tombstones_go_in_several_batches() {
    let mut host = Host::with(GroupConfig { batch_bytes_max: 1_000, ..GroupConfig::default() });
    for partition in 0..100 {
        host.commit(commit_of("orders", partition, ("", -1), 1)).unwrap();
    }
    host.is_fast = false;
    let delete = host.send(GroupCall::Delete { group_ids: vec!["g".into()] });
    assert!(host.in_flight.len() > 3);
    for (records, _) in &host.in_flight {
        let lengths = records.iter().map(|record| record.key.as_ref().unwrap().len());
        assert!(lengths.sum::<usize>() < 1_000);
    }
    while !host.in_flight.is_empty() {
        assert_eq!(host.take(delete), None, "all of it must be durable");
        host.write_one();
    }
    assert!(host.take(delete).is_some());
    assert_eq!(host.offsets(), []);
}
