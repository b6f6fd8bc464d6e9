//! How much memory a frame takes to be decoded, counted by the allocator: never more than four times its
//! bytes and a constant, whatever its counts and lengths claim.

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use millrace::for_each_request;
use millrace::protocol::messages::{
    DeleteTopicsRequest, DescribeConfigsRequest, FetchRequest, MetadataRequest,
    OffsetCommitRequest, Request,
};
use millrace::protocol::{ApiKey, HeaderError, RequestHeader};
use millrace_engine::codec::{DecodeError, Message, Reader, Sampler, Writer};

/// Bytes of a frame that claims as much as it can.
const FRAME_BYTES: usize = 32 * 1024;
/// How many elements a lying array claims, as parts of the bytes behind its count.
const PARTS: [usize; 7] = [1, 2, 4, 8, 14, 20, 33];
/// What follows a lie: zeros are elements where lengths have fixed widths, ones where they are compact.
const FILLS: [u8; 2] = [0, 1];
/// A shared slice's count of its holders, made when a frame is first shared. Bytes.
const SHARED_BYTES: usize = 64;

/// Requests that have no array, up to this version.
const WITHOUT_ARRAYS: [(ApiKey, i16); 12] = [
    (ApiKey::FindCoordinator, 3),
    (ApiKey::Heartbeat, 4),
    (ApiKey::LeaveGroup, 2),
    (ApiKey::ListGroups, 3),
    (ApiKey::SaslHandshake, 1),
    (ApiKey::ApiVersions, 4),
    (ApiKey::InitProducerId, 5),
    (ApiKey::AddOffsetsToTxn, 4),
    (ApiKey::EndTxn, 5),
    (ApiKey::SaslAuthenticate, 2),
    (ApiKey::DescribeCluster, 2),
    (ApiKey::ListConfigResources, 0),
];

/// What any frame may take on top. Bytes.
const CONSTANT_BYTES: usize = 64 * 1024 + SHARED_BYTES;

/// What a decoder said of a frame, and its peak of memory beside the frame.
struct Decoded {
    outcome: Result<(), DecodeError>,
    peak: usize,
}

fn decode<R: Request>(version: i16, frame: &Bytes) -> Decoded {
    let mut outcome = Ok(());
    let info = measure(|| {
        let mut reader = Reader::new(frame.clone());
        outcome = match RequestHeader::get(&mut reader) {
            Ok(_) => R::decode(version, &mut reader).map(drop),
            Err(HeaderError::Malformed(error)) => Err(error),
            Err(other) => panic!("{other}"),
        };
    });
    let peak = usize::try_from(info.bytes_max).expect("a number of bytes");
    let bound = 4 * frame.len() + CONSTANT_BYTES;
    let all = frame.len() + peak;
    assert!(all <= bound, "{} {version}: {all} bytes for {}", R::API, frame.len());
    Decoded { outcome, peak }
}

fn frame<R: Request>(version: i16, request: &R) -> BytesMut {
    let mut writer = Writer::new();
    let header = RequestHeader { api: R::API, version, correlation_id: 1, client_id: None };
    header.put(&mut writer);
    request.encode(version, &mut writer);
    BytesMut::from(&writer.finish().expect("a request that can be written").into_bytes()[..])
}

/// A count of `count` elements, as arrays have it.
fn count_bytes(count: usize, is_flexible: bool) -> Bytes {
    let mut writer = Writer::new();
    writer.put_array_length(Some(count), is_flexible);
    writer.finish().expect("short").into_bytes()
}

