//! Made-up values of every field type, from a seed: for tests and as seeds for fuzzing.

use super::{Records, Str};
use crate::types::Uuid;
use bytes::Bytes;

/// A source of made-up values; the same seed gives the same values.
#[derive(Debug, Clone)]
pub struct Sampler {
    state: u64,
    depth: u32,
}

impl Sampler {
    /// Values for `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, depth: 0 }
    }

    /// 64 bits (splitmix64).
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True once in `n` times.
    pub const fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    /// How many elements an array gets: fewer, the deeper it stands.
    pub fn count(&mut self) -> usize {
        if self.one_in(6) {
            0
        } else {
            1 + (self.next() % if self.depth > 1 { 2 } else { 3 }) as usize
        }
    }

    /// Makes the elements of an array.
    pub fn nested<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        self.depth += 1;
        let made = make(self);
        self.depth -= 1;
        made
    }

    /// True or false.
    pub const fn bool(&mut self) -> bool {
        self.one_in(2)
    }

    /// A byte.
    pub const fn i8(&mut self) -> i8 {
        self.next() as i8
    }

    /// A signed 16-bit integer.
    pub const fn i16(&mut self) -> i16 {
        self.next() as i16
    }

    /// An unsigned 16-bit integer.
    pub const fn u16(&mut self) -> u16 {
        self.next() as u16
    }

    /// A signed 32-bit integer.
    pub const fn i32(&mut self) -> i32 {
        self.next() as i32
    }

    /// An unsigned 32-bit integer.
    pub const fn u32(&mut self) -> u32 {
        self.next() as u32
    }

    /// A signed 64-bit integer.
    pub const fn i64(&mut self) -> i64 {
        self.next().cast_signed()
    }

    /// A finite number.
    pub fn f64(&mut self) -> f64 {
        f64::from(self.i32()) / 8.0
    }

    /// A UUID.
    pub fn uuid(&mut self) -> Uuid {
        Uuid(u128::from(self.next()) << 64 | u128::from(self.next()))
    }

    /// Text, now and then empty, not ASCII or longer than a one-byte length can say.
    pub fn text(&mut self) -> Str {
        match self.next() % 8 {
            0 => Str::default(),
            1 => Str::from("größer-als-ascii-✓"),
            2 if self.one_in(8) => Str::from("x".repeat(127 + (self.next() % 200) as usize)),
            _ => Str::from(format!("text-{:x}", self.next() >> 40)),
        }
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Bytes {
        let count = self.next() % 40;
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Bytes where record batches stand; now and then more than are copied.
    pub fn records(&mut self) -> Records {
        if self.one_in(4) {
            Records::from(Bytes::from(vec![self.next() as u8; super::SHARE_MIN + 7]))
        } else {
            Records::from(self.bytes())
        }
    }
}
