//! CRC-32C of two runs of bytes, one behind the other, from those of each.
//!
//! A CRC is a polynomial over GF(2) modulo [`POLYNOMIAL`], lowest power in the highest bit. To append `n` bytes
//! multiplies what was before by x^8n. (`crc32c::crc32c_combine` does the same with matrices and takes longer than
//! it takes to read 64 KiB.)

const POLYNOMIAL: u32 = 0x82f6_3b78;
const ONE: u32 = 1 << 31;
const X: u32 = 1 << 30;

/// x^(2^i) at `i`: squares of squares. They come round after 31, as x^(2^32 - 1) is 1.
const POWERS: [u32; 32] = {
    let mut powers = [X; 32];
    let mut i = 1;
    while i < 32 {
        powers[i] = multiply(powers[i - 1], powers[i - 1]);
        i += 1;
    }
    powers
};

const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut bit) = (0, ONE);
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
        bit >>= 1;
    }
    product
}

/// The CRC-32C of bytes that have `crc`, followed by `len` bytes that have `next`.
#[must_use]
pub fn combine(crc: u32, next: u32, len: usize) -> u32 {
    let (mut shift, mut rest, mut power) = (ONE, len, 3);
    while rest > 0 {
        if rest & 1 == 1 {
            shift = multiply(POWERS[power % 32], shift);
        }
        rest >>= 1;
        power += 1;
    }
    multiply(shift, crc) ^ next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combined_as_if_they_had_been_read() {
        let bytes: Vec<u8> =
            (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (middle, end) in
            [(0, 0), (0, 9), (9, 9), (1, 2), (21, 131_072), (200_000, 300_000), (7, 262_151)]
        {
            let (first, second) = (&bytes[..middle], &bytes[middle..end]);
            let combined = combine(crc32c::crc32c(first), crc32c::crc32c(second), second.len());
            assert_eq!(combined, crc32c::crc32c(&bytes[..end]), "{middle} {end}");
            assert_eq!(
                combined,
                crc32c::crc32c_combine(crc32c::crc32c(first), crc32c::crc32c(second), second.len())
            );
        }
    }
}
