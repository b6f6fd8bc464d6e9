//! Which partition of `__consumer_offsets` coordinates a group.

/// The partition for `group_id` among `partitions`: Java's `String.hashCode` over UTF-16 code units, its
/// absolute value (`i32::MIN` counts as 0), modulo. The count must never change once groups exist.
/// A count below one gives partition 0.
#[must_use]
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    let hash = java_hash(group_id);
    let positive = hash.checked_abs().unwrap_or(0);
    positive.checked_rem(partitions.max(1)).unwrap_or(0)
}

/// Java's `String.hashCode`.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        // As the Java virtual machine gives them; the last is known for it.
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("hello", 99_162_322),
            ("order-group", 530_669_376),
            ("\u{1F600}", 1_772_899),
            ("polygenelubricants", i32::MIN),
        ] {
            assert_eq!(java_hash(text), hash, "{text:?}");
        }
    }

    #[test]
    fn is_always_a_valid_partition() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("hello", 50), 22);
        for i in 0..1000 {
            let partition = partition_for(&format!("group-{i}"), 50);
            assert!((0..50).contains(&partition));
            assert_eq!(partition_for(&format!("group-{i}"), 1), 0);
        }
        assert_eq!(partition_for("hello", 0), 0);
        assert_eq!(partition_for("hello", -5), 0);
    }
}
