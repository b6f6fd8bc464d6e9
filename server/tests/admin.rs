//! The admin port of a real broker over real HTTP: what it tells, what it refuses, and when it is not there.

#![expect(clippy::unwrap_used, reason = "a test fails where its request cannot be written or read")]

#[path = "session/broker.rs"]
#[expect(dead_code, reason = "some of it is for the tests of sessions")]
mod broker;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use broker::{Broker, pause};
use bytes::Bytes;
use millrace::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_BYTES_MAX, SLOW_REQUESTS};
use millrace::protocol::messages::create_topics::{CreateTopicsRequest, CreateTopicsRequestTopic};
use millrace::protocol::messages::fetch::{
    FetchRequest, FetchRequestPartition, FetchRequestTopic, FetchResponse,
};
use millrace::protocol::messages::produce::{
    ProduceRequest, ProduceRequestPartition, ProduceRequestTopic,
};
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::types::Uuid;
use serde_json::Value;

/// An answer: status, head, body.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn address(broker: &Broker) -> String {
    let log = broker.log();
    let (_, at) = log.split_once("admin port at http://").expect("the log names the admin port");
    at.split_whitespace().next().unwrap().to_owned()
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends these bytes and reads all that comes.
fn exchange(address: &str, request: &str) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect(&text);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn get(address: &str, path: &str) -> Answer {
    exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
}

