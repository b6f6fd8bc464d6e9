//! The journal against what it must survive: torn entries, earlier lives, files that are still needed.

use bytes::Bytes;

use super::entry::{EntryBuilder, EntrySize, Run};
use super::format::{
    EntryHeader, EntryItem, FORMAT_VERSION, FormatError, Superblock, archive_bytes, entry_archive,
    payload_at, read_superblock, write_entry_header, write_superblock,
};
use super::plan::{Journal, Place};
use super::replay::{merge, read_file};
use crate::limits::{BLOCK_BYTES, JOURNAL_FILE_BYTES};
use crate::memory::{Piece, Pool, align_up};
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
    let position = entry_sequence * 100;
    let runs: Vec<_> =
        payloads.iter().zip(0..).map(|(p, i)| (run(i, position, p.len()), *p)).collect();
    built(file_sequence, entry_sequence, &runs)
}

fn run(index: i32, from: u64, len: usize) -> Run {
    Run { partition: partition(index), segment: 0, from, to: from + len as u64 }
}

/// An entry as it is written, from the tails of segments that hold these bytes.
fn built(file_sequence: u64, entry_sequence: u64, runs: &[(Run, &[u8])]) -> Vec<u8> {
    let place = Place { file: 0, position: 1, file_sequence, entry_sequence, begins_file: false };
    let pool = Pool::new(1 << 20);
    let size = runs.iter().fold(EntrySize::default(), |size, (run, _)| size.with(run));
    let mut entry = EntryBuilder::new(&pool, 3, place, size);
    for (run, bytes) in runs {
        if run.is_aside() {
            let start = (run.from % BLOCK_BYTES as u64) as usize;
            let mut blocks = pool.buffer((start + bytes.len()).next_multiple_of(BLOCK_BYTES));
            // What else stands in the blocks of a segment.
            blocks.as_mut_slice().fill(0xee);
            blocks.as_mut_slice()[start..start + bytes.len()].copy_from_slice(bytes);
            entry
                .set_aside(run, vec![blocks.into_piece()], |crc| crc32c::crc32c_append(crc, bytes));
        } else {
            entry.pack(run, |target| target.copy_from_slice(bytes));
        }
    }
    let written: Vec<u8> = entry.finish().iter().flat_map(Piece::to_vec).collect();
    assert_eq!(written.len() as u64, size.bytes());
    written
}

#[test]
fn what_is_set_aside_comes_back_beside_what_is_packed() {
    let large = |seed: u8, len: usize| vec![seed; len];
    let bytes = [
        large(0xa1, 40_000),
        large(0xa2, 5),
        large(0xa3, 100_001),
        large(0xa4, 4096),
        large(0xa5, 65_536),
    ];
    let at = [8_190, 7, 100, 4096, 8192];
    let runs: Vec<_> = bytes
        .iter()
        .zip(at)
        .zip(0..)
        .map(|((b, at), i)| (run(i, at, b.len()), b.as_slice()))
        .collect();
    assert_eq!(runs.iter().filter(|(run, _)| run.is_aside()).count(), 3);
    let first = built(9, 0, &runs);
    let mut file = [superblock(9), first, entry(9, 1, &[b"next"])].concat();
    let content = read_file(&Bytes::from(file.clone())).unwrap();
    let seen: Vec<_> =
        content.redo.iter().map(|(p, r)| (p.partition, r.position, r.bytes.clone())).collect();
    let mut wanted: Vec<_> = runs
        .iter()
        .map(|(run, b)| (run.partition.partition, run.from, Bytes::copy_from_slice(b)))
        .collect();
    wanted.push((0, 100, Bytes::from_static(b"next")));
    assert_eq!(seen, wanted);
    // A flipped bit of any run damages the entry; one beside them means nothing.
    for value in 0xa1..=0xa5 {
        let at = file.iter().rposition(|&byte| byte == value).unwrap();
        file[at] ^= 0x40;
        let damaged = read_file(&Bytes::from(file.clone())).unwrap();
        assert_eq!((damaged.damaged, damaged.redo.len()), (vec![BLOCK_BYTES as u64], 11));
        file[at] ^= 0x40;
    }
    let beside = file.iter().position(|&byte| byte == 0xee).unwrap();
    file[beside] ^= 1;
    assert_eq!(read_file(&Bytes::from(file)).unwrap().redo, content.redo);
}

/// Written by version 1, whose items end before the byte that says whether they are set aside.
#[test]
fn entries_of_version_1_are_read() {
    let mut file = vec![0; BLOCK_BYTES];
    write_superblock(&Superblock { format_version: 1, shard: 3, file_sequence: 5 }, &mut file);
    let large = vec![9; 40_000];
    let header = EntryHeader {
        file_sequence: 5,
        entry_sequence: 0,
        entry_bytes: align_up(40_003 + 200),
        payload_bytes: 40_003,
        payload_crc: crc32c::crc32c_append(crc32c::crc32c(b"one"), &large),
        items: [(3, 0), (40_000, 1)]
            .map(|(bytes, partition)| EntryItem {
                topic_id: Uuid(7).to_bytes(),
                partition,
                segment: 0,
                position: 0,
                bytes,
                is_aside: false,
            })
            .into(),
    };
    let archive = entry_archive(&header);
    assert_eq!(archive.len(), archive_bytes(2));
    let mut entry = vec![0; header.entry_bytes as usize];
    let at = payload_at(archive.len());
    write_entry_header(&archive, &mut entry[..at]);
    entry[at..at + 3].copy_from_slice(b"one");
    entry[at + 3..at + 40_003].copy_from_slice(&large);
    file.extend(entry);
    let content = read_file(&Bytes::from(file)).unwrap();
    let seen: Vec<_> = content.redo.iter().map(|(_, redo)| redo.bytes.len()).collect();
    assert_eq!(seen, [3, 40_000]);
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
    assert_eq!(journal.relief(), 0);
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

#[test]
fn the_fuller_a_journal_is_the_more_tails_are_written_at_once() {
    let mut journal = Journal::new(0, 16, 1, 0);
    let mut relief = Vec::new();
    for (file, sequence) in (0..16).zip(1..) {
        journal.add_file(file);
        assert_eq!(journal.place(JOURNAL_FILE_BYTES / 2).map(|p| p.file_sequence), Some(sequence));
        journal.owe(partition(0), sequence, sequence as i64 * 10);
        relief.push(journal.relief());
    }
    // The file that is being written is not full: the n-th number is that of n full files.
    assert_eq!(relief, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 4, 4, 16, 64]);
    journal.owe(partition(1), 16, 5);
    assert_eq!(journal.oldest_debtors(9), [partition(0)]);
    // Who still owes a later file is a debtor of that one, and of none before it.
    journal.settle(partition(0), 40);
    assert_eq!((journal.relief(), journal.oldest_debtors(9)), (2, vec![partition(0)]));
    assert_eq!(journal.place(JOURNAL_FILE_BYTES / 2).map(|p| p.file_sequence), Some(17));
    journal.settle(partition(0), 155);
    assert_eq!(
        (journal.relief(), journal.oldest_debtors(9)),
        (0, vec![partition(0), partition(1)])
    );
    journal.settle(partition(0), 160);
    assert_eq!(journal.oldest_debtors(9), [partition(1)]);
    journal.forget(partition(1));
    assert!(!journal.is_needed());
}
