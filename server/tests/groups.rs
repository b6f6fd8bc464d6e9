//! Every version of the group APIs against a real broker: join, sync, heartbeat, commit, fetch, describe,
//! list, delete, leave. What is expected was compared with Apache Kafka 4.3.1's answers.

#![expect(clippy::unwrap_used, reason = "a test fails where its answer is not as expected")]

#[expect(dead_code, reason = "some of it is for the tests of sessions")]
#[path = "session/broker.rs"]
mod broker;

use broker::{Broker, Client, pause};
use bytes::Bytes;
use millrace::protocol::ErrorCode;
use millrace::protocol::messages::create_topics::CreateTopicsRequestTopic;
use millrace::protocol::messages::join_group::JoinGroupRequestProtocol;
use millrace::protocol::messages::leave_group::LeaveGroupRequestMember;
use millrace::protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millrace::protocol::messages::offset_delete::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use millrace::protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestGroupTopic, OffsetFetchRequestTopic,
};
use millrace::protocol::messages::sync_group::SyncGroupRequestAssignment;
use millrace::protocol::messages::{
    CreateTopicsRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, SyncGroupRequest,
};
use millrace_engine::codec::Str;
use millrace_engine::types::TopicId;

const TOPIC: &str = "orders";
const UNKNOWN_ID: TopicId = TopicId::from_bytes([5; 16]);

/// A broker with a topic of three partitions, whose group coordinators answer.
fn start(name: &str) -> (Broker, Client, TopicId) {
    let broker = Broker::start(name, &["millrace.shards=2", "group.initial.rebalance.delay.ms=0"]);
    let mut client = broker.connect();
    let topic = CreateTopicsRequestTopic {
        name: TOPIC.into(),
        num_partitions: 3,
        replication_factor: 1,
        ..CreateTopicsRequestTopic::default()
    };
    let create = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let created = client.ask(&create, 7);
    let find = FindCoordinatorRequest { key: "g".into(), ..FindCoordinatorRequest::default() };
    assert_eq!(client.ask(&find, 0).error_code, 0);
    // Enough groups to ask every coordinator.
    let groups = (0..500).map(|i| format!("probe-{i}").into()).collect();
    let probe = DescribeGroupsRequest { groups, include_authorized_operations: false };
    for _ in 0..500 {
        if client.ask(&probe, 0).groups.iter().all(|group| group.error_code == 0) {
            return (broker, client, created.topics[0].topic_id);
        }
        pause(10);
    }
    panic!("the coordinators do not load");
}

fn join_request(group: &str, member_id: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol {
        name: "range".into(),
        metadata: Bytes::from_static(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    };
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..JoinGroupRequest::default()
    }
}

/// Joins as the only member and syncs; returns the member's id.
fn join(client: &mut Client, version: i16, group: &str) -> Str {
    let mut joined = client.ask(&join_request(group, ""), version);
    if version >= 4 {
        assert_eq!(joined.error_code, ErrorCode::MemberIdRequired.code());
        joined = client.ask(&join_request(group, &joined.member_id), version);
    }
    assert_eq!((joined.error_code, joined.generation_id), (0, 1), "join version {version}");
    assert_eq!((&joined.leader, joined.members.len()), (&joined.member_id, 1));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert!(joined.member_id.starts_with("test-"));
    let version = version.min(5);
    let mut sync = SyncGroupRequest {
        group_id: group.into(),
        generation_id: 1,
        member_id: joined.member_id.clone(),
        ..SyncGroupRequest::default()
    };
    if version == 5 {
        let refused = client.ask(&sync, version).error_code;
        assert_eq!(refused, ErrorCode::InconsistentGroupProtocol.code());
    }
    sync.protocol_type = Some("consumer".into());
    sync.protocol_name = Some("range".into());
    sync.assignments = vec![SyncGroupRequestAssignment {
        member_id: joined.member_id.clone(),
        assignment: Bytes::from_static(b"abc"),
    }];
    let synced = client.ask(&sync, version);
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"abc"[..]));
    joined.member_id
}

fn leave(client: &mut Client, version: i16, group: &str, member: &Str) {
    let leaving = |member_id: Str| LeaveGroupRequestMember {
        member_id,
        ..LeaveGroupRequestMember::default()
    };
    let request = LeaveGroupRequest {
        group_id: group.into(),
        member_id: member.clone(),
        members: vec![leaving(member.clone()), leaving("ghost".into())],
    };
    for expected in [0, ErrorCode::UnknownMemberId.code()] {
        let left = client.ask(&request, version);
        if version <= 2 {
            assert_eq!(left.error_code, expected);
        } else {
            let codes: Vec<i16> = left.members.iter().map(|member| member.error_code).collect();
            assert_eq!((left.error_code, codes), (0, vec![expected, 25]));
        }
    }
}

