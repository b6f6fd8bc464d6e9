//! Keys: which ones records carry, and which partition Kafka's default partitioner puts a key in.

use std::str::FromStr;

use super::payload::Chance;

/// Which keys records carry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyMix {
    /// None: batches go to the partitions in turn.
    None,
    /// So many different keys, all as likely.
    Uniform(u64),
    /// So many different keys, the `n`th with weight `n^-s`.
    Zipf(u64, f64),
}

impl KeyMix {
    /// The next key's number.
    pub fn draw(self, chance: &mut Chance) -> u64 {
        match self {
            Self::None => 0,
            Self::Uniform(count) => chance.below(count),
            Self::Zipf(count, exponent) => zipf(count, exponent, chance),
        }
    }
}

/// By rejection (Hörmann and Derflinger's inversion of the continuous envelope): no table, whatever the count.
fn zipf(count: u64, exponent: f64, chance: &mut Chance) -> u64 {
    let integral = |x: f64| {
        if (exponent - 1.0).abs() < 1e-9 {
            x.ln()
        } else {
            (x.powf(1.0 - exponent) - 1.0) / (1.0 - exponent)
        }
    };
    let inverse = |y: f64| {
        if (exponent - 1.0).abs() < 1e-9 {
            y.exp()
        } else {
            (1.0 + y * (1.0 - exponent)).max(f64::MIN_POSITIVE).powf(1.0 / (1.0 - exponent))
        }
    };
    let low = integral(1.5) - 1.0;
    let high = integral(count as f64 + 0.5);
    loop {
        let point = low + chance.share() * (high - low);
        let rank = (inverse(point) + 0.5).floor().clamp(1.0, count as f64);
        if point >= integral(rank + 0.5) - rank.powf(-exponent) {
            return rank as u64 - 1;
        }
    }
}

impl FromStr for KeyMix {
    type Err = String;

    /// `none`, `uniform:1M`, `zipf:1M` or `zipf:1M:1.2`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        let count = parts.next().map(crate::cli::unit::count).transpose()?.unwrap_or(1_000_000);
        let exponent = parts.next().map(str::parse).transpose();
        let exponent: f64 = exponent.map_err(|error| format!("{error}"))?.unwrap_or(1.0);
        let fits = count > 0 && exponent > 0.0 && exponent < 10.0 && parts.next().is_none();
        match kind {
            "none" => Ok(Self::None),
            "uniform" if fits => Ok(Self::Uniform(count)),
            "zipf" if fits => Ok(Self::Zipf(count, exponent)),
            _ => Err("say none, uniform:COUNT, zipf:COUNT or zipf:COUNT:EXPONENT".into()),
        }
    }
}

impl std::fmt::Display for KeyMix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => write!(f, "none"),
            Self::Uniform(count) => write!(f, "uniform:{count}"),
            Self::Zipf(count, exponent) => write!(f, "zipf:{count}:{exponent}"),
        }
    }
}

/// A key.
pub type Key = [u8; 16];

/// The bytes of key `number`.
pub fn bytes(number: u64) -> Key {
    let mut key = *b"key-000000000000";
    for (place, byte) in key[4..].iter_mut().rev().enumerate() {
        *byte = b'0' + (number / 10_u64.pow(place as u32) % 10) as u8;
    }
    key
}

/// The partition that Kafka's default partitioner gives a key.
pub fn partition(key: &[u8], partitions: usize) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % partitions.max(1) as u32) as i32
}

/// 32-bit MurmurHash2 with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut word = word.try_into().map_or(0, u32::from_le_bytes).wrapping_mul(MIX);
        word = (word ^ (word >> 24)).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ word;
    }
    let rest = words.remainder();
    for (place, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * place);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafkas_own_test() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn zipf_has_its_weights() {
        let (count, exponent, draws) = (1000_u64, 1.1, 200_000);
        let mut chance = Chance::new(3);
        let mut seen = vec![0_u64; count as usize];
        for _ in 0..draws {
            seen[KeyMix::Zipf(count, exponent).draw(&mut chance) as usize] += 1;
        }
        let total: f64 = (1..=count).map(|rank| (rank as f64).powf(-exponent)).sum();
        for rank in [1_u64, 2, 5, 20] {
            let expected = (rank as f64).powf(-exponent) / total * f64::from(draws);
            let found = seen[rank as usize - 1] as f64;
            assert!((found / expected - 1.0).abs() < 0.08, "{rank}: {found} of {expected}");
        }
    }

    #[test]
    fn mixes_parse_or_say_why_not() {
        assert_eq!("none".parse(), Ok(KeyMix::None));
        assert_eq!("uniform:10k".parse(), Ok(KeyMix::Uniform(10_000)));
        assert_eq!("zipf:1M:1.2".parse(), Ok(KeyMix::Zipf(1_000_000, 1.2)));
        for bad in ["", "zipf:0", "zipf:1:x", "uniform:1:1:1", "other"] {
            assert!(bad.parse::<KeyMix>().is_err(), "{bad}");
        }
        assert_eq!(&bytes(42), b"key-000000000042");
    }
}
