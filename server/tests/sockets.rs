//! Streams of requests that are split, merged, cut, reordered, mutated or followed by garbage, from many
//! connections at once, against a real broker: it lives, every well-formed stream is answered in order, a client
//! beside them notices nothing, and memory and descriptors stay where they were.
//!
//! `MILLRACE_SOCKETS_SECONDS` and `MILLRACE_SOCKETS_SEED` say how long and from which seed; `tools/fuzz/run` sets
//! them.

#![expect(clippy::unwrap_used, reason = "a test fails where its request cannot be written or read")]

#[expect(dead_code, reason = "some of it is for the tests of sessions")]
#[path = "session/broker.rs"]
mod broker;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker::{Broker, Client, pause};
use bytes::Bytes;
use millrace::for_each_request;
use millrace::protocol::ApiKey;
use millrace::protocol::frame::request_frame;
use millrace::protocol::header::get_response_header;
use millrace::protocol::messages::{ApiVersionsRequest, MetadataRequest, Request};
use millrace_engine::codec::{Message, Reader, Sampler};

const CLIENTS: u64 = 8;
/// Requests of one stream.
const REQUESTS_MAX: u64 = 8;
/// What the broker may grow by meanwhile. Bytes.
const GROWTH_MAX: u64 = 64 << 20;

/// What is done to a stream of well-formed requests.
const WAYS: [&str; 7] =
    ["split", "merged", "cut", "reordered", "mutated", "lying length", "then garbage"];

/// What was sent, by the way of [`WAYS`].
#[derive(Default)]
struct Counts {
    streams: [AtomicU64; WAYS.len()],
    requests: AtomicU64,
    bytes: AtomicU64,
    answers: AtomicU64,
}

/// Well-formed requests of every API and version, with made-up content. Those that would make up to 100,000
/// partitions are left out: what they cost is no fault.
fn samples() -> Vec<Bytes> {
    let mut samples = Vec::new();
    macro_rules! visit {
        ($request:ty) => {
            let makes_partitions =
                matches!(<$request>::API, ApiKey::CreateTopics | ApiKey::CreatePartitions);
            for version in <$request>::VERSIONS {
                for seed in 0..if makes_partitions { 0 } else { 4 } {
                    let sample = <$request>::sample_of(version, &mut Sampler::new(seed));
                    let frame = request_frame(&sample, version, 1, Some("fuzz"));
                    samples.push(frame.unwrap().into_bytes());
                }
            }
        };
    }
    for_each_request!(visit);
    samples
}

fn below(chance: &mut Sampler, end: usize) -> usize {
    usize::try_from(chance.next() % end.max(1) as u64).unwrap()
}

/// Requests that are answered at once and always, with their correlation ids.
fn known(chance: &mut Sampler) -> Vec<Bytes> {
    let version = 4 + i16::from(chance.bool());
    let count = 1 + chance.next() % REQUESTS_MAX;
    let one = |id: u64| {
        let id = i32::try_from(id).unwrap();
        let frame = if chance.bool() {
            let request =
                MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
            request_frame(&request, version, id, Some("fuzz"))
        } else {
            let request = ApiVersionsRequest::default();
            request_frame(&request, 0, id, None)
        };
        frame.unwrap().into_bytes()
    };
    (0..count).map(one).collect()
}

/// One stream, and whether all of it is well-formed and answered in order.
fn stream(chance: &mut Sampler, samples: &[Bytes], way: usize) -> (Vec<u8>, u64, bool) {
    let is_known = chance.bool();
    let mut requests = known(chance);
    if !is_known {
        for request in &mut requests {
            *request = samples[below(chance, samples.len())].clone();
        }
    }
    let count = requests.len() as u64;
    if WAYS[way] == "reordered" {
        let middle = below(chance, requests.len());
        requests.rotate_left(middle);
    }
    let mut bytes = requests.concat();
    match WAYS[way] {
        "cut" => bytes.truncate(below(chance, bytes.len())),
        "mutated" => {
            for _ in 0..1 + chance.next() % 8 {
                let at = below(chance, bytes.len());
                bytes[at] = chance.i8().cast_unsigned();
            }
        }
        "lying length" => {
            let lie = [-1, 0, i32::MAX, 100 << 20, chance.i16().into()][below(chance, 5)];
            let at = bytes.len() - requests.last().unwrap().len();
            bytes[at..at + 4].copy_from_slice(&lie.to_be_bytes());
        }
        "then garbage" => {
            for _ in 0..1 + below(chance, 4096) {
                bytes.push(chance.i8().cast_unsigned());
            }
        }
        _ => {}
    }
    let is_whole = matches!(WAYS[way], "split" | "merged");
    (bytes, count, is_known && is_whole)
}

