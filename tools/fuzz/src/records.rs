//! Record batches of the formats 0 to 2, and the four codecs.

use bytes::Bytes;
use millrace_engine::limits::DECOMPRESSED_BYTES_MAX;
use millrace_engine::partition::admit::produce_rules;
use millrace_engine::record::batch::{BatchHeader, checksum};
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::record::codec::{Codec, CodecError, compress, decompress};
use millrace_engine::record::layout::HEADER_BYTES;
use millrace_engine::record::recompress::recompress;
use millrace_engine::record::records::{Records, plain_records};
use millrace_engine::record::validate::validate_produce;
use millrace_engine::record::walk::each_record;
use millrace_engine::topic_config::{CleanupPolicy, MessageTimestampType, TopicConfig};

use crate::{Target, split_byte};

const CODECS_OF_BATCHES: [Codec; 5] =
    [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const MIB: usize = 1024 * 1024;
/// What comes out of a fuzzed codec at most. Bytes.
const BOUND: u64 = 1024 * 1024;
const NOW_MS: i64 = 1_700_000_000_000;

/// The records of one partition in a Produce request.
pub const BATCHES: Target = Target {
    name: "batches",
    seeds: batch_seeds,
    run: batches,
    // Decompressed whole by those who read logs, who have a bound of their own.
    memory_max: |input| 64 * MIB + 2_000 * input,
};

/// Compressed bytes.
pub const CODECS: Target = Target {
    name: "codecs",
    seeds: codec_seeds,
    run: codecs,
    // The result grows by doubling; a decoder has buffers.
    memory_max: |input| 8 * MIB + 30 * input,
};

/// The same bytes with the checksum that they have, if they begin like a batch.
pub fn resealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut header = BatchHeader::parse(bytes).ok()?;
    let records = bytes.get(HEADER_BYTES..header.size_bytes())?;
    header.crc = checksum(&header.to_bytes(), records);
    let mut sealed = bytes.to_vec();
    sealed.get_mut(..HEADER_BYTES)?.copy_from_slice(&header.to_bytes());
    Some(sealed)
}

fn batches(input: &[u8]) {
    let (first, bytes) = split_byte(input);
    let config = TopicConfig {
        cleanup_policy: CleanupPolicy { compact: first & 2 != 0, delete: true },
        message_timestamp_type: if first & 4 == 0 {
            MessageTimestampType::CreateTime
        } else {
            MessageTimestampType::LogAppendTime
        },
        ..TopicConfig::default()
    };
    // A wrong checksum ends everything: mostly it is made right.
    let sealed = if first & 1 == 0 { resealed(bytes) } else { None };
    let bytes = Bytes::from(sealed.unwrap_or_else(|| bytes.to_vec()));
    let rules = produce_rules(&config, true, first & 8 == 0);
    if let Ok(valid) = validate_produce(&bytes, &rules, NOW_MS) {
        let header = valid.header;
        assert_eq!(header.size_bytes(), bytes.len());
        let plain = plain_records(&header, &bytes, DECOMPRESSED_BYTES_MAX);
        let plain = plain.expect("what was looked into can be decompressed");
        let mut count = 0;
        for (expected, record) in (0..).zip(Records::new(&plain, header.record_count)) {
            let record = record.expect("a record that was looked at can be read");
            assert_eq!(record.offset_delta, expected);
            assert_eq!(record.headers.iter().count(), record.headers.len());
            count += 1;
        }
        assert_eq!(count, header.record_count);
        each_record(&bytes, |_, _| {}).expect("what may be appended can be walked over");
    } else {
        each_record(&bytes, |_, _| {}).unwrap_or_default();
    }
}

fn plain_batch(options: BatchOptions) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for i in 0..3 {
        let headers = [(&b"name"[..], Some(&b"content"[..])), (b"", None)];
        let value = [i; 40];
        builder.push(NOW_MS + i64::from(i), Some(b"key"), Some(&value), &headers).expect("fits");
    }
    builder.finish()
}

/// A batch in each codec.
pub fn sample_batches(options: BatchOptions) -> Vec<Bytes> {
    let plain = plain_batch(options);
    let header = BatchHeader::parse(&plain).expect("a batch has a header");
    let packed = |codec| recompress(&plain, &header, codec, None, BOUND).expect("small");
    CODECS_OF_BATCHES.map(packed).to_vec()
}

/// A message of the formats 0 and 1, which are refused, but must be recognised.
fn old_message(magic: u8) -> Vec<u8> {
    let time = if magic == 1 { &NOW_MS.to_be_bytes()[..] } else { &[] };
    let body = [&[magic, 0][..], time, &[0xff; 4], &5_i32.to_be_bytes(), b"value"].concat();
    let crc = 0x1234_5678_u32.to_be_bytes();
    let size = u32::try_from(crc.len() + body.len()).expect("small").to_be_bytes();
    [&0_i64.to_be_bytes()[..], &size, &crc, &body].concat()
}

fn batch_seeds() -> Vec<Vec<u8>> {
    let idempotent = BatchOptions {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: 0,
        ..BatchOptions::default()
    };
    let mut seeds: Vec<Vec<u8>> = [0, 2, 4, 1]
        .into_iter()
        .flat_map(|first| {
            [BatchOptions::default(), idempotent].into_iter().flat_map(move |options| {
                sample_batches(options).into_iter().map(move |b| [&[first][..], &b].concat())
            })
        })
        .collect();
    seeds.extend([0, 1].map(|magic| [&[0][..], &old_message(magic)].concat()));
    seeds
}

fn codecs(input: &[u8]) {
    let (first, bytes) = split_byte(input);
    let codec = CODECS_OF_BATCHES[usize::from(first) % CODECS_OF_BATCHES.len()];
    match decompress(codec, bytes, BOUND) {
        Ok(plain) => {
            assert!(plain.len() as u64 <= BOUND);
            let packed = compress(codec, None, &plain).expect("what came out goes in");
            assert_eq!(decompress(codec, &packed, BOUND).as_ref(), Ok(&plain), "{codec:?}");
        }
        Err(CodecError::TooLarge(bound)) => assert_eq!(bound, BOUND),
        Err(CodecError::Malformed) => {}
    }
}

fn codec_seeds() -> Vec<Vec<u8>> {
    let texts = [b"".to_vec(), b"the quick brown fox ".repeat(20), vec![0; 100_000]];
    (0_u8..)
        .zip(CODECS_OF_BATCHES)
        .flat_map(|(first, codec)| {
            texts.clone().map(|text| {
                let packed = compress(codec, None, &text).expect("can be compressed");
                [&[first][..], &packed].concat()
            })
        })
        .collect()
}
