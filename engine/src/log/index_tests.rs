//! Both indexes against a plain list of batches.

use proptest::prelude::*;

use super::*;

const RULES: IndexRules = IndexRules { interval_bytes: 100, file_bytes_max: 10 * 1024 * 1024 };

/// A batch as the index sees it.
#[derive(Debug, Clone, Copy)]
struct Batch {
    last_offset: i64,
    position: u32,
    size: u64,
    max_timestamp: i64,
}

fn batches(base: i64, parts: &[(i64, u64, i64)]) -> Vec<Batch> {
    let (mut next, mut position) = (base, 0);
    let mut out = Vec::new();
    for &(records, size, max_timestamp) in parts {
        next += records;
        out.push(Batch { last_offset: next - 1, position, size, max_timestamp });
        position += size as u32;
    }
    out
}

fn indexed(base: i64, batches: &[Batch]) -> SegmentIndex {
    let mut index = SegmentIndex::new(base, RULES);
    for b in batches {
        index.append_batch(b.max_timestamp, b.last_offset, b.position, b.size);
    }
    index
}

#[test]
fn entries_follow_kafkas_rule() {
    // More than 100 bytes must lie between the batch of an entry and the one before.
    let parts = [(10, 60, 5), (10, 41, 9), (10, 50, 7), (1, 51, 8), (1, 500, 20), (1, 1, 30)];
    let mut index = indexed(1_000, &batches(1_000, &parts));
    let entries: Vec<_> = (0..).map_while(|n| index.offsets().entry(n)).collect();
    assert_eq!(
        entries,
        [
            OffsetPosition { offset: 1_029, position: 101 },
            OffsetPosition { offset: 1_031, position: 202 },
            OffsetPosition { offset: 1_032, position: 702 },
        ]
    );
    let times: Vec<_> = (0..).map_while(|n| index.times().entry(n)).collect();
    assert_eq!(
        times,
        [
            TimestampOffset { timestamp: 9, offset: 1_019 },
            TimestampOffset { timestamp: 20, offset: 1_031 },
            TimestampOffset { timestamp: 30, offset: 1_032 },
        ]
    );
    index.seal();
    index.seal();
    assert_eq!(index.times().len(), 3);
    assert_eq!(index.offset_bytes()[..8], [0, 0, 0, 29, 0, 0, 0, 101]);
    assert_eq!(index.time_bytes()[..12], [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 19]);
}

#[test]
fn sealing_adds_the_largest_timestamp() {
    let mut index = indexed(0, &batches(0, &[(1, 10, 7), (1, 10, 3)]));
    assert!(index.offsets().is_empty() && index.times().is_empty());
    index.seal();
    assert_eq!(index.times().last(), Some(TimestampOffset { timestamp: 7, offset: 0 }));
    let mut timeless = indexed(0, &batches(0, &[(1, 10, -1)]));
    timeless.seal();
    assert!(timeless.times().is_empty());
    assert_eq!(timeless.largest().timestamp, -1);
}

#[test]
fn bounds() {
    let small = IndexRules { interval_bytes: 0, file_bytes_max: 31 };
    let mut index = SegmentIndex::new(0, small);
    for i in 0..10_u32 {
        assert_eq!(index.is_full(), i >= 2, "{i}");
        index.append_batch(i64::from(i), i64::from(i), i * 10, 10);
    }
    assert_eq!((index.offsets().len(), index.times().len()), (1, 1));
    index.seal();
    assert_eq!(index.times().last().map(|e| e.timestamp), Some(9));
    assert!(index.time_bytes().len() <= 31);
    let high = SegmentIndex::new(100, RULES);
    assert!(high.can_hold(100 + i64::from(i32::MAX)));
    assert!(!high.can_hold(101 + i64::from(i32::MAX)));
    assert!(!high.can_hold(99));
}

