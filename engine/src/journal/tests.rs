//! The journal against what it must survive: torn entries, earlier lives, files that are still needed.

use bytes::Bytes;

use super::format::{
    EntryHeader, EntryItem, FORMAT_VERSION, FormatError, Superblock, archive_bytes_max,
    entry_archive, payload_at, read_superblock, write_entry_header, write_superblock,
};
use super::plan::{Journal, Pressure};
use super::replay::{merge, read_file};
use crate::limits::{BLOCK_BYTES, JOURNAL_FILE_BYTES};
use crate::memory::align_up;
use crate::types::{TopicPartition, Uuid};

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic_id: Uuid(7), partition: index }
}

fn superblock(file_sequence: u64) -> Vec<u8> {
    let mut block = vec![0xff; BLOCK_BYTES];
    write_superblock(
        &Superblock { format_version: FORMAT_VERSION, shard: 3, file_sequence },
        &mut block,
    );
    block
}

fn entry(file_sequence: u64, entry_sequence: u64, payloads: &[&[u8]]) -> Vec<u8> {
    let payload = payloads.concat();
    let items = payloads
        .iter()
        .enumerate()
        .map(|(i, bytes)| EntryItem {
            topic_id: Uuid(7).to_bytes(),
            partition: i as i32,
            segment: 0,
            position: entry_sequence * 100,
            bytes: bytes.len() as u32,
        })
        .collect();
    let bound = payload_at(archive_bytes_max(payloads.len()));
    let entry_bytes = align_up((bound + payload.len()) as u64);
    let archive = entry_archive(&EntryHeader {
        file_sequence,
        entry_sequence,
        entry_bytes,
        payload_bytes: payload.len() as u64,
        payload_crc: crc32c::crc32c(&payload),
        items,
    });
    assert!(archive.len() <= archive_bytes_max(payloads.len()));
    let at = payload_at(archive.len());
    let mut bytes = vec![0; entry_bytes as usize];
    write_entry_header(&archive, &mut bytes[..at]);
    bytes[at..at + payload.len()].copy_from_slice(&payload);
    bytes
}

#[test]
fn entries_come_back_in_order_up_to_the_first_that_is_not_valid() {
    let mut file = superblock(5);
    file.extend(entry(5, 0, &[b"one", b"two"]));
    file.extend(entry(5, 1, &[&[9; 10_000]]));
    let good = file.len();
    file.extend(entry(4, 2, &[b"an earlier life"]));
    let content = read_file(&Bytes::from(file.clone())).unwrap();
    assert_eq!(content.file_sequence, 5);
    let seen: Vec<_> =
        content.redo.iter().map(|(p, r)| (p.partition, r.position, r.bytes.len())).collect();
    assert_eq!(seen, [(0, 0, 3), (1, 0, 3), (0, 100, 10_000)]);
    // Every truncation and every flipped byte of the last entry loses that entry and nothing else.
    let last = good - 3 * BLOCK_BYTES;
    for cut in (last..good).step_by(37) {
        let torn = read_file(&Bytes::from(file[..cut].to_vec())).unwrap();
        assert!(torn.redo.len() == 2 || cut >= last + 10_000, "cut at {cut}");
    }
    for flip in (last..last + 10_100).step_by(13) {
        let mut bad = file.clone();
        bad[flip] ^= 4;
        let content = read_file(&Bytes::from(bad)).unwrap();
        assert!(content.redo.len() >= 2);
        assert!(
            content.redo.iter().all(|(_, r)| r.bytes.len() < 10 || r.bytes.iter().all(|&b| b == 9))
        );
    }
}

