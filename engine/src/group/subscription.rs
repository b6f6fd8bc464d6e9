//! The topics that a consumer's subscription names (`ConsumerProtocolSubscription`), read tolerantly.

use std::collections::BTreeSet;

/// The protocol type of ordinary consumers.
pub(super) const CONSUMER_PROTOCOL: &str = "consumer";

/// The topics in a subscription, or none if these bytes are not one. Only the part that every version
/// begins with is read: version i16, topics as an i32 count of i16-length strings.
pub(super) fn subscribed_topics(bytes: &[u8]) -> Option<BTreeSet<String>> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = i32::from_be_bytes(*count);
    let mut topics = BTreeSet::new();
    for _ in 0..u32::try_from(count).ok()? {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, tail) = tail.split_at_checked(length)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        rest = tail;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_version_and_refuses_nonsense() {
        let v1 = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(subscribed_topics(v1), Some(["a".to_owned(), "bc".to_owned()].into()));
        assert_eq!(subscribed_topics(b"\0\0\0\0\0\0"), Some(BTreeSet::new()));
        for cut in 0..13 {
            assert_eq!(subscribed_topics(&v1[..cut]), None, "cut at {cut}");
        }
        for bad in [
            &b"\xff\xff\0\0\0\0"[..],
            b"\0\0\xff\xff\xff\xff",
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\0\0\0\x01\xff\xff",
            b"\0\0\0\0\0\x01\0\x01\xff",
        ] {
            assert_eq!(subscribed_topics(bad), None, "{bad:?}");
        }
    }
}
