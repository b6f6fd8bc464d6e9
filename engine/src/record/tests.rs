//! Batches against an independent codec, and against everything that may be wrong with them.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as oracle;
use proptest::prelude::*;

use super::batch::{
    self, BatchHeader, HeaderError, TimestampType, sequence_add, sequence_sub, stamp_leader,
    stamp_timestamps,
};
use super::builder::{BatchBuilder, BatchOptions, seal};
use super::codec::{Codec, CodecError, Decompressor, compress, decompress};
use super::layout::{ATTRIBUTES, HEADER_BYTES, LOG_APPEND_TIME_BIT};
use super::recompress::recompress;
use super::records::{Record, RecordError, Records, plain_records};
use super::validate::{BatchError, Damage, Fault, ProduceRules, Refusal, validate_produce};
use super::varint::put_varint;

const NOW: i64 = 1_760_000_000_000;
const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// A record as a test writes it down.
#[derive(Debug, Clone, PartialEq)]
struct Plain {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn plain(timestamp: i64, key: Option<&str>, value: &str) -> Plain {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Plain { timestamp, key: key.map(bytes), value: Some(bytes(value)), headers: vec![] }
}

fn build(options: BatchOptions, records: &[Plain]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let headers: Vec<_> =
            record.headers.iter().map(|(k, v)| (k.as_bytes(), v.as_deref())).collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(record.timestamp, key, value, &headers).unwrap();
    }
    let size = builder.size_bytes();
    let batch = builder.finish();
    assert_eq!(batch.len(), size);
    batch
}

fn oracle_records(options: &BatchOptions, records: &[Plain]) -> Vec<oracle::Record> {
    let one = |(i, record): (usize, &Plain)| oracle::Record {
        transactional: options.transactional,
        control: options.control,
        delete_horizon: false,
        partition_leader_epoch: options.partition_leader_epoch,
        producer_id: options.producer_id,
        producer_epoch: options.producer_epoch,
        timestamp_type: oracle::TimestampType::Creation,
        offset: options.base_offset + i as i64,
        sequence: options.base_sequence + i as i32,
        timestamp: record.timestamp,
        key: record.key.clone().map(Bytes::from),
        value: record.value.clone().map(Bytes::from),
        headers: record
            .headers
            .iter()
            .map(|(k, v)| (StrBytes::from_string(k.clone()), v.clone().map(Bytes::from)))
            .collect(),
    };
    records.iter().enumerate().map(one).collect()
}

fn oracle_batch(options: &BatchOptions, records: &[Plain], codec: Codec) -> Bytes {
    let compression = match codec {
        Codec::None => oracle::Compression::None,
        Codec::Gzip => oracle::Compression::Gzip,
        Codec::Snappy => oracle::Compression::Snappy,
        Codec::Lz4 => oracle::Compression::Lz4,
        Codec::Zstd => oracle::Compression::Zstd,
    };
    let options = (oracle_records(options, records), compression);
    let mut out = BytesMut::new();
    let encode = oracle::RecordEncodeOptions { version: 2, compression: options.1 };
    oracle::RecordBatchEncoder::encode(&mut out, &options.0, &encode).unwrap();
    out.freeze()
}

fn rules() -> ProduceRules {
    ProduceRules {
        batch_bytes_max: 1_048_588,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        compacted: false,
        deep: true,
        decompressed_bytes_max: 8 * 1024 * 1024,
        zstd_allowed: true,
    }
}

/// Changes a batch's header and gives it the checksum it then has.
fn altered(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    change(&mut header);
    let mut bytes = batch.to_vec();
    seal(&header, &mut bytes);
    bytes.into()
}

fn three() -> Bytes {
    let records =
        [plain(NOW, Some("a"), "1"), plain(NOW + 5, None, "2"), plain(NOW + 2, Some("c"), "3")];
    build(BatchOptions::default(), &records)
}

fn some_records() -> impl Strategy<Value = Vec<Plain>> {
    let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..200));
    let headers = prop::collection::btree_map("[a-z]{0,8}", bytes(), 0..3)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>());
    let record = (0_i64..3_600_000, bytes(), bytes(), headers)
        .prop_map(|(ago, key, value, h)| Plain { timestamp: NOW - ago, key, value, headers: h });
    prop::collection::vec(record, 1..40)
}

