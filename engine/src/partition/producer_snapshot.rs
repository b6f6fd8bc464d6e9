//! Kafka's producer snapshot file, `<offset>.snapshot`: what [`super::producers`] knew there.
//!
//! ```text
//!  0  2  version          1
//!  2  4  CRC-32C          of the bytes from 6 to the end
//!  6  4  count
//! 10     entries of 46 bytes:
//!        producer id 8, epoch 2, last sequence 4, last offset 8, offset delta 4, timestamp 8,
//!        coordinator epoch 4, first offset of the open transaction 8 (-1 none)
//! ```

use super::producers::{BatchMark, ProducerEntry};

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;
const HEADER_BYTES: usize = 10;

/// The bytes are not a producer snapshot that can be trusted; an older one or a replay must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A version that we do not know.
    #[error("producer snapshot has version {0}, only 1 is supported")]
    Version(i16),
    /// The checksum differs.
    #[error("producer snapshot is damaged: its checksum differs")]
    Checksum,
    /// The size does not fit the number of entries.
    #[error("producer snapshot of {bytes} bytes declares {count} entries")]
    Size {
        /// Size of the file.
        bytes: usize,
        /// Number of entries that it declares.
        count: i32,
    },
    /// Shorter than its own header.
    #[error("producer snapshot has {0} bytes")]
    Short(usize),
}

/// The bytes of a snapshot file.
#[must_use]
pub fn encode(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    // A partition with 2^31 producers would have fallen over before.
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        let none = BatchMark { last_sequence: -1, last_offset: -1, ..BatchMark::default() };
        let batch = entry.last_batch.unwrap_or(none);
        out.extend_from_slice(&entry.producer_id.to_be_bytes());
        out.extend_from_slice(&entry.epoch.to_be_bytes());
        out.extend_from_slice(&batch.last_sequence.to_be_bytes());
        out.extend_from_slice(&batch.last_offset.to_be_bytes());
        out.extend_from_slice(&batch.offset_delta.to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.transaction_first_offset.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc32c::crc32c(&out[ENTRIES_AT..]);
    out[CRC_AT..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The entries of a snapshot file.
pub fn decode(bytes: &[u8]) -> Result<Vec<ProducerEntry>, SnapshotError> {
    let short = SnapshotError::Short(bytes.len());
    let mut fields = Fields(bytes);
    let version = fields.take().map(i16::from_be_bytes).ok_or(short)?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let stored = fields.take().map(u32::from_be_bytes).ok_or(short)?;
    let computed = crc32c::crc32c(fields.0);
    let count = fields.take().map(i32::from_be_bytes).ok_or(short)?;
    if stored != computed {
        return Err(SnapshotError::Checksum);
    }
    let size = SnapshotError::Size { bytes: bytes.len(), count };
    if usize::try_from(count).ok().and_then(|c| c.checked_mul(ENTRY_BYTES)) != Some(fields.0.len())
    {
        return Err(size);
    }
    (0..count).map(|_| fields.entry().ok_or(size)).collect()
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn entry(&mut self) -> Option<ProducerEntry> {
        let producer_id = self.take().map(i64::from_be_bytes)?;
        let epoch = self.take().map(i16::from_be_bytes)?;
        let last_sequence = self.take().map(i32::from_be_bytes)?;
        let last_offset = self.take().map(i64::from_be_bytes)?;
        let offset_delta = self.take().map(i32::from_be_bytes)?;
        let timestamp = self.take().map(i64::from_be_bytes)?;
        let coordinator_epoch = self.take().map(i32::from_be_bytes)?;
        let transaction = self.take().map(i64::from_be_bytes)?;
        let batch = BatchMark { last_sequence, last_offset, offset_delta, timestamp };
        Some(ProducerEntry {
            producer_id,
            epoch,
            last_batch: (last_offset >= 0).then_some(batch),
            last_timestamp: timestamp,
            coordinator_epoch,
            transaction_first_offset: (transaction >= 0).then_some(transaction),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(producer_id: i64) -> ProducerEntry {
        ProducerEntry {
            producer_id,
            epoch: 3,
            last_batch: Some(BatchMark {
                last_sequence: 9,
                last_offset: 99,
                offset_delta: 4,
                timestamp: 5_000,
            }),
            last_timestamp: 5_000,
            coordinator_epoch: -1,
            transaction_first_offset: None,
        }
    }

    #[test]
    fn layout_is_kafkas() {
        let bytes = encode(&[entry(7)]);
        assert_eq!(bytes.len(), 56);
        assert_eq!(&bytes[..2], &[0, 1]);
        assert_eq!(&bytes[6..10], &[0, 0, 0, 1]);
        assert_eq!(&bytes[10..18], &7_i64.to_be_bytes());
        assert_eq!(&bytes[18..20], &[0, 3]);
        assert_eq!(&bytes[20..24], &9_i32.to_be_bytes());
        assert_eq!(&bytes[24..32], &99_i64.to_be_bytes());
        assert_eq!(&bytes[32..36], &4_i32.to_be_bytes());
        assert_eq!(&bytes[36..44], &5_000_i64.to_be_bytes());
        assert_eq!(&bytes[44..48], &(-1_i32).to_be_bytes());
        assert_eq!(&bytes[48..], &(-1_i64).to_be_bytes());
    }

    #[test]
    fn damage_is_named() {
        let good = encode(&[entry(1), entry(2)]);
        assert_eq!(decode(&good).unwrap().len(), 2);
        let mut bad = good.clone();
        bad[60] ^= 1;
        assert_eq!(decode(&bad), Err(SnapshotError::Checksum));
        bad[1] = 2;
        assert_eq!(decode(&bad), Err(SnapshotError::Version(2)));
        assert_eq!(decode(&good[..5]), Err(SnapshotError::Short(5)));
        assert_eq!(decode(&[]), Err(SnapshotError::Short(0)));
        let mut lie = good[..10].to_vec();
        lie[6..10].copy_from_slice(&i32::MAX.to_be_bytes());
        let crc = crc32c::crc32c(&lie[6..]);
        lie[2..6].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(&lie), Err(SnapshotError::Size { bytes: 10, count: i32::MAX }));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(entries) = decode(&bytes) {
                prop_assert_eq!(encode(&entries).len(), bytes.len());
            }
        }

        #[test]
        fn round_trip(ids in prop::collection::btree_set(0_i64..1_000, 0..20)) {
            let entries: Vec<_> = ids.into_iter().map(entry).collect();
            prop_assert_eq!(decode(&encode(&entries)).unwrap(), entries);
        }
    }
}
