//! Latency histograms: nanoseconds in, three significant digits kept, up to one hour.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency told apart, nanoseconds.
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Shortest latency told apart, nanoseconds.
const LOWEST_NS: u64 = 1_000;

/// An empty histogram of nanoseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, 3).expect("constant bounds are valid")
}

/// Buckets per factor of ten of `bucket`.
const BUCKETS_PER_DECADE: f64 = 10.0;

/// The heat map's bucket of a latency: ten per factor of ten, counted from one microsecond.
pub fn bucket(ns: u64) -> u64 {
    ((ns.max(1_000) as f64 / 1e3).log10() * BUCKETS_PER_DECADE) as u64
}

/// A histogram in the heat map's buckets, as `[bucket, count]`.
pub fn heat(histogram: &Histogram<u64>) -> Vec<[u64; 2]> {
    let mut heat: Vec<[u64; 2]> = Vec::new();
    for value in histogram.iter_recorded() {
        let bucket = bucket(value.value_iterated_to());
        match heat.last_mut() {
            Some(last) if last[0] == bucket => last[1] += value.count_since_last_iteration(),
            _ => heat.push([bucket, value.count_since_last_iteration()]),
        }
    }
    heat
}

/// A histogram as a curve of `[quantile, microseconds]`, closer to 1 in ever smaller steps.
pub fn curve(histogram: &Histogram<u64>) -> Vec<[f64; 2]> {
    let points = histogram.iter_quantiles(4).map(|value| {
        [value.quantile_iterated_to(), value.value_iterated_to().min(histogram.max()) as f64 / 1e3]
    });
    points.collect()
}

/// The figures of a histogram, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub count: u64,
    pub mean: f64,
    pub min: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub p99999: f64,
    pub max: f64,
}

impl Summary {
    /// Reads the figures off.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let micros = |ns: u64| (ns as f64 / 100.0).round() / 10.0;
        let at = |quantile: f64| micros(histogram.value_at_quantile(quantile).min(histogram.max()));
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            count: histogram.len(),
            mean: (histogram.mean() / 100.0).round() / 10.0,
            min: micros(histogram.min()),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            p99999: at(0.99999),
            max: micros(histogram.max()),
        }
    }
}