fn some_options() -> impl Strategy<Value = BatchOptions> {
    let producer =
        prop_oneof![Just((-1_i64, -1_i16, -1_i32)), (0..i64::MAX, 0..i16::MAX, 0..i32::MAX - 100),];
    (producer, any::<bool>(), 0_i64..1 << 40, -1..1000_i32).prop_map(|(p, txn, base, epoch)| {
        BatchOptions {
            base_offset: base,
            partition_leader_epoch: epoch,
            producer_id: p.0,
            producer_epoch: p.1,
            base_sequence: p.2,
            transactional: txn && p.0 >= 0,
            ..BatchOptions::default()
        }
    })
}

/// A record read back, as the test wrote it down.
fn read_back(header: &BatchHeader, record: &Record<'_>) -> Plain {
    Plain {
        timestamp: header.base_timestamp + record.timestamp_delta,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: record
            .headers
            .iter()
            .map(|(k, v)| (String::from_utf8(k.to_vec()).unwrap(), v.map(<[u8]>::to_vec)))
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn built_batches_are_what_the_oracle_builds(
        options in some_options(), mut records in some_records()
    ) {
        // The oracle takes the smallest timestamp as base, Kafka and we the first.
        records.sort_by_key(|record| record.timestamp);
        prop_assert_eq!(
            build(options, &records),
            oracle_batch(&options, &records, Codec::None)
        );
    }

    #[test]
    fn the_oracle_reads_what_we_build(options in some_options(), records in some_records()) {
        let mut batch = build(options, &records);
        let sets = oracle::RecordBatchDecoder::decode_all(&mut batch).unwrap();
        prop_assert_eq!(sets.len(), 1);
        let mut expected = oracle_records(&options, &records);
        if options.base_sequence < 0 {
            for (record, read) in expected.iter_mut().zip(&sets[0].records) {
                record.sequence = read.sequence;
            }
        }
        prop_assert_eq!(&sets[0].records, &expected);
    }

    #[test]
    fn every_codec_of_the_oracle_is_read_and_validated(
        records in some_records(), codec in prop::sample::select(&CODECS[..])
    ) {
        let options = BatchOptions {
            producer_id: 7, producer_epoch: 0, base_sequence: 3, ..BatchOptions::default()
        };
        let batch = oracle_batch(&options, &records, codec);
        let header = BatchHeader::parse(&batch).unwrap();
        prop_assert_eq!(header.codec(), Some(codec));
        let bytes = plain_records(&header, &batch, 1 << 20).unwrap();
        let read: Vec<_> = Records::new(&bytes, header.record_count)
            .map(|record| read_back(&header, &record.unwrap()))
            .collect();
        prop_assert_eq!(&read, &records);

        let valid = validate_produce(&batch, &rules(), NOW).unwrap();
        let newest = records.iter().map(|r| r.timestamp).max().unwrap();
        let place = records.iter().position(|r| r.timestamp == newest).unwrap();
        prop_assert_eq!(valid.max_timestamp, newest);
        prop_assert_eq!(valid.max_timestamp_delta, Some(place as i32));
        prop_assert_eq!(valid.record_count as usize, records.len());
        prop_assert_eq!(valid.restamp, None);
        let shallow = ProduceRules { deep: false, ..rules() };
        let trusted = validate_produce(&batch, &shallow, NOW).unwrap();
        prop_assert_eq!(trusted.max_timestamp, newest);
    }

    #[test]
    fn the_oracle_reads_what_we_recompress(
        records in some_records(), codec in prop::sample::select(&CODECS[..])
    ) {
        let options = BatchOptions { base_offset: 9, ..BatchOptions::default() };
        let batch = build(options, &records);
        let header = BatchHeader::parse(&batch).unwrap();
        let mut packed = recompress(&batch, &header, codec, None, 1 << 20).unwrap();
        let set = oracle::RecordBatchDecoder::decode(&mut packed).unwrap();
        let values: Vec<_> = set.records.iter().map(|r| (r.offset, r.value.clone())).collect();
        let expected: Vec<_> = oracle_records(&options, &records)
            .iter().map(|r| (r.offset, r.value.clone())).collect();
        prop_assert_eq!(values, expected);
    }

    #[test]
    fn flipped_bits_never_pass_or_panic(
        at in 0_usize..10_000, bit in 0_u8..8, codec in prop::sample::select(&CODECS[..])
    ) {
        let options = BatchOptions::default();
        let records = [plain(NOW, Some("key"), "value"), plain(NOW, None, "other value")];
        let mut bytes = oracle_batch(&options, &records, codec).to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        // The leader epoch lies outside of the checksum, and the leader overwrites it.
        let passes = (12..16).contains(&at);
        prop_assert_eq!(validate_produce(&bytes.into(), &rules(), NOW).is_ok(), passes);
    }

    #[test]
    fn any_records_with_a_true_checksum_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300), count in 1_i32..40, id in 0_i16..8
    ) {
        let mut whole = vec![0; HEADER_BYTES];
        whole.extend_from_slice(&bytes);
        let header = BatchHeader {
            batch_length: (whole.len() - 12) as i32,
            attributes: id,
            last_offset_delta: count - 1,
            record_count: count,
            max_timestamp: NOW,
            ..BatchHeader::parse(&three()).unwrap()
        };
        seal(&header, &mut whole);
        let result = validate_produce(&whole.into(), &rules(), NOW);
        if bytes.len() < 7 * count as usize && id == 0 {
            prop_assert!(result.is_err());
        }
    }

    #[test]
    fn any_compressed_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        codec in prop::sample::select(&CODECS[..])
    ) {
        if let Ok(out) = decompress(codec, &bytes, 1 << 20) {
            prop_assert!(out.len() <= 1 << 20);
        }
    }

    #[test]
    fn sequences_wrap(sequence in 0..=i32::MAX, by in 0..=i32::MAX) {
        let sum = sequence_add(sequence, by);
        prop_assert_eq!(i64::from(sum), (i64::from(sequence) + i64::from(by)) % (1 << 31));
        prop_assert_eq!(sequence_sub(sum, by), sequence);
    }
}

