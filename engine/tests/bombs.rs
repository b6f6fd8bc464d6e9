//! Batches that are small until they are decompressed: what a search of them holds, counted by the
//! allocator, and what becomes of those beyond the bound.

use std::path::Path;
use std::sync::Arc;

use allocation_counter::measure;
use bytes::Bytes;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::limits::DECOMPRESSED_BYTES_MAX;
use millrace_engine::partition::admit::produce_rules;
use millrace_engine::record::batch::{BatchHeader, checksum};
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::record::codec::Codec;
use millrace_engine::record::layout::HEADER_BYTES;
use millrace_engine::record::recompress::recompress;
use millrace_engine::record::validate::{BatchError, Fault, validate_produce};
use millrace_engine::shard::call::FoundOffset;
use millrace_engine::shard::event::{DiskFailure, Event, Job};
use millrace_engine::topic_config::TopicConfig;

const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
/// What a search may hold beside the batch: buffers of the codec and of the stream. Bytes.
const HELD_BYTES_MAX: u64 = 1024 * 1024;

/// Zeros at time 10, then a record at time 20.
fn bomb(codec: Codec, zeros: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(10, None, Some(&vec![0; zeros]), &[]).expect("fits");
    builder.push(20, None, Some(b"last"), &[]).expect("fits");
    let plain = builder.finish();
    let header = BatchHeader::parse(&plain).expect("a header");
    recompress(&plain, &header, codec, None, u64::MAX).expect("can be compressed")
}

fn search(here: Bytes, timestamp: i64) -> (Result<Option<FoundOffset>, DiskFailure>, u64) {
    let sim = Sim::new(1);
    let settings = JobSettings {
        cache_bytes: 16 << 20,
        shard: 0,
        log_dir: Arc::from(Path::new("/d")),
        is_flushed: true,
        was_clean: true,
        producer_expiration_ms: 86_400_000,
        recovery_points: Arc::default(),
    };
    let jobs = Jobs::<SimEnv>::new(sim.env(0), settings);
    let dir = Arc::from(Path::new("/d/orders-0"));
    let job = Job::Search { query: 1, slot: 0, dir, cold: Vec::new(), here: vec![here], timestamp };
    let mut done = None;
    let info = measure(|| {
        let run = async move {
            let found = std::cell::RefCell::new(None);
            jobs.run(job, &|event| *found.borrow_mut() = Some(event)).await;
            found.into_inner()
        };
        done = sim.run(run).expect("ends");
    });
    match done {
        Some(Event::SearchDone { result, .. }) => (result, info.bytes_max),
        other => panic!("{other:?}"),
    }
}

fn found(offset: i64, timestamp: i64) -> Result<Option<FoundOffset>, DiskFailure> {
    Ok(Some(FoundOffset { offset, timestamp, leader_epoch: -1 }))
}

#[test]
fn a_search_does_not_hold_what_comes_out_of_a_batch() {
    for codec in CODECS {
        let batch = bomb(codec, 16 << 20);
        assert!(batch.len() < 1 << 20, "{codec:?}: {}", batch.len());
        for (timestamp, expected) in [(5, found(0, 10)), (20, found(1, 20)), (21, Ok(None))] {
            let (result, held) = search(batch.clone(), timestamp);
            assert_eq!(result, expected, "{codec:?} {timestamp}");
            assert!(held < HELD_BYTES_MAX, "{codec:?}: {held} bytes");
        }
    }
}

#[test]
fn beyond_the_bound_a_batch_is_refused_and_found_as_a_whole() {
    let beyond = usize::try_from(DECOMPRESSED_BYTES_MAX).expect("64 bits") + 1;
    let batch = bomb(Codec::Zstd, beyond);
    let rules = produce_rules(&TopicConfig::default(), true, true);
    let max = DECOMPRESSED_BYTES_MAX;
    let refused = Err(BatchError::TooLarge { size: max + 1, max });
    assert_eq!(validate_produce(&batch, &rules, 20), refused);
    // Where produced batches are not looked into it may stand in a log.
    let (result, held) = search(batch, 20);
    assert_eq!(result, found(0, 20));
    assert!(held < HELD_BYTES_MAX, "{held} bytes");
}

#[test]
fn what_was_never_compressed_is_found_as_a_whole_unless_it_is_damaged() {
    let good = bomb(Codec::Gzip, 1_000);
    let mut header = BatchHeader::parse(&good).expect("a header");
    let mut garbage = good.to_vec();
    garbage[HEADER_BYTES..].fill(0x55);
    // Not what was sent: the checksum tells.
    assert!(search(garbage.clone().into(), 20).0.is_err());
    header.crc = checksum(&header.to_bytes(), &garbage[HEADER_BYTES..]);
    garbage[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    let garbage = Bytes::from(garbage);
    let rules = produce_rules(&TopicConfig::default(), true, true);
    let refused = Err(BatchError::Invalid(Fault::Compression));
    assert_eq!(validate_produce(&garbage, &rules, 20), refused);
    assert_eq!(search(garbage, 20).0, found(0, 20));
}
