//! `message!`: one declaration from which a message's struct, encoding and decoding follow.

use super::{DecodeError, EncodeError, Reader, Sampler, Wire, Writer};
use bytes::Bytes;
use std::fmt::Debug;
use std::ops::RangeInclusive;

/// A request, response or stored record: something with versions of its own.
pub trait Message: Wire + Default + Clone + Debug + PartialEq {
    /// The struct's name.
    const NAME: &'static str;
    /// The versions that can be read and written.
    const VERSIONS: RangeInclusive<i16>;

    /// Whether a version has compact lengths and tagged fields (KIP-482).
    fn is_flexible(version: i16) -> bool;

    /// Writes the message. Fields that the version lacks are left out. An unknown version or a string
    /// too long for it is reported when the writer finishes.
    fn encode(&self, version: i16, writer: &mut Writer) {
        if Self::VERSIONS.contains(&version) {
            self.put(writer, super::Cx::new(version, Self::is_flexible(version)));
        } else {
            writer.fail(EncodeError::Version(version));
        }
    }

    /// Reads the message; bytes after it are left alone ([`Reader::finish`] looks for them).
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not such a message or the version is not known.
    fn decode(version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {
        if Self::VERSIONS.contains(&version) {
            Self::get(reader, super::Cx::new(version, Self::is_flexible(version)))
        } else {
            Err(DecodeError::Version(version))
        }
    }

    /// The message alone, in one piece.
    ///
    /// # Errors
    /// [`EncodeError`] if the version is not known or a string is too long for it.
    fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::flat();
        self.encode(version, &mut writer);
        writer.finish().map(super::Frame::into_bytes)
    }

    /// The message that `bytes` are, from the first to the last.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not such a message, or more than that.
    fn from_bytes(version: i16, bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let message = Self::decode(version, &mut reader)?;
        reader.finish()?;
        Ok(message)
    }

    /// A made-up message of a version: for tests and as a seed for fuzzing.
    fn sample_of(version: i16, sampler: &mut Sampler) -> Self {
        Self::sample(sampler, super::Cx::new(version, Self::is_flexible(version)))
    }
}

/// Whether the tags of a struct are declared in the order in which they are written.
#[must_use]
pub const fn tags_ascend(tags: &[Option<u32>]) -> bool {
    let mut next_min = 0;
    let mut i = 0;
    while i < tags.len() {
        if let Some(tag) = tags[i] {
            if tag < next_min {
                return false;
            }
            next_min = tag + 1;
        }
        i += 1;
    }
    true
}

/// Whether a struct has a tagged field in any version.
#[must_use]
pub const fn any_tag(tags: &[Option<u32>]) -> bool {
    let mut i = 0;
    while i < tags.len() {
        if tags[i].is_some() {
            return true;
        }
        i += 1;
    }
    false
}