#[test]
fn header_fields_and_stamps() {
    let batch = three();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!(header.size_bytes(), batch.len());
    assert_eq!((header.last_offset(), header.record_count), (2, 3));
    assert_eq!((header.base_timestamp, header.max_timestamp), (NOW, NOW + 5));
    assert_eq!((header.base_sequence, header.last_sequence()), (-1, -1));
    assert_eq!(header.to_bytes()[..], batch[..HEADER_BYTES]);

    let mut bytes = batch.to_vec();
    let (head, records) = bytes.split_first_chunk_mut::<HEADER_BYTES>().unwrap();
    stamp_leader(head, 1_000, 8);
    let stamped = BatchHeader::parse(head).unwrap();
    assert_eq!((stamped.base_offset, stamped.partition_leader_epoch), (1_000, 8));
    assert_eq!((stamped.last_offset(), stamped.next_offset()), (1_002, 1_003));
    assert_eq!(batch::checksum(head, records), stamped.crc);

    stamp_timestamps(head, records, TimestampType::LogAppendTime, NOW + 99);
    let stamped = BatchHeader::parse(head).unwrap();
    assert_eq!(stamped.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(stamped.max_timestamp, NOW + 99);
    assert_eq!(batch::checksum(head, records), stamped.crc);
    let set = oracle::RecordBatchDecoder::decode(&mut Bytes::from(bytes)).unwrap();
    assert_eq!(set.records[1].timestamp_type, oracle::TimestampType::LogAppend);
    assert_eq!(set.records[1].offset, 1_001);
}

#[test]
fn headers_that_are_none() {
    let batch = three();
    assert_eq!(BatchHeader::parse(&batch[..60]), Err(HeaderError::Short(60)));
    let mut bytes = batch.to_vec();
    bytes[16] = 1;
    assert_eq!(BatchHeader::parse(&bytes), Err(HeaderError::Magic(1)));
    bytes[16] = 2;
    bytes[8..12].copy_from_slice(&48_i32.to_be_bytes());
    assert_eq!(BatchHeader::parse(&bytes), Err(HeaderError::Length(48)));
}

#[test]
fn whole_batches_that_are_refused() {
    let batch = three();
    let raw = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = batch.to_vec();
        change(&mut bytes);
        Bytes::from(bytes)
    };
    let put = |at: usize, with: &'static [u8]| {
        raw(&move |b: &mut Vec<u8>| b[at..at + with.len()].copy_from_slice(with))
    };
    let invalid = BatchError::Invalid;
    let table = [
        ("empty", Bytes::new(), invalid(Fault::Missing)),
        ("cut", batch.slice(..batch.len() - 1), invalid(Fault::Missing)),
        ("twelve bytes", batch.slice(..12), invalid(Fault::Missing)),
        ("negative length", put(8, &[255; 4]), BatchError::Corrupt(Damage::Length(-1))),
        ("short length", put(8, &[0, 0, 0, 13]), BatchError::Corrupt(Damage::Length(13))),
        ("no header", put(8, &[0, 0, 0, 20]), BatchError::Corrupt(Damage::Length(20))),
        ("huge length", put(8, &[127, 255, 255, 255]), invalid(Fault::Missing)),
        ("old magic", put(16, &[1]), invalid(Fault::Magic(1))),
        ("no magic", put(16, &[3]), BatchError::Corrupt(Damage::Magic(3))),
        ("two", raw(&|b| b.extend_from_slice(&three())), invalid(Fault::MoreThanOne)),
        ("rest", raw(&|b| b.push(0)), invalid(Fault::MoreThanOne)),
        ("base offset", put(7, &[1]), invalid(Fault::BaseOffset(1))),
        ("count 0", altered(&batch, |h| h.record_count = 0), invalid(Fault::Count(0))),
        ("range", altered(&batch, |h| h.last_offset_delta = -1), invalid(Fault::OffsetRange(-1))),
        (
            "mismatch",
            altered(&batch, |h| h.record_count = 4),
            invalid(Fault::CountMismatch { count: 4, last_offset_delta: 2 }),
        ),
        (
            "more declared",
            altered(&batch, |h| (h.record_count, h.last_offset_delta) = (4, 3)),
            invalid(Fault::Record { index: 3, error: RecordError::BatchShort }),
        ),
        (
            "fewer declared",
            altered(&batch, |h| (h.record_count, h.last_offset_delta) = (2, 1)),
            invalid(Fault::Record { index: 2, error: RecordError::BatchTrailing }),
        ),
        ("control", altered(&batch, |h| h.attributes = 0x20), invalid(Fault::Control)),
        (
            "no sequence",
            altered(&batch, |h| (h.producer_id, h.producer_epoch) = (1, 0)),
            invalid(Fault::Sequence(-1)),
        ),
        ("codec 5", altered(&batch, |h| h.attributes = 5), BatchError::UnsupportedCompression(5)),
        ("not gzip", altered(&batch, |h| h.attributes = 1), invalid(Fault::Compression)),
        ("not lz4", altered(&batch, |h| h.attributes = 3), invalid(Fault::Compression)),
        ("not zstd", altered(&batch, |h| h.attributes = 4), invalid(Fault::Compression)),
    ];
    for (name, bytes, error) in table {
        assert_eq!(validate_produce(&bytes, &rules(), NOW), Err(error), "{name}");
    }
    assert!(matches!(
        validate_produce(&put(70, &[9]), &rules(), NOW),
        Err(BatchError::Corrupt(Damage::Checksum { .. }))
    ));
    let small = ProduceRules { batch_bytes_max: batch.len() - 1, ..rules() };
    assert!(matches!(validate_produce(&batch, &small, NOW), Err(BatchError::TooLarge { .. })));
    let exact = ProduceRules { batch_bytes_max: batch.len(), ..rules() };
    assert!(validate_produce(&batch, &exact, NOW).is_ok());
    let old = ProduceRules { zstd_allowed: false, ..rules() };
    let zstd = oracle_batch(&BatchOptions::default(), &[plain(NOW, None, "x")], Codec::Zstd);
    assert_eq!(validate_produce(&zstd, &old, NOW), Err(BatchError::UnsupportedCompression(4)));
}

