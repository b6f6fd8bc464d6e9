//! Counts what is wrong with records that have been read.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ledger::Ledger;
use super::ranges::Ranges;
use super::record::Name;
use crate::batch::record::Records;
use crate::batch::walk::{Batch, Batches};

/// What was found. Zero everywhere but in `records` and `batches` is what a broker owes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Records read.
    pub records: u64,
    /// Batches read.
    pub batches: u64,
    /// Acknowledged or once read, and not there.
    pub lost: u64,
    /// There more than once.
    pub doubled: u64,
    /// Behind a record that was sent later.
    pub reordered: u64,
    /// Bytes that are not what was sent.
    pub corrupted: u64,
    /// Never sent, or refused by the broker.
    pub phantom: u64,
    /// At another offset than the acknowledgement said.
    pub moved: u64,
    /// Offsets that no record has; not wrong by itself.
    pub gaps: u64,
    /// Offsets that retention took.
    pub deleted: u64,
    /// The first few things that are wrong, in words.
    pub examples: Vec<String>,
    #[serde(skip)]
    lanes: BTreeMap<i32, Lane>,
}

/// One partition.
#[derive(Clone, Debug, Default)]
struct Lane {
    seen: Ranges,
    /// Highest number so far, plus one.
    next: u64,
    next_offset: Option<i64>,
}

const EXAMPLES_MAX: usize = 20;

impl Tally {
    /// Nothing read yet.
    pub fn new(ledger: &Ledger) -> Self {
        let lanes = ledger.partitions.keys().map(|id| (*id, Lane::default())).collect();
        Self { lanes, ..Self::default() }
    }

    /// Whether nothing is wrong.
    pub fn clean(&self) -> bool {
        self.wrongs().iter().all(|(_, count)| *count == 0)
    }

