//! Steps over the record batches of a fetch answer without copying them.

use super::compression::Codec;
use super::record::Records;
use super::{CRC_AT, CRC_FROM, HEADER_BYTES, LENGTH_EXCLUDES};

/// The whole batches at the front of some bytes; a partial one at the end is left out, as brokers may cut there.
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// Walks `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        let length = i32::from_be_bytes(self.rest.get(8..LENGTH_EXCLUDES)?.try_into().ok()?);
        let whole = usize::try_from(length).ok()?.checked_add(LENGTH_EXCLUDES)?;
        if whole < HEADER_BYTES {
            return None;
        }
        let bytes = self.rest.get(..whole)?;
        self.rest = &self.rest[whole..];
        Some(Batch { bytes })
    }
}

/// One batch; at least a header long.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    fn i32_at(&self, at: usize) -> i32 {
        self.bytes[at..at + 4].try_into().map_or(0, i32::from_be_bytes)
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> i64 {
        self.bytes[0..8].try_into().map_or(0, i64::from_be_bytes)
    }

    /// The offset behind the last record.
    pub fn next_offset(&self) -> i64 {
        self.base_offset() + i64::from(self.i32_at(23)) + 1
    }

    /// Records in it, as its header says.
    pub fn count(&self) -> i32 {
        self.i32_at(57)
    }

    /// All its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the records are compressed.
    pub fn compressed(&self) -> bool {
        self.bytes[22] & 7 != 0
    }

    /// Whether the CRC fits the bytes.
    pub fn crc_holds(&self) -> bool {
        self.i32_at(CRC_AT) as u32 == crc32c::crc32c(&self.bytes[CRC_FROM..])
    }

    /// The first record's value, if the batch is not compressed.
    pub fn first_value(&self) -> Option<&'a [u8]> {
        if self.compressed() { None } else { Records::new(self.body()).next()?.value }
    }

    /// The records as they stand, packed or not.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// How the records are packed; `None` for a number that Kafka does not know.
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_bits(self.bytes[22])
    }

    /// Whether it is a marker of the broker and holds no records of a producer.
    pub fn control(&self) -> bool {
        self.bytes[22] & 0x20 != 0
    }
}
