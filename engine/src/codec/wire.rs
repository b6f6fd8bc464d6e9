//! What every field type can do: be written, be read, and say how short it can be.

use super::{DecodeError, Reader, Records, Sampler, Str, Writer};
use crate::types::Uuid;
use bytes::Bytes;

/// What a field's encoding depends on, beside its type.
#[derive(Debug, Clone, Copy)]
pub struct Cx {
    /// The message's version.
    pub version: i16,
    /// Whether this version has compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
    /// Whether the field may be null in this version.
    pub nullable: bool,
    /// Whether the field stands in the section of tagged fields.
    pub tagged: bool,
}

impl Cx {
    /// The context of a message's own fields.
    #[must_use]
    pub const fn new(version: i16, flexible: bool) -> Self {
        Self { version, flexible, nullable: false, tagged: false }
    }

    /// The context of one field.
    #[must_use]
    pub const fn field(self, nullable: bool, tagged: bool) -> Self {
        Self { nullable, tagged, ..self }
    }
}

/// A type that fields have.
pub trait Wire: Sized {
    /// Writes the value.
    fn put(&self, writer: &mut Writer, cx: Cx);

    /// Reads a value.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not such a value.
    fn get(reader: &mut Reader, cx: Cx) -> Result<Self, DecodeError>;

    /// The fewest bytes a value can have: what an array's count is checked against.
    fn size_min(cx: Cx) -> usize;

    /// Some value, of many kinds: for tests and as seeds for fuzzing.
    fn sample(sampler: &mut Sampler, cx: Cx) -> Self;
}

/// A type that has a null on the wire.
pub trait Nullable: Wire + Default {
    /// Writes a value or a null.
    fn put_nullable(this: Option<&Self>, writer: &mut Writer, cx: Cx);

    /// Reads a value or a null.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are neither.
    fn get_nullable(reader: &mut Reader, cx: Cx) -> Result<Option<Self>, DecodeError>;

    /// The fewest bytes a null or a value can have.
    fn size_min_nullable(cx: Cx) -> usize {
        Self::size_min(cx)
    }
}

/// Null where the version allows it; elsewhere `None` is written as the type's default.
impl<T: Nullable> Wire for Option<T> {
    fn put(&self, writer: &mut Writer, cx: Cx) {
        match self {
            value if cx.nullable => T::put_nullable(value.as_ref(), writer, cx),
            Some(value) => value.put(writer, cx),
            None => T::default().put(writer, cx),
        }
    }

    fn get(reader: &mut Reader, cx: Cx) -> Result<Self, DecodeError> {
        if cx.nullable { T::get_nullable(reader, cx) } else { T::get(reader, cx).map(Some) }
    }

    fn size_min(cx: Cx) -> usize {
        if cx.nullable { T::size_min_nullable(cx) } else { T::size_min(cx) }
    }

    fn sample(sampler: &mut Sampler, cx: Cx) -> Self {
        if cx.nullable && sampler.one_in(4) { None } else { Some(T::sample(sampler, cx)) }
    }
}

macro_rules! fixed {
    ($($type:ty: $get:ident $put:ident $size:literal),*) => {
        $(
            impl Wire for $type {
                fn put(&self, writer: &mut Writer, _cx: Cx) {
                    writer.$put(*self);
                }

                fn get(reader: &mut Reader, _cx: Cx) -> Result<Self, DecodeError> {
                    reader.$get()
                }

                fn size_min(_cx: Cx) -> usize {
                    $size
                }

                fn sample(sampler: &mut Sampler, _cx: Cx) -> Self {
                    sampler.$get()
                }
            }
        )*
    };
}
fixed!(
    bool: bool put_bool 1,
    i8: i8 put_i8 1,
    i16: i16 put_i16 2,
    u16: u16 put_u16 2,
    i32: i32 put_i32 4,
    u32: u32 put_u32 4,
    i64: i64 put_i64 8,
    f64: f64 put_f64 8,
    Uuid: uuid put_uuid 16
);

/// Types of a length and so many bytes: the value's part of [`Wire`] follows from [`Nullable`].
macro_rules! sized {
    ($type:ty, $size_min:expr, $sample:ident) => {
        impl Wire for $type {
            fn put(&self, writer: &mut Writer, cx: Cx) {
                Self::put_nullable(Some(self), writer, cx);
            }

            fn get(reader: &mut Reader, cx: Cx) -> Result<Self, DecodeError> {
                Self::get_nullable(reader, cx)?.ok_or(DecodeError::Null)
            }

            fn size_min(cx: Cx) -> usize {
                if cx.flexible { 1 } else { $size_min }
            }

            fn sample(sampler: &mut Sampler, _cx: Cx) -> Self {
                sampler.$sample()
            }
        }
    };
}
sized!(Str, 2, text);
sized!(Bytes, 4, bytes);
sized!(Records, 4, records);

