//! Joins CRC-32C values, so that a batch whose tail never changes is not summed again.
//!
//! Arithmetic on polynomials modulo the Castagnoli polynomial, bit-reflected; the same idea as zlib's `crc32_combine`.

/// The Castagnoli polynomial, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// The polynomial 1, reflected.
const ONE: u32 = 1 << 31;

/// The factor by which a CRC moves when some fixed number of bytes follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift(u32);

impl Shift {
    /// The factor for `bytes` following bytes: x^(8 * bytes).
    pub fn by(bytes: usize) -> Self {
        let mut power = ONE >> 1; // x^1
        let mut result = ONE;
        let mut bits = bytes as u64 * 8;
        while bits > 0 {
            if bits & 1 == 1 {
                result = multiply(result, power);
            }
            power = multiply(power, power);
            bits >>= 1;
        }
        Self(result)
    }

    /// The CRC of two byte strings in a row, given each one's CRC and that `self` is the shift by the second's length.
    #[inline]
    pub fn join(self, first: u32, second: u32) -> u32 {
        multiply(self.0, first) ^ second
    }
}

#[inline]
fn multiply(left: u32, mut right: u32) -> u32 {
    let mut product = 0;
    let mut mask = ONE;
    while mask != 0 {
        if left & mask != 0 {
            product ^= right;
        }
        mask >>= 1;
        right = if right & 1 == 1 { (right >> 1) ^ POLYNOMIAL } else { right >> 1 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::Shift;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn joined_is_the_crc_of_the_whole(
            first in proptest::collection::vec(any::<u8>(), 0..300),
            second in proptest::collection::vec(any::<u8>(), 0..5000),
        ) {
            let mut whole = first.clone();
            whole.extend_from_slice(&second);
            let joined = Shift::by(second.len()).join(crc32c::crc32c(&first), crc32c::crc32c(&second));
            prop_assert_eq!(joined, crc32c::crc32c(&whole));
        }
    }
}
