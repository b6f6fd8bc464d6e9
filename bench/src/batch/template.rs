//! A batch encoded once and sent many times: only its header and the stamp of its first record change.
//!
//! Compressed batches carry no stamp (it would be packed with the rest); they are packed once per number of records and
//! sent as they are, so the generator does not pay for compressing what a client would have to compress each time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::compression::Codec;
use super::crc::Shift;
use super::header::Header;
use super::key::{self, KeyMix};
use super::payload::{self, Chance, Payload};
use super::record;
use super::size::SizeMix;
use super::stamp::{STAMP_BYTES, Stamp};
use super::{CRC_AT, CRC_FROM, HEADER_BYTES};

/// What a template is made from.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Value sizes.
    pub sizes: SizeMix,
    /// What the values hold.
    pub payload: Payload,
    /// A batch is full at this many bytes, header included (it always holds one record).
    pub batch_bytes: usize,
    /// A batch is full at this many records.
    pub batch_records: usize,
    /// Compression.
    pub codec: Codec,
    /// Keys.
    pub keys: KeyMix,
    /// With keys: only those that belong to this partition, of so many.
    pub place: (i32, usize),
}

/// The parts of a batch header that differ from batch to batch.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Record timestamp, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// The stamp of the first record.
    pub stamp: Stamp,
}

/// An encoded run of records of which any number from the front makes a batch.
pub struct Template {
    /// The records, encoded.
    records: Rc<[u8]>,
    /// Bytes at the front that change with the stamp (zero: there is none).
    changing: usize,
    prefixes: Vec<Prefix>,
    codec: Codec,
    packed: RefCell<BTreeMap<usize, Rc<[u8]>>>,
}

/// What is known about the batch of the first `n + 1` records.
struct Prefix {
    /// Where the last record ends.
    end: usize,
    /// Value bytes in it.
    value_bytes: u64,
    /// CRC of the records behind the changing part.
    crc: u32,
    /// Moves the CRC of what stands before over them.
    shift: Shift,
}

/// What stands behind the front of a batch: a range of bytes shared by all batches.
pub struct Tail {
    /// The bytes.
    pub bytes: Rc<[u8]>,
    /// The range.
    pub range: Range<usize>,
}

impl Template {
    /// Encodes a full batch.
    pub fn new(recipe: &Recipe, chance: &mut Chance) -> Self {
        let stamped = recipe.sizes.smallest() >= STAMP_BYTES && recipe.codec == Codec::None;
        let mut records = Vec::new();
        let mut ends = Vec::new();
        let mut value_bytes = 0_u64;
        let mut changing = 0;
        let (mut value, mut scratch) = (Vec::new(), Vec::new());
        loop {
            let size = recipe.sizes.draw(chance);
            value.clear();
            payload::fill(recipe.payload, size, chance, &mut value);
            let key = recipe.key(chance);
            let key = key.as_ref().map(<[u8; 16]>::as_slice);
            let before = records.len();
            record::put(ends.len() as i32, key, &value, &mut scratch, &mut records);
            let full = HEADER_BYTES + records.len() > recipe.batch_bytes;
            if full && !ends.is_empty() {
                records.truncate(before);
                break;
            }
            if stamped && ends.is_empty() {
                // The value is followed by one byte, the number of record headers.
                changing = records.len() - 1 - size + STAMP_BYTES;
            }
            value_bytes += size as u64;
            ends.push((records.len(), value_bytes));
            if full || ends.len() >= recipe.batch_records.max(1) {
                break;
            }
        }
        Self {
            prefixes: prefixes(&records, changing, &ends),
            records: records.into(),
            changing,
            codec: recipe.codec,
            packed: RefCell::default(),
        }
    }

    /// Records in a full batch; at least one.
    pub fn records_max(&self) -> usize {
        self.prefixes.len()
    }

    /// Value bytes of the first `count` records.
    pub fn value_bytes(&self, count: usize) -> u64 {
        self.prefixes[count - 1].value_bytes
    }

    /// Bytes of the batch of the first `count` records.
    pub fn batch_bytes(&self, count: usize) -> usize {
        match self.codec {
            Codec::None => HEADER_BYTES + self.prefixes[count - 1].end,
            _ => HEADER_BYTES + self.packed(count).len(),
        }
    }

    /// Whether the batches carry stamps.
    pub fn stamped(&self) -> bool {
        self.changing > 0
    }

    /// The packed records of a compressed batch; packed when first asked for.
    fn packed(&self, count: usize) -> Rc<[u8]> {
        let mut packed = self.packed.borrow_mut();
        let entry = packed.entry(count).or_insert_with(|| {
            let records = &self.records[..self.prefixes[count - 1].end];
            // Packing to memory fails only where memory does.
            self.codec.pack(records).unwrap_or_default().into()
        });
        Rc::clone(entry)
    }

