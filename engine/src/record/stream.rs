//! Checks the records of a compressed batch while they stream by, in constant memory.

use super::codec::{CodecError, Decompressor};
use super::records::RecordError;

/// Bytes decompressed at a time.
const BUFFER_BYTES: usize = 16 * 1024;

/// What validation needs to know of a record; key and value have gone by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOutline {
    /// Timestamp minus the batch's base timestamp, in milliseconds.
    pub timestamp_delta: i64,
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Whether the key is not null.
    pub has_key: bool,
}

/// Why the records could not be read to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// What came out is not a record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nothing (more) came out.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Reads outlines of records from a decompressing stream.
pub struct RecordStream<'a> {
    source: Decompressor<'a>,
    buffer: Box<[u8]>,
    read: usize,
    filled: usize,
    /// Bytes that came out before those in the buffer.
    before: u64,
    left: i32,
}

impl<'a> RecordStream<'a> {
    /// Expects `count` records from `source`.
    #[must_use]
    pub fn new(source: Decompressor<'a>, count: i32) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { source, buffer, read: 0, filled: 0, before: 0, left: count }
    }

    /// The next record, or none after the last one, when nothing may be left.
    pub fn next_outline(&mut self) -> Result<Option<RecordOutline>, StreamError> {
        let more = self.read < self.filled || self.fill()?;
        if self.left <= 0 {
            return if more { Err(RecordError::BatchTrailing.into()) } else { Ok(None) };
        }
        if !more {
            return Err(RecordError::BatchShort.into());
        }
        self.left -= 1;
        self.outline().map(Some)
    }

    fn outline(&mut self) -> Result<RecordOutline, StreamError> {
        let length = u64::try_from(self.varint()?).map_err(|_| RecordError::Length)?;
        let end = self.position() + length;
        self.byte()?;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let has_key = self.skip_bytes(end)?;
        self.skip_bytes(end)?;
        let headers = self.varint()?;
        let room = end.saturating_sub(self.position());
        if u64::try_from(headers).map_or(true, |count| count > room) {
            return Err(RecordError::HeaderCount(headers).into());
        }
        for _ in 0..headers {
            if !self.skip_bytes(end)? {
                return Err(RecordError::Length.into());
            }
            self.skip_bytes(end)?;
        }
        if self.position() != end {
            return Err(RecordError::Trailing.into());
        }
        Ok(RecordOutline { timestamp_delta, offset_delta, has_key })
    }

    /// Skips a length and as many bytes, within the record's `end`; false if they are null.
    fn skip_bytes(&mut self, end: u64) -> Result<bool, StreamError> {
        let length = self.varint()?;
        if length == -1 {
            return Ok(false);
        }
        let mut left = u64::try_from(length).map_err(|_| RecordError::Length)?;
        if self.position().saturating_add(left) > end {
            return Err(RecordError::Length.into());
        }
        while left > 0 {
            if self.read == self.filled && !self.fill()? {
                return Err(RecordError::BatchShort.into());
            }
            let step = left.min((self.filled - self.read) as u64);
            self.read += step as usize;
            left -= step;
        }
        Ok(true)
    }

    fn varint(&mut self) -> Result<i32, StreamError> {
        let raw = self.unsigned(5)? as u32;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    fn varlong(&mut self) -> Result<i64, StreamError> {
        let raw = self.unsigned(10)?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn unsigned(&mut self, bytes_max: u32) -> Result<u64, StreamError> {
        let mut value = 0;
        for i in 0..bytes_max {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(RecordError::Number.into())
    }

    fn byte(&mut self) -> Result<u8, StreamError> {
        if self.read == self.filled && !self.fill()? {
            return Err(RecordError::BatchShort.into());
        }
        let byte = *self.buffer.get(self.read).ok_or(RecordError::BatchShort)?;
        self.read += 1;
        Ok(byte)
    }

    fn fill(&mut self) -> Result<bool, StreamError> {
        self.before += self.filled as u64;
        self.read = 0;
        self.filled = 0;
        self.filled = self.source.read(&mut self.buffer)?;
        Ok(self.filled > 0)
    }

    fn position(&self) -> u64 {
        self.before + self.read as u64
    }
}
