//! Every record of every version, against bytes written by Kafka's own classes and against itself.

use proptest::prelude::*;

use super::*;
use crate::codec::Sampler;
use crate::types::Uuid;

#[test]
fn ids_are_those_of_kafka_4_3() {
    let unused = [6, 13, 16];
    let expected: Vec<u16> = (0..=29).filter(|id| !unused.contains(id)).collect();
    assert_eq!(MetadataRecord::IDS, expected);
}

#[test]
fn every_record_round_trips_in_its_highest_version() {
    for seed in 0..200 {
        for record in MetadataRecord::samples(&mut Sampler::new(seed)) {
            let version = record.version_max();
            let value = record.encode(version).unwrap();
            assert_eq!(MetadataRecord::decode(value), Ok(record));
        }
    }
}

#[test]
fn versions_by_level_exist() {
    for record in MetadataRecord::samples(&mut Sampler::new(1)) {
        for level in 7..=33 {
            let version = record.version_at(level);
            assert!(version <= record.version_max());
            assert!(record.encode(version).is_ok(), "{record:?} {version}");
        }
        assert!(record.encode(record.version_max() + 1).is_err());
        assert!(record.encode(-1).is_err());
    }
}

#[test]
fn frames_that_are_not_understood_are_named() {
    let decode = |bytes: &[u8]| MetadataRecord::decode(Bytes::copy_from_slice(bytes)).unwrap_err();
    let end = |needed| DecodeError::End { needed, left: 0 };
    assert_eq!(decode(&[]), RecordError::Frame(end(1)));
    assert_eq!(decode(&[0, 2, 0]), RecordError::FrameVersion(0));
    assert_eq!(decode(&[2, 2, 0]), RecordError::FrameVersion(2));
    for id in [6, 13, 16, 30, 99] {
        assert_eq!(decode(&[1, id, 0, 0]), RecordError::Id(u32::from(id)));
    }
    assert_eq!(decode(&[1, 2, 1, 0]), RecordError::Version { id: 2, version: 1 });
    assert_eq!(
        decode(&[1, 2, 0xff, 0xff, 0x7f, 0]),
        RecordError::Version { id: 2, version: 0x1f_ffff }
    );
    let trailing = DecodeError::Trailing(1);
    assert_eq!(decode(&[1, 20, 0, 0, 0]), RecordError::Malformed { id: 20, error: trailing });
    assert_eq!(decode(&[1, 20, 0]), RecordError::Malformed { id: 20, error: end(1) });
}

fn check_bytes(record: impl Into<MetadataRecord>, version: i16, hex: &str) {
    let record = record.into();
    let value = record.encode(version).unwrap();
    let written: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, hex, "{record:?}");
    assert_eq!(MetadataRecord::decode(value), Ok(record));
}

// The bytes in the following are what Kafka 4.3.1's `MetadataRecordSerde` writes for the same
// records.

#[test]
fn topics_and_partitions_have_the_bytes_of_kafka() {
    let topic_id = Uuid(0x11);
    check_bytes(
        Topic { name: "foo".into(), topic_id },
        0,
        "01020004666f6f0000000000000000000000000000001100",
    );
    let partition = Partition {
        partition_id: 2,
        topic_id,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![Uuid(0x77)],
        leader_recovery_state: 1,
        eligible_leader_replicas: Some(vec![5, 6]),
        ..Partition::default()
    };
    check_bytes(
        partition,
        2,
        "010302000000020000000000000000000000000000001102000000010200000001010100000001000000000000\
         00000200000000000000000000000000000077020001010109030000000500000006",
    );
    let change = PartitionChange {
        partition_id: 2,
        topic_id,
        leader: 1,
        isr: Some(vec![1]),
        eligible_leader_replicas: Some(vec![]),
        directories: Some(vec![Uuid(0x77)]),
        ..PartitionChange::default()
    };
    check_bytes(
        change,
        2,
        "010502000000020000000000000000000000000000001104000502000000010104000000010601010\
         81102000000\
         00000000000000000000000077",
    );
}

