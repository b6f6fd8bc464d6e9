//! Ratios of paired figures with their confidence intervals.

/// A ratio with the ends of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Geometric mean of the pairs' ratios.
    pub ratio: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Student's t for a two-sided 95 % interval, by degrees of freedom from 1.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

fn t_95(freedom: usize) -> f64 {
    match freedom {
        0 => f64::INFINITY,
        // Beyond the table the quantile falls to 1.96 about as 1/n: never too narrow by more than a thousandth.
        _ => T_95.get(freedom - 1).copied().unwrap_or(1.96 + 2.5 / freedom as f64),
    }
}

/// The ratio of paired figures: Student's interval over the logarithms of the pairs' ratios, so that what drifts
/// slowly on the machine meets both sides of a pair and falls out. `None` where fewer than two pairs are positive.
pub fn ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let logs: Vec<f64> =
        pairs.iter().filter(|(a, b)| *a > 0.0 && *b > 0.0).map(|(a, b)| (a / b).ln()).collect();
    if logs.len() < 2 {
        return None;
    }
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let spread = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half = t_95(logs.len() - 1) * (spread / count).sqrt();
    Some(Ratio { ratio: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
}

/// The middle value; the mean of the middle two of an even number.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::payload::Chance;

    #[test]
    fn by_hand() {
        let Ratio { ratio, low, high } = ratio(&[(2.0, 1.0), (8.0, 1.0)]).expect("two pairs");
        // Logarithms ln 2 and ln 8: mean ln 4, deviation ln 2 * sqrt 2, error ln 2, t = 12.706.
        assert!((ratio - 4.0).abs() < 1e-9);
        assert!((low.ln() - (4.0_f64.ln() - 12.706 * 2.0_f64.ln())).abs() < 1e-9);
        assert!((high.ln() - (4.0_f64.ln() + 12.706 * 2.0_f64.ln())).abs() < 1e-9);
        assert_eq!(super::ratio(&[(1.0, 2.0)]), None);
        assert_eq!(super::ratio(&[(1.0, 2.0), (0.0, 1.0), (f64::NAN, 1.0)]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn intervals_hold_the_truth_nineteen_times_in_twenty() {
        let mut chance = Chance::new(11);
        let mut noise = || {
            let sum: u64 = (0..12).map(|_| chance.below(1 << 20)).sum();
            (sum as f64 / f64::from(1 << 20) - 6.0) * 0.1
        };
        let rounds = 2000;
        let held = (0..rounds)
            .filter(|_| {
                let pairs: Vec<_> =
                    (0..6).map(|_| (2.0 * noise().exp(), 1.0 * noise().exp())).collect();
                ratio(&pairs).is_some_and(|found| found.low <= 2.0 && 2.0 <= found.high)
            })
            .count();
        let share = held as f64 / f64::from(rounds);
        assert!((0.93..0.97).contains(&share), "{share}");
    }
}
