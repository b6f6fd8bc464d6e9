//! The codec against `kafka-protocol`, another implementation: every API, every version, both ways;
//! and against input that is cut short, flipped or lies about its lengths.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey as OracleKey, RequestHeader as OracleHeader, RequestKind, ResponseKind,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use millrace::for_each_request;
use millrace::protocol::messages::Request;
use millrace::protocol::{ApiKey, RequestHeader};
use millrace_engine::codec::{DecodeError, Message, Reader, Sampler, Writer};
use std::collections::BTreeSet;

/// How many made-up messages of each version are compared.
const SAMPLES: u64 = 60;

/// Versions that `kafka-protocol` 0.18 lacks: only our own round trip is tested.
const NOT_IN_ORACLE: [(ApiKey, i16); 6] = [
    (ApiKey::ListOffsets, 11),
    (ApiKey::OffsetCommit, 10),
    (ApiKey::OffsetFetch, 10),
    (ApiKey::InitProducerId, 6),
    (ApiKey::WriteTxnMarkers, 2),
    (ApiKey::DescribeLogDirs, 5),
];

fn oracle_key(api: ApiKey) -> OracleKey {
    OracleKey::try_from(api.code()).expect("an api that kafka-protocol knows")
}

/// What the oracle makes of our bytes: decoded, wholly, and encoded again. None if it lacks the version.
fn through_oracle(api: ApiKey, is_request: bool, version: i16, bytes: &Bytes) -> Option<Bytes> {
    let mut left = bytes.clone();
    let mut again = BytesMut::new();
    let outcome = if is_request {
        RequestKind::decode(oracle_key(api), &mut left, version)
            .and_then(|request| request.encode(&mut again, version))
    } else {
        ResponseKind::decode(oracle_key(api), &mut left, version)
            .and_then(|response| response.encode(&mut again, version))
    };
    if let Err(error) = outcome {
        let lacking = "specified version not supported";
        assert!(error.root_cause().to_string().starts_with(lacking), "{api} {version}: {error:?}");
        return None;
    }
    assert!(left.is_empty(), "{api} {version} request={is_request}: {} left", left.len());
    Some(again.freeze())
}

fn compare<M: Message>(api: ApiKey, is_request: bool, lacking: &mut BTreeSet<(ApiKey, i16)>) {
    for version in M::VERSIONS {
        for seed in 0..SAMPLES {
            let message = M::sample_of(version, &mut Sampler::new(seed));
            let bytes = message.to_bytes(version).expect("a sample can be written");
            let theirs = through_oracle(api, is_request, version, &bytes).unwrap_or_else(|| {
                lacking.insert((api, version));
                bytes.clone()
            });
            assert_eq!(theirs, bytes, "{} {version} {message:?}", M::NAME);
            assert_eq!(
                M::from_bytes(version, theirs).as_ref(),
                Ok(&message),
                "{} {version}",
                M::NAME
            );
        }
        let empty = M::default().to_bytes(version).expect("a default can be written");
        let again = M::from_bytes(version, empty.clone()).expect("a default can be read");
        assert_eq!(again.to_bytes(version), Ok(empty), "{} {version}", M::NAME);
    }
}

#[test]
fn bytes_are_the_oracles() {
    let mut lacking = BTreeSet::new();
    macro_rules! visit {
        ($request:ty) => {
            compare::<$request>(<$request>::API, true, &mut lacking);
            compare::<<$request as Request>::Response>(<$request>::API, false, &mut lacking);
        };
    }
    for_each_request!(visit);
    assert_eq!(lacking.into_iter().collect::<Vec<_>>(), NOT_IN_ORACLE);
}

fn check_table<R: Request>(seen: &mut Vec<ApiKey>) {
    let api = R::API;
    let spec = api.spec();
    assert_eq!(R::VERSIONS, R::Response::VERSIONS, "{api}");
    assert_eq!(*R::VERSIONS.start(), spec.min, "{api}");
    // InitProducerId 6 (KIP-939) is declared, but not stable in Kafka 4.3.
    let unstable = i16::from(api == ApiKey::InitProducerId);
    assert_eq!(*R::VERSIONS.end(), spec.max + unstable, "{api}");
    assert_eq!(format!("{:?}", oracle_key(api)), spec.name);
    assert_eq!(R::NAME, format!("{api}Request"));
    assert_eq!(R::Response::NAME, format!("{api}Response"));
    for version in spec.min..=spec.max {
        assert_eq!(R::is_flexible(version), spec.is_flexible(version), "{api} {version}");
        assert_eq!(R::Response::is_flexible(version), spec.is_flexible(version), "{api} {version}");
        if NOT_IN_ORACLE.contains(&(api, version)) {
            continue;
        }
        let oracle = oracle_key(api);
        assert_eq!(spec.request_header_version(version), oracle.request_header_version(version));
        assert_eq!(spec.response_header_version(version), oracle.response_header_version(version));
    }
    seen.push(api);
}

#[test]
fn the_table_of_apis_says_what_messages_say() {
    let mut seen = Vec::new();
    macro_rules! visit {
        ($request:ty) => {
            check_table::<$request>(&mut seen);
        };
    }
    for_each_request!(visit);
    assert_eq!(seen, ApiKey::ALL);
    let produce = ApiKey::Produce.spec();
    assert_eq!((produce.advertised_min, produce.min, produce.max), (0, 3, 13));
}

