//! Bytes of the wire: frames as they come in pieces, requests, and answers as a client reads them.

use bytes::{BufMut, Bytes, BytesMut};
use millrace::for_each_request;
use millrace::net::session::{Next, Session};
use millrace::protocol::frame::{SIZE_BYTES, frame_size, request_frame};
use millrace::protocol::header::get_response_header;
use millrace::protocol::messages::Request;
use millrace::protocol::{ApiKey, RequestHeader};
use millrace_engine::codec::{Message, Reader, Sampler};

use crate::{Target, split_byte};

/// Frames of up to so many bytes are accepted. Bytes.
const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Samples of each version that are seeds.
const SAMPLES: u64 = 2;

/// A connection's bytes, received in pieces.
pub const FRAMES: Target = Target {
    name: "frames",
    seeds: frame_seeds,
    run: frames,
    // A session keeps what has come and reserves for what is announced.
    memory_max: |input| 16 * input + 1024 * 1024,
};

/// Headers and bodies of requests, every API and version.
pub const REQUESTS: Target = Target {
    name: "requests",
    seeds: request_seeds,
    run: requests,
    // Decoded, encoded and decoded again.
    memory_max: |input| 16 * input + 256 * 1024,
};

/// Answers, as a client of ours reads them.
pub const ANSWERS: Target = Target {
    name: "answers",
    seeds: answer_seeds,
    run: answers,
    memory_max: |input| 40 * input + 256 * 1024,
};

/// The frames in `stream`, told by their sizes alone, and whether an impossible size ends them.
fn split(stream: &[u8]) -> (Vec<&[u8]>, bool) {
    let (mut frames, mut rest) = (Vec::new(), stream);
    while let Some((prefix, behind)) = rest.split_first_chunk::<SIZE_BYTES>() {
        let Ok(size) = frame_size(*prefix, FRAME_BYTES_MAX) else { return (frames, true) };
        let Some((frame, behind)) = behind.split_at_checked(size) else { break };
        frames.push(frame);
        rest = behind;
    }
    (frames, false)
}

/// What a session makes of a stream that comes in pieces of `piece` bytes.
fn take(stream: &[u8], piece: usize) -> (Vec<Bytes>, bool) {
    let mut session = Session::new(FRAME_BYTES_MAX);
    let (mut frames, mut rest) = (Vec::new(), stream);
    loop {
        match session.step() {
            Err(_) => return (frames, true),
            Ok(Next::Begin { frame, .. }) => frames.push(frame),
            Ok(_) if rest.is_empty() => return (frames, false),
            Ok(Next::ReceiveDirect { whole }) => {
                let capacity = session.capacity_for(whole, rest.len());
                let (mut memory, _) = session.lend(capacity);
                assert!(memory.capacity() >= capacity.min(FRAME_BYTES_MAX));
                let room = capacity.saturating_sub(memory.len());
                let (now, later) = rest.split_at(piece.min(room).min(rest.len()));
                memory.put_slice(now);
                session.take_back(memory);
                rest = later;
            }
            Ok(Next::Receive) => {
                let (now, later) = rest.split_at(piece.min(rest.len()));
                session.receive(now);
                rest = later;
            }
            Ok(Next::Wait) => panic!("nothing is under way"),
        }
    }
}

fn frames(input: &[u8]) {
    let (first, stream) = split_byte(input);
    let piece = 1 + usize::from(first) * usize::from(first);
    let (frames, is_refused) = take(stream, piece);
    let (expected, is_impossible) = split(stream);
    // A first frame that looks like another protocol is refused although its size would do.
    if !is_refused || !frames.is_empty() {
        assert!(frames.iter().eq(expected.iter()), "pieces of {piece} bytes");
        assert_eq!(is_refused, is_impossible);
    }
}

fn frame_seeds() -> Vec<Vec<u8>> {
    let mut bytes = vec![7];
    macro_rules! visit {
        ($request:ty) => {
            let sample = <$request>::sample_of(*<$request>::VERSIONS.start(), &mut Sampler::new(1));
            let frame = request_frame(&sample, *<$request>::VERSIONS.start(), 1, Some("fuzz"));
            bytes.extend_from_slice(&frame.expect("a sample can be written").into_bytes());
        };
    }
    for_each_request!(visit);
    let large = [&[3][..], &40_000_u32.to_be_bytes(), &[0; 40_000]].concat();
    vec![bytes, large]
}

/// What was read can be written, and reads the same.
fn survive<M: Message>(version: i16, message: &M) {
    let again = message.to_bytes(version).expect("what was read can be written");
    let mut reader = Reader::of_own(again);
    assert_eq!(M::decode(version, &mut reader).as_ref(), Ok(message), "{} {version}", M::NAME);
}

fn requests(input: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(input));
    let Ok(header) = RequestHeader::get(&mut reader) else { return };
    let (api, version) = (header.api, header.version);
    macro_rules! visit {
        ($request:ty) => {
            if api == <$request>::API
                && let Ok(request) = <$request>::decode(version, &mut reader)
            {
                survive(version, &request);
            }
        };
    }
    for_each_request!(visit);
}

fn request_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    macro_rules! visit {
        ($request:ty) => {
            for version in <$request>::VERSIONS {
                for seed in 0..SAMPLES {
                    let sample = <$request>::sample_of(version, &mut Sampler::new(seed));
                    let frame = request_frame(&sample, version, 1, Some("fuzz"));
                    let bytes = frame.expect("a sample can be written").into_bytes();
                    seeds.push(bytes[SIZE_BYTES..].to_vec());
                }
            }
        };
    }
    for_each_request!(visit);
    seeds
}

/// API and version stand before the answer.
fn answers(input: &[u8]) {
    let mut reader = Reader::of_own(Bytes::copy_from_slice(input));
    let (Ok(code), Ok(version)) = (reader.i16(), reader.i16()) else { return };
    let Some(api) = ApiKey::from_code(code).filter(|api| api.spec().has_version(version)) else {
        return;
    };
    if get_response_header(api, version, &mut reader).is_err() {
        return;
    }
    macro_rules! visit {
        ($request:ty) => {
            if api == <$request>::API
                && let Ok(answer) =
                    <<$request as Request>::Response as Message>::decode(version, &mut reader)
            {
                survive(version, &answer);
            }
        };
    }
    for_each_request!(visit);
}

fn answer_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    macro_rules! visit {
        ($request:ty) => {
            for version in <$request>::VERSIONS {
                type Answer = <$request as Request>::Response;
                let sample = Answer::sample_of(version, &mut Sampler::new(1));
                let api = <$request>::API;
                let mut bytes = BytesMut::new();
                bytes.put_i16(api.code());
                bytes.put_i16(version);
                bytes.put_i32(1);
                if api.spec().response_header_version(version) >= 1 {
                    bytes.put_u8(0);
                }
                bytes.put(sample.to_bytes(version).expect("a sample can be written"));
                seeds.push(bytes.to_vec());
            }
        };
    }
    for_each_request!(visit);
    seeds
}
