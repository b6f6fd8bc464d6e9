//! Compares the tables of `docs/FORMATS.md` with the code: positions, sizes, magics, lengths.

use std::fs;
use std::path::Path;

use millrace_engine::journal::format::{
    ENTRY_MAGIC, EntryHeader, EntryItem, FORMAT_VERSION, SUPERBLOCK_MAGIC, Superblock,
    entry_archive, payload_at, write_entry_header, write_superblock,
};
use millrace_engine::limits::{
    ASIDE_BYTES_MIN, BLOCK_BYTES, IDLE_MS, INDEX_INTERVAL_BYTES_MIN, JOURNAL_FILE_BYTES,
};
use millrace_engine::log::index::{IndexRules, OFFSET_ENTRY_BYTES, SegmentIndex, TIME_ENTRY_BYTES};
use millrace_engine::partition::producer_snapshot;
use millrace_engine::partition::producers::{BatchMark, ProducerEntry};
use millrace_engine::partition::waypoint;
use millrace_engine::record::layout;

/// One row: position, size (none where the field goes to the end), name.
type Row = (usize, Option<usize>, String);

/// All tables of the document that begin with a position, in order.
fn tables() -> Vec<Vec<Row>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(manifest.join("../docs/FORMATS.md")).expect("the document");
    let mut tables: Vec<Vec<Row>> = Vec::new();
    let mut is_ours = false;
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", "at", "size", "field", ..] => {
                tables.push(Vec::new());
                is_ours = true;
            }
            ["", at, size, field, ..] if is_ours => {
                if let (Ok(at), Some(table)) = (at.parse(), tables.last_mut()) {
                    table.push((at, size.parse().ok(), (*field).to_owned()));
                }
            }
            _ => is_ours = false,
        }
    }
    tables
}

/// The table whose first field has this name and which is the `n`th of those.
fn table(first: &str, n: usize) -> Vec<Row> {
    let found =
        tables().into_iter().filter(|table| table.first().is_some_and(|row| row.2 == first));
    found.into_iter().nth(n).unwrap_or_else(|| panic!("FORMATS.md has no table from {first:?} on"))
}

/// Where the bytes of each field lie, told by values that say where they are: `bytes` at a position must
/// be what `of` says for the field.
fn check(table: &[Row], bytes: &[u8], of: impl Fn(&str) -> Option<Vec<u8>>) {
    let mut end = 0;
    for (at, size, field) in table {
        assert!(*at >= end, "{field} lies over what is before it");
        let Some(size) = size else { continue };
        end = at + size;
        let expected =
            of(field).unwrap_or_else(|| panic!("nothing is known of the field {field:?}"));
        assert_eq!(expected.len(), *size, "size of {field}");
        assert_eq!(&bytes[*at..end], expected, "{field} at {at}");
    }
}

#[test]
fn record_batches() {
    let fields = [
        (layout::BASE_OFFSET, "base offset"),
        (layout::BATCH_LENGTH, "batch length"),
        (layout::PARTITION_LEADER_EPOCH, "partition leader epoch"),
        (layout::MAGIC_AT, "magic"),
        (layout::CRC, "CRC-32C"),
        (layout::ATTRIBUTES, "attributes"),
        (layout::LAST_OFFSET_DELTA, "last offset delta"),
        (layout::BASE_TIMESTAMP, "base timestamp"),
        (layout::MAX_TIMESTAMP, "max timestamp"),
        (layout::PRODUCER_ID, "producer id"),
        (layout::PRODUCER_EPOCH, "producer epoch"),
        (layout::BASE_SEQUENCE, "base sequence"),
        (layout::RECORD_COUNT, "record count"),
        (layout::HEADER_BYTES, "records"),
    ];
    let table = table("base offset", 0);
    let named: Vec<_> = table.iter().map(|(at, _, field)| (*at, field.as_str())).collect();
    assert_eq!(named, fields);
    for pair in table.windows(2) {
        assert_eq!(pair[0].0 + pair[0].1.expect("a size"), pair[1].0, "{}", pair[0].2);
    }
}

