//! Writing Kafka's primitive types into a rope of byte slices, so that record bytes are not copied.

use crate::types::Uuid;
use bytes::{BufMut, Bytes, BytesMut};

/// Shared bytes at least this long are referred to; shorter ones are copied.
pub const SHARE_MIN: usize = 1024;

/// Why something cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string, array or frame longer than its length field can say.
    #[error("length {0} does not fit its length field")]
    Length(usize),
    /// The message does not exist in this version.
    #[error("version {0} is not known")]
    Version(i16),
}

/// Bytes written, in order; long shared slices stand as parts of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The parts; none is empty.
    pub parts: Vec<Bytes>,
    /// Bytes in all parts.
    pub len: usize,
}

impl Frame {
    /// The parts in one piece; copies unless there is only one.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        match self.parts.len() {
            0 => Bytes::new(),
            1 => self.parts.swap_remove(0),
            _ => {
                let mut whole = BytesMut::with_capacity(self.len);
                for part in &self.parts {
                    whole.extend_from_slice(part);
                }
                whole.freeze()
            }
        }
    }
}

/// What is being written. An error (a string too long for its version) is kept until [`Writer::finish`].
#[derive(Debug)]
pub struct Writer {
    /// The first part, kept changeable for its size prefix; empty until a shared slice follows it.
    first: BytesMut,
    shared: Vec<Bytes>,
    shared_len: usize,
    tail: BytesMut,
    framed: bool,
    share_min: usize,
    error: Option<EncodeError>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A writer of plain bytes, without a size prefix.
    #[must_use]
    pub fn new() -> Self {
        Self {
            first: BytesMut::new(),
            shared: Vec::new(),
            shared_len: 0,
            tail: BytesMut::new(),
            framed: false,
            share_min: SHARE_MIN,
            error: None,
        }
    }

    /// A writer of one frame: four bytes are kept free at the front, and [`Self::finish`] writes the
    /// size of what follows into them.
    #[must_use]
    pub fn framed(capacity: usize) -> Self {
        let mut tail = BytesMut::with_capacity(capacity.max(4));
        tail.put_i32(0);
        Self { framed: true, tail, ..Self::new() }
    }

    /// A writer that copies everything into one part.
    pub(crate) fn flat() -> Self {
        Self { share_min: usize::MAX, ..Self::new() }
    }

    /// Bytes written so far, with the size prefix.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.shared_len + self.tail.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Remembers the first error; everything written is then thrown away by [`Self::finish`].
    pub fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    /// What was written, with its size prefix if there is one.
    ///
    /// # Errors
    /// The first [`EncodeError`] met.
    pub fn finish(mut self) -> Result<Frame, EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let len = self.len();
        if self.framed {
            let body = len.saturating_sub(4);
            let size = i32::try_from(body).map_err(|_too_long| EncodeError::Length(body))?;
            let front = if self.shared.is_empty() { &mut self.tail } else { &mut self.first };
            if let Some(prefix) = front.first_chunk_mut() {
                *prefix = size.to_be_bytes();
            }
        }
        let mut parts = Vec::with_capacity(self.shared.len() + 2);
        parts.push(self.first.freeze());
        parts.append(&mut self.shared);
        parts.push(self.tail.freeze());
        parts.retain(|part| !part.is_empty());
        Ok(Frame { parts, len })
    }

    /// Appends bytes without a length: by reference if they are long, else as a copy.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < self.share_min {
            self.tail.extend_from_slice(bytes);
            return;
        }
        let before = self.tail.split();
        if self.shared.is_empty() {
            self.first = before;
        } else if !before.is_empty() {
            self.shared_len += before.len();
            self.shared.push(before.freeze());
        }
        self.shared_len += bytes.len();
        self.shared.push(bytes.clone());
    }

    /// Appends a copy of bytes, without a length.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// An unsigned variable-length integer of 32 bits.
    pub fn put_uvarint(&mut self, value: u32) {
        self.put_unsigned(u64::from(value));
    }

    /// A zig-zag variable-length integer of 32 bits.
    pub fn put_varint(&mut self, value: i32) {
        self.put_uvarint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// A zig-zag variable-length integer of 64 bits.
    pub fn put_varlong(&mut self, value: i64) {
        self.put_unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn put_unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.tail.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value as u8);
    }

    /// A byte: 1 for true.
    pub fn put_bool(&mut self, value: bool) {
        self.tail.put_u8(u8::from(value));
    }

    /// A UUID's sixteen bytes.
    pub fn put_uuid(&mut self, value: Uuid) {
        self.tail.extend_from_slice(&value.to_bytes());
    }

    /// A string's length; `None` is null.
    pub fn put_string_length(&mut self, length: Option<usize>, flexible: bool) {
        if flexible {
            self.put_compact_length(length);
            return;
        }
        match length.map(i16::try_from) {
            None => self.put_i16(-1),
            Some(Ok(length)) => self.put_i16(length),
            Some(Err(_too_long)) => self.fail(EncodeError::Length(length.unwrap_or_default())),
        }
    }

    /// The length of bytes or records, or the count of an array; `None` is null.
    pub fn put_array_length(&mut self, length: Option<usize>, flexible: bool) {
        if flexible {
            self.put_compact_length(length);
            return;
        }
        match length.map(i32::try_from) {
            None => self.put_i32(-1),
            Some(Ok(length)) => self.put_i32(length),
            Some(Err(_too_long)) => self.fail(EncodeError::Length(length.unwrap_or_default())),
        }
    }

    fn put_compact_length(&mut self, length: Option<usize>) {
        match length.map(i32::try_from) {
            None => self.put_uvarint(0),
            Some(Ok(length)) => self.put_uvarint(length.cast_unsigned() + 1),
            Some(Err(_too_long)) => self.fail(EncodeError::Length(length.unwrap_or_default())),
        }
    }
}

macro_rules! integers {
    ($($name:ident $put:ident $doc:literal),*) => {
        impl Writer {
            $(
                #[doc = $doc]
                pub fn $put(&mut self, value: $name) {
                    self.tail.$put(value);
                }
            )*
        }
    };
}
integers!(
    i8 put_i8 "A signed byte.",
    u8 put_u8 "An unsigned byte.",
    i16 put_i16 "A signed 16-bit integer.",
    u16 put_u16 "An unsigned 16-bit integer.",
    i32 put_i32 "A signed 32-bit integer.",
    u32 put_u32 "An unsigned 32-bit integer.",
    i64 put_i64 "A signed 64-bit integer.",
    f64 put_f64 "A 64-bit floating-point number."
);