/// Sends in pieces, or at once. That the broker closes meanwhile is no failure.
fn send(client: &mut Client, chance: &mut Sampler, bytes: &[u8], is_merged: bool) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = if is_merged { rest.len() } else { 1 + below(chance, rest.len().min(200)) };
        let (now, later) = rest.split_at(piece);
        if client.stream.write_all(now).is_err() {
            return;
        }
        rest = later;
    }
}

/// One connection with one stream.
fn attack(broker: &Broker, chance: &mut Sampler, samples: &[Bytes], counts: &Counts) {
    let way = below(chance, WAYS.len());
    let (bytes, requests, is_answered) = stream(chance, samples, way);
    let mut client = broker.connect();
    send(&mut client, chance, &bytes, WAYS[way] == "merged");
    counts.streams[way].fetch_add(1, Ordering::Relaxed);
    counts.requests.fetch_add(requests, Ordering::Relaxed);
    counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    if is_answered {
        for id in 0..requests {
            let answer = client.receive_frame().expect("an answer to every request");
            assert_eq!(answer[..4], u32::try_from(id).unwrap().to_be_bytes(), "out of order");
            counts.answers.fetch_add(1, Ordering::Relaxed);
        }
    } else if chance.bool() {
        // Some read a while what comes, others go at once.
        drop(client.stream.shutdown(Shutdown::Write));
        client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut answer = [0; 4096];
        while client.stream.read(&mut answer).is_ok_and(|read| read > 0) {}
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of a real process runs in real time")]
fn now() -> Instant {
    Instant::now()
}

/// A client that keeps to the rules: how often it was answered, and how long that took at most.
fn bystander(broker: &Broker, deadline: Instant) -> (u64, Duration) {
    let (mut turns, mut slowest) = (0, Duration::ZERO);
    let mut client = broker.connect();
    while now() < deadline {
        let began = now();
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        let id = client.send(&request, 12);
        let mut reader = Reader::of_own(client.receive_frame().expect("the bystander goes on"));
        assert_eq!(get_response_header(ApiKey::Metadata, 12, &mut reader).unwrap(), id);
        slowest = slowest.max(began.elapsed());
        turns += 1;
        pause(5);
    }
    (turns, slowest)
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn streams_of_every_kind_of_wrong_disturb_nobody() {
    let seconds = setting("MILLRACE_SOCKETS_SECONDS", 8);
    let seed = setting("MILLRACE_SOCKETS_SEED", 1);
    let quiet = [
        "millrace.memory.bytes=67108864",
        "auto.create.topics.enable=false",
        "offsets.topic.num.partitions=1",
    ];
    let broker = Broker::start("sockets", &quiet);
    let (samples, counts) = (samples(), Counts::default());
    let (warm_turns, _) = bystander(&broker, now() + Duration::from_millis(300));
    assert!(warm_turns > 0);
    let (memory, descriptors) = (broker.resident_bytes(), broker.descriptors());
    let deadline = now() + Duration::from_secs(seconds);
    let (turns, slowest) = std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut chance = Sampler::new(seed.wrapping_mul(1_000_003) + number);
            let (broker, samples, counts) = (&broker, &samples, &counts);
            scope.spawn(move || {
                while now() < deadline {
                    attack(broker, &mut chance, samples, counts);
                }
            });
        }
        scope.spawn(|| bystander(&broker, deadline)).join().unwrap()
    });
    let grown = broker.resident_bytes().saturating_sub(memory);
    let mut left = broker.descriptors();
    for _ in 0..100 {
        if left <= descriptors + 10 {
            break;
        }
        pause(100);
        left = broker.descriptors();
    }
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let streams: Vec<_> = counts.streams.iter().map(of).collect();
    let figures = format!(
        "seed {seed}, {seconds} s: {} requests in {} bytes, {} answers checked; streams {:?}; bystander {turns} \
         turns, slowest {slowest:?}; memory + {} KiB, descriptors {descriptors}, then {left}",
        of(&counts.requests),
        of(&counts.bytes),
        of(&counts.answers),
        WAYS.iter().zip(&streams).collect::<Vec<_>>(),
        grown / 1024,
    );
    writeln!(std::io::stdout(), "{figures}").unwrap();
    assert!(!broker.log().contains("panicked"), "{}", broker.log());
    assert!(streams.iter().all(|count| *count > 0) && of(&counts.answers) > 0, "{figures}");
    assert!(turns > 0, "{figures}");
    assert!(grown < GROWTH_MAX, "{figures}");
    assert!(left <= descriptors + 10, "{figures}");
    assert_eq!(broker.connect().ask(&ApiVersionsRequest::default(), 0).error_code, 0);
}
