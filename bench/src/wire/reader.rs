//! Reads protocol fields from an answer, never past its end.

use crate::batch::varint;

/// An answer that does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is malformed at byte {0}")]
pub struct Malformed(pub usize);

/// Reads fields one after the other.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte behind the frame length; reads the header. `header_tags` where the answer's header
    /// has a tag section (flexible versions of everything but ApiVersions).
    pub fn answer(
        bytes: &'a [u8],
        flexible: bool,
        header_tags: bool,
    ) -> Result<(i32, Self), Malformed> {
        let mut reader = Self { bytes, at: 0, flexible };
        let correlation = reader.i32()?;
        if header_tags {
            reader.tags()?;
        }
        Ok((correlation, reader))
    }

    /// Starts at the first byte of `bytes`, which has no header.
    pub fn resume(bytes: &'a [u8], flexible: bool) -> Self {
        Self { bytes, at: 0, flexible }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed(self.at))?;
        let bytes = self.bytes.get(self.at..end).ok_or(Malformed(self.at))?;
        self.at = end;
        Ok(bytes)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| Malformed(at))
    }

    /// A 16-bit integer.
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array_of()?))
    }

    /// A 32-bit integer.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array_of()?))
    }

    /// A 64-bit integer.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array_of()?))
    }

    /// A length: of a string (16-bit in the classic encoding) or of anything else (32-bit). `None` is null.
    fn length(&mut self, string: bool) -> Result<Option<usize>, Malformed> {
        let at = self.at;
        let length = if self.flexible {
            varint::unsigned(self.bytes, &mut self.at).ok_or(Malformed(at))? as i64 - 1
        } else if string {
            i64::from(self.i16()?)
        } else {
            i64::from(self.i32()?)
        };
        Ok(usize::try_from(length).ok())
    }

    /// A string; null reads as empty.
    pub fn string(&mut self) -> Result<String, Malformed> {
        Ok(self.nullable_string()?.unwrap_or_default())
    }

    /// A string or null.
    pub fn nullable_string(&mut self) -> Result<Option<String>, Malformed> {
        match self.length(true)? {
            Some(length) => Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned())),
            None => Ok(None),
        }
    }

    /// Steps over a string.
    pub fn skip_string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length(true)?.unwrap_or(0);
        self.take(length)
    }

    /// The number of elements of an array; null reads as none.
    pub fn array(&mut self) -> Result<usize, Malformed> {
        Ok(self.length(false)?.unwrap_or(0))
    }

    /// Record bytes; null reads as none.
    pub fn records(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length(false)?.unwrap_or(0);
        self.take(length)
    }

    /// Steps over a tag section, where the encoding has one.
    pub fn tags(&mut self) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = self.varint()?;
            self.take(usize::try_from(size).map_err(|_| Malformed(self.at))?)?;
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let at = self.at;
        varint::unsigned(self.bytes, &mut self.at).ok_or(Malformed(at))
    }
}