#[test]
fn indexes() {
    let rules = IndexRules { interval_bytes: 1, file_bytes_max: 1 << 20 };
    let mut index = SegmentIndex::new(100, rules);
    index.append_batch(7, 109, 0, 10);
    index.append_batch(0x1122, 119, 0x0304, 10);
    let length = |table: &[Row]| table.iter().map(|(at, size, _)| at + size.unwrap_or(0)).max();
    let offsets = table("relative offset", 0);
    assert_eq!(length(&offsets), Some(OFFSET_ENTRY_BYTES));
    check(&offsets, index.offset_bytes(), |field| match field {
        "relative offset" => Some(19_i32.to_be_bytes().into()),
        "position" => Some(0x0304_u32.to_be_bytes().into()),
        _ => None,
    });
    let times = table("timestamp", 0);
    assert_eq!(length(&times), Some(TIME_ENTRY_BYTES));
    check(&times, index.time_bytes(), |field| match field {
        "timestamp" => Some(0x1122_i64.to_be_bytes().into()),
        "relative offset" => Some(19_i32.to_be_bytes().into()),
        _ => None,
    });
}

#[test]
fn waypoints() {
    let bytes = waypoint::encode([]);
    check(&table("waypoints magic", 0), &bytes, |field| match field {
        "waypoints magic" => Some(b"millrW01".to_vec()),
        "waypoints CRC-32C" => Some(bytes[8..12].to_vec()),
        _ => None,
    });
    assert_eq!(waypoint::decode(&bytes), Some(Vec::new()));
}

#[test]
fn producer_snapshots() {
    let entry = ProducerEntry {
        producer_id: 11,
        epoch: 12,
        last_batch: Some(BatchMark {
            last_sequence: 13,
            last_offset: 14,
            offset_delta: 15,
            timestamp: 16,
        }),
        last_timestamp: 16,
        coordinator_epoch: 17,
        transaction_first_offset: Some(18),
    };
    let bytes = producer_snapshot::encode(&[entry, entry]);
    let head = table("version", 0);
    check(&head, &bytes, |field| match field {
        "version" => Some(1_i16.to_be_bytes().into()),
        "CRC-32C" => Some(bytes[2..6].to_vec()),
        "count" => Some(2_i32.to_be_bytes().into()),
        _ => None,
    });
    let entries = head.last().expect("the entries").0;
    let row = table("producer id", 0);
    check(&row, &bytes[entries..], |field| match field {
        "producer id" => Some(11_i64.to_be_bytes().into()),
        "producer epoch" => Some(12_i16.to_be_bytes().into()),
        "last sequence" => Some(13_i32.to_be_bytes().into()),
        "last offset" => Some(14_i64.to_be_bytes().into()),
        "offset delta" => Some(15_i32.to_be_bytes().into()),
        "timestamp" => Some(16_i64.to_be_bytes().into()),
        "coordinator epoch" => Some(17_i32.to_be_bytes().into()),
        "transaction first offset" => Some(18_i64.to_be_bytes().into()),
        _ => None,
    });
    let (at, size, _) = row.last().expect("the last field");
    assert_eq!(entries + 2 * (at + size.expect("a size")), bytes.len());
}

/// The archive in a frame, after checking the frame.
fn archive(framed: &[u8], magic: u64) -> &[u8] {
    let table = table("magic", 0);
    let at = table.last().expect("the archive").0;
    let length = u32::from_be_bytes(framed[8..12].try_into().expect("four bytes"));
    check(&table, framed, |field| match field {
        "magic" => Some(magic.to_be_bytes().into()),
        "length" => Some(length.to_be_bytes().into()),
        "CRC-32C" => Some(framed[12..16].to_vec()),
        _ => None,
    });
    &framed[at..at + length as usize]
}