/// A lie at each byte of a request, so also at each count of an array, however deep it stands.
fn lie<R: Request>(version: i16, largest: &mut usize) {
    // Not every sample has an element in every array.
    for seed in 1..=3 {
        let good = frame(version, &R::sample_of(version, &mut Sampler::new(seed)));
        for at in 0..good.len().min(160) {
            for part in PARTS {
                let fill = FILLS[(at + part + usize::try_from(seed).expect("small")) % 2];
                let mut bytes = BytesMut::with_capacity(FRAME_BYTES);
                bytes.extend_from_slice(&good[..at]);
                // The first eight bytes say which request this is.
                if at >= 8 {
                    bytes.extend_from_slice(&count_bytes(
                        (FRAME_BYTES - at - 8) / part,
                        R::is_flexible(version),
                    ));
                    bytes.resize(FRAME_BYTES, fill);
                    *largest = decode::<R>(version, &bytes.freeze()).peak.max(*largest);
                }
            }
        }
    }
}

#[test]
fn no_frame_takes_more_than_four_times_its_bytes() {
    macro_rules! visit {
        ($request:ty) => {
            let api = <$request>::API;
            let first = WITHOUT_ARRAYS.iter().find(|(other, _)| *other == api);
            for version in api.spec().min..=api.spec().max {
                let mut largest = 0;
                lie::<$request>(version, &mut largest);
                // Lies reach the arrays, where there are some.
                let has_array = first.is_none_or(|(_, last)| version > *last);
                assert_eq!(largest > FRAME_BYTES, has_array, "{api} {version}: {largest}");
            }
        };
    }
    for_each_request!(visit);
}

#[test]
fn tagged_fields_of_a_header_take_no_memory() {
    let request = MetadataRequest::default();
    let plain = frame(12, &request);
    // The header ends where that of the plain request has its count of no tagged fields.
    let at = plain.len() - request.to_bytes(12).expect("a default can be written").len() - 1;
    for claimed in [&[0xc0, 0x84, 0x3d][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80, 0x80, 0x40]] {
        let mut bytes = BytesMut::from(&plain[..at]);
        bytes.extend_from_slice(claimed);
        bytes.resize(2_000_000, 0);
        let decoded = decode::<MetadataRequest>(12, &bytes.freeze());
        assert!(decoded.outcome.is_err(), "{claimed:?}");
        assert!(decoded.peak <= SHARED_BYTES, "{claimed:?}: {} bytes", decoded.peak);
    }
}

fn is_read<R: Request>(version: i16, request: &R) {
    let frame = frame(version, request).freeze();
    let Decoded { outcome, peak } = decode::<R>(version, &frame);
    assert_eq!(outcome, Ok(()), "{} {version}: {peak} bytes for {}", R::API, frame.len());
}

/// Large requests as clients really send them fit.
#[test]
fn what_clients_send_is_read() {
    use millrace::protocol::messages::{
        describe_configs::DescribeConfigsRequestResource,
        fetch::{FetchRequestPartition, FetchRequestTopic},
        metadata::MetadataRequestTopic,
        offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    };
    let name = |i: usize| format!("orders-{i:05}").into();
    let named = |i| MetadataRequestTopic { name: Some(name(i)), ..Default::default() };
    for version in [1, 9, 13] {
        let topics = Some((0..4_000).map(named).collect());
        is_read(version, &MetadataRequest { topics, ..Default::default() });
    }
    for version in [11, 18] {
        let partitions = vec![FetchRequestPartition::default(); 10_000];
        let topics = vec![FetchRequestTopic { topic: name(1), partitions, ..Default::default() }];
        is_read(version, &FetchRequest { topics, ..Default::default() });
    }
    for version in [7, 9] {
        let partitions = vec![OffsetCommitRequestPartition::default(); 10_000];
        let topics =
            vec![OffsetCommitRequestTopic { name: name(1), partitions, ..Default::default() }];
        is_read(version, &OffsetCommitRequest { topics, ..Default::default() });
    }
    let resource = |i| DescribeConfigsRequestResource {
        resource_type: 2,
        resource_name: name(i),
        ..Default::default()
    };
    is_read(
        4,
        &DescribeConfigsRequest {
            resources: (0..2_000).map(resource).collect(),
            ..Default::default()
        },
    );
    is_read(
        5,
        &DeleteTopicsRequest { topic_names: (0..10_000).map(name).collect(), ..Default::default() },
    );
}
