//! Record batches as the workload sends and finds them: built by the engine, taken apart here, so that
//! the checker does not rest on the engine's own reading.

use bytes::Bytes;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

/// Names one batch that was sent, in its first record's key.
pub type BatchId = u64;

const LENGTH_AT: usize = 8;
const PREFIX_BYTES: usize = 12;
const MAGIC_AT: usize = 16;
const LAST_DELTA_AT: usize = 23;
const RECORDS_AT: usize = 61;
/// A varint of the key's length, 8.
const KEY_LENGTH: u8 = 16;

/// Who sends a batch idempotently: id, epoch and sequence of the first record.
pub type Sequenced = (ProducerId, ProducerEpoch, i32);

/// A batch of `records` records that together have about `bytes` bytes.
pub fn build(
    id: BatchId,
    records: i32,
    bytes: usize,
    timestamp: TimestampMs,
    sequenced: Option<Sequenced>,
) -> Bytes {
    let mut options = BatchOptions::default();
    if let Some((producer_id, producer_epoch, base_sequence)) = sequenced {
        options = BatchOptions { producer_id, producer_epoch, base_sequence, ..options };
    }
    let mut builder = BatchBuilder::new(options);
    let each = bytes / usize::try_from(records.max(1)).unwrap_or(1);
    for index in 0..records {
        let key = id.to_be_bytes();
        let value = content(id ^ (u64::from(index.unsigned_abs()) << 48), each);
        let key = (index == 0).then_some(&key[..]);
        builder.push(timestamp, key, Some(&value), &[]).expect("the workload's batches are small");
    }
    builder.finish()
}

/// Bytes that follow from a number.
fn content(number: u64, bytes: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_be_bytes());
    }
    content.truncate(bytes);
    content
}

/// A batch in what was read.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset behind its last record.
    pub next_offset: Offset,
    /// Which batch its key says it is.
    pub id: BatchId,
    /// All of it.
    pub bytes: &'a [u8],
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The whole batches at the front of `bytes`, and what is left behind them.
///
/// # Errors
/// Something that is not a batch of the workload stands there.
pub fn take_apart(mut bytes: &[u8]) -> Result<(Vec<Found<'_>>, &[u8]), String> {
    let mut found = Vec::new();
    while let Some(length) = array::<4>(bytes, LENGTH_AT) {
        let length = usize::try_from(i32::from_be_bytes(length))
            .map_err(|_| "a batch with a negative length".to_owned())?;
        let Some(batch) = bytes.get(..PREFIX_BYTES + length) else { break };
        found.push(one(batch).ok_or_else(|| {
            let head = batch.get(..batch.len().min(80)).unwrap_or_default();
            format!("not a batch of the workload: {head:02x?}")
        })?);
        bytes = bytes.get(PREFIX_BYTES + length..).unwrap_or_default();
    }
    Ok((found, bytes))
}

fn one(batch: &[u8]) -> Option<Found<'_>> {
    let base_offset = i64::from_be_bytes(array(batch, 0)?);
    let delta = i32::from_be_bytes(array(batch, LAST_DELTA_AT)?);
    if batch.get(MAGIC_AT) != Some(&2) || delta < 0 {
        return None;
    }
    let records = batch.get(RECORDS_AT..)?;
    // The record's length; attributes and both deltas have one byte each.
    let at = records.iter().position(|byte| byte & 0x80 == 0)? + 4;
    if records.get(at) != Some(&KEY_LENGTH) {
        return None;
    }
    let id = u64::from_be_bytes(array(records, at + 1)?);
    Some(Found { base_offset, next_offset: base_offset + i64::from(delta) + 1, id, bytes: batch })
}

/// Whether what was found is what was sent: all but the base offset and the leader epoch, which the
/// leader stamps.
pub fn is_same(sent: &[u8], found: &[u8]) -> bool {
    sent.len() == found.len()
        && sent.get(LENGTH_AT..PREFIX_BYTES) == found.get(LENGTH_AT..PREFIX_BYTES)
        && sent.get(MAGIC_AT..) == found.get(MAGIC_AT..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_found_again() {
        let first = build(7, 3, 5000, 1000, None);
        let second = build(1 << 60, 1, 0, 1000, Some((4, 0, 9)));
        let third = build(9, 1, 300_000, 1000, None);
        let all = [first.clone(), second, third.clone()].concat();
        let (found, rest) = take_apart(&all[..all.len() - 1]).unwrap();
        assert_eq!(found.iter().map(|f| f.id).collect::<Vec<_>>(), [7, 1 << 60]);
        assert_eq!(found[0].next_offset - found[0].base_offset, 3);
        assert_eq!(rest.len(), third.len() - 1);
        assert!(is_same(&first, found[0].bytes));
        assert!(!is_same(&third, found[0].bytes));
        assert!(take_apart(&[0; 100]).is_err());
    }
}
