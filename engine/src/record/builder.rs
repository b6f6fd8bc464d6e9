//! Builds uncompressed batches: for coordinators, the metadata log and tests.

use bytes::Bytes;

use super::batch::{self, BatchHeader, TimestampType};
use super::layout::{
    CONTROL_BIT, CRC, HEADER_BYTES, LOG_APPEND_TIME_BIT, PREFIX_BYTES, TRANSACTIONAL_BIT,
};
use super::varint::{put_varint, put_varlong, varlong_bytes};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// The header fields that do not follow from the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// Offset of the first record; the leader may still stamp another.
    pub base_offset: Offset,
    /// Leader epoch; the leader may still stamp another.
    pub partition_leader_epoch: LeaderEpoch,
    /// Producer id, or -1.
    pub producer_id: ProducerId,
    /// Producer epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, or -1.
    pub base_sequence: i32,
    /// Part of a transaction.
    pub transactional: bool,
    /// Holds control records.
    pub control: bool,
    /// Who gave the timestamps.
    pub timestamp_type: TimestampType,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
            control: false,
            timestamp_type: TimestampType::CreateTime,
        }
    }
}

/// A header of a record to build: key and value.
pub type HeaderPart<'a> = (&'a [u8], Option<&'a [u8]>);

/// The batch would not fit into its format: 2 GiB, or 2^31 records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record batch would be too large for its format")]
pub struct BatchFull;

/// Collects records of one batch.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records so far.
    bytes: Vec<u8>,
    count: i32,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        let bytes = vec![0; HEADER_BYTES];
        Self { options, bytes, count: 0, base_timestamp: -1, max_timestamp: -1 }
    }

    /// Appends a record with the next offset. As in Kafka, the first record's timestamp becomes
    /// the batch's base.
    pub fn push(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderPart<'_>],
    ) -> Result<(), BatchFull> {
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        let delta = timestamp.wrapping_sub(self.base_timestamp);
        let body = body_bytes(delta, self.count, key, value, headers);
        let body = i32::try_from(body).map_err(|_| BatchFull)?;
        let size = self.bytes.len() + varlong_bytes(i64::from(body)) + body as usize;
        if i32::try_from(size).is_err() || self.count == i32::MAX {
            return Err(BatchFull);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let out = &mut self.bytes;
        put_varint(out, body);
        out.push(0);
        put_varlong(out, delta);
        put_varint(out, self.count);
        put_bytes(out, key);
        put_bytes(out, value);
        // Everything fits into the body, whose length fits into an i32.
        put_varint(out, headers.len() as i32);
        for (name, content) in headers {
            put_bytes(out, Some(name));
            put_bytes(out, *content);
        }
        self.count += 1;
        Ok(())
    }

    /// Bytes of the batch so far, header included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Records so far.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.count
    }

    /// Whether there is no record yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The batch. One without records is valid as compaction leaves it, but no client sends it.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let options = &self.options;
        let mut attributes = 0;
        if options.timestamp_type == TimestampType::LogAppendTime {
            attributes |= LOG_APPEND_TIME_BIT;
        }
        if options.transactional {
            attributes |= TRANSACTIONAL_BIT;
        }
        if options.control {
            attributes |= CONTROL_BIT;
        }
        let header = BatchHeader {
            base_offset: options.base_offset,
            // `push` keeps the size within an i32.
            batch_length: (self.bytes.len() - PREFIX_BYTES) as i32,
            partition_leader_epoch: options.partition_leader_epoch,
            crc: 0,
            attributes,
            last_offset_delta: (self.count - 1).max(0),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.count,
        };
        seal(&header, &mut self.bytes);
        self.bytes.into()
    }
}

/// A batch of one record, which cannot be too large if `key` and `value` came from a batch.
pub fn single_record(
    options: BatchOptions,
    timestamp: TimestampMs,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<Bytes, BatchFull> {
    let mut builder = BatchBuilder::new(options);
    builder.push(timestamp, key, value, &[])?;
    Ok(builder.finish())
}

/// Writes `header` to the front of `batch`, with the checksum that its bytes then have.
pub(super) fn seal(header: &BatchHeader, batch: &mut [u8]) {
    if let Some((head, records)) = batch.split_first_chunk_mut::<HEADER_BYTES>() {
        *head = header.to_bytes();
        let crc = batch::checksum(head, records);
        head[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
    }
}

fn body_bytes(
    delta: i64,
    index: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[HeaderPart<'_>],
) -> usize {
    let part = |bytes: Option<&[u8]>| {
        bytes.map_or(1, |b| varlong_bytes(b.len() as i64).saturating_add(b.len()))
    };
    let headers_bytes: usize = headers.iter().map(|(k, v)| part(Some(k)) + part(*v)).sum();
    1 + varlong_bytes(delta)
        + varlong_bytes(i64::from(index))
        + part(key)
        + part(value)
        + varlong_bytes(headers.len() as i64)
        + headers_bytes
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
