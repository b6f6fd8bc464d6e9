//! A log directory that is made here, whole.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use millrace_engine::job::journal_file::journal_name;
use millrace_engine::journal::format::{
    EntryHeader, EntryItem, FORMAT_VERSION, Superblock, entry_archive, payload_at,
    write_entry_header, write_superblock,
};
use millrace_engine::limits::{BLOCK_BYTES, JOURNAL_FILE_BYTES};
use millrace_engine::log::checkpoint::{
    CLEAN_SHUTDOWN, META_PROPERTIES, MetaProperties, PARTITION_METADATA, format_clean_shutdown,
    format_partition_metadata,
};
use millrace_engine::log::files::{FileKind, LogFile};
use millrace_engine::log::index::{IndexRules, SegmentIndex};
use millrace_engine::partition::producer_snapshot;
use millrace_engine::record::batch::BatchHeader;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::types::Uuid;

pub const TOPIC_ID: Uuid = Uuid(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);
/// Records in each batch, and batches in each segment.
pub const BATCH_RECORDS: i64 = 4;
pub const SEGMENT_BATCHES: i64 = 5;
pub const SEGMENT_RECORDS: i64 = BATCH_RECORDS * SEGMENT_BATCHES;

/// A log directory with one partition, `orders-0`, of two segments; removed when it is let go.
pub struct Made {
    pub path: PathBuf,
}

impl Drop for Made {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
    }
}

pub fn batch(base_offset: i64) -> Bytes {
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
pub fn segment(base_offset: i64) -> (Vec<Bytes>, SegmentIndex) {
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
    pub fn new() -> Self {
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

    pub fn partition(&self) -> PathBuf {
        self.path.join("orders-0")
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path.join(name), bytes).unwrap();
    }

    pub fn write_in(&self, name: &str, bytes: &[u8]) {
        fs::write(self.partition().join(name), bytes).unwrap();
    }

    pub fn write_log(&self, base: i64, bytes: &[u8]) {
        self.write_in(&name_of(base, FileKind::Log), bytes);
    }

    pub fn read_log(&self, base: i64) -> Vec<u8> {
        fs::read(self.partition().join(name_of(base, FileKind::Log))).unwrap()
    }

    pub fn unclean(&self) {
        fs::remove_file(self.path.join(CLEAN_SHUTDOWN)).unwrap();
    }

    /// A journal file with one entry: `bytes` at `position` of the second segment.
    pub fn write_journal(&self, position: u64, bytes: &[u8]) {
        let item = EntryItem {
            topic_id: TOPIC_ID.to_bytes(),
            partition: 0,
            segment: SEGMENT_RECORDS,
            position,
            bytes: bytes.len() as u32,
            is_aside: false,
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
pub fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

pub fn name_of(offset: i64, kind: FileKind) -> String {
    LogFile::live(offset, kind).to_string()
}