#[test]
fn members_come_beat_are_shown_and_go_in_every_version() {
    let (_broker, mut client, _) = start("groups-members");
    for version in 0..=9 {
        let group = format!("g{version}");
        let member = join(&mut client, version, &group);
        for (group, generation, member_id, code) in [
            (&*group, 1, member.clone(), ErrorCode::None),
            (&group, 7, member.clone(), ErrorCode::IllegalGeneration),
            (&group, 1, "ghost".into(), ErrorCode::UnknownMemberId),
            ("absent", 1, member.clone(), ErrorCode::UnknownMemberId),
            ("", 1, member.clone(), ErrorCode::InvalidGroupId),
        ] {
            let request = HeartbeatRequest {
                group_id: group.into(),
                generation_id: generation,
                member_id,
                ..HeartbeatRequest::default()
            };
            assert_eq!(client.ask(&request, version.min(4)).error_code, code.code());
        }
        is_shown(&mut client, &group);
        let groups_names: Vec<Str> = vec![(&group).into(), "absent".into(), (&group).into()];
        let delete = DeleteGroupsRequest { groups_names };
        let codes = |client: &mut Client| {
            let deleted = client.ask(&delete, version % 3);
            deleted.results.iter().map(|result| result.error_code).collect::<Vec<_>>()
        };
        assert_eq!(codes(&mut client), [68, 69], "not empty, not found");
        leave(&mut client, version.min(5), &group, &member);
        assert_eq!(codes(&mut client), [0, 69]);
        assert_eq!(codes(&mut client), [69, 69]);
    }
}

/// Whether the group, with one member, is described and listed in every version.
fn is_shown(client: &mut Client, group: &str) {
    for version in 0..=6 {
        let request = DescribeGroupsRequest {
            groups: vec![group.into(), "absent".into()],
            include_authorized_operations: true,
        };
        let described = client.ask(&request, version).groups;
        let (one, absent) = (&described[0], &described[1]);
        assert_eq!(
            (one.error_code, &*one.group_state, &*one.protocol_data),
            (0, "Stable", "range")
        );
        let member = &one.members[0];
        assert_eq!((&*member.client_host, &*member.client_id), ("/127.0.0.1", "test"));
        assert_eq!(&member.member_assignment[..], b"abc");
        assert_eq!(one.authorized_operations, if version < 3 { i32::MIN } else { 3400 });
        let code = if version < 6 { 0 } else { ErrorCode::GroupIdNotFound.code() };
        assert_eq!((absent.error_code, &*absent.group_state), (code, "Dead"));
    }
    for version in 0..=5 {
        let filter = |states: &[&str], types: &[&str]| ListGroupsRequest {
            states_filter: states.iter().map(|text| (*text).into()).collect(),
            types_filter: types.iter().map(|text| (*text).into()).collect(),
        };
        let listed = client.ask(&filter(&["stable"], &["Classic"]), version).groups;
        let listed = listed.iter().find(|listed| listed.group_id == *group).unwrap();
        assert_eq!(&*listed.protocol_type, "consumer");
        assert_eq!(&*listed.group_state, if version < 4 { "" } else { "Stable" });
        assert_eq!(&*listed.group_type, if version < 5 { "" } else { "classic" });
        if version >= 4 {
            assert_eq!(client.ask(&filter(&["Empty"], &[]), version).groups, []);
        }
        if version >= 5 {
            assert_eq!(client.ask(&filter(&[], &["consumer"]), version).groups, []);
        }
    }
}

#[test]
fn a_join_that_cannot_be_is_refused_in_every_version() {
    let (_broker, mut client, _) = start("groups-refused");
    for version in 0..=9 {
        let good = join_request("g", "");
        let cases = [
            (JoinGroupRequest { session_timeout_ms: 1, ..good.clone() }, 26),
            (JoinGroupRequest { group_id: "".into(), ..good.clone() }, 24),
            (JoinGroupRequest { member_id: "ghost".into(), ..good.clone() }, 25),
            (JoinGroupRequest { protocols: vec![], ..good.clone() }, 23),
        ];
        for (request, code) in cases {
            let refused = client.ask(&request, version);
            assert_eq!((refused.error_code, refused.generation_id), (code, -1));
            assert_eq!(refused.protocol_name.is_none(), version >= 7);
        }
    }
}

fn commit_request(version: i16, topic_id: TopicId, offset: i64) -> OffsetCommitRequest {
    let partition = |partition_index, text: &str| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some(text.into()),
    };
    let topic = |name: &str, topic_id, partitions| OffsetCommitRequestTopic {
        name: if version < 10 { name.into() } else { "".into() },
        topic_id,
        partitions,
    };
    let long = "x".repeat(5000);
    let known = vec![partition(0, "text"), partition(99, ""), partition(1, &long)];
    OffsetCommitRequest {
        topics: vec![
            topic(TOPIC, topic_id, known),
            topic("unknown", UNKNOWN_ID, vec![partition(0, "")]),
        ],
        ..OffsetCommitRequest::default()
    }
}

