//! Control records against an independent codec.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::*;
use crate::record::batch::BatchHeader;
use crate::record::layout::HEADER_BYTES;
use crate::record::records::Records;

const NOW: i64 = 1_760_000_000_000;

fn control_records() -> Vec<ControlRecord> {
    let key = |id, directory| VoterKey { id, directory_id: Uuid(directory) };
    vec![
        ControlRecord::EndTransaction(EndTransaction { commit: true, coordinator_epoch: 7 }),
        ControlRecord::EndTransaction(EndTransaction { commit: false, coordinator_epoch: -1 }),
        ControlRecord::LeaderChange(LeaderChange {
            leader_id: 1,
            voters: vec![key(1, 0), key(2, 0)],
            granting_voters: vec![key(1, 0)],
        }),
        ControlRecord::LeaderChange(LeaderChange {
            leader_id: 1,
            voters: vec![key(3, 0)],
            granting_voters: vec![],
        }),
        ControlRecord::SnapshotHeader { last_contained_log_timestamp: NOW },
        ControlRecord::SnapshotFooter,
        ControlRecord::KraftVersion(1),
        ControlRecord::KraftVoters(vec![Voter {
            key: key(3, 9),
            endpoints: vec![Endpoint {
                name: "CONTROLLER".to_owned(),
                host: "localhost".to_owned(),
                port: 9_093,
            }],
            kraft_version_min: 0,
            kraft_version_max: 1,
        }]),
    ]
}

#[test]
fn control_records_round_trip() {
    let batch = control_batch(BatchOptions::default(), NOW, &control_records()).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert!(header.is_control());
    let read: Vec<_> = Records::new(&batch[HEADER_BYTES..], header.record_count)
        .map(|record| record.unwrap())
        .inspect(|record| assert_eq!(record.timestamp_delta, 0))
        .map(|record| ControlRecord::parse(&record).unwrap())
        .collect();
    assert_eq!(read, control_records());
    let end = EndTransaction { commit: true, coordinator_epoch: 3 };
    let batch = end_transaction_batch(9, 2, NOW, end).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert!(header.is_control() && header.is_transactional());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (9, 2, -1));
    {
        let record = Records::new(&batch[HEADER_BYTES..], 1).next().unwrap().unwrap();
        for cut in 0..record.value.unwrap().len() {
            let short = Record { value: record.value.map(|v| &v[..cut]), ..record };
            assert!(ControlRecord::parse(&short).is_err());
        }
    }
    let plain = empty_record();
    let unknown = Record { key: Some(&[0, 0, 0, 99]), ..plain };
    assert_eq!(ControlRecord::parse(&unknown), Ok(ControlRecord::Unknown(99)));
    assert_eq!(ControlRecord::parse(&plain), Err(ControlError::Key));
}

fn empty_record() -> Record<'static> {
    const BYTES: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];
    Records::new(&BYTES, 1).next().unwrap().unwrap()
}

#[test]
fn control_values_are_the_oracles() {
    use kafka_protocol::messages as m;
    fn encoded<T: Encodable>(message: &T, version: i16) -> Vec<u8> {
        let mut out = BytesMut::new();
        message.encode(&mut out, version).unwrap();
        out.to_vec()
    }
    for record in control_records() {
        let (key, value) = record.to_record();
        let mut bytes = Bytes::from(value.clone());
        let (kind, again) = match record {
            ControlRecord::EndTransaction(end) => {
                let mut rest = bytes.split_off(2);
                let message = m::EndTxnMarker::decode(&mut rest, 0).unwrap();
                assert_eq!(message.coordinator_epoch, end.coordinator_epoch);
                (i16::from(end.commit), [&[0, 0][..], &encoded(&message, 0)].concat())
            }
            ControlRecord::LeaderChange(_) => {
                let message = m::LeaderChangeMessage::decode(&mut bytes, 0).unwrap();
                // Version 1, which only we read, says the same.
                let later = encoded(&message.clone().with_version(1), 1);
                let later = Record { key: Some(&key), value: Some(&later), ..empty_record() };
                assert_eq!(ControlRecord::parse(&later), Ok(record));
                (2, encoded(&message, 0))
            }
            ControlRecord::SnapshotHeader { .. } => {
                (3, encoded(&m::SnapshotHeaderRecord::decode(&mut bytes, 0).unwrap(), 0))
            }
            ControlRecord::SnapshotFooter => {
                (4, encoded(&m::SnapshotFooterRecord::decode(&mut bytes, 0).unwrap(), 0))
            }
            ControlRecord::KraftVersion(_) => {
                (5, encoded(&m::KRaftVersionRecord::decode(&mut bytes, 0).unwrap(), 0))
            }
            ControlRecord::KraftVoters(_) => {
                (6, encoded(&m::VotersRecord::decode(&mut bytes, 0).unwrap(), 0))
            }
            ControlRecord::Unknown(_) => continue,
        };
        assert_eq!(key, [0, 0, 0, kind as u8]);
        assert_eq!(value, again);
    }
}
