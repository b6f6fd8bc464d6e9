//! `verify` and `inspect` on log directories that are made here, whole and damaged.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use millrace_engine::job::journal_file::journal_name;
use millrace_engine::journal::format::{
    EntryHeader, EntryItem, FORMAT_VERSION, Superblock, entry_archive, payload_at,
    write_entry_header, write_superblock,
};
use millrace_engine::limits::{BLOCK_BYTES, JOURNAL_FILE_BYTES};
use millrace_engine::log::checkpoint::{
    CLEAN_SHUTDOWN, META_PROPERTIES, MetaProperties, PARTITION_METADATA, PartitionOffset,
    RECOVERY_POINTS, format_clean_shutdown, format_offsets, format_partition_metadata,
};
use millrace_engine::log::files::{FileKind, LogFile};
use millrace_engine::log::index::{IndexRules, SegmentIndex};
use millrace_engine::metadata::bootstrap;
use millrace_engine::metadata::snapshot::SnapshotId;
use millrace_engine::partition::producer_snapshot;
use millrace_engine::record::batch::BatchHeader;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::types::Uuid;
use millrace_tools::inspect::{Detail, inspect};
use millrace_tools::verify::{Summary, verify};

const TOPIC_ID: Uuid = Uuid(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);
/// Records in each batch, and batches in each segment.
const BATCH_RECORDS: i64 = 4;
const SEGMENT_BATCHES: i64 = 5;
const SEGMENT_RECORDS: i64 = BATCH_RECORDS * SEGMENT_BATCHES;

/// A log directory with one partition, `orders-0`, of two segments; removed when it is let go.
struct Made {
    path: PathBuf,
}

impl Drop for Made {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
    }
}

fn batch(base_offset: i64) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset,
        partition_leader_epoch: 0,
        ..BatchOptions::default()
    });
    for i in 0..BATCH_RECORDS {
        let value = format!("record {:03}", base_offset + i);
        builder.push(1_000 + base_offset + i, Some(b"key"), Some(value.as_bytes()), &[]).unwrap();
    }
    builder.finish()
}

/// The batches of a segment, and its indexes.
fn segment(base_offset: i64) -> (Vec<Bytes>, SegmentIndex) {
    let rules = IndexRules { interval_bytes: 100, file_bytes_max: 1 << 20 };
    let mut index = SegmentIndex::new(base_offset, rules);
    let mut position = 0;
    let mut batches = Vec::new();
    for i in 0..SEGMENT_BATCHES {
        let batch = batch(base_offset + i * BATCH_RECORDS);
        index.append(&BatchHeader::parse(&batch).unwrap(), position);
        position += batch.len() as u32;
        batches.push(batch);
    }
    index.seal();
    (batches, index)
}