/// Declares messages and the structs in them.
///
/// ```
/// use millrace_engine::codec::{Message, Str};
/// use millrace_engine::message;
///
/// message! {
///     /// A message has its versions after its name, and the first flexible one if there is any.
///     pub struct Example(0..=3, flexible 2..) {
///         /// A field of every version.
///         error_code: i16,
///         /// A field of some versions, with a default other than its type's.
///         leader_id: i32 [1..] = -1,
///         /// A field that may be null in some versions; `..` is every version.
///         name: Option<Str> [.., null 1..],
///         topics: Vec<ExampleTopic>,
///         /// A tagged field: its versions, its tag. Tagged fields are declared in the order of tags.
///         rack: Option<Str> [3.., null 3.., tag 0],
///     }
///
///     /// A struct within messages has no versions of its own.
///     pub struct ExampleTopic {
///         name: Str,
///         partitions: Vec<i32>,
///     }
/// }
///
/// let example = Example { leader_id: 7, ..Example::default() };
/// let bytes = example.to_bytes(2).unwrap();
/// assert_eq!(Example::from_bytes(2, bytes), Ok(example));
/// ```
///
/// Field types are `bool`, `i8`…`i64`, `u16`, `u32`, `f64`, `Uuid`, `Str`, `Bytes`, `Records`, structs
/// declared this way, `Vec` of them, and `Option` of what can be null.
#[macro_export]
macro_rules! message {
    // What the brackets after a field's type say.
    (@present $version:expr, []) => { true };
    (@present $version:expr, [$present:expr $(, $($rest:tt)*)?]) => {
        ::core::ops::RangeBounds::<i16>::contains(&($present), &$version)
    };
    (@null $version:expr, [$present:expr, null $null:expr $(, $($rest:tt)*)?]) => {
        ::core::ops::RangeBounds::<i16>::contains(&($null), &$version)
    };
    (@null $version:expr, [$($rest:tt)*]) => { false };
    (@tag [$present:expr, null $null:expr, tag $tag:literal]) => {
        ::core::option::Option::<u32>::Some($tag)
    };
    (@tag [$present:expr, tag $tag:literal]) => { ::core::option::Option::<u32>::Some($tag) };
    (@tag [$($rest:tt)*]) => { ::core::option::Option::<u32>::None };
    (@default) => { ::core::default::Default::default() };
    (@default = $default:expr) => { $default };
    (@flexible $version:expr) => { { let _never = $version; false } };
    (@flexible $version:expr, $flexible:expr) => {
        ::core::ops::RangeBounds::<i16>::contains(&($flexible), &$version)
    };

    (@message $name:ident) => {};
    (@message $name:ident ($versions:expr $(, flexible $flexible:expr)?)) => {
        impl $crate::codec::Message for $name {
            const NAME: &'static str = stringify!($name);
            const VERSIONS: ::core::ops::RangeInclusive<i16> = $versions;

            fn is_flexible(version: i16) -> bool {
                $crate::message!(@flexible version $(, $flexible)?)
            }
        }
    };

    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(($($versions:tt)*))? {
            $(
                $(#[$field_meta:meta])*
                $field:ident : $type:ty $([$($spec:tt)*])? $(= $default:expr)?
            ),* $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[doc = concat!("\n\nOn the wire: `", stringify!($field $([$($spec)*])?), "`.")]
                pub $field: $type,
            )*
        }

        $crate::message!(@message $name $(($($versions)*))?);

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::message!(@default $(= $default)?),)* }
            }
        }

        impl $crate::codec::Wire for $name {
            fn put(&self, writer: &mut $crate::codec::Writer, cx: $crate::codec::Cx) {
                $(
                    if $crate::message!(@tag [$($($spec)*)?]).is_none()
                        && $crate::message!(@present cx.version, [$($($spec)*)?])
                    {
                        let null = $crate::message!(@null cx.version, [$($($spec)*)?]);
                        $crate::codec::Wire::put(&self.$field, writer, cx.field(null, false));
                    }
                )*
                if cx.flexible {
                    self.put_tags(writer, cx);
                }
            }

            fn get(
                reader: &mut $crate::codec::Reader,
                cx: $crate::codec::Cx,
            ) -> ::core::result::Result<Self, $crate::codec::DecodeError> {
                let mut this = Self {
                    $(
                        $field: if $crate::message!(@tag [$($($spec)*)?]).is_none()
                            && $crate::message!(@present cx.version, [$($($spec)*)?])
                        {
                            let null = $crate::message!(@null cx.version, [$($($spec)*)?]);
                            $crate::codec::Wire::get(reader, cx.field(null, false))?
                        } else {
                            $crate::message!(@default $(= $default)?)
                        },
                    )*
                };
                if cx.flexible {
                    reader.tagged(|tag, reader| this.get_tag(tag, reader, cx))?;
                }
                Ok(this)
            }

            fn size_min(cx: $crate::codec::Cx) -> usize {
                let size = usize::from(cx.flexible);
                $(
                    let size = if $crate::message!(@tag [$($($spec)*)?]).is_none()
                        && $crate::message!(@present cx.version, [$($($spec)*)?])
                    {
                        let null = $crate::message!(@null cx.version, [$($($spec)*)?]);
                        size + <$type as $crate::codec::Wire>::size_min(cx.field(null, false))
                    } else {
                        size
                    };
                )*
                size
            }

            fn sample(sampler: &mut $crate::codec::Sampler, cx: $crate::codec::Cx) -> Self {
                sampler.nested(|sampler| {
                    let _field_less = (&sampler, cx);
                    Self {
                        $(
                            $field: if $crate::message!(@present cx.version, [$($($spec)*)?]) {
                                let null = $crate::message!(@null cx.version, [$($($spec)*)?]);
                                $crate::codec::Wire::sample(sampler, cx.field(null, false))
                            } else {
                                $crate::message!(@default $(= $default)?)
                            },
                        )*
                    }
                })
            }
        }

        impl $name {
            const TAGS: &[::core::option::Option<u32>] =
                &[$($crate::message!(@tag [$($($spec)*)?])),*];

            fn put_tags(&self, writer: &mut $crate::codec::Writer, cx: $crate::codec::Cx) {
                const { assert!($crate::codec::tags_ascend($name::TAGS), "tags out of order") };
                if !const { $crate::codec::any_tag($name::TAGS) } {
                    writer.put_uvarint(0);
                    return;
                }
                let default = Self::default();
                let _field_less = (&default, cx);
                let set: [::core::option::Option<u32>; $name::TAGS.len()] = [$(
                    $crate::message!(@tag [$($($spec)*)?]).filter(|_| {
                        $crate::message!(@present cx.version, [$($($spec)*)?])
                            && self.$field != default.$field
                    })
                ),*];
                writer.put_uvarint(set.iter().flatten().fold(0, |count, _| count + 1));
                let mut _set = set.into_iter();
                $(
                    if let Some(tag) = _set.next().flatten() {
                        let null = $crate::message!(@null cx.version, [$($($spec)*)?]);
                        $crate::codec::put_tagged(tag, &self.$field, writer, cx.field(null, true));
                    }
                )*
            }

            fn get_tag(
                &mut self,
                tag: u32,
                reader: &mut $crate::codec::Reader,
                cx: $crate::codec::Cx,
            ) -> ::core::result::Result<bool, $crate::codec::DecodeError> {
                let _field_less = (&self, tag, &reader, cx);
                $(
                    if $crate::message!(@tag [$($($spec)*)?]) == Some(tag)
                        && $crate::message!(@present cx.version, [$($($spec)*)?])
                    {
                        let null = $crate::message!(@null cx.version, [$($($spec)*)?]);
                        self.$field = $crate::codec::Wire::get(reader, cx.field(null, true))?;
                        return Ok(true);
                    }
                )*
                Ok(false)
            }
        }

        impl $crate::codec::Nullable for $name {
            fn put_nullable(
                this: ::core::option::Option<&Self>,
                writer: &mut $crate::codec::Writer,
                cx: $crate::codec::Cx,
            ) {
                $crate::codec::put_presence(this.is_some(), writer, cx);
                if let Some(this) = this {
                    $crate::codec::Wire::put(this, writer, cx);
                }
            }

            fn get_nullable(
                reader: &mut $crate::codec::Reader,
                cx: $crate::codec::Cx,
            ) -> ::core::result::Result<
                ::core::option::Option<Self>,
                $crate::codec::DecodeError,
            > {
                if $crate::codec::get_presence(reader, cx)? {
                    $crate::codec::Wire::get(reader, cx).map(Some)
                } else {
                    Ok(None)
                }
            }

            fn size_min_nullable(_cx: $crate::codec::Cx) -> usize {
                1
            }
        }
    )+};
}
