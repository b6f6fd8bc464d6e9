//! What the broker reads from disk: segments, indexes, journals, snapshots, checkpoints, and the records
//! of the metadata log and of groups.

use bytes::Bytes;
use millrace_engine::codec::{Message, Sampler};
use millrace_engine::group::record::{
    GroupValueFields, StoredOffset, decode, group_record, offset_record,
};
use millrace_engine::journal::format::{
    EntryHeader, EntryItem, FORMAT_VERSION, Superblock, archive_bytes, entry_archive, payload_at,
    write_entry_header, write_superblock,
};
use millrace_engine::journal::replay;
use millrace_engine::limits::BLOCK_BYTES;
use millrace_engine::log::checkpoint::{
    MetaProperties, PartitionOffset, checked, format_clean_shutdown, format_offsets,
    format_partition_metadata, parse_clean_shutdown, parse_offsets, parse_partition_metadata,
    with_checksum,
};
use millrace_engine::log::files::{LogFile, PartitionDirectory};
use millrace_engine::log::index::{OffsetIndex, SealedIndex, TimeIndex};
use millrace_engine::log::scan::{DamageProbe, ScanRules, SegmentScanner};
use millrace_engine::metadata::loader::Loader;
use millrace_engine::metadata::quorum_state::QuorumState;
use millrace_engine::metadata::record::MetadataRecord;
use millrace_engine::metadata::snapshot::SnapshotId;
use millrace_engine::metadata::{Image, bootstrap, snapshot};
use millrace_engine::partition::epochs::Epochs;
use millrace_engine::partition::producer_snapshot;
use millrace_engine::partition::producers::ProducerEntry;
use millrace_engine::record::batch::{BatchHeader, stamp_leader};
use millrace_engine::record::builder::BatchOptions;
use millrace_engine::record::layout::HEADER_BYTES;
use millrace_engine::types::Uuid;

use crate::records::{resealed, sample_batches};
use crate::{Target, split_byte};

const MIB: usize = 1024 * 1024;
/// Larger batches are no batches for the scanner under test. Bytes.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Entries of a made-up journal file.
const ENTRIES_MAX: u64 = 64;

/// The scan of a segment, and the look behind the place where it stopped.
pub const SEGMENT: Target = Target {
    name: "segment",
    seeds: segment_seeds,
    run: segment,
    memory_max: |input| 8 * input + MIB,
};

/// Offset and time index.
pub const INDEX: Target =
    Target { name: "index", seeds: index_seeds, run: index, memory_max: |input| 4 * input + MIB };

/// A journal file.
pub const JOURNAL: Target = Target {
    name: "journal",
    seeds: journal_seeds,
    run: journal,
    memory_max: |input| 64 * input + 4 * MIB,
};

/// A producer snapshot.
pub const PRODUCER_SNAPSHOT: Target = Target {
    name: "producer-snapshot",
    seeds: snapshot_seeds,
    run: producer_snapshot,
    memory_max: |input| 8 * input + MIB,
};

/// Small text files, and the names of files.
pub const CHECKPOINTS: Target = Target {
    name: "checkpoints",
    seeds: checkpoint_seeds,
    run: checkpoints,
    memory_max: |input| 100 * input + MIB,
};

/// The metadata log, its snapshots and its records.
pub const METADATA: Target = Target {
    name: "metadata",
    seeds: metadata_seeds,
    run: metadata,
    memory_max: |input| 64 * MIB + 400 * input,
};

/// Records of the log of groups.
pub const GROUPS: Target = Target {
    name: "groups",
    seeds: group_seeds,
    run: groups,
    memory_max: |input| 40 * input + MIB,
};

/// A log of batches one behind the other, with the offsets that a leader gives.
pub fn sample_log() -> Vec<u8> {
    let mut log = Vec::new();
    let mut next = 0;
    for batch in sample_batches(BatchOptions::default()) {
        let mut bytes = batch.to_vec();
        let (head, _) = bytes.split_first_chunk_mut::<HEADER_BYTES>().expect("a whole batch");
        stamp_leader(head, next, 0);
        next += i64::from(BatchHeader::parse(&bytes).expect("a batch").record_count);
        log.extend_from_slice(&bytes);
    }
    log
}