#[test]
fn doubtful_files_are_refused() {
    let entry =
        |relative: i32, position: u32| [relative.to_be_bytes(), position.to_be_bytes()].concat();
    for (bytes, error) in [
        (vec![0; 7], IndexError::Size(7)),
        (vec![0; 16], IndexError::Order(0)),
        ([entry(5, 100), vec![0; 8]].concat(), IndexError::Order(1)),
        ([entry(5, 100), entry(5, 200)].concat(), IndexError::Order(1)),
        ([entry(5, 100), entry(6, 100)].concat(), IndexError::Order(1)),
        (entry(-1, 100), IndexError::Order(0)),
        ([entry(5, 100), entry(9, 1_000)].concat(), IndexError::Beyond(1)),
    ] {
        assert_eq!(OffsetIndex::load(0, &bytes, 1_000).err(), Some(error), "{bytes:?}");
    }
    let time = |timestamp: i64, relative: i32| {
        [&timestamp.to_be_bytes()[..], &relative.to_be_bytes()].concat()
    };
    for (bytes, error) in [
        (vec![0; 13], IndexError::Size(13)),
        ([time(5, 1), vec![0; 12]].concat(), IndexError::Order(1)),
        ([time(5, 2), time(6, 1)].concat(), IndexError::Order(1)),
        (time(-1, 1), IndexError::Order(0)),
        (time(5, -1), IndexError::Order(0)),
        (time(5, 10), IndexError::Beyond(0)),
    ] {
        assert_eq!(TimeIndex::load(0, &bytes, 10).err(), Some(error), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn lookups_never_skip(
        base in 0_i64..1 << 40,
        parts in prop::collection::vec((1_i64..20, 1_u64..200, 0_i64..1_000), 1..80),
        ask in 0_i64..1_000,
        cut in 0_usize..80,
    ) {
        let list = batches(base, &parts);
        let end = list.last().unwrap().last_offset + 1;
        let log_bytes: u64 = list.iter().map(|b| b.size).sum();
        let mut index = indexed(base, &list);

        let offset = base + ask % (end - base);
        let found = index.offsets().lookup(offset);
        // The batch that holds the offset is not before the position found.
        let holder = list.iter().find(|b| b.last_offset >= offset).unwrap();
        prop_assert!(found.position <= holder.position);
        prop_assert!(found.position == 0 || list.iter().any(|b| b.position == found.position));
        if let Some(after) = index.offsets().first_at(holder.position + 1) {
            prop_assert!(after.offset > offset);
        }

        index.seal();
        let from = index.times().lookup(ask);
        if let Some(first) = list.iter().find(|b| b.max_timestamp >= ask) {
            prop_assert!(from < first.last_offset || from == base);
            let position = index.offsets().lookup(from).position;
            prop_assert!(position <= first.position);
        }
        let newest = list.iter().map(|b| b.max_timestamp).max().unwrap();
        prop_assert_eq!(index.times().last().unwrap().timestamp, newest);

        // Files load again, and go on as if nothing had happened.
        let (offsets, times) = (index.offset_bytes().to_vec(), index.time_bytes().to_vec());
        SealedIndex::load(base, &offsets, &times, log_bytes, end).unwrap();

        // Cutting equals never having appended.
        let cut = cut.min(list.len());
        let kept = indexed(base, &list[..cut]);
        let mut truncated = indexed(base, &list);
        let cut_at = cut.checked_sub(1).map_or(base, |i| list[i].last_offset + 1);
        truncated.truncate(cut_at, 0, kept.largest());
        prop_assert_eq!(truncated.offset_bytes(), kept.offset_bytes());
        truncated.seal();
        let mut kept = kept;
        kept.seal();
        prop_assert_eq!(truncated.time_bytes(), kept.time_bytes());
    }
}

#[test]
fn a_sample_is_an_index_too() {
    let parts: Vec<_> = (0..40).map(|i| (1, 101, 10 * i)).collect();
    let all = batches(500, &parts);
    let whole = indexed(500, &all);
    let count = whole.offsets().len();
    for entries_max in [1, 2, 3, 7, count, count + 1] {
        let (offsets, times) = whole.sampled(entries_max);
        let loaded = SealedIndex::load(500, &offsets, &times, 40 * 101, 540).unwrap();
        let len = loaded.offsets().len();
        assert!(len <= entries_max && len > 0);
        assert_eq!(loaded.offsets().entry(len - 1), whole.offsets().entry(count - 1));
        assert_eq!(loaded.times().last(), whole.times().last());
        for offset in 500..540 {
            let (sparse, dense) = (loaded.offsets().lookup(offset), whole.offsets().lookup(offset));
            assert!(sparse.position <= dense.position, "never behind what is looked for");
        }
        let last = whole.last_sampled_before(&offsets, u64::MAX);
        assert_eq!(last, whole.offsets().entry(count - 1));
        assert_eq!(whole.last_sampled_before(&offsets, 0), None);
    }
}
