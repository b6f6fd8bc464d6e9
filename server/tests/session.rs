//! A real broker and clients that keep to no rules: the one at fault gets Kafka's error or a closed connection
//! with a reason in the log, and the others do not notice.

#![expect(clippy::unwrap_used, reason = "a test fails where its request cannot be written or read")]

#[path = "session/broker.rs"]
mod broker;

use broker::{Broker, pause};
use bytes::Bytes;
use millrace::protocol::messages::create_topics::{CreateTopicsRequest, CreateTopicsRequestTopic};
use millrace::protocol::messages::fetch::{FetchRequest, FetchRequestPartition, FetchRequestTopic};
use millrace::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use millrace::protocol::messages::produce::{
    ProduceRequest, ProduceRequestPartition, ProduceRequestTopic,
};
use millrace::protocol::messages::{ApiVersionsRequest, InitProducerIdRequest};
use millrace::protocol::{ApiKey, ErrorCode};
use millrace_engine::codec::{Message, Reader, Records, Writer};
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::types::Uuid;

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1".into() }
}

fn batch(options: BatchOptions, values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for value in values {
        builder.push(1_700_000_000_000, None, Some(value), &[]).unwrap();
    }
    builder.finish()
}

fn produce(topic: &str, acks: i16, records: Bytes) -> ProduceRequest {
    let records = Some(Records::from(records));
    let partition_data = vec![ProduceRequestPartition { index: 0, records }];
    let name = topic.into();
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![ProduceRequestTopic { name, partition_data, topic_id: Uuid::ZERO }],
        ..ProduceRequest::default()
    }
}

fn metadata(topics: &[&str]) -> MetadataRequest {
    let topic =
        |name: &&str| MetadataRequestTopic { name: Some((*name).into()), topic_id: Uuid::ZERO };
    MetadataRequest {
        topics: Some(topics.iter().map(topic).collect()),
        ..MetadataRequest::default()
    }
}

fn create(broker: &Broker, name: &str, partitions: i32) -> i16 {
    let topic = CreateTopicsRequestTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreateTopicsRequestTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() };
    broker.connect().ask(&request, 7).topics[0].error_code
}

/// A topic that takes batches.
fn topic(broker: &Broker, name: &str) {
    assert_eq!(create(broker, name, 1), 0);
    for _ in 0..200 {
        let answer = broker
            .connect()
            .ask(&produce(name, -1, batch(BatchOptions::default(), &[b"first"])), 9);
        if answer.responses[0].partition_responses[0].error_code == 0 {
            return;
        }
        pause(10);
    }
    panic!("{name} takes no batches");
}

/// A header of an API and a version with any body.
fn raw(api: i16, version: i16, is_flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::framed(64);
    writer.put_i16(api);
    writer.put_i16(version);
    writer.put_i32(77);
    writer.put_i16(-1);
    if is_flexible {
        writer.put_uvarint(0);
    }
    writer.put_slice(body);
    writer.finish().unwrap().into_bytes().to_vec()
}