impl Made {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "millrace-tools-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let made = Self { path: std::env::temp_dir().join(name) };
        fs::create_dir_all(made.partition()).unwrap();
        let meta = MetaProperties {
            version: 1,
            cluster_id: Some("AAAAAAAAAAAAAAAAAAAAAQ".to_owned()),
            node_id: Some(1),
            directory_id: Some(Uuid(77)),
        };
        made.write(META_PROPERTIES, meta.to_text().as_bytes());
        made.write(CLEAN_SHUTDOWN, format_clean_shutdown(-1).as_bytes());
        made.write_in(PARTITION_METADATA, format_partition_metadata(TOPIC_ID).as_bytes());
        for base in [0, SEGMENT_RECORDS] {
            let (batches, index) = segment(base);
            assert!(index.offsets().len() >= 2 && index.times().len() >= 2);
            made.write_log(base, &batches.concat());
            made.write_in(&name_of(base, FileKind::OffsetIndex), index.offset_bytes());
            made.write_in(&name_of(base, FileKind::TimeIndex), index.time_bytes());
        }
        made.write_in(
            &name_of(SEGMENT_RECORDS, FileKind::ProducerSnapshot),
            &producer_snapshot::encode(&[]),
        );
        made
    }

    fn partition(&self) -> PathBuf {
        self.path.join("orders-0")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path.join(name), bytes).unwrap();
    }

    fn write_in(&self, name: &str, bytes: &[u8]) {
        fs::write(self.partition().join(name), bytes).unwrap();
    }

    fn write_log(&self, base: i64, bytes: &[u8]) {
        self.write_in(&name_of(base, FileKind::Log), bytes);
    }

    fn read_log(&self, base: i64) -> Vec<u8> {
        fs::read(self.partition().join(name_of(base, FileKind::Log))).unwrap()
    }

    fn unclean(&self) {
        fs::remove_file(self.path.join(CLEAN_SHUTDOWN)).unwrap();
    }

    /// A journal file with one entry: `bytes` at `position` of the second segment.
    fn write_journal(&self, position: u64, bytes: &[u8]) {
        let item = EntryItem {
            topic_id: TOPIC_ID.to_bytes(),
            partition: 0,
            segment: SEGMENT_RECORDS,
            position,
            bytes: bytes.len() as u32,
        };
        let mut file = vec![0; JOURNAL_FILE_BYTES as usize];
        let superblock = Superblock { format_version: FORMAT_VERSION, shard: 0, file_sequence: 3 };
        write_superblock(&superblock, &mut file[..BLOCK_BYTES]);
        let mut header = EntryHeader {
            file_sequence: 3,
            entry_sequence: 0,
            entry_bytes: 0,
            payload_bytes: bytes.len() as u64,
            payload_crc: checksum(bytes),
            items: vec![item],
        };
        let at = payload_at(entry_archive(&header).len());
        header.entry_bytes = (at + bytes.len()).next_multiple_of(BLOCK_BYTES) as u64;
        let entry = &mut file[BLOCK_BYTES..];
        write_entry_header(&entry_archive(&header), &mut entry[..at]);
        entry[at..at + bytes.len()].copy_from_slice(bytes);
        self.write(&journal_name(0, 0), &file);
    }
}

/// CRC-32C, bit by bit: an oracle of our own.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

fn name_of(offset: i64, kind: FileKind) -> String {
    LogFile::live(offset, kind).to_string()
}

fn verified(path: &Path, deep: bool) -> (Summary, String) {
    let mut out = Vec::new();
    let summary = verify(path, deep, &mut out).unwrap();
    (summary, String::from_utf8(out).unwrap())
}

/// The one problem that is found.
fn problem(made: &Made) -> String {
    let (summary, text) = verified(&made.path, true);
    assert!(!summary.is_good(), "{text}");
    assert_eq!(summary.problems.len(), 1, "{text}");
    summary.problems[0].clone()
}

fn good(made: &Made) -> Summary {
    let (summary, text) = verified(&made.path, true);
    assert!(summary.is_good(), "{text}");
    summary
}

#[test]
fn a_whole_directory_is_good() {
    let made = Made::new();
    let (summary, text) = verified(&made.path, true);
    assert!(summary.is_good(), "{text}");
    assert_eq!((summary.partitions, summary.segments), (1, 2));
    assert_eq!(summary.batches, 2 * SEGMENT_BATCHES as u64);
    assert!(summary.notes.is_empty(), "{text}");
    assert!(text.contains("good  orders-0: offsets 0..40, 2 segments, 10 batches"), "{text}");
}

#[test]
fn every_flipped_byte_of_a_log_is_found() {
    let made = Made::new();
    let whole = made.read_log(0);
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        made.write_log(0, &bytes);
        let (summary, text) = verified(&made.path, false);
        let batch = whole.len() / SEGMENT_BATCHES as usize;
        // The leader epoch is outside of the checksum, and nothing contradicts it.
        if (12..16).contains(&(at % batch)) {
            assert!(summary.is_good(), "{at}: {text}");
            continue;
        }
        assert!(text.contains("BAD   orders-0: offsets"), "{at}: {text}");
        // So is the base offset: a false one shows in what follows.
        if at % batch >= 8 {
            let place = format!("00000000000000000000.log at position {}", at / batch * batch);
            assert!(text.contains(&place), "{at}: {text}");
        }
    }
}

#[test]
fn records_behind_damage_are_told() {
    let made = Made::new();
    let mut bytes = made.read_log(SEGMENT_RECORDS);
    let second = bytes.len() / SEGMENT_BATCHES as usize;
    bytes[second + 70] ^= 1;
    made.write_log(SEGMENT_RECORDS, &bytes);
    let point = PartitionOffset { topic: "orders".to_owned(), partition: 0, offset: 40 };
    made.write(RECOVERY_POINTS, format_offsets(&[point]).as_bytes());
    made.unclean();
    let (summary, text) = verified(&made.path, false);
    assert_eq!(summary.problems.len(), 2, "{text}");
    let damage = format!(
        "offsets 24..: 00000000000000000020.log at position {second}: the checksum differs; records \
         from offset 28 on stand behind it at {}",
        2 * second
    );
    assert!(text.contains(&damage), "{text}");
    assert!(text.contains("offsets 24..40: had been flushed, and are missing"), "{text}");
}