#[test]
fn wrong_offset_deltas_are_refused() {
    for codec in [Codec::None, Codec::Gzip] {
        let mut records = oracle_records(
            &BatchOptions::default(),
            &[plain(NOW, None, "a"), plain(NOW, None, "b")],
        );
        records[1].offset = 2;
        records[1].sequence = 1;
        let compression = match codec {
            Codec::None => oracle::Compression::None,
            _ => oracle::Compression::Gzip,
        };
        let mut out = BytesMut::new();
        let encode = oracle::RecordEncodeOptions { version: 2, compression };
        oracle::RecordBatchEncoder::encode(&mut out, &records, &encode).unwrap();
        let batch = altered(&out.freeze(), |h| h.last_offset_delta = 1);
        assert_eq!(
            validate_produce(&batch, &rules(), NOW),
            Err(BatchError::Invalid(Fault::OffsetDelta { index: 1, offset_delta: 2 })),
            "{codec:?}"
        );
    }
}

#[test]
fn single_records_that_are_refused() {
    let compacted = ProduceRules { compacted: true, deep: false, ..rules() };
    let hour = 3_600_000;
    let records = [
        plain(NOW, None, "x"),
        plain(NOW + hour + 1, Some("k"), "y"),
        plain(NOW + hour, Some("k"), "z"),
        plain(-1, Some("k"), "none"),
    ];
    for codec in CODECS {
        let batch = oracle_batch(&BatchOptions::default(), &records, codec);
        let Err(BatchError::InvalidTimestamps(refused)) = validate_produce(&batch, &compacted, NOW)
        else {
            panic!("{codec:?} passes")
        };
        assert_eq!(refused.iter().map(|r| r.batch_index).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(refused[0].reason, Refusal::NullKey);
        let batch = oracle_batch(&BatchOptions::default(), &records[..1], codec);
        let refused = validate_produce(&batch, &compacted, NOW);
        assert!(matches!(refused, Err(BatchError::InvalidRecords(r)) if r.len() == 1));
        let recent = ProduceRules { timestamp_before_max_ms: 10, deep: false, ..rules() };
        let batch = oracle_batch(&BatchOptions::default(), &[plain(NOW - 11, None, "x")], codec);
        let refused = validate_produce(&batch, &recent, NOW);
        assert!(matches!(refused, Err(BatchError::InvalidTimestamps(r)) if r.len() == 1));
    }
}

#[test]
fn log_append_time() {
    let broker_time = ProduceRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    let far = build(BatchOptions::default(), &[plain(NOW * 2, None, "x")]);
    let valid = validate_produce(&far, &broker_time, NOW).unwrap();
    assert_eq!(valid.restamp, Some((TimestampType::LogAppendTime, NOW)));
    assert_eq!((valid.log_append_time, valid.max_timestamp), (Some(NOW), NOW));
    // A client may not claim it.
    let claims = altered(&three(), |h| h.attributes |= LOG_APPEND_TIME_BIT);
    let refused = validate_produce(&claims, &broker_time, NOW);
    let Err(BatchError::InvalidTimestamps(refused)) = refused else { panic!("passes") };
    assert!(refused.iter().all(|r| r.reason == Refusal::LogAppendTime));
    // Where clients give the time, the broker takes the bit away, as Kafka does.
    let valid = validate_produce(&claims, &rules(), NOW).unwrap();
    assert_eq!(valid.restamp, Some((TimestampType::CreateTime, NOW + 5)));
    // A header with another max timestamp than its records is put right.
    let wrong = altered(&three(), |h| h.max_timestamp = NOW);
    let valid = validate_produce(&wrong, &rules(), NOW).unwrap();
    assert_eq!(valid.restamp, Some((TimestampType::CreateTime, NOW + 5)));
    assert_eq!(valid.max_timestamp_delta, Some(1));
}

#[test]
fn bombs_stop_at_the_bound() {
    let value = "\0".repeat(4 << 20);
    let tight = ProduceRules { decompressed_bytes_max: 1 << 20, ..rules() };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let batch = oracle_batch(&BatchOptions::default(), &[plain(NOW, None, &value)], codec);
        let refused = validate_produce(&batch, &tight, NOW);
        let max = 1 << 20;
        assert_eq!(refused, Err(BatchError::TooLarge { size: max + 1, max }), "{codec:?}");
        assert!(validate_produce(&batch, &rules(), NOW).is_ok(), "{codec:?}");
    }
    // A bare snappy block that claims 4 GiB in five bytes.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(decompress(Codec::Snappy, &lie, 1 << 20), Err(CodecError::Malformed));
    // One that is true, and larger than a block may be.
    let large = snap::raw::Encoder::new().compress_vec(&vec![0; 65 << 20]).unwrap();
    assert_eq!(decompress(Codec::Snappy, &large, 1 << 30), Err(CodecError::TooLarge(64 << 20)));
}