#[test]
fn whoever_sends_no_request_is_closed_with_a_reason() {
    let broker = Broker::start("session-garbage", &["socket.request.max.bytes=1048576"]);
    let mut healthy = broker.connect();
    let million_tags = [&[0xc0, 0x84, 0x3d][..], &[0; 900_000]].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc], "TLS handshake"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "HTTP request"),
        ((-5_i32).to_be_bytes().to_vec(), "negative frame size -5"),
        (0x7fff_ffff_i32.to_be_bytes().to_vec(), "frame of 2147483647 bytes"),
        (vec![0, 0, 0, 0], "malformed request header"),
        (vec![0, 0, 0, 3, 0, 3, 0], "malformed request header"),
        (raw(999, 0, false, &[]), "unknown api key 999"),
        (raw(-1, 0, false, &[]), "unknown api key -1"),
        (raw(4, 0, false, &[]), "unknown api key 4"),
        (raw(3, 99, false, &[]), "unknown version 99 of Metadata"),
        (raw(0, 2, false, &[]), "unknown version 2 of Produce"),
        (raw(ApiKey::SaslHandshake.code(), 1, false, &[0, 1, b'x']), "SaslHandshake is not served"),
        (raw(3, 1, false, &[]), "malformed Metadata request of version 1"),
        // Two thousand million topics in four bytes.
        (raw(3, 1, false, &[0x7f, 0xff, 0xff, 0xff]), "malformed Metadata request of version 1"),
        (
            raw(3, 12, true, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            "malformed Metadata request of version 12",
        ),
        (raw(1, 4, false, &[0xff; 40]), "malformed Fetch request of version 4"),
        (
            raw(3, 1, false, &[0, 0, 0, 1, 0x7f, 0xff, b'x']),
            "malformed Metadata request of version 1",
        ),
        (raw(18, 3, false, &million_tags), "malformed request header"),
    ];
    for (bytes, reason) in &cases {
        let mut client = broker.connect();
        client.send_bytes(bytes);
        assert!(client.is_closed(), "{reason}");
        assert_eq!(healthy.ask(&api_versions(), 3).error_code, 0);
    }
    // A frame that is cut, from a client that hangs up.
    let mut client = broker.connect();
    client.send_bytes(&[0, 0, 1, 0, 1, 2, 3]);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(client.is_closed());
    pause(50);
    let log = broker.log();
    for (_, reason) in &cases {
        assert!(log.contains(reason), "{reason:?} is not in the log:\n{log}");
    }
    assert!(log.contains("in the middle of a request"), "{log}");
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = Broker::start("session-versions", &[]);
    let mut client = broker.connect();
    client.send_bytes(&raw(18, 99, true, b"anything at all"));
    let mut reader = Reader::new(client.receive_frame().unwrap());
    assert_eq!(reader.i32(), Ok(77));
    let answer = millrace::protocol::messages::ApiVersionsResponse::decode(0, &mut reader).unwrap();
    reader.finish().unwrap();
    assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
    assert_eq!(answer.api_keys.len(), 1);
    assert_eq!((answer.api_keys[0].api_key, answer.api_keys[0].max_version), (18, 4));
    // The connection goes on, and what is announced is what is served.
    for version in 0..=4 {
        let answer = client.ask(&api_versions(), version);
        assert_eq!(answer.error_code, 0);
        let keys: Vec<_> = answer.api_keys.iter().map(|key| key.api_key).collect();
        let served: Vec<_> = millrace::api::SERVED.iter().map(|api| api.code()).collect();
        assert_eq!(keys, served);
        assert_eq!(answer.api_keys[0].min_version, 0, "KAFKA-18659");
        assert!(version < 3 || answer.finalized_features_epoch > 0);
    }
    let nameless = ApiVersionsRequest { client_software_name: "".into(), ..api_versions() };
    assert_eq!(client.ask(&nameless, 3).error_code, ErrorCode::InvalidRequest.code());
}

#[test]
fn requests_arrive_byte_by_byte_or_all_at_once() {
    let broker = Broker::start("session-pieces", &[]);
    topic(&broker, "t");
    let mut client = broker.connect();
    let (id, bytes) = client.frame(&api_versions(), 3);
    for byte in bytes {
        client.send_bytes(&[byte]);
    }
    client.receive::<ApiVersionsRequest>(id, 3);
    // Produces are pipelined, and all is answered in order.
    let (mut all, mut ids) = (Vec::new(), Vec::new());
    let large = vec![b'x'; 300_000];
    for i in 0..100 {
        let value = if i % 10 == 0 { &large[..] } else { b"small" };
        let request = produce("t", -1, batch(BatchOptions::default(), &[value, b"second"]));
        let (id, bytes) = client.frame(&request, 9);
        all.extend_from_slice(&bytes);
        ids.push(id);
    }
    let (last, bytes) = client.frame(&api_versions(), 3);
    all.extend_from_slice(&bytes);
    let mut sender = client.stream.try_clone().unwrap();
    let sending = std::thread::scope(|scope| {
        let sent = scope.spawn(move || std::io::Write::write_all(&mut sender, &all));
        for (i, id) in (0..).zip(ids) {
            let answer = client.receive::<ProduceRequest>(id, 9);
            let partition = &answer.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, 1 + 2 * i));
        }
        client.receive::<ApiVersionsRequest>(last, 3);
        sent.join().unwrap()
    });
    sending.unwrap();
}

#[test]
fn without_acknowledgement_there_is_no_answer_but_the_end() {
    let broker = Broker::start("session-acks", &["auto.create.topics.enable=false"]);
    topic(&broker, "t");
    let mut client = broker.connect();
    client.send(&produce("t", 0, batch(BatchOptions::default(), &[b"v"])), 9);
    assert_eq!(
        client.ask(&api_versions(), 3).error_code,
        0,
        "the next answer is to the next request"
    );
    client.send(&produce("nowhere", 0, batch(BatchOptions::default(), &[b"v"])), 9);
    assert!(client.is_closed());
    let answer = broker.connect().ask(&produce("t", 7, batch(BatchOptions::default(), &[b"v"])), 9);
    let error = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(error, ErrorCode::InvalidRequiredAcks.code());
}