#[test]
fn brokers_have_the_bytes_of_kafka() {
    let endpoint = Endpoint {
        name: "PLAINTEXT".into(),
        host: "localhost".into(),
        port: 9092,
        security_protocol: 0,
    };
    let feature = FeatureRange {
        name: "metadata.version".into(),
        min_supported_version: 7,
        max_supported_version: 30,
    };
    let broker = RegisterBroker {
        broker_id: 1,
        incarnation_id: Uuid(0x33),
        broker_epoch: 5,
        end_points: vec![endpoint],
        features: vec![feature],
        rack: Some("".into()),
        fenced: false,
        ..RegisterBroker::default()
    };
    check_bytes(
        broker.clone(),
        0,
        "01000000000001000000000000000000000000000000330000000000000005020a504c41494e544558540a6c6f\
         63616c686f7374238400000002116d657461646174612e76657273696f6e0007001e00010000",
    );
    let newer = RegisterBroker {
        rack: Some("r".into()),
        fenced: true,
        log_dirs: vec![Uuid(0x77)],
        cordoned_log_dirs: Some(vec![]),
        ..broker
    };
    check_bytes(
        newer,
        4,
        "0100040000000100000000000000000000000000000000330000000000000005020a504c41494e544\
         558540a6c6f\
         63616c686f7374238400000002116d657461646174612e76657273696f6e0007001e00027201000200110200\
         000000000000000000000000000077010101",
    );
    let change = BrokerRegistrationChange {
        broker_id: 1,
        broker_epoch: 5,
        fenced: -1,
        ..BrokerRegistrationChange::default()
    };
    check_bytes(change, 3, "011103000000010000000000000005010001ff");
}

#[test]
fn settings_have_the_bytes_of_kafka() {
    let config = |value: Option<&str>| Config {
        resource_type: 2,
        resource_name: "foo".into(),
        name: "retention.ms".into(),
        value: value.map(Into::into),
    };
    check_bytes(config(Some("1")), 0, "0104000204666f6f0d726574656e74696f6e2e6d73023100");
    check_bytes(config(None), 0, "0104000204666f6f0d726574656e74696f6e2e6d730000");
    check_bytes(
        FeatureLevel { name: "metadata.version".into(), feature_level: 30 },
        0,
        "010c00116d657461646174612e76657273696f6e001e00",
    );
    let quota = ClientQuota {
        entity: vec![QuotaEntityPart { entity_type: "user".into(), entity_name: None }],
        key: "producer_byte_rate".into(),
        value: 1.5,
        remove: false,
    };
    check_bytes(
        quota,
        0,
        "010e0002057573657200001370726f64756365725f627974655f726174653ff80000000000000000",
    );
    check_bytes(
        ProducerIds { broker_id: 1, broker_epoch: 5, next_producer_id: 1000 },
        0,
        "010f0000000001000000000000000500000000000003e800",
    );
}

#[test]
fn access_has_the_bytes_of_kafka() {
    let credential = UserScramCredential {
        name: "bob".into(),
        mechanism: 1,
        salt: Bytes::from_static(&[1, 2]),
        stored_key: Bytes::from_static(&[3]),
        server_key: Bytes::new(),
        iterations: 4096,
    };
    check_bytes(credential, 0, "010b0004626f62010301020203010000100000");
    let token = DelegationToken {
        owner: "User:a".into(),
        requester: "User:b".into(),
        renewers: vec!["User:c".into()],
        issue_timestamp: 1,
        max_timestamp: 2,
        expiration_timestamp: 3,
        token_id: "t".into(),
    };
    check_bytes(
        token,
        0,
        "010a0007557365723a6107557365723a620207557365723a6300000000000000010000000000000002000000\
         0000000003027400",
    );
    let entry = AccessControlEntry {
        id: Uuid(0x55),
        resource_type: 2,
        resource_name: "foo".into(),
        pattern_type: 3,
        principal: "User:a".into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    };
    check_bytes(
        entry,
        0,
        "011200000000000000000000000000000000550204666f6f0307557365723a61022a030300",
    );
}

#[test]
fn transactions_have_the_bytes_of_kafka() {
    let name = Some("Bootstrap records".into());
    check_bytes(BeginTransaction { name }, 0, "01170001001212426f6f747374726170207265636f726473");
    check_bytes(AbortTransaction::default(), 0, "01190000");
    check_bytes(NoOp {}, 0, "01140000");
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_an_error(
        id in 0..32_u8, version in 0..5_u8, body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut value = vec![1, id, version];
        value.extend(body);
        if let Ok(record) = MetadataRecord::decode(value.into()) {
            prop_assert_eq!(record.id(), u16::from(id));
        }
    }
}