#[test]
fn offsets_are_committed_and_fetched_in_every_pair_of_versions() {
    let (_broker, mut client, topic_id) = start("groups-offsets");
    let member = join(&mut client, 9, "g");
    for version in 2..=10 {
        let offset = i64::from(version);
        let mut request = commit_request(version, topic_id, offset);
        request.group_id = "g".into();
        request.member_id = member.clone();
        request.generation_id_or_member_epoch = 1;
        let unknown = if version < 10 { 3 } else { 100 };
        let codes = |client: &mut Client, request: &OffsetCommitRequest| {
            let topics = client.ask(request, version).topics;
            let partitions = topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|partition| partition.error_code).collect::<Vec<_>>()
        };
        assert_eq!(codes(&mut client, &request), [0, 3, 12, unknown], "version {version}");
        let stored_epoch = if version < 6 { -1 } else { 3 };
        for version in 1..=7 {
            fetch_one(&mut client, version, offset, stored_epoch);
        }
        for version in 8..=10 {
            fetch_many(&mut client, version, topic_id, offset);
        }
        request.generation_id_or_member_epoch = 9;
        assert_eq!(codes(&mut client, &request), [22, 3, 22, unknown], "another generation");
        request.group_id = "absent".into();
        let code = if version < 9 { 22 } else { 69 };
        assert_eq!(codes(&mut client, &request), [code, 3, code, unknown], "no such group");
    }
    delete_offsets(&mut client, &member);
}

fn fetch_one(client: &mut Client, version: i16, offset: i64, epoch: i32) {
    let topic = OffsetFetchRequestTopic { name: TOPIC.into(), partition_indexes: vec![0, 1, 77] };
    let mut request = OffsetFetchRequest {
        group_id: "g".into(),
        topics: Some(vec![topic]),
        require_stable: version >= 7,
        ..OffsetFetchRequest::default()
    };
    let fetched = client.ask(&request, version);
    let partitions = &fetched.topics[0].partitions;
    let found: Vec<_> = partitions.iter().map(|p| (p.committed_offset, p.error_code)).collect();
    assert_eq!(found, [(offset, 0), (-1, 0), (-1, 0)]);
    assert_eq!(partitions[0].metadata.as_deref(), Some("text"));
    assert_eq!(partitions[0].committed_leader_epoch, if version < 5 { -1 } else { epoch });
    if version >= 2 {
        request.topics = None;
        let all = client.ask(&request, version);
        assert_eq!((all.topics.len(), all.topics[0].partitions.len()), (1, 1));
    }
}

fn fetch_many(client: &mut Client, version: i16, topic_id: TopicId, offset: i64) {
    let topic = |name: &str, topic_id, index| OffsetFetchRequestGroupTopic {
        name: if version < 10 { name.into() } else { "".into() },
        topic_id,
        partition_indexes: vec![index],
    };
    let group = |name: &str, topics| OffsetFetchRequestGroup {
        group_id: name.into(),
        topics,
        ..OffsetFetchRequestGroup::default()
    };
    let topics = vec![topic(TOPIC, topic_id, 0), topic("unknown", UNKNOWN_ID, 4)];
    let groups = vec![group("g", Some(topics)), group("g", None), group("absent", None)];
    let request = OffsetFetchRequest { groups, ..OffsetFetchRequest::default() };
    let fetched = client.ask(&request, version).groups;
    let [named, all, absent] = &fetched[..] else { panic!("{fetched:?}") };
    let found = |at: usize| {
        let partition = &named.topics[at].partitions[0];
        (partition.committed_offset, partition.error_code)
    };
    assert_eq!(found(0), (offset, 0));
    assert_eq!(found(1), (-1, if version < 10 { 0 } else { 100 }));
    assert_eq!((all.topics.len(), all.topics[0].partitions[0].committed_offset), (1, offset));
    assert_eq!(all.topics[0].topic_id, if version < 10 { TopicId::ZERO } else { topic_id });
    assert_eq!((absent.error_code, absent.topics.len()), (0, 0));
}

fn delete_offsets(client: &mut Client, member: &Str) {
    let partitions =
        [0, 88].map(|partition_index| OffsetDeleteRequestPartition { partition_index });
    let topic = OffsetDeleteRequestTopic { name: TOPIC.into(), partitions: partitions.to_vec() };
    let mut request = OffsetDeleteRequest { group_id: "absent".into(), topics: vec![topic] };
    assert_eq!(client.ask(&request, 0).error_code, ErrorCode::GroupIdNotFound.code());
    request.group_id = "g".into();
    leave(client, 5, "g", member);
    let deleted = client.ask(&request, 0);
    let codes: Vec<i16> = deleted.topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!((deleted.error_code, codes), (0, vec![0, 3]));
    let all = OffsetFetchRequest { group_id: "g".into(), ..OffsetFetchRequest::default() };
    assert_eq!(client.ask(&all, 7).topics, []);
}
