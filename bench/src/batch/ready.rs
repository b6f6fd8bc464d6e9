//! A batch encoded once and sent any number of times: only its header and the stamp of its first record change.
//!
//! Compressed batches carry no stamp (it would be packed with the rest) and are sent as they were packed, so the
//! generator does not pay for compressing what a client would have to compress each time.

use std::ops::Range;
use std::rc::Rc;

use super::compression::Codec;
use super::crc::Shift;
use super::header::Header;
use super::record;
use super::stamp::{STAMP_BYTES, Stamp};
use super::{CRC_AT, CRC_FROM, HEADER_BYTES};

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

/// Records in a row, encoded.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The bytes.
    pub records: Vec<u8>,
    /// How many there are.
    pub count: usize,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Bytes at the front that change with the stamp (zero: there is none).
    pub changing: usize,
}

impl Run {
    /// Appends a record; `stamped`: the first value begins with a stamp.
    pub fn push(&mut self, key: Option<&[u8]>, value: &[u8], stamped: bool) {
        record::put(self.count as i32, key, value, &mut self.records);
        if stamped && self.count == 0 {
            // The value is followed by one byte, the number of record headers.
            self.changing = self.records.len() - 1 - value.len() + STAMP_BYTES;
        }
        self.count += 1;
        self.value_bytes += value.len() as u64;
    }
}

/// A batch.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The records, packed or not; other batches may share them.
    pub bytes: Rc<[u8]>,
    /// Bytes at the front that change with the stamp (zero: there is none).
    pub changing: usize,
    /// Where the last record ends.
    pub end: usize,
    /// How many there are.
    pub count: usize,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// CRC of what stands behind the changing part.
    pub crc: u32,
    /// Moves the CRC of what stands before over it.
    pub shift: Shift,
    /// How they are packed.
    pub codec: Codec,
}

impl Ready {
    /// The batch of these records.
    pub fn new(run: Run, codec: Codec) -> Self {
        let Run { records, count, value_bytes, changing } = run;
        let bytes: Rc<[u8]> = match codec {
            Codec::None => records.into(),
            _ => pack(codec, &records).into(),
        };
        let (end, crc) = (bytes.len(), crc32c::crc32c(&bytes[changing..]));
        let shift = Shift::by(end - changing);
        Self { bytes, changing, end, count, value_bytes, crc, shift, codec }
    }

    /// Bytes of the whole batch.
    pub fn batch_bytes(&self) -> usize {
        HEADER_BYTES + self.end
    }

    /// Appends the changing front of the batch to `out`. What follows it is `tail()` of the bytes.
    pub fn put_front(&self, head: &Head, out: &mut Vec<u8>) {
        let start = out.len();
        let header = Header {
            timestamp_ms: head.timestamp_ms,
            producer_id: head.producer_id,
            producer_epoch: head.producer_epoch,
            base_sequence: head.base_sequence,
            count: self.count as i32,
            attributes: self.codec.bits(),
        };
        out.extend_from_slice(&header.bytes(self.end));
        out.extend_from_slice(&self.bytes[..self.changing]);
        if self.changing > 0 {
            let at = out.len() - STAMP_BYTES;
            out[at..].copy_from_slice(&head.stamp.encode());
        }
        let crc = self.shift.join(crc32c::crc32c(&out[start + CRC_FROM..]), self.crc);
        out[start + CRC_AT..start + CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    }

    /// The part of the bytes that never changes.
    pub fn tail(&self) -> Range<usize> {
        self.changing..self.end
    }
}

/// Packs records to memory, which fails only where memory does.
fn pack(codec: Codec, records: &[u8]) -> Vec<u8> {
    codec.pack(records).unwrap_or_else(|error| panic!("cannot compress: {error}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A head to test with.
    pub const HEAD: Head = Head {
        timestamp_ms: 1_700_000_000_000,
        producer_id: 7,
        producer_epoch: 1,
        base_sequence: 40,
        stamp: Stamp { run: 9, producer: 3, first: 40, due_ns: 123_456_789 },
    };

    /// All bytes of a batch.
    pub fn whole(ready: &Ready) -> Vec<u8> {
        let mut out = Vec::new();
        ready.put_front(&HEAD, &mut out);
        out.extend_from_slice(&ready.bytes[ready.tail()]);
        out
    }
}
