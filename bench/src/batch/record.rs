//! Single records inside a batch: written, and walked without copying.

use super::varint::{put_signed, signed, signed_len};

/// Appends a record with its length.
pub fn put(offset_delta: i32, key: Option<&[u8]>, value: &[u8], out: &mut Vec<u8>) {
    put_signed(out, body_len(offset_delta, key.map(<[u8]>::len), value.len()) as i32);
    out.push(0); // attributes
    put_signed(out, 0); // timestamp delta
    put_signed(out, offset_delta);
    match key {
        Some(key) => {
            put_signed(out, key.len() as i32);
            out.extend_from_slice(key);
        }
        None => put_signed(out, -1),
    }
    put_signed(out, value.len() as i32);
    out.extend_from_slice(value);
    put_signed(out, 0); // no headers
}

/// Bytes of a record with its length.
pub fn len(offset_delta: i32, key: Option<usize>, value: usize) -> usize {
    let body = body_len(offset_delta, key, value);
    signed_len(body as i32) + body
}

/// Bytes of a record behind its length.
fn body_len(offset_delta: i32, key: Option<usize>, value: usize) -> usize {
    // Attributes, timestamp delta and the number of headers are a byte each, and so is the length of no key.
    let key = key.map_or(1, |key| signed_len(key as i32) + key);
    3 + signed_len(offset_delta) + key + signed_len(value as i32) + value
}

/// One record as it stands in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset within the batch.
    pub offset_delta: i64,
    /// Key; null reads as `None`.
    pub key: Option<&'a [u8]>,
    /// Value; null reads as `None`.
    pub value: Option<&'a [u8]>,
}

/// Walks unpacked records; ends early where they do not parse.
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// Walks `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let length = usize::try_from(signed(self.bytes, &mut self.at)?).ok()?;
        let body = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        let at = &mut 1; // behind the attributes
        signed(body, at)?; // timestamp delta
        let offset_delta = signed(body, at)?;
        let key = part(body, at)?;
        let value = part(body, at)?;
        Some(Record { offset_delta, key, value })
    }
}

/// Bytes behind their length; the inner `None` is null.
#[expect(clippy::option_option, reason = "malformed, null and present are three things")]
fn part<'a>(body: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(signed(body, at)?) else { return Some(None) };
    let bytes = body.get(*at..at.checked_add(length)?)?;
    *at += length;
    Some(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_walked(
            entries in proptest::collection::vec(
                (proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
                 proptest::collection::vec(any::<u8>(), 0..300)),
                0..80,
            ),
        ) {
            let mut out = Vec::new();
            for (delta, (key, value)) in entries.iter().enumerate() {
                let before = out.len();
                put(delta as i32, key.as_deref(), value, &mut out);
                let told = len(delta as i32, key.as_ref().map(Vec::len), value.len());
                prop_assert_eq!(told, out.len() - before);
            }
            let walked: Vec<_> = Records::new(&out).collect();
            prop_assert_eq!(walked.len(), entries.len());
            for (delta, (record, (key, value))) in walked.iter().zip(&entries).enumerate() {
                prop_assert_eq!(record.offset_delta, delta as i64);
                prop_assert_eq!(record.key, key.as_deref());
                prop_assert_eq!(record.value, Some(&value[..]));
            }
        }

        #[test]
        fn noise_ends_the_walk(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            prop_assert!(Records::new(&bytes).count() <= bytes.len());
        }
    }
}