#[test]
fn compressed_forms() {
    let text = "the quick brown fox ".repeat(5_000);
    for codec in CODECS {
        let packed = compress(codec, None, text.as_bytes()).unwrap();
        assert_eq!(decompress(codec, &packed, 1 << 20).unwrap(), text.as_bytes(), "{codec:?}");
        assert_eq!(
            decompress(codec, &packed, 1_000),
            Err(CodecError::TooLarge(1_000)),
            "{codec:?}"
        );
        if codec != Codec::None {
            let cut = decompress(codec, &packed[..packed.len() / 2], 1 << 20);
            assert!(cut.is_err() || cut.unwrap().len() < text.len(), "{codec:?}");
        }
    }
    let bare = snap::raw::Encoder::new().compress_vec(text.as_bytes()).unwrap();
    assert_eq!(decompress(Codec::Snappy, &bare, 1 << 20).unwrap(), text.as_bytes());
    let mut joined = compress(Codec::Snappy, None, b"one ").unwrap();
    joined.extend(compress(Codec::Snappy, None, b"two").unwrap());
    assert_eq!(decompress(Codec::Snappy, &joined, 99).unwrap(), b"one two");
    let level = compress(Codec::Gzip, Some(9), text.as_bytes()).unwrap();
    assert_eq!(decompress(Codec::Gzip, &level, 1 << 20).unwrap(), text.as_bytes());
    assert!(Decompressor::new(Codec::Lz4, &[4, 0x22, 0x4d, 0x18, 0x40, 0x40], 9).is_err());
}