#[test]
fn headers_are_the_oracles() {
    for &api in ApiKey::ALL {
        for version in api.spec().min..=api.spec().max {
            for client_id in [None, Some(""), Some("client-ü")] {
                let header = RequestHeader {
                    api,
                    version,
                    correlation_id: 77,
                    client_id: client_id.map(Into::into),
                };
                let mut writer = Writer::new();
                header.put(&mut writer);
                let ours = writer.finish().expect("a header can be written").into_bytes();
                let mut theirs = BytesMut::new();
                OracleHeader::default()
                    .with_request_api_key(api.code())
                    .with_request_api_version(version)
                    .with_correlation_id(77)
                    .with_client_id(client_id.map(|id| StrBytes::from_string(id.to_owned())))
                    .encode(&mut theirs, api.spec().request_header_version(version))
                    .expect("the oracle writes headers");
                assert_eq!(ours, theirs, "{api} {version}");
                assert_eq!(RequestHeader::get(&mut Reader::new(ours)), Ok(header));
            }
        }
    }
}

/// Decodes; if that works, what was decoded must survive another round.
fn survive<M: Message>(version: i16, bytes: Bytes) -> Result<(), DecodeError> {
    let message = M::from_bytes(version, bytes)?;
    let again = message.to_bytes(version).expect("what was read can be written");
    assert_eq!(M::from_bytes(version, again).as_ref(), Ok(&message), "{} {version}", M::NAME);
    Ok(())
}

fn damage<M: Message>() {
    for version in M::VERSIONS {
        for seed in 1..2 {
            let good = M::sample_of(version, &mut Sampler::new(seed)).to_bytes(version);
            let good = good.expect("a sample can be written");
            // Long records are all alike; the interesting bytes come first.
            let reach = good.len().min(250);
            for end in 0..reach {
                let cut = M::from_bytes(version, good.slice(..end));
                assert!(cut.is_err(), "{} {version} cut to {end} of {}", M::NAME, good.len());
            }
            for at in 0..reach {
                for bit in [0, 3, 7] {
                    let mut flipped = good.to_vec();
                    flipped[at] ^= 1 << bit;
                    // Either answer will do; a panic will not.
                    survive::<M>(version, flipped.into()).unwrap_or_default();
                }
            }
        }
    }
}

#[test]
fn damaged_input_is_answered() {
    macro_rules! visit {
        ($request:ty) => {
            damage::<$request>();
            damage::<<$request as Request>::Response>();
        };
    }
    for_each_request!(visit);
}

/// The most memory this process has had resident, in KiB.
fn resident_max_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM is there");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}

/// Bytes of a frame that claims as much as it can.
const HOSTILE_BYTES: usize = 128 * 1024;

/// Lengths and counts in each encoding: beyond any frame, and just within this one.
const LIES: [&[u8]; 8] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0x7f, 0xff],
    &[0x80, 0, 0, 0],
    &[0, 1, 0xc0, 0],
    &[0, 0, 0x40, 0],
    &[0xff, 0xff, 0x06],
];

fn lie<M: Message>() {
    let mut hostile = BytesMut::new();
    for version in [*M::VERSIONS.start(), *M::VERSIONS.end()] {
        let good = M::sample_of(version, &mut Sampler::new(2)).to_bytes(version);
        let good = good.expect("a sample can be written");
        for at in 0..good.len().min(32) {
            for (i, lie) in LIES.iter().enumerate() {
                hostile.clear();
                hostile.extend_from_slice(&good[..at]);
                hostile.extend_from_slice(lie);
                // Small lies cost no time; those that could be true stand before as much as they say.
                if i >= 5 {
                    hostile.resize(HOSTILE_BYTES, u8::from(at % 2 == 0));
                } else {
                    hostile.extend_from_slice(&good[at..]);
                }
                let bytes = Bytes::copy_from_slice(&hostile);
                M::from_bytes(version, bytes).map_or_else(drop, drop);
            }
        }
    }
}

fn too_many_tags<M: Message>() {
    for version in M::VERSIONS.filter(|&version| M::is_flexible(version)) {
        let plain = M::default().to_bytes(version).expect("a default can be written");
        let mut bytes = BytesMut::from(&plain[..plain.len() - 1]);
        bytes.extend_from_slice(&[0xc0, 0x84, 0x3d]);
        bytes.resize(bytes.len() + 2_000_000, 0x64);
        for size in bytes[plain.len() + 2..].iter_mut().skip(1).step_by(2) {
            *size = 0;
        }
        assert_eq!(
            M::from_bytes(version, bytes.freeze()),
            Err(DecodeError::Tags),
            "{} {version}",
            M::NAME
        );
    }
}

#[test]
fn lies_cost_no_memory() {
    // The other tests may run beside this one; they need little.
    let before = resident_max_kib();
    macro_rules! visit {
        ($request:ty) => {
            lie::<$request>();
            lie::<<$request as Request>::Response>();
            too_many_tags::<$request>();
            too_many_tags::<<$request as Request>::Response>();
        };
    }
    for_each_request!(visit);
    let grown = resident_max_kib() - before;
    assert!(grown < 32 * 1024, "{grown} KiB more than before");
}
