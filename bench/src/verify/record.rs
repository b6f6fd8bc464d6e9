//! The records that `verify` writes: each says which ledger, partition and number it is, and carries a checksum over
//! all of its value.

use crate::batch::payload::{self, Chance, Payload};

/// Bytes of a value before its payload; no value is shorter.
pub const HEAD_BYTES: usize = 28;
const MAGIC: [u8; 4] = *b"mrv1";
const CRC_AT: usize = 24;

/// Which record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The ledger it stands in.
    pub ledger: u64,
    /// Its partition.
    pub partition: i32,
    /// Its number within the partition, from 0.
    pub number: u64,
}

impl Name {
    /// Writes the value of `size` bytes (at least `HEAD_BYTES`) over `out`.
    pub fn write(&self, size: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.ledger.to_be_bytes());
        out.extend_from_slice(&self.partition.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&[0; HEAD_BYTES - CRC_AT]);
        let seed = self.ledger ^ self.number.rotate_left(20) ^ u64::from(self.partition as u32);
        payload::fill(Payload::Json, size.saturating_sub(HEAD_BYTES), &mut Chance::new(seed), out);
        let crc = crc32c::crc32c(out);
        out[CRC_AT..HEAD_BYTES].copy_from_slice(&crc.to_be_bytes());
    }

    /// Reads a value; `None` where its bytes are not what was written.
    pub fn read(value: &[u8]) -> Option<Self> {
        let head = value.get(..HEAD_BYTES)?;
        if head.get(0..4)? != MAGIC {
            return None;
        }
        let told = u32::from_be_bytes(head.get(CRC_AT..HEAD_BYTES)?.try_into().ok()?);
        let crc = crc32c::crc32c(head.get(..CRC_AT)?);
        let crc = crc32c::crc32c_append(crc, &[0; HEAD_BYTES - CRC_AT]);
        let crc = crc32c::crc32c_append(crc, value.get(HEAD_BYTES..)?);
        (crc == told).then_some(())?;
        Some(Self {
            ledger: u64::from_be_bytes(head.get(4..12)?.try_into().ok()?),
            partition: i32::from_be_bytes(head.get(12..16)?.try_into().ok()?),
            number: u64::from_be_bytes(head.get(16..24)?.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_is_seen() {
        let name = Name { ledger: 77, partition: 3, number: 1 << 40 };
        for size in [0, 28, 29, 300] {
            let mut value = Vec::new();
            name.write(size, &mut value);
            assert_eq!(value.len(), size.max(HEAD_BYTES));
            assert_eq!(Name::read(&value), Some(name));
            for bit in 0..value.len() * 8 {
                let mut bad = value.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Name::read(&bad), None, "bit {bit} of {size}");
            }
            assert_eq!(Name::read(&value[..value.len() - 1]), None);
        }
    }
}