#[test]
fn lying_records() {
    let record = |body: &[u8]| {
        let mut out = Vec::new();
        put_varint(&mut out, body.len() as i32);
        out.extend_from_slice(body);
        out
    };
    let good = record(&[0, 0, 0, 1, 1, 0]);
    assert_eq!(Records::new(&good, 1).count(), 1);
    for (name, bytes, error) in [
        ("no bytes", vec![], RecordError::BatchShort),
        ("negative length", vec![1], RecordError::Length),
        ("too long", vec![100, 0], RecordError::Length),
        ("empty", vec![0], RecordError::Length),
        ("endless number", vec![0x80; 12], RecordError::Number),
        ("no offset", record(&[0, 0]), RecordError::Number),
        ("key too long", record(&[0, 0, 0, 50, 1, 0]), RecordError::Length),
        ("key of -2", record(&[0, 0, 0, 3, 1, 0]), RecordError::Length),
        (
            "many headers",
            record(&[0, 0, 0, 1, 1, 0x80, 0x80, 0x80, 2]),
            RecordError::HeaderCount(1 << 21),
        ),
        ("negative headers", record(&[0, 0, 0, 1, 1, 1]), RecordError::HeaderCount(-1)),
        ("null header key", record(&[0, 0, 0, 1, 1, 2, 1, 1]), RecordError::Length),
        ("rest", record(&[0, 0, 0, 1, 1, 0, 9]), RecordError::Trailing),
    ] {
        let mut records = Records::new(&bytes, 1);
        assert_eq!(records.next(), Some(Err(error)), "{name}");
        assert_eq!(records.next(), None, "{name}");
        if !bytes.is_empty() {
            let packed = compress(Codec::Gzip, None, &bytes).unwrap();
            let source = Decompressor::new(Codec::Gzip, &packed, 1 << 20).unwrap();
            assert!(super::stream::RecordStream::new(source, 1).next_outline().is_err(), "{name}");
        }
    }
    let mut trailing = good;
    trailing.push(0);
    let last = Records::new(&trailing, 1).last();
    assert_eq!(last, Some(Err(RecordError::BatchTrailing)));
    assert_eq!(Records::new(&[], 0).next(), None);
}

#[test]
fn repeated_header_keys_are_kept() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder
        .push(NOW, None, None, &[(b"k", Some(b"1")), (b"k", None), (b"\xff", Some(b""))])
        .unwrap();
    let batch = builder.finish();
    let record = Records::new(&batch[HEADER_BYTES..], 1).next().unwrap().unwrap();
    let headers: Vec<_> = record.headers.iter().collect();
    assert_eq!(
        headers,
        [(&b"k"[..], Some(&b"1"[..])), (&b"k"[..], None), (&b"\xff"[..], Some(&b""[..])),]
    );
}

#[test]
fn attributes_begin_the_checksum() {
    let batch = three();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!(crc32c::crc32c(&batch[ATTRIBUTES..]), header.crc);
}
