//! The bytes of records: Apache Kafka 4.3.1's own, in every version.

use bytes::Bytes;

use crate::group::record::{
    GroupMemberFields, GroupRecord, GroupValueFields, RecordError, StoredOffset, decode,
    group_record, offset_record,
};
use crate::group::{GroupConfig, GroupMachine, Replayed};
use crate::types::Uuid;

fn bytes(hex: &str) -> Bytes {
    let digits = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect::<Vec<_>>().into()
}

const OFFSET_KEY: &str = "000100016700066f726465727300000003";
const OLD_OFFSET_KEY: &str = "000000016700066f726465727300000003";
const GROUP_KEY: &str = "0002000167";

const OFFSETS: [&str; 5] = [
    "0000000000000000002a00036dc3a90000018bcfe56800",
    "0001000000000000002a00036dc3a90000018bcfe568000000018bcfe58f0f",
    "0002000000000000002a00036dc3a90000018bcfe56800",
    "0003000000000000002a0000000700036dc3a90000018bcfe56800",
    "0004000000000000002a00000007046dc3a90000018bcfe56800010010000000000000000100000000000000\
     02",
];

const GROUPS: [&str; 5] = [
    "00000008636f6e73756d657200000005000572616e67650003632d31000000020003632d31000163000a2f31\
     32372e302e302e310000afc800000002000100000001090003692d32000163000a2f3132372e302e302e3100\
     0027100000000000000000",
    "00010008636f6e73756d657200000005000572616e67650003632d31000000020003632d31000163000a2f31\
     32372e302e302e31000493e00000afc800000002000100000001090003692d32000163000a2f3132372e302e\
     302e31ffffffff000027100000000000000000",
    "00020008636f6e73756d657200000005000572616e67650003632d310000018bcfe568000000000200036\
     32d31000163000a2f3132372e302e302e31000493e00000afc800000002000100000001090003692d3200016\
     3000a2f3132372e302e302e31ffffffff000027100000000000000000",
    "00030008636f6e73756d657200000005000572616e67650003632d310000018bcfe568000000000200036\
     32d31ffff000163000a2f3132372e302e302e31000493e00000afc800000002000100000001090003692d320\
     00169000163000a2f3132372e302e302e31ffffffff000027100000000000000000",
    "000409636f6e73756d6572000000050672616e676504632d310000018bcfe568000304632d310002630b2f31\
     32372e302e302e31000493e00000afc803000102090004692d32026902630b2f3132372e302e302e31ffffff\
     ff0000271001010000",
];

fn offset(version: usize) -> StoredOffset {
    StoredOffset {
        offset: 42,
        leader_epoch: if version >= 3 { 7 } else { -1 },
        metadata: "m\u{e9}".into(),
        committed_ms: 1_700_000_000_000,
        expires_ms: (version == 1).then_some(1_700_000_009_999),
        topic_id: if version == 4 { Uuid((1 << 64) | 2) } else { Uuid::ZERO },
    }
}

fn group(version: usize) -> GroupValueFields {
    let member =
        |id: &str, instance: Option<&str>, rebalance: i32, session: i32| GroupMemberFields {
            member_id: id.into(),
            group_instance_id: instance.filter(|_| version >= 3).map(Into::into),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout: if version >= 1 { rebalance } else { -1 },
            session_timeout: session,
            ..GroupMemberFields::default()
        };
    let mut first = member("c-1", None, 300_000, 45_000);
    (first.subscription, first.assignment) = (bytes("0001"), bytes("09"));
    GroupValueFields {
        protocol_type: "consumer".into(),
        generation: 5,
        protocol: Some("range".into()),
        leader: Some("c-1".into()),
        current_state_timestamp: if version >= 2 { 1_700_000_000_000 } else { -1 },
        members: vec![first, member("i-2", Some("i"), -1, 10_000)],
    }
}

