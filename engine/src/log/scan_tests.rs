//! Segments with every kind of end, fed in chunks of every size.

use proptest::prelude::*;

use super::*;
use crate::record::builder::{BatchBuilder, BatchOptions};

const MAX: usize = 64 * 1024;

fn batch(base_offset: i64, records: i32, value: &[u8]) -> Vec<u8> {
    let options = BatchOptions { base_offset, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    for _ in 0..records {
        builder.push(1_000, None, Some(value), &[]).unwrap();
    }
    builder.finish().to_vec()
}

/// Batches of one to three records from `base` on, and where each begins.
fn segment(base: i64, sizes: &[usize]) -> (Vec<u8>, Vec<(u64, i64)>, i64) {
    let (mut bytes, mut places, mut next) = (Vec::new(), Vec::new(), base);
    for &size in sizes {
        let count = (size % 3) as i32 + 1;
        places.push((bytes.len() as u64, next));
        bytes.extend(batch(next, count, &vec![b'v'; size]));
        next += i64::from(count);
    }
    (bytes, places, next)
}

fn rules(first_offset: i64) -> ScanRules {
    ScanRules { first_offset, position: 0, batch_bytes_max: MAX, gaps: false }
}

fn scan(rules: ScanRules, bytes: &[u8], chunk: usize) -> (Vec<(u64, i64)>, ScanEnd) {
    let mut scanner = SegmentScanner::new(rules);
    let mut seen = Vec::new();
    for piece in bytes.chunks(chunk) {
        let more = scanner.feed(piece, |found| {
            assert_eq!(found.bytes.len(), found.header.size_bytes());
            seen.push((found.position, found.header.base_offset));
        });
        if !more {
            break;
        }
    }
    (seen, scanner.finish())
}

fn damage(bytes: &[u8], end: &ScanEnd, chunk: usize) -> Damage {
    let mut probe = DamageProbe::new(end.next_offset, end.position, MAX);
    for piece in bytes[end.position as usize..].chunks(chunk) {
        if !probe.feed(piece) {
            break;
        }
    }
    probe.finish()
}

#[test]
fn ends_of_every_kind() {
    let (good, places, next) = segment(50, &[10, 500, 3]);
    let size = good.len() as u64;
    let with = |tail: &[u8]| [&good[..], tail].concat();
    let other = batch(next, 2, b"more");
    let mut bad_crc = other.clone();
    bad_crc[65] ^= 1;
    let mut old = other.clone();
    old[16] = 1;
    let mut long = other.clone();
    long[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut negative = other.clone();
    negative[8] = 0xff;
    let length = i32::from_be_bytes([negative[8], negative[9], negative[10], negative[11]]);
    for (name, bytes, stop) in [
        ("clean", with(&[]), Stop::CleanEnd),
        ("few zeros", with(&[0; 5]), Stop::ZeroTail),
        ("many zeros", with(&[0; 5_000]), Stop::ZeroTail),
        ("torn header", with(&other[..30]), Stop::Torn),
        ("torn prefix", with(&other[..9]), Stop::Torn),
        ("torn records", with(&other[..other.len() - 1]), Stop::Torn),
        ("checksum", with(&bad_crc), Stop::BadCrc),
        ("magic", with(&old), Stop::BadMagic(1)),
        ("too long", with(&long), Stop::BadLength(i32::MAX)),
        ("negative", with(&negative), Stop::BadLength(length)),
        ("garbage", with(&[0xaa; 100]), Stop::BadLength(0xaaaa_aaaa_u32 as i32)),
        ("back", with(&batch(50, 1, b"x")), Stop::BadOffset { expected: next, found: 50 }),
        (
            "gap",
            with(&batch(next + 1, 1, b"x")),
            Stop::BadOffset { expected: next, found: next + 1 },
        ),
    ] {
        for chunk in [1, 7, 61, 100, 1 << 20] {
            let (seen, end) = scan(rules(50), &bytes, chunk);
            assert_eq!(seen, places, "{name} by {chunk}");
            assert_eq!(
                end,
                ScanEnd { stop, position: size, next_offset: next },
                "{name} by {chunk}"
            );
            let expected = match name {
                "gap" => Damage::Middle { position: size, base_offset: next + 1 },
                _ => Damage::Tail,
            };
            assert_eq!(damage(&bytes, &end, chunk), expected, "{name} by {chunk}");
        }
    }
    let (seen, end) = scan(rules(50), &[], 10);
    assert!(seen.is_empty());
    assert_eq!(end, ScanEnd { stop: Stop::CleanEnd, position: 0, next_offset: 50 });
}

#[test]
fn compacted_segments_have_gaps_and_empty_batches() {
    let empty = {
        let mut header = BatchHeader::parse(&batch(20, 1, b"")).unwrap();
        header.batch_length = 49;
        header.record_count = 0;
        header.last_offset_delta = 9;
        let mut head = header.to_bytes();
        header.crc = batch::checksum(&head, &[]);
        head = header.to_bytes();
        head.to_vec()
    };
    let bytes = [batch(5, 1, b"a"), empty, batch(100, 1, b"b")].concat();
    let (seen, end) = scan(ScanRules { gaps: true, ..rules(0) }, &bytes, 64);
    assert_eq!(seen.iter().map(|s| s.1).collect::<Vec<_>>(), [5, 20, 100]);
    assert_eq!((end.stop, end.next_offset), (Stop::CleanEnd, 101));
}

#[test]
fn headers_that_contradict_themselves() {
    for change in [
        |h: &mut BatchHeader| h.last_offset_delta = -1,
        |h: &mut BatchHeader| h.record_count = -1,
        |h: &mut BatchHeader| h.record_count = 3,
        |h: &mut BatchHeader| h.base_offset = -5,
        |h: &mut BatchHeader| h.base_offset = i64::MAX,
        |h: &mut BatchHeader| h.attributes = 6,
        |h: &mut BatchHeader| h.attributes = 0x21,
    ] {
        let mut bytes = batch(0, 2, b"x");
        let mut header = BatchHeader::parse(&bytes).unwrap();
        change(&mut header);
        let (head, records) = bytes.split_first_chunk_mut::<HEADER_BYTES>().unwrap();
        *head = header.to_bytes();
        header.crc = batch::checksum(head, records);
        *head = header.to_bytes();
        let (_, end) = scan(ScanRules { gaps: true, ..rules(0) }, &bytes, 1_000);
        assert_eq!(end.stop, Stop::BadHeader, "{header:?}");
    }
}

#[test]
fn a_batch_inside_a_torn_record_of_another_log_is_no_damage() {
    let (good, ..) = segment(1_000, &[10, 20]);
    let nested = batch(0, 3, b"mirrored");
    let outer = batch(1_005, 1, &nested);
    let bytes = [&good[..], &outer[..outer.len() - 2]].concat();
    let (_, end) = scan(rules(1_000), &bytes, 4_096);
    assert_eq!(end.stop, Stop::Torn);
    assert!(damage_is_tail(&bytes[end.position as usize..], end.next_offset, MAX));
}

#[test]
fn bytes_made_to_look_like_batches_do_not_hold_up_the_start() {
    // Many headers, each of which claims the largest batch and has a wrong checksum.
    let max = 1 << 20;
    let mut header = BatchHeader::parse(&batch(10, 1, b"")).unwrap();
    header.batch_length = max - 12;
    let bytes = header.to_bytes().repeat(2 * max as usize / HEADER_BYTES);
    let mut probe = DamageProbe::new(0, 0, max as usize);
    probe.feed(&bytes);
    assert_eq!(probe.finish(), Damage::Unclear);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunks_do_not_matter(
        sizes in prop::collection::vec(0_usize..3_000, 0..20), chunk in 1_usize..10_000,
    ) {
        let (bytes, places, next) = segment(7, &sizes);
        let (seen, end) = scan(rules(7), &bytes, chunk);
        prop_assert_eq!(seen, places);
        let position = bytes.len() as u64;
        prop_assert_eq!(end, ScanEnd { stop: Stop::CleanEnd, position, next_offset: next });
    }

    #[test]
    fn damage_is_found_where_it_is(
        sizes in prop::collection::vec(0_usize..2_000, 3..12),
        at in any::<prop::sample::Index>(), bit in 0_u8..8, chunk in 100_usize..10_000,
    ) {
        let (mut bytes, places, _) = segment(7, &sizes);
        let at = at.index(bytes.len());
        let hit = places.iter().rposition(|&(position, _)| position <= at as u64).unwrap();
        bytes[at] ^= 1 << bit;
        let (seen, end) = scan(rules(7), &bytes, chunk);
        let offset_in_batch = at as u64 - places[hit].0;
        if (12..16).contains(&offset_in_batch) {
            // The leader epoch is outside of the checksum.
            prop_assert_eq!(seen.len(), places.len());
            return Ok(());
        }
        prop_assert_eq!(&seen[..], &places[..hit]);
        prop_assert_eq!(end.position, places[hit].0);
        let verdict = damage(&bytes, &end, chunk);
        if offset_in_batch < 8 {
            // The base offset, too: the batch itself may now look like a later one.
            prop_assert!(hit + 1 == places.len() || verdict != Damage::Tail);
        } else {
            match places.get(hit + 1) {
                None => prop_assert_eq!(verdict, Damage::Tail),
                Some(&(position, base_offset)) => {
                    prop_assert_eq!(verdict, Damage::Middle { position, base_offset });
                }
            }
        }
    }

    #[test]
    fn any_cut_is_a_tail(
        sizes in prop::collection::vec(0_usize..2_000, 1..8),
        at in any::<prop::sample::Index>(), zeros in 0_usize..4_096,
    ) {
        let (bytes, places, next) = segment(0, &sizes);
        let cut = at.index(bytes.len());
        let mut torn = bytes[..cut].to_vec();
        torn.extend(std::iter::repeat_n(0, zeros));
        let (seen, end) = scan(rules(0), &torn, 1_000);
        if end.next_offset == next {
            // The zeros happened to be the batch's own bytes.
            return Ok(());
        }
        prop_assert!(seen.len() < places.len());
        prop_assert_eq!(damage(&torn, &end, 1_000), Damage::Tail);
    }

    #[test]
    fn any_bytes_end_somewhere(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let (seen, end) = scan(rules(0), &bytes, 50);
        prop_assert!(seen.is_empty());
        prop_assert_eq!(end.position, 0);
        prop_assert_eq!(damage(&bytes, &end, 50), Damage::Tail);
    }
}