/// An entry is written when the one before is flushed: one that others follow had been acknowledged.
#[test]
fn a_damaged_payload_is_told_and_later_entries_count() {
    let mut file = superblock(5);
    file.extend(entry(5, 0, &[b"one", b"two"]));
    let second = file.len();
    file.extend(entry(5, 1, &[&[9; 10_000]]));
    let payload = second + 1_000;
    let third = file.len();
    file.extend(entry(5, 2, &[b"three"]));
    file[payload] ^= 1;
    let read = |file: &[u8]| {
        let content = read_file(&Bytes::copy_from_slice(file)).unwrap();
        let redo = content.redo.iter().map(|(_, r)| (r.position, r.bytes.len()));
        (redo.collect::<Vec<_>>(), content.damaged)
    };
    let (redo, damaged) = read(&file);
    assert_eq!(redo, [(0, 3), (0, 3), (100, 0), (10_100, 0), (200, 5)]);
    assert_eq!(damaged, [second as u64]);
    // Entries know the life of their file, as the superblock does.
    let mut headless = file.clone();
    headless[20] ^= 1;
    assert_eq!(read(&headless), (redo, vec![0, second as u64]));
    // Nothing follows: a torn write.
    assert_eq!(read(&file[..third]), (vec![(0, 3), (0, 3)], Vec::new()));
    // Its header: what follows is not believed, but told.
    file[payload] ^= 1;
    file[second + 30] ^= 1;
    assert_eq!(read(&file), (vec![(0, 3), (0, 3)], vec![second as u64]));
    file[third + 30] ^= 1;
    assert_eq!(read(&file), (vec![(0, 3), (0, 3)], Vec::new()));
}

#[test]
fn a_file_that_was_never_begun_or_is_newer_is_told_apart() {
    assert_eq!(read_superblock(&[0; BLOCK_BYTES]), Err(FormatError::NoSuperblock));
    assert_eq!(read_superblock(&[]), Err(FormatError::NoSuperblock));
    let mut block = vec![0; BLOCK_BYTES];
    write_superblock(&Superblock { format_version: 9, shard: 0, file_sequence: 1 }, &mut block);
    assert_eq!(read_superblock(&block), Err(FormatError::Newer { found: 9 }));
}

#[test]
fn files_are_merged_by_sequence() {
    let mut old = superblock(1);
    old.extend(entry(1, 0, &[b"a"]));
    let mut new = superblock(2);
    new.extend(entry(2, 0, &[b"b"]));
    let files = [new, old].map(|file| read_file(&Bytes::from(file)).unwrap());
    let (redo, highest) = merge(files.into());
    assert_eq!(highest, 2);
    let bytes: Vec<_> = redo[&partition(0)].iter().map(|r| r.bytes.clone()).collect();
    assert_eq!(bytes, [Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
}

#[test]
fn a_file_is_free_again_only_when_nobody_needs_it() {
    let mut journal = Journal::new(0, 3, 10, 0);
    let half = JOURNAL_FILE_BYTES / 2;
    assert_eq!(journal.place(half), None);
    assert_eq!(journal.wants_file(), Some(0));
    assert_eq!(journal.wants_file(), None);
    journal.add_file(0);
    journal.add_file(1);
    let first = journal.place(half).unwrap();
    assert!(first.begins_file);
    assert_eq!((first.file_sequence, first.position), (10, 0));
    journal.owe(partition(0), 10, 5);
    let second = journal.place(half).unwrap();
    assert_eq!((second.file_sequence, second.file), (11, 1));
    journal.owe(partition(0), 11, 9);
    journal.owe(partition(1), 11, 3);
    assert_eq!(journal.pressure(), Pressure::None);
    assert_eq!(journal.oldest_debtors(9), [partition(0)]);
    assert_eq!(journal.place(half), None);
    journal.settle(partition(0), 4);
    assert_eq!(journal.place(half), None);
    journal.settle(partition(0), 5);
    assert_eq!(journal.place(half).map(|p| (p.file, p.file_sequence)), Some((0, 12)));
    journal.settle(partition(1), 3);
    assert!(journal.is_needed());
    journal.forget(partition(0));
    assert!(!journal.is_needed());
    assert_eq!(journal.place(half).map(|p| p.file), Some(1));
}
