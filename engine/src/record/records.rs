//! The records inside a batch: a bounded iterator that copies nothing and believes no length.

use std::borrow::Cow;

use super::batch::BatchHeader;
use super::codec::{self, Codec, CodecError};
use super::layout::HEADER_BYTES;
use super::varint::{take_varint, take_varlong};

/// One record; its parts are slices of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Timestamp minus the batch's base timestamp, in milliseconds.
    pub timestamp_delta: i64,
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// The key, if it is not null.
    pub key: Option<&'a [u8]>,
    /// The value, if it is not null.
    pub value: Option<&'a [u8]>,
    /// The headers, checked.
    pub headers: Headers<'a>,
}

/// The headers of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    count: i32,
}

/// What is wrong with a record's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A length goes beyond the record or the batch, or is negative where it cannot be.
    #[error("record length is out of bounds")]
    Length,
    /// A number is cut off or too long.
    #[error("record holds a number that cannot be read")]
    Number,
    /// Fewer headers can fit than are declared, or a negative count.
    #[error("record declares {0} headers")]
    HeaderCount(i32),
    /// The declared length differs from what the record's parts take.
    #[error("record is longer than its parts")]
    Trailing,
    /// Bytes are left after the declared number of records.
    #[error("bytes are left after the last record")]
    BatchTrailing,
    /// The batch declares more records than it holds, or a negative number.
    #[error("batch holds fewer records than it declares")]
    BatchShort,
}

/// Iterates over `count` records; stops after the first error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: i32,
    failed: bool,
}

impl<'a> Records<'a> {
    /// The records in `bytes`, what follows a batch header, not compressed.
    #[must_use]
    pub const fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { rest: bytes, left: count, failed: false }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.left <= 0 {
            self.failed = true;
            return (self.left < 0 || !self.rest.is_empty())
                .then_some(Err(RecordError::BatchTrailing));
        }
        self.left -= 1;
        let record = if self.rest.is_empty() {
            Err(RecordError::BatchShort)
        } else {
            take_record(&mut self.rest)
        };
        self.failed = record.is_err();
        Some(record)
    }
}

impl<'a> Headers<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Keys and values in their order; keys may repeat, and need not be UTF-8.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.bytes;
        // The bytes were read once when the record was, so this cannot fail half way.
        (0..self.count).map_while(move |_| {
            let key = take_bytes(&mut rest).ok().flatten()?;
            Some((key, take_bytes(&mut rest).ok()?))
        })
    }
}

/// Reads one record from the front of `rest`, its length first.
fn take_record<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, RecordError> {
    let length = take_varint(rest).ok_or(RecordError::Number)?;
    let length = usize::try_from(length).map_err(|_| RecordError::Length)?;
    let (mut body, after) = rest.split_at_checked(length).ok_or(RecordError::Length)?;
    *rest = after;
    let (_attributes, fields) = body.split_first().ok_or(RecordError::Length)?;
    body = fields;
    let timestamp_delta = take_varlong(&mut body).ok_or(RecordError::Number)?;
    let offset_delta = take_varint(&mut body).ok_or(RecordError::Number)?;
    let key = take_bytes(&mut body)?;
    let value = take_bytes(&mut body)?;
    let count = take_varint(&mut body).ok_or(RecordError::Number)?;
    if usize::try_from(count).map_or(true, |c| c > body.len()) {
        return Err(RecordError::HeaderCount(count));
    }
    let headers = Headers { bytes: body, count };
    for _ in 0..count {
        take_bytes(&mut body)?.ok_or(RecordError::Length)?;
        take_bytes(&mut body)?;
    }
    if !body.is_empty() {
        return Err(RecordError::Trailing);
    }
    Ok(Record { timestamp_delta, offset_delta, key, value, headers })
}

/// Reads a length and as many bytes; -1 is null.
#[inline(always)]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordError> {
    let length = take_varint(rest).ok_or(RecordError::Number)?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| RecordError::Length)?;
    let (taken, after) = rest.split_at_checked(length).ok_or(RecordError::Length)?;
    *rest = after;
    Ok(Some(taken))
}

/// The record bytes of `batch`, decompressed if need be into at most `bound` bytes; for
/// [`Records::new`]. `header` must be that of `batch`.
pub fn plain_records<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    bound: u64,
) -> Result<Cow<'a, [u8]>, CodecError> {
    let packed = batch.get(HEADER_BYTES..header.size_bytes()).ok_or(CodecError::Malformed)?;
    match header.codec().ok_or(CodecError::Malformed)? {
        Codec::None => Ok(Cow::Borrowed(packed)),
        // Compaction may empty a batch without leaving a compressed stream.
        _ if header.record_count == 0 => Ok(Cow::Borrowed(&[])),
        codec => codec::decompress(codec, packed, bound).map(Cow::Owned),
    }
}