    /// What is wrong, by name.
    pub fn wrongs(&self) -> [(&'static str, u64); 6] {
        [
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("reordered", self.reordered),
            ("corrupted", self.corrupted),
            ("phantom", self.phantom),
            ("moved", self.moved),
        ]
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    /// Reads fetched bytes of `partition` and moves `offset` behind them.
    pub fn read(&mut self, ledger: &Ledger, partition: i32, bytes: &[u8], offset: &mut i64) {
        for batch in Batches::new(bytes) {
            if batch.next_offset() <= *offset {
                continue; // a broker may begin its answer before the offset asked for
            }
            self.batches += 1;
            if batch.control() {
                *offset = batch.next_offset();
                continue;
            }
            self.batch(ledger, partition, &batch, *offset);
            *offset = batch.next_offset();
        }
    }

    fn batch(&mut self, ledger: &Ledger, partition: i32, batch: &Batch<'_>, from: i64) {
        let count = u64::from(batch.count().unsigned_abs());
        let place = || format!("partition {partition}, offset {}", batch.base_offset());
        if !batch.crc_holds() {
            self.corrupted += count;
            return self.example(|| format!("{}: the batch's CRC does not hold", place()));
        }
        let unpacked = batch.codec().and_then(|codec| codec.unpack(batch.body()).ok());
        let Some(unpacked) = unpacked else {
            self.corrupted += count;
            return self.example(|| format!("{}: the batch does not unpack", place()));
        };
        let mut found = 0;
        for record in Records::new(&unpacked) {
            found += 1;
            let offset = batch.base_offset() + record.offset_delta;
            if offset >= from {
                self.record(ledger, partition, offset, record.value.unwrap_or_default());
            }
        }
        if found != count {
            self.corrupted += count.abs_diff(found);
            self.example(|| format!("{}: {found} records of {count} can be read", place()));
        }
    }

    fn record(&mut self, ledger: &Ledger, partition: i32, offset: i64, value: &[u8]) {
        self.records += 1;
        let place = || format!("partition {partition}, offset {offset}");
        let (Some(account), Some(lane)) =
            (ledger.partitions.get(&partition), self.lanes.get_mut(&partition))
        else {
            return;
        };
        self.gaps +=
            lane.next_offset.map_or(0, |next| u64::try_from(offset - next).unwrap_or_default());
        lane.next_offset = Some(offset + 1);
        let Some(name) = Name::read(value) else {
            self.corrupted += 1;
            return self.example(|| format!("{}: not what was sent", place()));
        };
        let number = name.number;
        let ours = name.ledger == ledger.id && name.partition == partition;
        let sent = number < account.next || !ledger.finished;
        if !ours || !sent || account.refused.contains(number) {
            self.phantom += 1;
            return self.example(|| format!("{}: {name:?} should not be there", place()));
        }
        if lane.seen.contains(number) {
            self.doubled += 1;
            return self.example(|| format!("{}: record {number} again", place()));
        }
        lane.seen.insert(number, number + 1);
        let late = number < lane.next;
        lane.next = lane.next.max(number + 1);
        if late {
            self.reordered += 1;
            self.example(|| format!("{}: record {number} behind a later one", place()));
        }
        if let Some(told) = account.offset_of(number).filter(|told| *told != offset) {
            self.moved += 1;
            self.example(|| format!("{}: record {number} was acknowledged at {told}", place()));
        }
    }

    /// Everything has been read: what is missing is lost.
    pub fn close(&mut self, ledger: &Ledger) {
        for (partition, account) in &ledger.partitions {
            let Some(lane) = self.lanes.get(partition) else { continue };
            let mut owed = account.acknowledged.clone();
            account.seen.iter().for_each(|(from, to)| owed.insert(from, to));
            let lost = owed.without(&lane.seen);
            self.lost += lost.len();
            for (from, to) in lost.iter().take(3) {
                let text =
                    format!("partition {partition}: records {from} to {} are not there", to - 1);
                self.example(|| text);
            }
        }
    }

    /// Notes in `ledger` what has been seen, so that it has to stay.
    pub fn leave_seen(&self, ledger: &mut Ledger) {
        for (partition, account) in &mut ledger.partitions {
            if let Some(lane) = self.lanes.get(partition) {
                lane.seen.iter().for_each(|(from, to)| account.seen.insert(from, to));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::compression::Codec;
    use crate::batch::header::Header;
    use crate::batch::record;

    const LEDGER: u64 = 5;

    /// A batch of the given numbers at `offset`.
    fn batch(offset: i64, numbers: &[u64], codec: Codec) -> Vec<u8> {
        let (mut value, mut records) = (Vec::new(), Vec::new());
        for (delta, number) in numbers.iter().enumerate() {
            Name { ledger: LEDGER, partition: 0, number: *number }.write(100, &mut value);
            record::put(delta as i32, None, &value, &mut records);
        }
        let header = Header {
            timestamp_ms: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: numbers.len() as i32,
            attributes: codec.bits(),
        };
        let mut batch = header.seal(&codec.pack(&records).expect("packs"));
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        batch
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(LEDGER, "t", &BTreeMap::from([(0, 0)]));
        let account = ledger.partitions.get_mut(&0).expect("it has one");
        account.next = 10;
        account.acknowledge(0, 8, Some(0));
        account.refused.insert(9, 10);
        ledger.finished = true;
        ledger
    }

    fn wrongs(batches: &[Vec<u8>]) -> Vec<(&'static str, u64)> {
        let ledger = ledger();
        let mut tally = Tally::new(&ledger);
        tally.read(&ledger, 0, &batches.concat(), &mut 0);
        tally.close(&ledger);
        tally.wrongs().into_iter().filter(|wrong| wrong.1 > 0).collect()
    }

    #[test]
    fn each_wrong_is_counted_as_what_it_is() {
        let plain = Codec::None;
        let all = batch(0, &[0, 1, 2, 3, 4, 5, 6, 7], plain);
        let mut flipped = batch(4, &[4, 5, 6, 7], plain);
        flipped[90] ^= 1;
        let head = batch(0, &[0, 1, 2, 3], plain);
        type Case = (Vec<Vec<u8>>, Vec<(&'static str, u64)>);
        let cases: Vec<Case> = vec![
            (vec![all.clone()], vec![]),
            (vec![batch(0, &[0, 1, 2, 3, 4, 5, 6, 7], Codec::Zstd)], vec![]),
            // Sent without an answer: may be there.
            (vec![all.clone(), batch(8, &[8], plain)], vec![]),
            (vec![head.clone()], vec![("lost", 4)]),
            (vec![all.clone(), batch(8, &[7], plain)], vec![("doubled", 1)]),
            (
                vec![batch(0, &[0, 1, 3, 2, 4, 5, 6, 7], plain)],
                vec![("reordered", 1), ("moved", 2)],
            ),
            (vec![head, flipped], vec![("lost", 4), ("corrupted", 4)]),
            (vec![all.clone(), batch(8, &[9], plain)], vec![("phantom", 1)]),
            (vec![all, batch(8, &[10], plain)], vec![("phantom", 1)]),
            (vec![batch(1, &[0, 1, 2, 3, 4, 5, 6, 7], plain)], vec![("moved", 8)]),
        ];
        for (batches, expected) in cases {
            assert_eq!(wrongs(&batches), expected);
        }
    }

    #[test]
    fn what_was_read_once_must_stay() {
        let mut ledger = ledger();
        let mut first = Tally::new(&ledger);
        first.read(&ledger, 0, &batch(0, &[0, 1, 2, 3, 4, 5, 6, 7, 8], Codec::None), &mut 0);
        first.leave_seen(&mut ledger);
        let mut second = Tally::new(&ledger);
        second.read(&ledger, 0, &batch(0, &[0, 1, 2, 3, 4, 5, 6, 7], Codec::None), &mut 0);
        second.close(&ledger);
        assert_eq!(second.lost, 1);
    }
}