    /// Appends the changing front of the batch of the first `count` records to `out`. What follows it is
    /// `tail(count)`.
    pub fn put_front(&self, count: usize, head: &Head, out: &mut Vec<u8>) {
        let prefix = &self.prefixes[count - 1];
        let start = out.len();
        let header = Header {
            timestamp_ms: head.timestamp_ms,
            producer_id: head.producer_id,
            producer_epoch: head.producer_epoch,
            base_sequence: head.base_sequence,
            count: count as i32,
            attributes: self.codec.bits(),
        };
        out.extend_from_slice(&header.bytes(self.batch_bytes(count) - HEADER_BYTES));
        let crc = if self.codec == Codec::None {
            out.extend_from_slice(&self.records[..self.changing]);
            if self.changing > 0 {
                let at = out.len() - STAMP_BYTES;
                out[at..].copy_from_slice(&head.stamp.encode());
            }
            prefix.shift.join(crc32c::crc32c(&out[start + CRC_FROM..]), prefix.crc)
        } else {
            let front = crc32c::crc32c(&out[start + CRC_FROM..]);
            crc32c::crc32c_append(front, &self.packed(count))
        };
        out[start + CRC_AT..start + CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    }

    /// The part of the batch of the first `count` records that never changes.
    pub fn tail(&self, count: usize) -> Tail {
        if self.codec == Codec::None {
            let range = self.changing..self.prefixes[count - 1].end;
            return Tail { bytes: Rc::clone(&self.records), range };
        }
        let bytes = self.packed(count);
        let range = 0..bytes.len();
        Tail { bytes, range }
    }
}

impl Recipe {
    /// The next record's key: one of its partition, if one turns up.
    fn key(&self, chance: &mut Chance) -> Option<[u8; 16]> {
        if self.keys == KeyMix::None {
            return None;
        }
        let (partition, partitions) = self.place;
        let mut key = key::bytes(self.keys.draw(chance));
        for _ in 0..partitions * 20 {
            if key::partition(&key, partitions) == partition {
                break;
            }
            key = key::bytes(self.keys.draw(chance));
        }
        Some(key)
    }
}

fn prefixes(records: &[u8], changing: usize, ends: &[(usize, u64)]) -> Vec<Prefix> {
    let mut crc = 0;
    let mut summed = changing;
    ends.iter()
        .map(|&(end, value_bytes)| {
            crc = crc32c::crc32c_append(crc, &records[summed..end]);
            summed = end;
            Prefix { end, value_bytes, crc, shift: Shift::by(end - changing) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::walk::Batches;
    use proptest::prelude::*;

    const HEAD: Head = Head {
        timestamp_ms: 1_700_000_000_000,
        producer_id: 7,
        producer_epoch: 1,
        base_sequence: 40,
        stamp: Stamp { run: 9, producer: 3, first: 40, due_ns: 123_456_789 },
    };

    fn batch(template: &Template, count: usize) -> Vec<u8> {
        let mut out = Vec::new();
        template.put_front(count, &HEAD, &mut out);
        let tail = template.tail(count);
        out.extend_from_slice(&tail.bytes[tail.range]);
        out
    }

    proptest! {
        #[test]
        fn every_prefix_is_a_valid_batch(low in 0_usize..200, spread in 0_usize..2000, batch_bytes in 0_usize..20_000, codec in 0_u8..5) {
            let recipe = Recipe {
                sizes: SizeMix::Uniform(low, low + spread),
                payload: Payload::Json,
                batch_bytes,
                batch_records: 50,
                codec: Codec::from_bits(codec).expect("known"),
                keys: if spread % 2 == 0 { KeyMix::None } else { KeyMix::Uniform(100) },
                place: (1, 3),
            };
            let template = Template::new(&recipe, &mut Chance::new(5));
            prop_assert_eq!(template.stamped(), low >= STAMP_BYTES && codec == 0);
            for count in 1..=template.records_max() {
                let bytes = batch(&template, count);
                prop_assert_eq!(bytes.len(), template.batch_bytes(count));
                prop_assert!(count == 1 || bytes.len() <= batch_bytes || codec > 0);
                let found: Vec<_> = Batches::new(&bytes).collect();
                prop_assert_eq!(found.len(), 1);
                prop_assert!(found[0].crc_holds());
                prop_assert_eq!(found[0].count(), count as i32);
                let unpacked = recipe.codec.unpack(found[0].body()).expect("unpacks");
                let records: Vec<_> = record::Records::new(&unpacked).collect();
                prop_assert_eq!(records.len(), count);
                let bytes: usize = records.iter().map(|r| r.value.map_or(0, <[u8]>::len)).sum();
                prop_assert_eq!(bytes as u64, template.value_bytes(count));
                let placed = |key: Option<&[u8]>| match key {
                    Some(bytes) => key::partition(bytes, 3) == 1,
                    None => recipe.keys == KeyMix::None,
                };
                prop_assert!(records.iter().all(|record| placed(record.key)));
                let stamp = found[0].first_value().and_then(Stamp::decode);
                prop_assert_eq!(stamp, template.stamped().then_some(HEAD.stamp));
            }
        }
    }
}
