//! `verify` and `inspect` on log directories that are made here, whole and damaged.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod made;

use std::fs;
use std::path::Path;

use made::{Made, SEGMENT_BATCHES, SEGMENT_RECORDS, TOPIC_ID, checksum, name_of, segment};
use millrace_engine::job::journal_file::journal_name;
use millrace_engine::journal::format::{FORMAT_VERSION, Superblock, write_superblock};
use millrace_engine::limits::BLOCK_BYTES;
use millrace_engine::log::checkpoint::{
    META_PROPERTIES, PARTITION_METADATA, PartitionOffset, RECOVERY_POINTS, format_offsets,
};
use millrace_engine::log::files::FileKind;
use millrace_engine::metadata::bootstrap;
use millrace_engine::metadata::snapshot::SnapshotId;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_tools::inspect::{Detail, inspect};
use millrace_tools::verify::{Summary, verify};

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
        assert_eq!(summary.problems.len(), 1, "one bit is one finding, {at}: {text}");
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
    assert_eq!(summary.problems.len(), 1, "{text}");
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