fn stages(address: &str, query: &str) -> Value {
    let answer = get(address, &format!("/v1/stages{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    serde_json::from_str(&answer.body).unwrap()
}

fn records(bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(1_700_000_000_000, None, Some(&vec![7; bytes]), &[]).unwrap();
    builder.finish()
}

fn produce(acks: i16, partitions: i32, bytes: usize) -> ProduceRequest {
    let part = |index| ProduceRequestPartition { index, records: Some(records(bytes).into()) };
    let partition_data = (0..partitions).map(part).collect();
    let topic = ProduceRequestTopic { name: "t".into(), partition_data, topic_id: Uuid::ZERO };
    ProduceRequest { acks, timeout_ms: 1000, topic_data: vec![topic], ..ProduceRequest::default() }
}

fn create(broker: &Broker, partitions: i32) {
    let topic = CreateTopicsRequestTopic {
        name: "t".into(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreateTopicsRequestTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 1000,
        ..CreateTopicsRequest::default()
    };
    assert_eq!(broker.connect().ask(&request, 5).topics[0].error_code, 0);
}

/// A whole number in an answer.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The value of a sample of the metrics.
fn sample(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
}

#[test]
fn produce_requests_are_told_stage_by_stage() {
    const ROUNDS: u64 = 40;
    let broker = Broker::start("admin-stages", &["millrace.shards=2"]);
    let address = address(&broker);
    create(&broker, 4);
    let empty = stages(&address, "");
    assert_eq!((number(&empty["version"]), number(&empty["node_id"])), (1, 1));
    assert_eq!(number(&empty["merged"]["total"]["count"]), 0);
    let mut client = broker.connect();
    for _ in 0..ROUNDS {
        let answer = client.ask(&produce(-1, 4, 500), 9);
        assert!(answer.responses[0].partition_responses.iter().all(|part| part.error_code == 0));
    }
    // What nobody waits for, and what is refused, has no stages.
    client.send(&produce(0, 1, 10), 9);
    let refused = client.ask(&produce(7, 1, 10), 9);
    assert_ne!(refused.responses[0].partition_responses[0].error_code, 0);

    let told = stages(&address, "");
    assert!(number(&told["now_ns"]) > number(&empty["now_ns"]));
    assert_eq!(told["cluster_id"], empty["cluster_id"]);
    let names = ["queued", "admitted", "journaled", "flushed", "answered"];
    assert_eq!(told["stages"], serde_json::json!(names));
    let merged = &told["merged"];
    assert_eq!(number(&merged["total"]["count"]), ROUNDS);
    let parts: u64 = names.iter().map(|name| number(&merged["by_stage"][name]["sum_ns"])).sum();
    assert_eq!(parts, number(&merged["total"]["sum_ns"]));
    for name in names {
        let stage = &merged["by_stage"][name];
        let buckets = stage["buckets"].as_array().unwrap();
        let count: u64 = buckets.iter().map(|bucket| number(&bucket[1])).sum();
        assert_eq!((count, number(&stage["count"])), (ROUNDS, ROUNDS), "{name}");
    }
    // One connection is one shard's, whoever has the partitions.
    let shards = told["shards"].as_array().unwrap();
    let counts: Vec<u64> = shards.iter().map(|s| number(&s["total"]["count"])).collect();
    assert!(counts == [ROUNDS, 0] || counts == [0, ROUNDS], "{counts:?}");

    let slowest = told["slowest"].as_array().unwrap();
    assert!(slowest.len() >= ROUNDS.min(SLOW_REQUESTS as u64) as usize);
    for slow in slowest {
        assert_eq!((slow["client_id"].as_str(), number(&slow["partitions"])), (Some("test"), 4));
        assert!(number(&slow["bytes"]) > 2000 && number(&slow["correlation_id"]) > 0, "{slow}");
        let parts: u64 = names.iter().map(|name| number(&slow["by_stage"][name])).sum();
        assert_eq!(parts, number(&slow["total_ns"]));
        assert!(number(&slow["answered_ns"]) <= number(&told["now_ns"]));
    }
    assert!(slowest.is_sorted_by_key(|slow| std::cmp::Reverse(number(&slow["total_ns"]))));
    let later = stages(&address, &format!("?since_ns={}", number(&told["now_ns"])));
    assert_eq!(later["slowest"], serde_json::json!([]));
    assert_eq!(number(&later["merged"]["total"]["count"]), ROUNDS);
}

/// Reads one partition from an offset on.
fn fetch(client: &mut broker::Client, offset: i64, max_wait_ms: i32) -> FetchResponse {
    let partition = FetchRequestPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchRequestPartition::default()
    };
    let topic = FetchRequestTopic {
        topic: "t".into(),
        partitions: vec![partition],
        ..FetchRequestTopic::default()
    };
    let request = FetchRequest {
        replica_id: -1,
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_id: 0,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    let answer = client.ask(&request, 11);
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    answer
}

#[test]
fn fetch_requests_are_told_stage_by_stage() {
    const BATCHES: i64 = 40;
    const BATCH_BYTES: usize = 1_000_000;
    const WAIT_MS: i32 = 300;
    // More is written than there is memory: the beginning can only come from the disk.
    let overrides = ["millrace.shards=2", "millrace.memory.bytes=16777216"];
    let broker = Broker::start("admin-fetch-stages", &overrides);
    let address = address(&broker);
    create(&broker, 1);
    let mut client = broker.connect();
    for _ in 0..BATCHES {
        let answer = client.ask(&produce(-1, 1, BATCH_BYTES), 9);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    assert_eq!(number(&stages(&address, "")["fetch"]["merged"]["total"]["count"]), 0);
    let bytes = |answer: FetchResponse| {
        let records = answer.responses[0].partitions[0].records.clone().unwrap();
        records.into_bytes().len()
    };
    assert!(bytes(fetch(&mut client, 0, 500)) > BATCH_BYTES);
    assert!(bytes(fetch(&mut client, BATCHES - 1, 500)) > BATCH_BYTES);
    assert_eq!(bytes(fetch(&mut client, BATCHES, 0)), 0);
    assert_eq!(bytes(fetch(&mut client, BATCHES, WAIT_MS)), 0);

    let told = stages(&address, "");
    let fetch = &told["fetch"];
    let names = ["queued", "read_tail", "read_cold", "answered"];
    assert_eq!(fetch["stages"], serde_json::json!(names));
    let merged = &fetch["merged"];
    let count = |stage: &str| number(&merged["by_stage"][stage]["count"]);
    assert_eq!(names.map(count), [4, 3, 1, 4]);
    let parts: u64 = names.iter().map(|name| number(&merged["by_stage"][name]["sum_ns"])).sum();
    assert_eq!((number(&merged["total"]["count"]), parts), (4, number(&merged["total"]["sum_ns"])));
    // The one that waited did so until its time was over, and that is in no stage.
    let (waited, wait_ns) = (&merged["waited"], WAIT_MS as u64 * 1_000_000);
    assert_eq!(number(&waited["count"]), 1);
    let shortest = wait_ns - wait_ns / 10;
    assert!(number(&waited["sum_ns"]) > shortest, "{waited}");
    let by_shard = fetch["shards"].as_array().unwrap();
    let counts: u64 = by_shard.iter().map(|shard| number(&shard["total"]["count"])).sum();
    assert_eq!((by_shard.len(), counts), (2, 4));
    // Produce requests are counted by themselves.
    assert_eq!(number(&told["merged"]["total"]["count"]), BATCHES as u64);
    let metrics = get(&address, "/metrics").body;
    let sum = |name: &str| -> f64 {
        (0..2).map(|shard| sample(&metrics, &name.replace('#', &shard.to_string()))).sum()
    };
    assert_eq!(sum("millrace_fetch_seconds_count{shard=\"#\"}"), 4.0);
    assert_eq!(sum("millrace_fetch_wait_seconds_count{shard=\"#\"}"), 1.0);
    let cold = "millrace_fetch_stage_seconds_count{shard=\"#\",stage=\"read_cold\"}";
    assert_eq!(sum(cold), 1.0);
}

#[test]
fn metrics_and_health() {
    let broker = Broker::start("admin-metrics", &[]);
    let address = address(&broker);
    let health = get(&address, "/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    create(&broker, 1);
    let mut client = broker.connect();
    for _ in 0..3 {
        client.ask(&produce(-1, 1, 100), 9);
    }
    let answer = get(&address, "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let metrics = &answer.body;
    for (name, value) in [
        ("millrace_requests_total{shard=\"0\",api=\"Produce\"}", 3.0),
        ("millrace_requests_total{shard=\"0\",api=\"CreateTopics\"}", 1.0),
        // That of the topic and the metadata log.
        ("millrace_partitions{shard=\"0\",state=\"open\"}", 2.0),
        ("millrace_partitions{shard=\"0\",state=\"failed\"}", 0.0),
        ("millrace_produce_seconds_count{shard=\"0\"}", 3.0),
        ("millrace_produce_seconds_bucket{shard=\"0\",le=\"+Inf\"}", 3.0),
        ("millrace_produce_stage_seconds_count{shard=\"0\",stage=\"flushed\"}", 3.0),
        ("millrace_appends_deferred{shard=\"0\"}", 0.0),
        ("millrace_damaged_ranges{shard=\"0\"}", 0.0),
        ("millrace_lost_log_ends{shard=\"0\"}", 0.0),
        ("millrace_scrubbed_bytes_total{shard=\"0\"}", 0.0),
        ("millrace_last_scrub_timestamp_seconds{shard=\"0\"}", 0.0),
    ] {
        assert_eq!(sample(metrics, name), value, "{name}");
    }
    let online = |line: &str| {
        line.starts_with("millrace_log_dir_online{log_dir=\"/") && line.ends_with("\"} 1")
    };
    assert_eq!(metrics.lines().filter(|line| online(line)).count(), 1);
    assert!(sample(metrics, "millrace_received_bytes_total{shard=\"0\"}") > 300.0);
    assert!(sample(metrics, "process_resident_memory_bytes") > 1e6);
    assert!(sample(metrics, "process_start_time_seconds") > 1.6e9);
    // Every sample belongs to the family announced in front of it.
    let mut family = "";
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line} stands in {family}");
        }
    }
    // What comes before the journal has its first file goes straight to segments, which is no commit.
    let commits = || sample(&get(&address, "/metrics").body, "millrace_commits_total{shard=\"0\"}");
    let has_three = (0..10_000).any(|_| {
        client.ask(&produce(-1, 1, 100), 9);
        commits() >= 3.0
    });
    assert!(has_three, "the journal takes no commits");
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let broker = Broker::start("admin-refused", &[]);
    let address = address(&broker);
    let long = "x".repeat(2 * ADMIN_HEAD_BYTES_MAX);
    for (request, status) in [
        ("GET /nothing HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(), 404),
        ("POST /metrics HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".to_owned(), 405),
        ("GET /v1/stages?since_ns=x HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("GET /v1/stages?a=1 HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n".to_owned(), 403),
        ("GET /metrics HTTP/1.0\r\nHost: evil.example:9644\r\n\r\n".to_owned(), 403),
        ("GET /metrics HTTP/1.0\r\n\r\n".to_owned(), 400),
        ("GET /metrics HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        (format!("GET /healthz HTTP/1.0\r\nHost: localhost\r\nX: {long}\r\n\r\n"), 431),
        ("GET /healthz\u{0} HTTP/1.0\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.0\r\nHost: [::1]:1\r\n\r\n".to_owned(), 200),
        ("HEAD /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".to_owned(), 200),
    ] {
        let answer = exchange(&address, &request);
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
    }
    let names_another = exchange(&address, "GET /healthz HTTP/1.0\r\nHost: evil.example\r\n\r\n");
    assert!(names_another.body.contains("Host header"), "{names_another:?}");
}

#[test]
fn silent_connections_do_not_keep_the_port_for_ever() {
    let broker = Broker::start("admin-silent", &[]);
    let address = address(&broker);
    let mut silent: Vec<TcpStream> =
        (0..ADMIN_CONNECTIONS_MAX).map(|_| connect(&address)).collect();
    silent[0].write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    // Every place is taken; ours comes when the first silent one has been given up.
    assert_eq!(get(&address, "/healthz").status, 200);
}

#[test]
fn the_port_is_where_it_is_wanted_or_nowhere() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("admin-taken");
    drop(std::fs::remove_dir_all(&dir));
    let refused = |setting: String, word: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        let data = format!("log.dirs={}", dir.display());
        for pair in ["listeners=PLAINTEXT://127.0.0.1:0", &data, "millrace.shards=1", &setting] {
            command.args(["--override", pair]);
        }
        let output = command.output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{setting}: {log}");
        assert!(log.contains(word) && log.contains("millrace.admin.listener"), "{setting}: {log}");
    };
    refused(format!("millrace.admin.listener=127.0.0.1:{port}"), "cannot open the admin port");
    refused("millrace.admin.listener=9644".to_owned(), "host:port");
    refused("millrace.admin.listener=:9644".to_owned(), "host:port");
    drop(std::fs::remove_dir_all(&dir));

    let broker = Broker::start("admin-none", &["millrace.admin.listener="]);
    pause(50);
    assert!(!broker.log().contains("admin port"), "{}", broker.log());
}