#[test]
fn a_torn_tail_is_no_loss_after_a_crash_and_one_after_a_clean_stop() {
    let made = Made::new();
    let whole = made.read_log(SEGMENT_RECORDS);
    made.write_log(SEGMENT_RECORDS, &whole[..whole.len() - 10]);
    let (summary, text) = verified(&made.path, false);
    assert!(summary.problems[0].contains("the file ends within a batch"), "{text}");
    made.unclean();
    let summary = good(&made);
    assert!(summary.notes[0].contains("a write that was never complete"), "{:?}", summary.notes);
}

#[test]
fn reserved_space_is_no_loss_after_a_crash_and_one_after_a_clean_stop() {
    let made = Made::new();
    let mut bytes = made.read_log(SEGMENT_RECORDS);
    bytes.resize(bytes.len() + 10_000, 0);
    made.write_log(SEGMENT_RECORDS, &bytes);
    assert!(problem(&made).contains("zeros, 10000 bytes before the file's end"));
    made.unclean();
    assert!(good(&made).notes[0].contains("10000 bytes are reserved"));
}

#[test]
fn the_journal_completes_a_segment_after_a_crash() {
    let made = Made::new();
    made.unclean();
    let whole = made.read_log(SEGMENT_RECORDS);
    let third = whole.len() / SEGMENT_BATCHES as usize * 2;
    made.write_log(SEGMENT_RECORDS, &whole[..third + 5]);
    assert_eq!(good(&made).batches, 7, "a torn tail, without the journal");
    made.write_journal(third as u64, &whole[third..]);
    let (summary, text) = verified(&made.path, true);
    assert!(summary.is_good(), "{text}");
    assert_eq!((summary.batches, summary.journals), (10, 1));
    let still = format!("{} of them still in the journal", whole.len() - third);
    assert!(text.contains(&still), "{text}");
    // A segment that has no file yet.
    fs::remove_file(made.partition().join(name_of(SEGMENT_RECORDS, FileKind::Log))).unwrap();
    made.write_journal(0, &whole);
    assert_eq!((good(&made).batches, good(&made).segments), (10, 2));
    made.write_journal(third as u64, &whole[third..]);
    // Bytes are missing between the file and the journal.
    made.write_log(SEGMENT_RECORDS, &whole[..third / 2]);
    assert!(problem(&made).contains(&format!("the journal goes on at position {third}")));
}

#[test]
fn a_journal_of_a_newer_version_is_told() {
    let made = Made::new();
    let mut block = vec![0; BLOCK_BYTES];
    let superblock = Superblock { format_version: FORMAT_VERSION + 1, shard: 0, file_sequence: 1 };
    write_superblock(&superblock, &mut block);
    made.write(&journal_name(0, 0), &block);
    assert!(problem(&made).contains("start the newer version"));
}

#[test]
fn indexes_are_compared_with_the_log() {
    for (kind, at, says) in [
        // The position of the first entry: not a batch's.
        (FileKind::OffsetIndex, 7, ".index entry 0"),
        // Its offset: not that of the batch.
        (FileKind::OffsetIndex, 3, ".index entry 0"),
        // A timestamp that is too small.
        (FileKind::TimeIndex, 7, ".timeindex"),
    ] {
        let made = Made::new();
        let path = made.partition().join(name_of(0, kind));
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let found = problem(&made);
        assert!(found.contains(says), "{kind:?} {at}: {found}");
        bytes.push(0);
        fs::write(&path, &bytes).unwrap();
        assert!(problem(&made).contains("whole entries"));
        fs::remove_file(&path).unwrap();
        assert!(good(&made).notes[0].contains("an index is missing"));
    }
}

#[test]
fn a_missing_segment_is_told_unless_the_topic_is_compacted() {
    let made = Made::new();
    let (batches, _) = segment(60);
    made.write_log(60, &batches.concat());
    assert!(problem(&made).contains("offsets 40..60"));
    let compacted = made.path.join("__consumer_offsets-0");
    fs::rename(made.partition(), &compacted).unwrap();
    good(&made);
}

