//! The rules for producers (KIP-98, KIP-890), case by case.

use proptest::prelude::*;

use super::*;
use crate::record::builder::{BatchBuilder, BatchOptions};

const PRODUCER: i64 = 7;

fn header(epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    let options = BatchOptions {
        producer_id: PRODUCER,
        producer_epoch: epoch,
        base_sequence: sequence,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    for _ in 0..count {
        builder.push(1_000, None, None, &[]).unwrap();
    }
    BatchHeader::parse(&builder.finish()).unwrap()
}

fn transactional(id: i64, epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    BatchHeader { producer_id: id, attributes: 0x10, ..header(epoch, sequence, count) }
}

fn marker(id: i64, epoch: i16) -> BatchHeader {
    BatchHeader { producer_id: id, attributes: 0x30, ..header(epoch, -1, 1) }
}

const fn end(commit: bool, coordinator_epoch: i32) -> EndTransaction {
    EndTransaction { commit, coordinator_epoch }
}

/// Checks as a client's batch and appends it if it is new.
fn append(
    producers: &mut Producers,
    header: &BatchHeader,
    offset: i64,
) -> Result<Admit, ProducerError> {
    let admit = producers.check(header, Origin::Client)?;
    if admit == Admit::New {
        producers.update(header, offset, header.max_timestamp);
    }
    Ok(admit)
}

fn is_out_of_order(result: Result<Admit, ProducerError>) -> bool {
    matches!(result, Err(ProducerError::OutOfOrderSequence { .. }))
}

#[test]
fn sequences_must_follow() {
    let mut p = Producers::default();
    assert_eq!(append(&mut p, &header(0, 0, 10), 100), Ok(Admit::New));
    assert!(is_out_of_order(append(&mut p, &header(0, 11, 1), 110)));
    assert!(is_out_of_order(append(&mut p, &header(0, 9, 1), 110)));
    assert!(is_out_of_order(append(&mut p, &header(0, 0, 9), 110)));
    assert_eq!(append(&mut p, &header(0, 10, 1), 110), Ok(Admit::New));
    assert_eq!(p.get(PRODUCER).unwrap().last_sequence(), 10);
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    let mut p = Producers::default();
    assert_eq!(append(&mut p, &header(3, 500, 5), 0), Ok(Admit::New));
    assert_eq!(append(&mut p, &header(3, 505, 5), 5), Ok(Admit::New));
}

#[test]
fn duplicates_are_known_among_the_last_five() {
    let mut p = Producers::default();
    for i in 0..6 {
        assert_eq!(append(&mut p, &header(0, i * 2, 2), 50 + i64::from(i) * 2), Ok(Admit::New));
    }
    assert!(is_out_of_order(append(&mut p, &header(0, 0, 2), 99)));
    for i in 1..6 {
        let base_offset = 50 + i64::from(i) * 2;
        let expected =
            Admit::Duplicate { base_offset, last_offset: base_offset + 1, timestamp: 1_000 };
        assert_eq!(append(&mut p, &header(0, i * 2, 2), 99), Ok(expected), "{i}");
    }
    // The same range in parts is no duplicate.
    assert!(is_out_of_order(append(&mut p, &header(0, 10, 1), 99)));
    // Coordinators and leaders of followers write without numbers.
    assert_eq!(p.check(&header(0, 2, 2), Origin::Coordinator), Ok(Admit::New));
    assert_eq!(p.check(&header(0, 2, 2), Origin::Replication), Ok(Admit::New));
}

#[test]
fn epochs_fence_and_begin_at_zero() {
    let mut p = Producers::default();
    append(&mut p, &header(1, 0, 5), 0).unwrap();
    assert!(is_out_of_order(append(&mut p, &header(2, 5, 1), 5)));
    assert_eq!(append(&mut p, &header(2, 0, 1), 5), Ok(Admit::New));
    let fenced = ProducerError::InvalidEpoch { producer_id: PRODUCER, epoch: 1, current: 2 };
    assert_eq!(append(&mut p, &header(1, 0, 5), 6), Err(fenced));
    assert_eq!(p.check(&header(1, -1, 5), Origin::Coordinator), Err(fenced));
    assert_eq!(append(&mut p, &header(2, 1, 1), 6), Ok(Admit::New));
    assert_eq!(p.get(PRODUCER).unwrap().batches().len(), 2);
}

#[test]
fn sequences_wrap_to_zero() {
    let mut p = Producers::default();
    append(&mut p, &header(0, i32::MAX - 1, 2), 0).unwrap();
    assert!(is_out_of_order(append(&mut p, &header(0, 1, 1), 2)));
    assert_eq!(append(&mut p, &header(0, 0, 1), 2), Ok(Admit::New));
    // A batch across the wrap is recognised again.
    let mut p = Producers::default();
    append(&mut p, &header(0, i32::MAX - 1, 5), 10).unwrap();
    assert_eq!(p.get(PRODUCER).unwrap().last_sequence(), 2);
    let again = append(&mut p, &header(0, i32::MAX - 1, 5), 99).unwrap();
    assert_eq!(again, Admit::Duplicate { base_offset: 10, last_offset: 14, timestamp: 1_000 });
    assert_eq!(append(&mut p, &header(0, 3, 1), 15), Ok(Admit::New));
}

#[test]
fn batches_without_a_producer_leave_no_trace() {
    let mut p = Producers::default();
    assert_eq!(
        append(&mut p, &BatchHeader { producer_id: -1, ..header(-1, -1, 3) }, 0),
        Ok(Admit::New)
    );
    assert!(p.is_empty());
}

#[test]
fn a_transaction_bounds_what_is_stable() {
    let mut p = Producers::default();
    assert_eq!(p.last_stable_offset(10), 10);
    append(&mut p, &transactional(1, 0, 0, 5), 10).unwrap();
    append(&mut p, &transactional(2, 0, 0, 5), 15).unwrap();
    append(&mut p, &transactional(1, 0, 5, 5), 20).unwrap();
    assert!(p.has_open_transaction(1, 0) && !p.has_open_transaction(1, 1));
    assert_eq!(p.first_unstable_offset(), Some(10));
    let outside = BatchHeader { attributes: 0, ..transactional(1, 0, 10, 1) };
    assert_eq!(
        append(&mut p, &outside, 25),
        Err(ProducerError::InvalidTransactionState { producer_id: 1 })
    );
    p.check_end(&marker(1, 0), end(false, 4), 1).unwrap();
    let ended = p.end_transaction(&marker(1, 0), end(false, 4), 25, 1_000).unwrap();
    assert_eq!((ended.first_offset, ended.last_offset, ended.aborted), (10, 25, true));
    assert_eq!(ended.last_stable_offset, 15);
    // Decided, but not yet replicated.
    assert_eq!(p.first_unstable_offset(), Some(10));
    p.advance(25);
    assert_eq!(p.first_unstable_offset(), Some(10));
    p.advance(26);
    assert_eq!((p.first_unstable_offset(), p.last_stable_offset(26)), (Some(15), 15));
    let ended = p.end_transaction(&marker(2, 0), end(true, 4), 26, 1_000).unwrap();
    assert_eq!((ended.aborted, ended.last_stable_offset), (false, 27));
    p.advance(27);
    assert_eq!(p.last_stable_offset(27), 27);
    // An empty transaction leaves nothing to tell.
    assert_eq!(p.end_transaction(&marker(2, 0), end(true, 4), 27, 1_000), None);
    // The sequence goes on after the end in the same epoch, and anew in another.
    assert_eq!(append(&mut p, &transactional(2, 0, 5, 1), 28), Ok(Admit::New));
}

#[test]
fn ends_are_fenced() {
    let mut p = Producers::default();
    append(&mut p, &transactional(1, 3, 0, 5), 0).unwrap();
    let invalid = |epoch| Err(ProducerError::InvalidEpoch { producer_id: 1, epoch, current: 3 });
    assert_eq!(p.check_end(&marker(1, 2), end(true, 0), 1), invalid(2));
    assert_eq!(p.check_end(&marker(1, 3), end(true, 0), 1), Ok(()));
    // Version 2 ends with the next epoch.
    assert_eq!(p.check_end(&marker(1, 3), end(true, 0), 2), invalid(3));
    assert_eq!(p.check_end(&marker(1, 4), end(true, 9), 2), Ok(()));
    p.end_transaction(&marker(1, 4), end(true, 9), 5, 0).unwrap();
    assert_eq!(p.check_end(&marker(1, 4), end(true, 9), 2), Ok(()), "a repeated end");
    assert_eq!(
        p.check_end(&marker(1, 4), end(true, 8), 1),
        Err(ProducerError::CoordinatorFenced { producer_id: 1, epoch: 8, current: 9 })
    );
    // The new epoch has no batches yet, so it begins at 0.
    assert!(is_out_of_order(append(&mut p, &transactional(1, 4, 5, 1), 6)));
    assert_eq!(append(&mut p, &transactional(1, 4, 0, 1), 6), Ok(Admit::New));
}

#[test]
fn expiry_spares_open_transactions() {
    let mut p = Producers::default();
    append(&mut p, &header(0, 0, 1), 0).unwrap();
    append(&mut p, &transactional(8, 0, 0, 1), 1).unwrap();
    assert_eq!(p.expire(1_000 + 99, 100), 0);
    assert_eq!(p.expire(1_000 + 100, 100), 1);
    assert!(p.get(8).is_some());
    // What is forgotten may begin anywhere.
    assert_eq!(append(&mut p, &header(0, 77, 1), 2), Ok(Admit::New));
}

#[test]
fn a_snapshot_keeps_one_batch_and_the_open_transaction() {
    let mut p = Producers::default();
    append(&mut p, &header(0, 0, 2), 0).unwrap();
    append(&mut p, &header(0, 2, 2), 2).unwrap();
    append(&mut p, &transactional(8, 0, 0, 1), 4).unwrap();
    p.end_transaction(&marker(9, 5), end(true, 2), 5, 1_000);
    let mut loaded = Producers::default();
    loaded.load(&p.snapshot(), 2_000, 10_000);
    assert_eq!(loaded.len(), 3);
    assert_eq!(loaded.first_unstable_offset(), Some(4));
    assert_eq!(loaded.get(9).map(|nine| (nine.epoch(), nine.coordinator_epoch())), Some((5, 2)));
    let again = append(&mut loaded, &header(0, 2, 2), 99).unwrap();
    assert_eq!(again, Admit::Duplicate { base_offset: 2, last_offset: 3, timestamp: 1_000 });
    assert!(is_out_of_order(append(&mut loaded, &header(0, 0, 2), 99)));
    assert_eq!(append(&mut loaded, &header(0, 4, 2), 5), Ok(Admit::New));
    let mut late = Producers::default();
    late.load(&p.snapshot(), 50_000, 10_000);
    assert_eq!(late.len(), 1, "only the one with an open transaction");
}

proptest! {
    /// Replaying the log gives the state that appending it gave, and every one of the last five
    /// batches is then a duplicate.
    #[test]
    fn replay_repeats_the_state(
        batches in prop::collection::vec((0_i64..3, 1_i32..5, any::<bool>()), 1..60)
    ) {
        let mut live = Producers::default();
        let mut log = Vec::new();
        let mut offset = 0;
        for (id, count, ends) in batches {
            let open = live.has_open_transaction(id, 0);
            let (header, says) = if ends && open {
                (marker(id, 0), Some(end(count % 2 == 0, 0)))
            } else {
                let next = live.get(id).map_or(0, |p| p.last_sequence() + 1);
                (transactional(id, 0, next, count), None)
            };
            let header = BatchHeader { base_offset: offset, ..header };
            match says {
                Some(says) => {
                    live.check_end(&header, says, 0).unwrap();
                    live.end_transaction(&header, says, offset, header.max_timestamp);
                }
                None => {
                    prop_assert_eq!(append(&mut live, &header, offset), Ok(Admit::New));
                }
            }
            offset = header.next_offset();
            log.push((header, says));
        }
        let mut loaded = Producers::default();
        loaded.load(&live.all_batches(3).unwrap(), 1_000, 10_000);
        prop_assert_eq!(live.all_batches(live.len() - 1), None);
        let mut replayed = Producers::default();
        for (header, says) in &log {
            replayed.replay(header, *says);
        }
        prop_assert_eq!(replayed.snapshot(), live.snapshot());
        prop_assert_eq!(loaded.snapshot(), live.snapshot());
        prop_assert_eq!(replayed.first_unstable_offset(), live.first_unstable_offset());
        for id in 0..3 {
            let own = log.iter().rev().filter(|(h, s)| h.producer_id == id && s.is_none());
            for (header, _) in own.take(BATCHES_KEPT) {
                let admit = replayed.check(header, Origin::Client).unwrap();
                prop_assert_eq!(loaded.check(header, Origin::Client), Ok(admit));
                let Admit::Duplicate { base_offset, .. } = admit else { panic!("new") };
                prop_assert_eq!(base_offset, header.base_offset);
            }
        }
    }
}
