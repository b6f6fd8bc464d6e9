//! Walking over the data records of whole batches, as a coordinator does when it loads its log.

use bytes::Bytes;

use super::batch::{BatchHeader, HeaderError};
use super::codec::CodecError;
use super::records::{RecordError, Records, plain_records};
use crate::types::Offset;

/// Largest output of one compressed batch. Bytes.
const DECOMPRESSED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A batch in a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the batch at offset {offset} cannot be read: {reason}")]
pub struct WalkError {
    /// Base offset, as far as it is known.
    pub offset: Offset,
    /// Why.
    pub reason: WalkReason,
}

/// Why a batch cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WalkReason {
    /// Its header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It is cut.
    #[error("it is cut")]
    Cut,
    /// Its compression.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Its records.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Calls `each` with key and value of every record that is not a control record.
///
/// # Errors
/// At the first batch that cannot be read.
pub fn each_record(
    batches: &Bytes,
    mut each: impl FnMut(Option<&Bytes>, Option<&Bytes>),
) -> Result<(), WalkError> {
    let mut rest: &[u8] = batches;
    let mut offset = -1;
    while !rest.is_empty() {
        rest = one_batch(rest, &mut offset, &mut each)
            .map_err(|reason| WalkError { offset, reason })?;
    }
    Ok(())
}

fn one_batch<'a>(
    rest: &'a [u8],
    offset: &mut Offset,
    each: &mut impl FnMut(Option<&Bytes>, Option<&Bytes>),
) -> Result<&'a [u8], WalkReason> {
    let header = BatchHeader::parse(rest)?;
    *offset = header.base_offset;
    let (batch, after) = rest.split_at_checked(header.size_bytes()).ok_or(WalkReason::Cut)?;
    if !header.is_control() {
        let plain = plain_records(&header, batch, DECOMPRESSED_BYTES_MAX)?;
        for record in Records::new(&plain, header.record_count) {
            let record = record?;
            // A state machine keeps parts of what it reads: copies, so that it does not keep it all.
            let key = record.key.map(Bytes::copy_from_slice);
            let value = record.value.map(Bytes::copy_from_slice);
            each(key.as_ref(), value.as_ref());
        }
    }
    Ok(after)
}
