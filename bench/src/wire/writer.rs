//! Writes protocol fields into a buffer, in the classic or the flexible (KIP-482) encoding.

use super::CLIENT_ID;
use crate::batch::varint::put_unsigned;

/// Appends fields to a buffer.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    flexible: bool,
}

impl<'a> Writer<'a> {
    /// Starts a request: frame length (to be set by `set_length`) and header.
    pub fn request(
        out: &'a mut Vec<u8>,
        key: i16,
        version: i16,
        correlation: i32,
        flexible: bool,
    ) -> Self {
        out.extend_from_slice(&[0; 4]);
        let mut writer = Self { out, flexible: false };
        writer.i16(key);
        writer.i16(version);
        writer.i32(correlation);
        writer.string(CLIENT_ID);
        writer.flexible = flexible;
        writer.tags();
        writer
    }

    /// Continues a message in `out`.
    pub fn resume(out: &'a mut Vec<u8>, flexible: bool) -> Self {
        Self { out, flexible }
    }

    /// An 8-bit integer.
    pub fn i8(&mut self, value: i8) {
        self.out.push(value as u8);
    }

    /// A 16-bit integer.
    pub fn i16(&mut self, value: i16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A string.
    pub fn string(&mut self, value: &str) {
        if self.flexible {
            put_unsigned(self.out, value.len() as u32 + 1);
        } else {
            self.i16(value.len() as i16);
        }
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A null string.
    pub fn null_string(&mut self) {
        if self.flexible { self.i8(0) } else { self.i16(-1) }
    }

    /// The length of an array whose elements follow.
    pub fn array(&mut self, length: usize) {
        if self.flexible {
            put_unsigned(self.out, length as u32 + 1);
        } else {
            self.i32(length as i32);
        }
    }

    /// The length of record bytes that follow.
    pub fn records(&mut self, length: usize) {
        self.array(length);
    }

    /// An empty tag section, where the encoding has one.
    pub fn tags(&mut self) {
        if self.flexible {
            self.i8(0);
        }
    }
}

/// Writes the length of the frame that starts at `start` of `out`, `extra` bytes of which stand elsewhere.
pub fn set_length(out: &mut [u8], start: usize, extra: usize) {
    let length = (out.len() - start - 4 + extra) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
