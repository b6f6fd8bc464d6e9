//! The records of one partition in a request or response: slices of shared bytes, one after another.

use bytes::{Bytes, BytesMut};
use std::slice;

/// Record batches as they stand on the wire, in one or more slices.
#[derive(Debug, Clone)]
pub struct Records(Slices);

#[derive(Debug, Clone)]
enum Slices {
    /// What a request holds; costs no allocation.
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Records {
    /// No records.
    #[must_use]
    pub const fn new() -> Self {
        Self(Slices::One(Bytes::new()))
    }

    /// The slices, in order.
    #[must_use]
    pub fn slices(&self) -> &[Bytes] {
        match &self.0 {
            Slices::One(bytes) => slice::from_ref(bytes),
            Slices::Many(parts) => parts,
        }
    }

    /// Bytes in all slices.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slices().iter().map(Bytes::len).sum()
    }

    /// Whether there is not a byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices().iter().all(Bytes::is_empty)
    }

    /// The bytes in one piece; copies unless there is only one slice.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Slices::One(bytes) => bytes,
            Slices::Many(parts) => {
                let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
                for part in &parts {
                    whole.extend_from_slice(part);
                }
                whole.freeze()
            }
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self(Slices::One(bytes))
    }
}

impl From<Vec<Bytes>> for Records {
    fn from(parts: Vec<Bytes>) -> Self {
        Self(Slices::Many(parts))
    }
}

/// Equal bytes, however they are cut.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.slices().iter().flatten().eq(other.slices().iter().flatten())
    }
}
