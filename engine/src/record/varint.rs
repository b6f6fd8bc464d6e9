//! Zig-zag variable-length integers, as records hold them.

/// Appends `value` in zig-zag form, 1 to 5 bytes.
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Appends `value` in zig-zag form, 1 to 10 bytes.
pub fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, zigzag(value));
}

/// Appends `value` without zig-zag, 1 to 10 bytes: the form of KIP-482's lengths.
pub fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that [`put_varlong`] writes for `value`.
#[must_use]
pub const fn varlong_bytes(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Reads an integer of at most five bytes from the front of `rest`, which moves on.
///
/// As in Kafka, bits beyond the 32nd are dropped; a sixth byte or too few bytes give none.
#[inline(always)]
pub fn take_varint(rest: &mut &[u8]) -> Option<i32> {
    let raw = take_unsigned(rest, 5)? as u32;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads an integer of at most ten bytes from the front of `rest`, which moves on.
#[inline(always)]
pub fn take_varlong(rest: &mut &[u8]) -> Option<i64> {
    let raw = take_unsigned(rest, 10)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Reads an integer without zig-zag of at most `bytes_max` bytes from the front of `rest`.
#[inline(always)]
pub fn take_unsigned(rest: &mut &[u8], bytes_max: u32) -> Option<u64> {
    let (&first, mut left) = rest.split_first()?;
    let mut value = u64::from(first & 0x7f);
    let mut byte = first;
    let mut count = 1;
    while byte >= 0x80 {
        if count == bytes_max {
            return None;
        }
        let (&next, after) = left.split_first()?;
        left = after;
        byte = next;
        value |= u64::from(byte & 0x7f) << (7 * count);
        count += 1;
    }
    *rest = left;
    Some(value)
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_forms() {
        let table: &[(i64, &[u8])] = &[
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for &(value, form) in table {
            let mut out = Vec::new();
            put_varlong(&mut out, value);
            assert_eq!(out, form, "{value}");
            assert_eq!(varlong_bytes(value), form.len(), "{value}");
            assert_eq!(take_varlong(&mut &out[..]), Some(value));
            if let Ok(small) = i32::try_from(value) {
                assert_eq!(take_varint(&mut &out[..]), Some(small));
            }
        }
    }

    #[test]
    fn too_long_or_cut_is_none() {
        assert_eq!(take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
        assert_eq!(take_varint(&mut &[0x80, 0x80][..]), None);
        assert_eq!(take_varlong(&mut &[0x80; 11][..]), None);
        assert_eq!(take_varint(&mut &[][..]), None);
        let mut rest = &[0x80_u8][..];
        assert_eq!(take_varint(&mut rest), None);
        assert_eq!(rest.len(), 1, "a failed read moves nothing");
    }
}
