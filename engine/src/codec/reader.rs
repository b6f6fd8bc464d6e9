//! Reading Kafka's primitive types from bytes that nobody has vouched for.

use crate::types::Uuid;
use bytes::Bytes;

/// Bytes of decoded structures allowed per byte received: with the bytes themselves that makes four.
pub const BUDGET_PER_BYTE: usize = 3;
/// Bytes of decoded structures allowed on top for any input, however short: thousands of the short names
/// that take more memory than bytes on the wire.
pub const BUDGET_BASE: usize = 64 * 1024;
/// As [`BUDGET_PER_BYTE`], for what nobody else had a hand in: see [`Reader::of_own`].
pub const OWN_BUDGET_PER_BYTE: usize = 16;
/// The least that an allocation takes of the budget, as allocators have no smaller pieces.
pub const ALLOCATION_BYTES_MIN: usize = 16;
/// How many unknown tagged fields one input may carry in all its structures.
pub const TAGS_MAX: u32 = 1_000;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value goes on past the last byte.
    #[error("{needed} bytes needed where {left} are left")]
    End {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A declared length or count cannot be in the bytes that are left.
    #[error("length or count of {declared} with {left} bytes left")]
    Length {
        /// What was declared.
        declared: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// A negative length other than a null.
    #[error("negative length {0}")]
    Negative(i32),
    /// Null where the schema has no null.
    #[error("null in a field that is never null")]
    Null,
    /// A variable-length integer is too long for its type, or longer than it need be.
    #[error("malformed variable-length integer")]
    Varint,
    /// A string is not UTF-8.
    #[error("string is not utf-8")]
    Utf8,
    /// More unknown tagged fields than [`TAGS_MAX`].
    #[error("too many tagged fields")]
    Tags,
    /// A tagged field does not fill its declared size.
    #[error("tagged field {0} does not fill its size")]
    TagSize(u32),
    /// Structures would take far more memory than the bytes that describe them.
    #[error("input describes structures out of proportion to its size")]
    Budget,
    /// Bytes are left after the last field.
    #[error("{0} bytes after the last field")]
    Trailing(usize),
    /// The message does not exist in this version.
    #[error("version {0} is not known")]
    Version(i16),
}

/// A position in bytes received; reading moves it on.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
    position: usize,
    end: usize,
    budget: usize,
    tags_left: u32,
}

