//! Zigzag and plain variable-length integers, as record batches and flexible messages use them.

/// Appends an unsigned varint.
pub fn put_unsigned(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag varint (the `varint` of records).
pub fn put_signed(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, ((value << 1) ^ (value >> 31)) as u32);
}

/// Bytes of a zigzag varint.
pub fn signed_len(value: i32) -> usize {
    let zigzag = ((value << 1) ^ (value >> 31)) as u32;
    (u32::BITS - zigzag.leading_zeros()).div_ceil(7).max(1) as usize
}

/// Reads an unsigned varint (up to 64 bits) at `*at` and moves `*at` behind it.
pub fn unsigned(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a zigzag varint at `*at` and moves `*at` behind it.
pub fn signed(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let raw = unsigned(bytes, at)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}