/// The checksums of all batches made right, as far as lengths lead from one to the next.
pub fn resealed_log(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Ok(header) = BatchHeader::parse(rest)
        && let Some((batch, behind)) = rest.split_at_checked(header.size_bytes())
        && let Some(sealed) = resealed(batch)
    {
        out.extend_from_slice(&sealed);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out
}

fn segment(input: &[u8]) {
    let (first, bytes) = split_byte(input);
    let log = if first & 1 == 0 { resealed_log(bytes) } else { bytes.to_vec() };
    let rules = ScanRules {
        first_offset: 0,
        position: 0,
        batch_bytes_max: BATCH_BYTES_MAX,
        gaps: first & 2 != 0,
    };
    let piece = 1 + usize::from(first) * 5;
    let mut scanner = SegmentScanner::new(rules);
    let (mut at, mut next) = (0, 0);
    for chunk in log.chunks(piece) {
        scanner.feed(chunk, |batch| {
            assert_eq!(batch.position, at, "batches stand one behind the other");
            assert!(batch.header.base_offset >= next);
            assert_eq!(batch.bytes.len(), batch.header.size_bytes());
            at += batch.bytes.len() as u64;
            next = batch.header.next_offset();
        });
    }
    let end = scanner.finish();
    assert_eq!((end.position, end.next_offset), (at, next));
    // The same in one piece.
    let mut whole = SegmentScanner::new(rules);
    whole.feed(&log, |_| {});
    let whole = whole.finish();
    assert_eq!((end.position, end.next_offset), (whole.position, whole.next_offset));
    let rest = log.get(usize::try_from(at).expect("small")..).unwrap_or_default();
    let mut probe = DamageProbe::new(next, at, BATCH_BYTES_MAX);
    for chunk in rest.chunks(piece) {
        probe.feed(chunk);
    }
    let mut once = DamageProbe::new(next, at, BATCH_BYTES_MAX);
    once.feed(rest);
    assert_eq!(probe.finish(), once.finish());
}

fn segment_seeds() -> Vec<Vec<u8>> {
    let log = sample_log();
    let with = |first: u8, bytes: &[u8]| [&[first][..], bytes].concat();
    let torn = [&log[..log.len() - 9], &[0; 600]].concat();
    vec![with(0, &log), with(3, &log), with(40, &torn), with(255, &[0; 300])]
}

fn index(input: &[u8]) {
    let (first, bytes) = split_byte(input);
    let base = i64::from(first) << 40;
    let (offsets, times) = bytes.split_at(bytes.len() / 2);
    let bound = base + i64::from(i32::MAX);
    if let Ok(index) = OffsetIndex::load(base, offsets, u64::MAX) {
        for n in 0..index.len() {
            let entry = index.entry(n).expect("there are so many");
            assert_eq!(index.lookup(entry.offset), entry);
            assert_eq!(index.first_at(entry.position), Some(entry));
        }
        assert_eq!(index.lookup(base - 1).position, 0);
    }
    if let Ok(index) = TimeIndex::load(base, times, bound) {
        for n in 0..index.len() {
            let entry = index.entry(n).expect("there are so many");
            assert!(entry.offset < bound);
            assert!(index.lookup(entry.timestamp) <= entry.offset);
        }
    }
    if let Ok(sealed) = SealedIndex::load(base, offsets, times, 1 << 20, bound) {
        let found = sealed.offsets().lookup(bound);
        assert!(u64::from(found.position) < 1 << 20);
        assert!(sealed.times().lookup(i64::MAX) >= base);
    }
}

fn index_seeds() -> Vec<Vec<u8>> {
    let (mut offsets, mut times) = (Vec::new(), Vec::new());
    for i in 1..=12_i32 {
        offsets.extend_from_slice(&(i * 10).to_be_bytes());
        offsets.extend_from_slice(&(i * 33_000).to_be_bytes());
    }
    for i in 1..=8_i32 {
        times.extend_from_slice(&(1_700_000_000_000 + i64::from(i)).to_be_bytes());
        times.extend_from_slice(&(i * 10).to_be_bytes());
    }
    vec![[&[0][..], &offsets, &times].concat(), [&[200][..], &offsets, &times].concat()]
}

fn journal(input: &[u8]) {
    let (first, bytes) = split_byte(input);
    let file = if first & 1 == 0 { made_up_journal(bytes) } else { bytes.to_vec() };
    let file = Bytes::from(file);
    if let Ok(content) = replay::read_file(&file) {
        let redo: usize = content.redo.iter().map(|(_, redo)| redo.bytes.len()).sum();
        assert!(redo <= file.len());
        let (merged, highest) = replay::merge(vec![content]);
        assert!(merged.values().all(|runs| !runs.is_empty()));
        assert!(highest <= u64::MAX / 2 || !bytes.is_empty());
    }
}

/// Takes numbers out of the input.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    /// A number of so many bytes; zeros follow the input.
    fn take(&mut self, width: usize) -> u64 {
        let (now, later) = self.0.split_at(width.min(self.0.len()));
        self.0 = later;
        now.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// A file whose frames have right checksums and whose headers say what the input says.
fn made_up_journal(input: &[u8]) -> Vec<u8> {
    let mut numbers = Numbers(input);
    let mut file = vec![0; BLOCK_BYTES];
    let file_sequence = numbers.take(1);
    let format_version = if numbers.take(1) == 7 { u32::MAX } else { FORMAT_VERSION };
    write_superblock(&Superblock { format_version, file_sequence, shard: 0 }, &mut file);
    for entry_sequence in 0..ENTRIES_MAX {
        if numbers.0.is_empty() {
            break;
        }
        let lie = numbers.take(1);
        let payload: Vec<u8> = (0..numbers.take(1)).map(|i| i as u8).collect();
        let items: Vec<EntryItem> = (0..numbers.take(1) % 5)
            .map(|_| EntryItem {
                topic_id: Uuid(7).to_bytes(),
                partition: numbers.take(1) as i32,
                segment: 0,
                position: numbers.take(1),
                bytes: if lie & 1 == 0 { numbers.take(1) as u32 } else { numbers.take(4) as u32 },
                is_aside: lie & 64 != 0,
            })
            .collect();
        let said = |lie: bool, number: u64, numbers: &mut Numbers<'_>| {
            if lie { numbers.take(8) } else { number }
        };
        let payload_bytes = said(lie & 2 != 0, payload.len() as u64, &mut numbers);
        let room =
            (payload_at(archive_bytes(items.len())) + payload.len()).next_multiple_of(BLOCK_BYTES);
        let header = EntryHeader {
            file_sequence: said(lie & 4 != 0, file_sequence, &mut numbers),
            entry_sequence: said(lie & 8 != 0, entry_sequence, &mut numbers),
            entry_bytes: said(lie & 16 != 0, room as u64, &mut numbers),
            payload_bytes,
            payload_crc: crc32c::crc32c(&payload) ^ u32::from(lie & 32 != 0),
            items,
        };
        let archive = entry_archive(&header);
        let at = payload_at(archive.len());
        let start = file.len();
        file.resize(start + room, 0);
        write_entry_header(&archive, &mut file[start..start + at]);
        file[start + at..start + at + payload.len()].copy_from_slice(&payload);
    }
    file
}

fn journal_seeds() -> Vec<Vec<u8>> {
    let plain = [0, 1, 0, 0, 30, 2, 0, 0, 10, 1, 0, 20, 0, 5, 1, 0, 0, 5];
    let lying =
        [0, 1, 0, 2, 30, 1, 0, 0, 10, 0, 0, 0, 0, 0, 0, 1, 0, 16, 4, 0, 0, 0, 0, 0, 0, 16, 0];
    let file = made_up_journal(&plain[1..]);
    vec![plain.to_vec(), lying.to_vec(), [&[1][..], &file].concat()]
}

fn producer_snapshot(input: &[u8]) {
    let (first, bytes) = split_byte(input);
    let mut file = bytes.to_vec();
    if first & 1 == 0
        && let Some(entries) = file.get(6..)
    {
        // The checksum made right.
        let crc = crc32c::crc32c(entries);
        file[2..6].copy_from_slice(&crc.to_be_bytes());
    }
    if let Ok(entries) = producer_snapshot::decode(&file) {
        let again = producer_snapshot::decode(&producer_snapshot::encode(&entries));
        assert_eq!(again.as_ref(), Ok(&entries));
    }
}

fn snapshot_seeds() -> Vec<Vec<u8>> {
    let entry = |producer_id| ProducerEntry {
        producer_id,
        epoch: 3,
        last_batch: None,
        last_timestamp: 1_700_000_000_000,
        coordinator_epoch: -1,
        transaction_first_offset: Some(5),
    };
    [0, 1, 9]
        .map(|count| {
            let entries: Vec<_> = (0..count).map(entry).collect();
            [&[0][..], &producer_snapshot::encode(&entries)].concat()
        })
        .to_vec()
}

fn checkpoints(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(offsets) = parse_offsets(&text) {
        assert_eq!(parse_offsets(&format_offsets(&offsets)), Ok(offsets));
    }
    if let Ok(content) = checked(&text).map(str::to_owned)
        && content != text
    {
        assert_eq!(with_checksum(content), text);
    }
    if let Ok(id) = parse_partition_metadata(&text) {
        assert_eq!(parse_partition_metadata(&format_partition_metadata(id)), Ok(id));
    }
    if let Some(epoch) = parse_clean_shutdown(&text) {
        assert_eq!(parse_clean_shutdown(&format_clean_shutdown(epoch)), Some(epoch));
    }
    if let Ok(properties) = MetaProperties::from_text(&text) {
        assert_eq!(MetaProperties::from_text(&properties.to_text()), Ok(properties));
    }
    if let Ok(epochs) = Epochs::from_text(&text) {
        let again = Epochs::from_text(&epochs.to_text()).expect("what is written is read");
        assert_eq!(again.to_text(), epochs.to_text());
    }
    QuorumState::parse(&text).map_or_else(drop, drop);
    if let Some(file) = LogFile::parse(&text) {
        assert!(text.contains(file.kind.suffix()));
    }
    drop(PartitionDirectory::parse(&text));
    if let Some(id) = SnapshotId::from_file_name(&text) {
        assert_eq!(SnapshotId::from_file_name(&id.file_name()), Some(id));
    }
}

fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let offset = |partition| PartitionOffset { topic: "orders".to_owned(), partition, offset: 77 };
    [
        format_offsets(&[offset(0), offset(1)]),
        with_checksum(format_offsets(&[offset(2)])),
        format_partition_metadata(Uuid(9)),
        format_clean_shutdown(5),
        "#\ncluster.id=AAAAAAAAAAAAAAAAAAAACQ\ndirectory.id=AAAAAAAAAAAAAAAAAAAACg\nnode.id=1\nversion=1\n".to_owned(),
        "0\n2\n0 0\n4 77\n".to_owned(),
        "{\"leaderId\":1,\"leaderEpoch\":2,\"votedId\":1,\"data_version\":1}".to_owned(),
        "00000000000000000042.timeindex".to_owned(),
        "orders-3.5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f-delete".to_owned(),
        SnapshotId::BOOTSTRAP.file_name(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn metadata(input: &[u8]) {
    let (first, bytes) = split_byte(input);
    match first % 3 {
        0 => {
            let log = resealed_log(bytes);
            let mut loader = Loader::new();
            if let Ok(taken) = loader.feed(&log) {
                assert!(taken <= log.len());
                let loaded = loader.finish();
                assert!(loaded.next_offset >= 0);
                let written = snapshot::write(&loaded.image, 0);
                let written = written.expect("what was read can be written");
                let id = SnapshotId::of(&loaded.image);
                let read = snapshot::read(id, &written, &Image::default());
                let read = read.expect("what was written can be read");
                assert!(read.image.is_same_state(&loaded.image));
            }
        }
        1 => {
            let log = resealed_log(bytes);
            let read = snapshot::read(SnapshotId::BOOTSTRAP, &log, &Image::default());
            drop(read);
        }
        _ => drop(MetadataRecord::decode(Bytes::copy_from_slice(bytes))),
    }
}

fn metadata_seeds() -> Vec<Vec<u8>> {
    let snapshot = bootstrap::snapshot(0).expect("small");
    let with = |first: u8, bytes: &[u8]| [&[first][..], bytes].concat();
    let mut seeds = vec![with(0, &snapshot), with(1, &snapshot)];
    let records = bootstrap::records();
    let encoded = records.iter().map(|record| record.encode(0).expect("small"));
    seeds.extend(encoded.map(|value| with(2, &value)));
    // The first three bytes of a value say which record it is: all kinds, mostly empty.
    seeds.extend((0..30).map(|kind| [&[2, 1, kind, 0][..], &[0; 40]].concat()));
    seeds
}

/// The first two bytes are the length of the key.
fn groups(input: &[u8]) {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (key, value) = rest.split_at(length);
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    let value = (!value.is_empty()).then_some(&value);
    drop(decode(Some(&key), value));
}

fn group_seeds() -> Vec<Vec<u8>> {
    let stored = StoredOffset {
        offset: 5,
        leader_epoch: 1,
        metadata: "note".to_owned(),
        committed_ms: 7,
        expires_ms: None,
        topic_id: Uuid(3),
    };
    let group = GroupValueFields::sample_of(4, &mut Sampler::new(3));
    let place = ("group", "orders", 3);
    [
        offset_record(1, place, Some(&stored)),
        offset_record(1, place, None),
        group_record(1, "group", Some(&group)),
    ]
    .into_iter()
    .map(|record| {
        let record = record.expect("small");
        let key = record.key.unwrap_or_default();
        let length = u16::try_from(key.len()).expect("short").to_be_bytes();
        [&length[..], &key, &record.value.unwrap_or_default()].concat()
    })
    .collect()
}
