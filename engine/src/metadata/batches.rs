//! Reading the batches of the metadata log and of snapshots, both written by a leader that checks
//! itself: whatever is not as it should be is an error.

use bytes::Bytes;

use super::record::{MetadataRecord, RecordError};
use crate::record::batch::{self, BatchHeader, HeaderError};
use crate::record::codec::CodecError;
use crate::record::control::{ControlError, ControlRecord};
use crate::record::layout::HEADER_BYTES;
use crate::record::records::{self, Records};
use crate::types::Offset;

/// Most bytes that one compressed batch may decompress to. Bytes.
const BATCH_PLAIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why a batch of the metadata log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The header is not one.
    #[error("batch header is malformed: {0}")]
    Header(#[from] HeaderError),
    /// The bytes are not those that were written.
    #[error("checksum of the batch at offset {0} is wrong")]
    Checksum(Offset),
    /// The batch cannot be decompressed.
    #[error("batch cannot be decompressed: {0}")]
    Codec(#[from] CodecError),
    /// The records are not well-formed.
    #[error("records are malformed: {0}")]
    Records(#[from] records::RecordError),
    /// A control record cannot be read.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A record has a key or no value, or offsets are not counted up.
    #[error("record at offset {0} is not one of a metadata log")]
    Shape(Offset),
    /// A metadata record cannot be understood.
    #[error("record at offset {offset}: {error}")]
    Record {
        /// Where.
        offset: Offset,
        /// Why.
        error: RecordError,
    },
}

/// What one batch says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Records of the fold.
    Data(Vec<MetadataRecord>),
    /// Records of Raft.
    Control(Vec<ControlRecord>),
}

/// Takes a batch from the front of `rest`; none if there is no whole one.
pub(super) fn take_batch<'a>(
    rest: &mut &'a [u8],
) -> Result<Option<(BatchHeader, &'a [u8])>, BatchError> {
    if rest.len() < HEADER_BYTES {
        return Ok(None);
    }
    let header = BatchHeader::parse(rest)?;
    let Some((batch, after)) = rest.split_at_checked(header.size_bytes()) else { return Ok(None) };
    let checksum = batch.split_first_chunk().map(|(head, records)| batch::checksum(head, records));
    if checksum != Some(header.crc) {
        return Err(BatchError::Checksum(header.base_offset));
    }
    *rest = after;
    Ok(Some((header, batch)))
}

/// What a batch says, whose header and checksum have been read.
pub(super) fn content(header: &BatchHeader, batch: &[u8]) -> Result<Content, BatchError> {
    let plain = records::plain_records(header, batch, BATCH_PLAIN_BYTES_MAX)?;
    let records = Records::new(&plain, header.record_count);
    let offset_at = |delta: i32| header.base_offset.saturating_add(i64::from(delta));
    if header.record_count.saturating_sub(1) != header.last_offset_delta {
        return Err(BatchError::Shape(header.base_offset));
    }
    let mut data = Vec::new();
    let mut control = Vec::new();
    for (delta, record) in (0..).zip(records) {
        let record = record?;
        let offset = offset_at(delta);
        if record.offset_delta != delta || !record.headers.is_empty() {
            return Err(BatchError::Shape(offset));
        }
        if header.is_control() {
            control.push(ControlRecord::parse(&record)?);
            continue;
        }
        let (None, Some(value)) = (record.key, record.value) else {
            return Err(BatchError::Shape(offset));
        };
        // A copy, so that what an image keeps of a record does not keep the whole batch.
        let record = MetadataRecord::decode(Bytes::copy_from_slice(value));
        data.push(record.map_err(|error| BatchError::Record { offset, error })?);
    }
    Ok(if header.is_control() { Content::Control(control) } else { Content::Data(data) })
}