#[test]
fn journal_superblocks() {
    assert_eq!(&SUPERBLOCK_MAGIC.to_be_bytes(), b"millrJ01");
    assert_eq!(FORMAT_VERSION, 2);
    let superblock = Superblock {
        format_version: 0x0102_0304,
        shard: 0x0506,
        file_sequence: 0x1112_1314_1516_1718,
    };
    let mut block = vec![0; BLOCK_BYTES];
    write_superblock(&superblock, &mut block);
    check(&table("format version", 0), archive(&block, SUPERBLOCK_MAGIC), |field| match field {
        "format version" => Some(superblock.format_version.to_le_bytes().into()),
        "shard" => Some(superblock.shard.to_le_bytes().into()),
        "file sequence" => Some(superblock.file_sequence.to_le_bytes().into()),
        _ => None,
    });
}

#[test]
fn journal_entries() {
    assert_eq!(&ENTRY_MAGIC.to_be_bytes(), b"millrE01");
    let item = EntryItem {
        topic_id: *b"0123456789abcdef",
        partition: 0x0102_0304,
        segment: 0x1112_1314_1516_1718,
        position: 0x2122_2324_2526_2728,
        bytes: 0x3132_3334,
        is_aside: true,
    };
    let header = EntryHeader {
        file_sequence: 0x4142_4344_4546_4748,
        entry_sequence: 0x5152_5354_5556_5758,
        entry_bytes: 0x6162_6364_6566_6768,
        payload_bytes: 0x7172_7374_7576_7778,
        payload_crc: 0x0a0b_0c0d,
        items: vec![item.clone(), item.clone()],
    };
    let packed = entry_archive(&header);
    let mut framed = vec![0; payload_at(packed.len())];
    assert!(framed.len().is_multiple_of(16));
    write_entry_header(&packed, &mut framed);
    let archive = archive(&framed, ENTRY_MAGIC);
    let items = table("topic id", 0);
    let item_bytes = 48;
    let root = 2 * item_bytes;
    for at in [0, item_bytes] {
        check(&items, &archive[at..], |field| match field {
            "topic id" => Some(item.topic_id.into()),
            "partition" => Some(item.partition.to_le_bytes().into()),
            "segment" => Some(item.segment.to_le_bytes().into()),
            "position" => Some(item.position.to_le_bytes().into()),
            "bytes" => Some(item.bytes.to_le_bytes().into()),
            "set aside" => Some([1].into()),
            _ => None,
        });
    }
    let fields = table("file sequence", 0);
    let pointer = fields.iter().find(|row| row.2 == "items at").expect("the pointer").0 + root;
    check(&fields, &archive[root..], |field| match field {
        "file sequence" => Some(header.file_sequence.to_le_bytes().into()),
        "entry sequence" => Some(header.entry_sequence.to_le_bytes().into()),
        "entry bytes" => Some(header.entry_bytes.to_le_bytes().into()),
        "payload bytes" => Some(header.payload_bytes.to_le_bytes().into()),
        "payload CRC-32C" => Some(header.payload_crc.to_le_bytes().into()),
        "items at" => Some((-i32::try_from(pointer).expect("small")).to_le_bytes().into()),
        "item count" => Some(2_u32.to_le_bytes().into()),
        _ => None,
    });
}

#[test]
fn numbers_in_the_text() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(manifest.join("../docs/FORMATS.md")).expect("the document");
    for number in [
        format!("Files of {} MiB", JOURNAL_FILE_BYTES >> 20),
        format!("At least {} KiB of batches", INDEX_INTERVAL_BYTES_MIN >> 10),
        format!("appended for {} seconds", IDLE_MS / 1_000),
        format!("Offset index, {OFFSET_ENTRY_BYTES} bytes an entry"),
        format!("Time index, {TIME_ENTRY_BYTES} bytes an entry"),
        "one block of 4,096 bytes".to_owned(),
        format!("One of {} KiB or more is\nset aside", ASIDE_BYTES_MIN >> 10),
    ] {
        assert!(text.contains(&number), "FORMATS.md does not say: {number}");
    }
    assert_eq!(BLOCK_BYTES, 4_096);
}