impl Reader {
    /// Reads `bytes` from the first to the last.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self::with_budget(bytes, BUDGET_PER_BYTE)
    }

    /// Reads what this side wrote itself, or asked a broker of its choice for: such messages hold small
    /// arrays by the thousand, so they may take more memory than what anybody sends.
    #[must_use]
    pub fn of_own(bytes: Bytes) -> Self {
        Self::with_budget(bytes, OWN_BUDGET_PER_BYTE)
    }

    fn with_budget(bytes: Bytes, per_byte: usize) -> Self {
        let end = bytes.len();
        let budget = end.saturating_mul(per_byte).saturating_add(BUDGET_BASE);
        Self { bytes, position: 0, end, budget, tags_left: TAGS_MAX }
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.end.saturating_sub(self.position)
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// An error if bytes are left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`].
    pub const fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    /// The next `N` bytes.
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let end = DecodeError::End { needed: N, left: self.remaining() };
        if N > self.remaining() {
            return Err(end);
        }
        let chunk = self.bytes.get(self.position..).and_then(|rest| rest.first_chunk::<N>());
        let chunk = *chunk.ok_or(end)?;
        self.position += N;
        Ok(chunk)
    }

    /// The next `length` bytes, shared with the input.
    ///
    /// # Errors
    /// [`DecodeError::Length`].
    pub fn slice(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        let left = self.remaining();
        if length > left {
            return Err(DecodeError::Length { declared: length as u64, left });
        }
        let slice = self.bytes.slice(self.position..self.position + length);
        self.position += length;
        Ok(slice)
    }

    /// Passes over `length` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Length`].
    pub const fn skip(&mut self, length: usize) -> Result<(), DecodeError> {
        let left = self.remaining();
        if length > left {
            return Err(DecodeError::Length { declared: length as u64, left });
        }
        self.position += length;
        Ok(())
    }

    /// Takes one allocation of `bytes` out of this input's budget, before it is made.
    ///
    /// # Errors
    /// [`DecodeError::Budget`].
    pub const fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let taken = match bytes {
            0 => 0,
            1..ALLOCATION_BYTES_MIN => ALLOCATION_BYTES_MIN,
            bytes => bytes,
        };
        match self.budget.checked_sub(taken) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(DecodeError::Budget),
        }
    }

    /// An unsigned variable-length integer of up to 32 bits, at most 5 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Varint`] if it does not fit or has needless bytes.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.unsigned(5)?).map_err(|_too_large| DecodeError::Varint)
    }

    /// A zig-zag variable-length integer of 32 bits.
    ///
    /// # Errors
    /// As [`Self::uvarint`].
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A zig-zag variable-length integer of 64 bits, at most 10 bytes.
    ///
    /// # Errors
    /// As [`Self::uvarint`].
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let raw = self.unsigned(10)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    fn unsigned(&mut self, bytes_max: u32) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for i in 0..bytes_max {
            let byte = u64::from(self.u8()?);
            let bits = byte & 0x7f;
            let shift = 7 * i;
            if (bits << shift) >> shift != bits {
                return Err(DecodeError::Varint);
            }
            value |= bits << shift;
            if byte < 0x80 {
                // A last byte of zero adds nothing: there is a shorter way to say the same.
                return if byte == 0 && i > 0 { Err(DecodeError::Varint) } else { Ok(value) };
            }
        }
        Err(DecodeError::Varint)
    }

    /// An unsigned byte.
    ///
    /// # Errors
    /// [`DecodeError::End`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.take()?))
    }

    /// A byte: anything but 0 is true.
    ///
    /// # Errors
    /// [`DecodeError::End`].
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// A UUID's sixteen bytes.
    ///
    /// # Errors
    /// [`DecodeError::End`].
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.take()?))
    }

    /// The length of a string, `None` for null; checked against the bytes left.
    ///
    /// # Errors
    /// [`DecodeError`] of any kind of length.
    pub fn string_length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        let length = if flexible { self.compact_length()? } else { i32::from(self.i16()?) };
        self.bounded(length, 1)
    }

    /// The length of bytes or records, `None` for null; checked against the bytes left.
    ///
    /// # Errors
    /// [`DecodeError`] of any kind of length.
    pub fn bytes_length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        self.array_length(flexible, 1)
    }

    /// The count of an array, `None` for null; an error unless that many elements of at least
    /// `element_min` bytes can be in the bytes left.
    ///
    /// # Errors
    /// [`DecodeError`] of any kind of length.
    pub fn array_length(
        &mut self,
        flexible: bool,
        element_min: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let length = if flexible { self.compact_length()? } else { self.i32()? };
        self.bounded(length, element_min)
    }

    /// A compact length: one more than the length, 0 for null. Returned with -1 as null.
    fn compact_length(&mut self) -> Result<i32, DecodeError> {
        let plus_one = self.uvarint()?;
        let declared = u64::from(plus_one).saturating_sub(1);
        match i32::try_from(plus_one) {
            Ok(plus_one) => Ok(plus_one - 1),
            Err(_too_large) => Err(DecodeError::Length { declared, left: self.remaining() }),
        }
    }

    fn bounded(&self, length: i32, element_min: usize) -> Result<Option<usize>, DecodeError> {
        let left = self.remaining();
        match usize::try_from(length) {
            Ok(count) if count > left / element_min.max(1) => {
                Err(DecodeError::Length { declared: count as u64, left })
            }
            Ok(count) => Ok(Some(count)),
            Err(_negative) if length == -1 => Ok(None),
            Err(_negative) => Err(DecodeError::Negative(length)),
        }
    }

    /// Reads a section of tagged fields (KIP-482). `known` gets each tag and a reader that ends with the
    /// field, and says whether it knows the tag; unknown fields are passed over.
    ///
    /// # Errors
    /// What `known` returns; too many unknown fields; a known field that does not fill its size.
    pub fn tagged(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.uvarint()?;
        let left = self.remaining();
        if count as usize > left / 2 {
            return Err(DecodeError::Length { declared: u64::from(count), left });
        }
        for _ in 0..count {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let left = self.remaining();
            if size > left {
                return Err(DecodeError::Length { declared: size as u64, left });
            }
            let outer = self.end;
            let start = self.position;
            self.end = start + size;
            if !known(tag, self)? {
                self.tags_left = self.tags_left.checked_sub(1).ok_or(DecodeError::Tags)?;
                self.position = self.end;
            } else if self.position != self.end {
                return Err(DecodeError::TagSize(tag));
            }
            self.end = outer;
        }
        Ok(())
    }

    /// Passes over a section of tagged fields, none of which is known.
    ///
    /// # Errors
    /// As [`Self::tagged`].
    pub fn skip_tagged(&mut self) -> Result<(), DecodeError> {
        self.tagged(|_tag, _field| Ok(false))
    }
}

macro_rules! integers {
    ($($name:ident $doc:literal),*) => {
        impl Reader {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// [`DecodeError::End`].
                pub fn $name(&mut self) -> Result<$name, DecodeError> {
                    Ok($name::from_be_bytes(self.take()?))
                }
            )*
        }
    };
}
integers!(
    i8 "A signed byte.",
    i16 "A signed 16-bit integer.",
    u16 "An unsigned 16-bit integer.",
    i32 "A signed 32-bit integer.",
    u32 "An unsigned 32-bit integer.",
    i64 "A signed 64-bit integer.",
    f64 "A 64-bit floating-point number."
);
