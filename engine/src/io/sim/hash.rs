//! Numbers by which runs and disks are told apart.

/// Mixes one more word into a number. What begins with 0 stays 0 while the words are.
pub(super) fn mixed(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
}
