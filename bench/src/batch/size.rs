//! How large the values are: one size, a range, or a histogram.

use std::str::FromStr;

use super::payload::Chance;
use crate::cli::unit::bytes;

/// A distribution of value sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SizeMix {
    /// Every value has this size.
    Fixed(usize),
    /// Uniform between the two, both included.
    Uniform(usize, usize),
    /// Sizes with weights.
    Histogram(Vec<(usize, u64)>),
}

impl SizeMix {
    /// The next size.
    pub fn draw(&self, chance: &mut Chance) -> usize {
        self.at(chance.share())
    }

    /// The size below which so large a share of all is; `share` is below 1.
    fn at(&self, share: f64) -> usize {
        match self {
            Self::Fixed(size) => *size,
            Self::Uniform(low, high) => {
                low + ((high - low + 1) as f64 * share).min((high - low) as f64) as usize
            }
            Self::Histogram(entries) => {
                let mut point = share * total(entries) as f64;
                let mut last = 0;
                for (size, weight) in entries.iter().filter(|entry| entry.1 > 0) {
                    last = *size;
                    if point < *weight as f64 {
                        break;
                    }
                    point -= *weight as f64;
                }
                last
            }
        }
    }

    /// So many sizes in an order drawn by chance, each as often as its weight says: a sample without the scatter of
    /// single draws.
    pub fn spread(&self, count: usize, chance: &mut Chance) -> Vec<usize> {
        let shift = chance.share();
        let mut sizes: Vec<usize> =
            (0..count).map(|place| self.at((place as f64 + shift) / count as f64)).collect();
        for last in (1..count).rev() {
            sizes.swap(last, chance.below(last as u64 + 1) as usize);
        }
        sizes
    }

    /// Among how many values the rarest size is found once; of a range, any number tells its sizes well.
    pub fn rarity(&self) -> usize {
        match self {
            Self::Fixed(_) | Self::Uniform(..) => 1,
            Self::Histogram(entries) => {
                let rarest = entries.iter().map(|entry| entry.1).filter(|weight| *weight > 0).min();
                total(entries).div_ceil(rarest.unwrap_or(1)) as usize
            }
        }
    }

    /// The mean size.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Fixed(size) => *size as f64,
            Self::Uniform(low, high) => (low + high) as f64 / 2.0,
            Self::Histogram(entries) => {
                let sum: f64 =
                    entries.iter().map(|(size, weight)| *size as f64 * *weight as f64).sum();
                sum / total(entries) as f64
            }
        }
    }

    /// The smallest size that can be drawn.
    pub fn smallest(&self) -> usize {
        match self {
            Self::Fixed(size) | Self::Uniform(size, _) => *size,
            Self::Histogram(entries) => entries.iter().map(|entry| entry.0).min().unwrap_or(0),
        }
    }
}

/// All weights together.
fn total(entries: &[(usize, u64)]) -> u64 {
    entries.iter().map(|entry| entry.1).sum()
}

impl FromStr for SizeMix {
    type Err = String;

    /// `1KiB`, `100..2KiB` or `100:70,1KiB:25,64KiB:5` (size:weight).
    fn from_str(text: &str) -> Result<Self, String> {
        let size = |text: &str| bytes(text).map(|size| size as usize);
        if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (size(low)?, size(high)?);
            if low > high {
                return Err(format!("{low} is more than {high}"));
            }
            return Ok(Self::Uniform(low, high));
        }
        if text.contains(':') {
            let mut entries = Vec::new();
            for entry in text.split(',') {
                let (value, weight) =
                    entry.split_once(':').ok_or(format!("`{entry}` is not size:weight"))?;
                let weight =
                    weight.parse().map_err(|_| format!("`{weight}` is not a whole number"))?;
                entries.push((size(value)?, weight));
            }
            if total(&entries) == 0 {
                return Err("the weights add up to nothing".into());
            }
            return Ok(Self::Histogram(entries));
        }
        Ok(Self::Fixed(size(text)?))
    }
}

impl std::fmt::Display for SizeMix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Uniform(low, high) => write!(f, "{low}..{high}"),
            Self::Histogram(entries) => {
                let parts: Vec<String> =
                    entries.iter().map(|(size, weight)| format!("{size}:{weight}")).collect();
                write!(f, "{}", parts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_or_say_why_not() {
        assert_eq!("1KiB".parse(), Ok(SizeMix::Fixed(1024)));
        assert_eq!("100..2k".parse(), Ok(SizeMix::Uniform(100, 2000)));
        assert_eq!("1:9,2:1".parse(), Ok(SizeMix::Histogram(vec![(1, 9), (2, 1)])));
        for bad in ["", "x", "5..2", "1:", "1:0", "-3"] {
            assert!(bad.parse::<SizeMix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn draws_stay_inside() {
        let mut chance = Chance::new(1);
        for mix in ["7", "3..9", "4:1,8:3"] {
            let mix: SizeMix = mix.parse().expect("a mix");
            for _ in 0..100 {
                let size = mix.draw(&mut chance);
                assert!((3..=9).contains(&size));
            }
        }
    }

    #[test]
    fn a_spread_has_its_weights_exactly() {
        let mut chance = Chance::new(2);
        let mix: SizeMix = "4:70,8:25,9:0,16:5".parse().expect("a mix");
        assert_eq!(mix.rarity(), 20);
        for count in [20, 100, 2000] {
            let sizes = mix.spread(count, &mut chance);
            for (size, share) in [(4, 70), (8, 25), (16, 5)] {
                let found = sizes.iter().filter(|found| **found == size).count();
                assert_eq!(found, count * share / 100, "{size} of {count}");
            }
            // In no order.
            assert!(!sizes.is_sorted() && sizes[..10] != sizes[10..20], "{sizes:?}");
        }
        let range = SizeMix::Uniform(10, 19).spread(1000, &mut chance);
        for size in 10..=19 {
            assert_eq!(range.iter().filter(|found| **found == size).count(), 100, "{size}");
        }
    }
}