impl Nullable for Str {
    fn put_nullable(this: Option<&Self>, writer: &mut Writer, cx: Cx) {
        writer.put_string_length(this.map(|text| text.as_bytes().len()), cx.flexible);
        if let Some(text) = this {
            writer.put_slice(text.as_bytes());
        }
    }

    fn get_nullable(reader: &mut Reader, cx: Cx) -> Result<Option<Self>, DecodeError> {
        let Some(length) = reader.string_length(cx.flexible)? else { return Ok(None) };
        let bytes = reader.slice(length)?;
        Self::from_utf8(bytes).map(Some).map_err(|_where| DecodeError::Utf8)
    }
}

impl Nullable for Bytes {
    fn put_nullable(this: Option<&Self>, writer: &mut Writer, cx: Cx) {
        writer.put_array_length(this.map(Self::len), cx.flexible);
        if let Some(bytes) = this {
            writer.put_shared(bytes);
        }
    }

    fn get_nullable(reader: &mut Reader, cx: Cx) -> Result<Option<Self>, DecodeError> {
        let Some(length) = reader.bytes_length(cx.flexible)? else { return Ok(None) };
        reader.slice(length).map(Some)
    }
}

impl Nullable for Records {
    fn put_nullable(this: Option<&Self>, writer: &mut Writer, cx: Cx) {
        writer.put_array_length(this.map(Self::len), cx.flexible);
        for slice in this.map(Self::slices).unwrap_or_default() {
            writer.put_shared(slice);
        }
    }

    fn get_nullable(reader: &mut Reader, cx: Cx) -> Result<Option<Self>, DecodeError> {
        Ok(Bytes::get_nullable(reader, cx)?.map(Self::from))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, writer: &mut Writer, cx: Cx) {
        Self::put_nullable(Some(self), writer, cx);
    }

    fn get(reader: &mut Reader, cx: Cx) -> Result<Self, DecodeError> {
        Self::get_nullable(reader, cx)?.ok_or(DecodeError::Null)
    }

    fn size_min(cx: Cx) -> usize {
        if cx.flexible { 1 } else { 4 }
    }

    fn sample(sampler: &mut Sampler, cx: Cx) -> Self {
        let cx = cx.field(false, false);
        (0..sampler.count()).map(|_| sampler.nested(|sampler| T::sample(sampler, cx))).collect()
    }
}

impl<T: Wire> Nullable for Vec<T> {
    fn put_nullable(this: Option<&Self>, writer: &mut Writer, cx: Cx) {
        writer.put_array_length(this.map(Self::len), cx.flexible);
        for element in this.into_iter().flatten() {
            element.put(writer, cx.field(false, false));
        }
    }

    fn get_nullable(reader: &mut Reader, cx: Cx) -> Result<Option<Self>, DecodeError> {
        let cx = cx.field(false, false);
        let Some(count) = reader.array_length(cx.flexible, T::size_min(cx))? else {
            return Ok(None);
        };
        // Elements may take more memory than bytes on the wire: the budget is asked first.
        reader.charge(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Self::with_capacity(count);
        for _ in 0..count {
            elements.push(T::get(reader, cx)?);
        }
        Ok(Some(elements))
    }
}

/// Writes one tagged field: tag, size, value.
pub fn put_tagged<T: Wire>(tag: u32, value: &T, writer: &mut Writer, cx: Cx) {
    let mut field = Writer::flat();
    value.put(&mut field, cx);
    match field.finish().map(super::Frame::into_bytes) {
        Ok(bytes) => {
            writer.put_uvarint(tag);
            writer.put_uvarint(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            writer.put_slice(&bytes);
        }
        Err(error) => writer.fail(error),
    }
}

/// Writes whether a nullable struct is there: one byte, which differs between plain and tagged fields.
pub fn put_presence(present: bool, writer: &mut Writer, cx: Cx) {
    writer.put_i8(match (present, cx.tagged) {
        (true, _) => 1,
        (false, true) => 0,
        (false, false) => -1,
    });
}

/// Reads whether a nullable struct is there.
///
/// # Errors
/// [`DecodeError::End`], [`DecodeError::Varint`].
pub fn get_presence(reader: &mut Reader, cx: Cx) -> Result<bool, DecodeError> {
    if cx.tagged { Ok(reader.uvarint()? > 0) } else { Ok(reader.i8()? >= 0) }
}
