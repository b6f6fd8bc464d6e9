//! The header of a record batch (format v2) as it is written.

use super::{CRC_AT, CRC_FROM, HEADER_BYTES, LENGTH_EXCLUDES};

/// What a batch header says; the CRC is set by `seal` or by who knows it.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Record timestamps, milliseconds since 1970; all the same.
    pub timestamp_ms: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Records.
    pub count: i32,
    /// The lowest bits: compression.
    pub attributes: u8,
}

impl Header {
    /// The header of a batch with `body` bytes of records; the CRC is zero.
    pub fn bytes(&self, body: usize) -> [u8; HEADER_BYTES] {
        let mut header = [0_u8; HEADER_BYTES];
        let length = (HEADER_BYTES - LENGTH_EXCLUDES + body) as i32;
        header[8..12].copy_from_slice(&length.to_be_bytes());
        header[12..16].copy_from_slice(&(-1_i32).to_be_bytes()); // leader epoch, the broker's to set
        header[16] = 2; // magic
        header[22] = self.attributes;
        header[23..27].copy_from_slice(&(self.count - 1).to_be_bytes());
        header[27..35].copy_from_slice(&self.timestamp_ms.to_be_bytes());
        header[35..43].copy_from_slice(&self.timestamp_ms.to_be_bytes());
        header[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        header[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        header[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        header[57..61].copy_from_slice(&self.count.to_be_bytes());
        header
    }

    /// A whole batch of already packed records.
    pub fn seal(&self, body: &[u8]) -> Vec<u8> {
        let mut batch = Vec::with_capacity(HEADER_BYTES + body.len());
        batch.extend_from_slice(&self.bytes(body.len()));
        batch.extend_from_slice(body);
        let crc = crc32c::crc32c(&batch[CRC_FROM..]);
        batch[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        batch
    }
}
