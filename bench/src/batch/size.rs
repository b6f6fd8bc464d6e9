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
        match self {
            Self::Fixed(size) => *size,
            Self::Uniform(low, high) => low + chance.below((high - low + 1) as u64) as usize,
            Self::Histogram(entries) => {
                let total: u64 = entries.iter().map(|entry| entry.1).sum();
                let mut point = chance.below(total);
                for (size, weight) in entries {
                    if point < *weight {
                        return *size;
                    }
                    point -= weight;
                }
                0
            }
        }
    }

    /// The mean size.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Fixed(size) => *size as f64,
            Self::Uniform(low, high) => (low + high) as f64 / 2.0,
            Self::Histogram(entries) => {
                let total: u64 = entries.iter().map(|entry| entry.1).sum();
                let sum: f64 =
                    entries.iter().map(|(size, weight)| *size as f64 * *weight as f64).sum();
                sum / total as f64
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
            if entries.iter().map(|entry| entry.1).sum::<u64>() == 0 {
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
}