#[test]
fn small_files_are_checked() {
    for (name, bytes) in [
        (name_of(SEGMENT_RECORDS, FileKind::ProducerSnapshot), &b"\0\x01rubbish"[..]),
        ("leader-epoch-checkpoint".to_owned(), &b"0\n1\nx y\n"[..]),
        ("leader-epoch-checkpoint".to_owned(), &b"0\n2\n0 0\n1 24\n"[..]),
        (PARTITION_METADATA.to_owned(), &b"version: 9\n"[..]),
    ] {
        let made = Made::new();
        made.write_in(&name, bytes);
        assert!(problem(&made).starts_with("orders-0: "), "{name}");
    }
    for (name, bytes) in [(META_PROPERTIES, &b"version=1\n"[..]), (RECOVERY_POINTS, &b"0\n7\n"[..])]
    {
        let made = Made::new();
        made.write(name, bytes);
        assert!(problem(&made).starts_with(name), "{name}");
    }
}

#[test]
fn records_that_cannot_be_read_are_found_by_a_deep_look_only() {
    let made = Made::new();
    let mut builder =
        BatchBuilder::new(BatchOptions { base_offset: 40, ..BatchOptions::default() });
    builder.push(5_000, None, Some(b"x"), &[]).unwrap();
    let mut batch = builder.finish().to_vec();
    // The record says a length that it does not have; the checksum is right.
    batch[61] = 0x7e;
    let crc = checksum(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    let mut bytes = made.read_log(SEGMENT_RECORDS);
    let position = bytes.len();
    bytes.extend_from_slice(&batch);
    made.write_log(SEGMENT_RECORDS, &bytes);
    let (summary, text) = verified(&made.path, false);
    assert!(summary.is_good(), "{text}");
    assert!(problem(&made).contains(&format!("offset 40 at position {position}")));
}

#[test]
fn what_is_no_log_directory_is_refused() {
    let made = Made::new();
    let error = verify(&made.partition(), false, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("is not a log directory"), "{error}");
    assert!(verify(&made.path.join("missing"), false, &mut Vec::new()).is_err());
}

#[test]
fn inspection_shows_everything() {
    let made = Made::new();
    made.write_journal(0, b"some bytes");
    let metadata = made.path.join("__cluster_metadata-0");
    fs::create_dir(&metadata).unwrap();
    let snapshot = metadata.join(SnapshotId::BOOTSTRAP.file_name());
    fs::write(&snapshot, bootstrap::snapshot(1_000).unwrap()).unwrap();
    let shown = |path: &Path, detail| {
        let mut out = Vec::new();
        inspect(path, detail, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let all = Detail { batches: true, records: true };
    let partition = made.partition();
    let log = partition.join(name_of(0, FileKind::Log));
    for (path, detail, expected) in [
        (
            &made.path,
            Detail::default(),
            &["stopped cleanly", "node.id=1", "partition orders-0"][..],
        ),
        (
            &made.path,
            Detail::default(),
            &["journal millrace-journal-0-0", "1 runs with 10 bytes"][..],
        ),
        (
            &made.path.join(journal_name(0, 0)),
            all,
            &["file sequence 3", "segment 00000000000000000020"],
        ),
        (&partition, Detail::default(), &[&TOPIC_ID.to_string(), "00000000000000000020.log"]),
        (&partition, all, &["4..8 at position", "39: key \"key\" (3 bytes), value \"record 039\""]),
        (&log, Detail::default(), &["0..4 at position 0", "next offset 20"]),
        (&partition.join(name_of(0, FileKind::OffsetIndex)), all, &["offset 7 in the batch at"]),
        (
            &partition.join(name_of(0, FileKind::TimeIndex)),
            all,
            &["up to offset 7 no timestamp is above 1007"],
        ),
        (&partition.join(name_of(20, FileKind::ProducerSnapshot)), all, &["0 producers"]),
        (&snapshot, all, &["SnapshotHeader", "metadata.version", "SnapshotFooter"]),
    ] {
        let text = shown(path, detail);
        for part in expected {
            assert!(text.contains(part), "{}: no {part:?} in:\n{text}", path.display());
        }
    }
}
