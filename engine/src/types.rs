//! The plain words of the broker: identifiers, offsets, time.

use std::fmt;
use std::str::FromStr;

/// A record's position in its partition, counted from 0.
pub type Offset = i64;
/// A leader epoch (KIP-101): how often the leader of a partition has changed. `-1` is unknown.
pub type LeaderEpoch = i32;
/// Milliseconds since the Unix epoch; `-1` is "none".
pub type TimestampMs = i64;
/// An idempotent producer's number (KIP-98); `-1` is none.
pub type ProducerId = i64;
/// The fencing number of a producer id; `-1` is none.
pub type ProducerEpoch = i16;
/// A broker's number, `node.id`.
pub type NodeId = i32;
/// A shard's index, from 0: which core.
pub type ShardId = u16;

/// Monotonic time in nanoseconds since an arbitrary start; never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// A point in time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// This time plus `ms` milliseconds, saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// Milliseconds from `earlier` until this time; 0 if `earlier` is later.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }
}

/// A Kafka UUID: 16 bytes, big-endian, written as 22 characters of URL-safe base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub u128);

/// A topic's identity (KIP-516); names may be reused, ids are not.
pub type TopicId = Uuid;

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// All zeros: "no id".
    pub const ZERO: Self = Self(0);
    /// The id of `__cluster_metadata` (KIP-631).
    pub const METADATA_TOPIC: Self = Self(1);

    /// The sixteen bytes as they go over the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From the sixteen bytes of the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Whether this is the zero id.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// A version 4 UUID from 128 random bits, or none where Kafka would not use it: ids 0 to 99 are
    /// reserved, and the text form must not begin with `-`.
    #[must_use]
    pub fn from_random(random: u128) -> Option<Self> {
        let versioned =
            (random & !(0xf_u128 << 76) & !(0x3_u128 << 62)) | (0x4 << 76) | (0x2 << 62);
        let id = Self(versioned);
        (versioned > 99 && !id.to_string().starts_with('-')).then_some(id)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 128 bits are 21 full sextets and two bits: the text ends in the sextet of those two.
        for i in 0..22_u32 {
            let sextet = if i < 21 { (self.0 >> (122 - 6 * i)) & 63 } else { (self.0 << 4) & 63 };
            let index = usize::try_from(sextet).unwrap_or_default();
            write!(f, "{}", char::from(BASE64_URL[index]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Kafka uuid is 22 characters of URL-safe base64")]
pub struct UuidError;

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        if text.len() != 22 {
            return Err(UuidError);
        }
        let mut value = 0_u128;
        for (i, byte) in text.bytes().enumerate() {
            let sextet = BASE64_URL.iter().position(|&b| b == byte).ok_or(UuidError)? as u128;
            if i < 21 {
                value = (value << 6) | sextet;
            } else {
                // The last character stands for two bits; like Kafka, what else it says is ignored.
                value = (value << 2) | (sextet >> 4);
            }
        }
        Ok(Self(value))
    }
}

/// One partition of one topic, by identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The partition's index in its topic, from 0.
    pub partition: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_round_trips() {
        for (id, text) in [
            (Uuid::ZERO, "AAAAAAAAAAAAAAAAAAAAAA"),
            (Uuid::METADATA_TOPIC, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (Uuid(u128::MAX), "_____________________w"),
        ] {
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse::<Uuid>(), Ok(id));
        }
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAB".parse::<Uuid>(), Ok(Uuid::ZERO));
        for bad in ["", "AAAAAAAAAAAAAAAAAAAAA+", "AAAA"] {
            assert_eq!(bad.parse::<Uuid>(), Err(UuidError), "{bad}");
        }
    }

    #[test]
    fn random_ids_are_version_4_and_never_start_with_a_dash() {
        for i in 0..200_u128 {
            if let Some(id) =
                Uuid::from_random(i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834))
            {
                assert_eq!((id.0 >> 76) & 15, 4);
                assert!(!id.to_string().starts_with('-'));
            }
        }
        assert_eq!(Uuid::from_random(0xf8 << 120), None);
    }
}