#[test]
fn what_is_wrong_with_a_batch_is_said() {
    let broker = Broker::start("session-batches", &["auto.create.topics.enable=false"]);
    topic(&broker, "t");
    let mut client = broker.connect();
    let mut error = |topic: &str, records: Bytes| {
        let answer = client.ask(&produce(topic, -1, records), 9);
        let partition = &answer.responses[0].partition_responses[0];
        ErrorCode::from_code(partition.error_code).unwrap()
    };
    let good = batch(BatchOptions::default(), &[b"v"]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        Bytes::from(bytes)
    };
    let doubled = Bytes::from([&good[..], &good[..]].concat());
    let idempotent = |sequence: i32, epoch: i16| {
        let options = BatchOptions {
            producer_id: 4000,
            producer_epoch: epoch,
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        batch(options, &[b"v"])
    };
    let transactional =
        BatchOptions { transactional: true, producer_id: 1, ..BatchOptions::default() };
    let control = BatchOptions { control: true, ..BatchOptions::default() };
    for (what, records, expected) in [
        ("good", good.clone(), ErrorCode::None),
        ("nothing", Bytes::new(), ErrorCode::InvalidRecord),
        ("cut", good.slice(..good.len() - 1), ErrorCode::InvalidRecord),
        ("two batches", doubled, ErrorCode::InvalidRecord),
        ("a flipped bit", changed(good.len() - 1, 0xff), ErrorCode::CorruptMessage),
        ("magic 1", changed(16, 1), ErrorCode::InvalidRecord),
        ("a control batch", batch(control, &[b"v"]), ErrorCode::InvalidRecord),
        (
            "too large",
            batch(BatchOptions::default(), &[&vec![0; 1_100_000]]),
            ErrorCode::MessageTooLarge,
        ),
        (
            "in a transaction",
            batch(transactional, &[b"v"]),
            ErrorCode::TransactionalIdAuthorizationFailed,
        ),
        ("sequence 0", idempotent(0, 1), ErrorCode::None),
        ("sequence 0 again", idempotent(0, 1), ErrorCode::None),
        ("a gap", idempotent(5, 1), ErrorCode::OutOfOrderSequenceNumber),
        ("an older epoch", idempotent(1, 0), ErrorCode::InvalidProducerEpoch),
    ] {
        assert_eq!(error("t", records), expected, "{what}");
    }
    assert_eq!(error("nowhere", good.clone()), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(error("__cluster_metadata", good), ErrorCode::UnknownTopicOrPartition);
    let transaction =
        InitProducerIdRequest { transactional_id: Some("x".into()), ..Default::default() };
    let answer = broker.connect().ask(&transaction, 5);
    assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
    let first = broker.connect().ask(&InitProducerIdRequest::default(), 5);
    let second = broker.connect().ask(&InitProducerIdRequest::default(), 5);
    assert!(first.error_code == 0 && first.producer_id < second.producer_id);
}

#[test]
fn names_counts_ids_and_offsets_are_checked() {
    let broker = Broker::start("session-names", &[]);
    topic(&broker, "t");
    let long = "x".repeat(250);
    for name in ["a/b", "..", "", &long, "ä"] {
        let answer = broker.connect().ask(&metadata(&[name]), 12);
        assert_eq!(answer.topics[0].error_code, ErrorCode::InvalidTopicException.code(), "{name}");
        assert_eq!(create(&broker, name, 1), ErrorCode::InvalidTopicException.code(), "{name}");
    }
    assert_eq!(create(&broker, "none", 0), ErrorCode::InvalidPartitions.code());
    assert_ne!(create(&broker, "many", 1_000_000_000), 0);
    let fetch = |version: i16, topic_id: Uuid, name: &str, fetch_offset: i64| {
        let partition = FetchRequestPartition {
            fetch_offset,
            partition_max_bytes: 1000,
            ..FetchRequestPartition::default()
        };
        let partitions = vec![partition];
        let request = FetchRequest {
            max_wait_ms: 10,
            min_bytes: 1,
            topics: vec![FetchRequestTopic { topic: name.into(), topic_id, partitions }],
            ..FetchRequest::default()
        };
        let answer = broker.connect().ask(&request, version);
        ErrorCode::from_code(answer.responses[0].partitions[0].error_code).unwrap()
    };
    assert_eq!(fetch(18, Uuid(5), "", 0), ErrorCode::UnknownTopicId);
    for version in [4, 12] {
        assert_eq!(fetch(version, Uuid::ZERO, "u", 0), ErrorCode::UnknownTopicOrPartition);
        assert_eq!(fetch(version, Uuid::ZERO, "t", 0), ErrorCode::None);
        for offset in [-1, 1000, i64::MAX, i64::MIN] {
            assert_eq!(fetch(version, Uuid::ZERO, "t", offset), ErrorCode::OffsetOutOfRange);
        }
    }
}

#[test]
fn many_slow_and_silent_clients_cost_little_and_disturb_nobody() {
    let broker = Broker::start("session-crowd", &["connections.max.idle.ms=3000"]);
    topic(&broker, "t");
    let (before, open) = (broker.resident_bytes(), broker.descriptors());
    let mut crowd: Vec<_> = (0..300).map(|_| broker.connect()).collect();
    for (i, client) in crowd.iter_mut().enumerate() {
        match i % 3 {
            // A frame of 90 MiB of which nothing more comes.
            0 => client.send_bytes(&[5, 0xa0, 0, 0, 0, 0, 0, 9]),
            // Requests whose answers nobody reads.
            1 => {
                for _ in 0..20 {
                    let (_, bytes) = client.frame(&metadata(&["t"]), 12);
                    client.send_bytes(&bytes);
                }
            }
            _ => {}
        }
    }
    let mut healthy = broker.connect();
    for _ in 0..100 {
        let answer = healthy.ask(&produce("t", -1, batch(BatchOptions::default(), &[b"v"])), 9);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "300 idle clients cost {grown} bytes");
    // Whoever makes no progress is let go.
    pause(4500);
    for client in crowd.iter_mut().filter(|client| client.stream.peer_addr().is_ok()) {
        while client.receive_frame().is_some() {}
    }
    assert!(broker.descriptors() <= open + 10, "{} after {open}", broker.descriptors());
}

/// A topic with one batch of 900,000 bytes, and a fetch of it.
fn large_fetch(broker: &Broker) -> FetchRequest {
    topic(broker, "t");
    let large = batch(BatchOptions::default(), &[&[7; 900_000]]);
    let answer = broker.connect().ask(&produce("t", -1, large), 9);
    let produced = &answer.responses[0].partition_responses[0];
    assert_eq!(produced.error_code, 0);
    let partition = FetchRequestPartition {
        fetch_offset: produced.base_offset,
        partition_max_bytes: 50 << 20,
        ..FetchRequestPartition::default()
    };
    let (topic, partitions) = ("t".into(), vec![partition]);
    FetchRequest {
        max_wait_ms: 100,
        min_bytes: 1,
        topics: vec![FetchRequestTopic { topic, topic_id: Uuid::ZERO, partitions }],
        ..FetchRequest::default()
    }
}

#[test]
fn who_reads_does_not_wait_for_those_who_do_not() {
    // Nine batches fill the memory for answers.
    let broker = Broker::start("session-readers", &["millrace.memory.bytes=67108864"]);
    let fetch = large_fetch(&broker);
    let mut reader = broker.connect();
    reader.ask(&fetch, 12);
    let mut silent: Vec<_> = (0..12).map(|_| broker.connect()).collect();
    for client in &mut silent {
        for _ in 0..12 {
            client.send(&fetch, 12);
        }
    }
    pause(200);
    for _ in 0..5 {
        let answer = reader.ask(&fetch, 12);
        assert_eq!(answer.responses[0].partitions[0].error_code, 0);
        let log = broker.log();
        assert!(!log.contains("was not read for"), "it waited until somebody was cut: {log}");
    }
}

#[test]
fn who_leaves_records_unread_is_cut_when_others_want_their_memory() {
    // One batch is more than there is for clients that were sent nothing yet, and more than the kernel takes.
    let settings = ["millrace.memory.bytes=16777216", "socket.send.buffer.bytes=65536"];
    let broker = Broker::start("session-unread", &settings);
    let fetch = large_fetch(&broker);
    let mut silent = broker.connect();
    silent.send(&fetch, 12);
    pause(1_500);
    assert!(!broker.log().contains("was not read for"), "nobody wants it: {}", broker.log());
    // It waits its turn, and gets all that there is.
    let answer = broker.connect().ask(&fetch, 12);
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    let records = answer.responses[0].partitions[0].records.as_ref().unwrap();
    assert!(records.len() > 900_000);
    let log = broker.log();
    let cut = log.lines().filter(|line| line.contains("was not read for")).count();
    assert_eq!(cut, 1, "{log}");
}