#[test]
fn reads_every_version() {
    for key in [OFFSET_KEY, OLD_OFFSET_KEY] {
        for (version, value) in OFFSETS.into_iter().enumerate() {
            let record = decode(Some(&bytes(key)), Some(&bytes(value)));
            let expected = GroupRecord::Offset {
                group_id: "g".into(),
                topic: "orders".into(),
                partition: 3,
                value: Some(offset(version)),
            };
            assert_eq!(record, Ok(expected), "version {version}");
        }
    }
    for (version, value) in GROUPS.into_iter().enumerate() {
        let record = decode(Some(&bytes(GROUP_KEY)), Some(&bytes(value)));
        let expected = GroupRecord::Group { group_id: "g".into(), value: Some(group(version)) };
        assert_eq!(record, Ok(expected), "version {version}");
    }
    let tombstone = decode(Some(&bytes(GROUP_KEY)), None);
    assert_eq!(tombstone, Ok(GroupRecord::Group { group_id: "g".into(), value: None }));
}

#[test]
fn writes_what_kafka_writes() {
    let key = ("g", "orders", 3);
    let record = offset_record(9, key, Some(&offset(4))).unwrap();
    assert_eq!(record.timestamp_ms, 9);
    assert_eq!(record.key, Some(bytes(OFFSET_KEY)));
    assert_eq!(record.value, Some(bytes(OFFSETS[4])));
    let expiring = offset_record(9, key, Some(&offset(1))).unwrap();
    assert_eq!(expiring.value, Some(bytes(OFFSETS[1])));
    assert_eq!(offset_record(9, key, None).unwrap().value, None);

    let record = group_record(9, "g", Some(&group(3))).unwrap();
    assert_eq!((record.key, record.value), (Some(bytes(GROUP_KEY)), Some(bytes(GROUPS[3]))));
    let empty = GroupValueFields {
        generation: 6,
        protocol: None,
        leader: None,
        current_state_timestamp: 1_700_000_000_001,
        members: Vec::new(),
        ..group(3)
    };
    let empty = group_record(9, "g", Some(&empty)).unwrap();
    let expected = "00030008636f6e73756d657200000006ffffffff0000018bcfe5680100000000";
    assert_eq!(empty.value, Some(bytes(expected)));
    assert!(offset_record(9, (&"x".repeat(40_000), "t", 0), None).is_err());
}

#[test]
fn skips_what_it_does_not_know_and_refuses_what_is_broken() {
    let mut machine = GroupMachine::new(GroupConfig::default());
    for key_type in [3_i16, 4, 5, 6, 7, 8, 10, 15, 16, 23, 99, -1] {
        let mut key = key_type.to_be_bytes().to_vec();
        key.extend(b"\0\x01g");
        let result = machine.replay(Some(&key.into()), Some(&bytes("00000000000100")));
        assert_eq!(result, Ok(Replayed::Skipped { key_type }));
    }
    assert_eq!(machine.replay(None, None), Err(RecordError::NoKey));
    for (key, value) in [("", ""), ("00", ""), ("0001000167", ""), ("000200016700", "")] {
        let result = machine.replay(Some(&bytes(key)), Some(&bytes(value)));
        assert!(matches!(result, Err(RecordError::Key(_))), "{key}");
    }
    for (key, value) in [(OFFSET_KEY, OFFSETS[3]), (GROUP_KEY, GROUPS[3])] {
        for end in (0..value.len() - 2).step_by(2) {
            let result = machine.replay(Some(&bytes(key)), Some(&bytes(&value[..end])));
            assert!(matches!(result, Err(RecordError::Value(_))), "cut at {end}");
        }
        let newer = format!("0005{}", &value[4..]);
        let result = machine.replay(Some(&bytes(key)), Some(&bytes(&newer)));
        assert!(matches!(result, Err(RecordError::Value(_))));
    }
    assert_eq!(machine.group_count(), 0, "errors change nothing");
}
