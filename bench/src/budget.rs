//! Budgets: limits that make a run a gate.

use std::fmt;
use std::str::FromStr;

use crate::cli::unit::{self, Rate};
use crate::measure::latency::Summary;
use crate::report::text;
use crate::result::RunResult;

/// A figure and its limit.
#[derive(Clone, Debug, PartialEq)]
pub enum Budget {
    /// A percentile of a latency, at most so many microseconds.
    Latency(Which, Quantile, f64),
    /// At most so many errors, unanswered and never sent records.
    Errors(u64),
    /// At least so many records per second.
    Rate(f64),
}

/// Which latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// From the due time to the acknowledgement.
    Produce,
    /// From the send to the acknowledgement.
    Service,
    /// From the due time to a consumer.
    EndToEnd,
}

/// A figure of a latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
    /// 99.99 %.
    P9999,
    /// The highest.
    Max,
}

impl Quantile {
    /// Its value.
    pub fn of(self, summary: &Summary) -> f64 {
        match self {
            Self::P50 => summary.p50,
            Self::P90 => summary.p90,
            Self::P99 => summary.p99,
            Self::P999 => summary.p999,
            Self::P9999 => summary.p9999,
            Self::Max => summary.max,
        }
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
            Self::Max => "max",
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Produce => "produce",
            Self::Service => "service",
            Self::EndToEnd => "e2e",
        })
    }
}

impl fmt::Display for Budget {
    /// As it is said on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(which, quantile, limit_us) => {
                write!(f, "{which}-{quantile}={limit_us}us")
            }
            Self::Errors(limit) => write!(f, "errors={limit}"),
            Self::Rate(limit) => write!(f, "rate={limit}"),
        }
    }
}

impl FromStr for Quantile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "p50" => Ok(Self::P50),
            "p90" => Ok(Self::P90),
            "p99" => Ok(Self::P99),
            "p999" | "p99.9" => Ok(Self::P999),
            "p9999" | "p99.99" => Ok(Self::P9999),
            "max" => Ok(Self::Max),
            _ => Err(format!(
                "`{text}` is none of p50, p90, p99, p999, p9999, max (with service- or e2e- in front), errors, rate"
            )),
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (figure, limit) = unit::pair(text)?;
        match figure.as_str() {
            "errors" => return unit::count(&limit).map(Self::Errors),
            "rate" => {
                return match unit::rate(&limit)? {
                    Rate::Records(rate) => Ok(Self::Rate(rate)),
                    _ => Err("rate is in records per second, such as rate=50k".into()),
                };
            }
            _ => {}
        }
        let (which, quantile) = match figure.split_once('-') {
            None => (Which::Produce, figure.as_str()),
            Some(("produce", quantile)) => (Which::Produce, quantile),
            Some(("service", quantile)) => (Which::Service, quantile),
            Some(("e2e", quantile)) => (Which::EndToEnd, quantile),
            Some((which, _)) => return Err(format!("`{which}` is none of produce, service, e2e")),
        };
        let quantile = quantile.parse()?;
        if limit.ends_with(|last: char| last.is_ascii_digit() || last == '.') {
            return Err(format!("`{limit}` of what? Say {limit}ms, {limit}us or {limit}s"));
        }
        let limit_us = unit::duration(&limit)?.as_secs_f64() * 1e6;
        Ok(Self::Latency(which, quantile, limit_us))
    }
}

/// The latency that is meant, if the run has it.
pub fn latency(which: Which, result: &RunResult) -> Option<&Summary> {
    let summary = match which {
        Which::Produce => &result.produce.as_ref()?.latency_us,
        Which::Service => &result.produce.as_ref()?.service_us,
        Which::EndToEnd => &result.end_to_end.latency_us,
    };
    (summary.count > 0).then_some(summary)
}

impl Budget {
    /// Whether a load with these producers and consumers has the figure at all; if not, why.
    pub fn fits(&self, producers: usize, consumers: usize) -> Result<(), String> {
        let lacks = match self {
            Self::Latency(Which::EndToEnd, ..) if consumers == 0 => "--consumers",
            Self::Latency(..) | Self::Rate(_) if producers == 0 => "--producers",
            _ => return Ok(()),
        };
        Err(format!("--budget {self} cannot be kept with {lacks} 0: it would not be measured"))
    }

    /// Whether `result` stays inside, and the same in words. What was not measured is not inside.
    pub fn judge(&self, result: &RunResult) -> (bool, String) {
        let (ok, what) = match self {
            Self::Latency(which, quantile, limit_us) => {
                let found = latency(*which, result).map(|summary| quantile.of(summary));
                let told = found.map_or("not measured".into(), text::time);
                let ok = found.is_some_and(|found| found <= *limit_us);
                let limit = text::time(*limit_us);
                (ok, format!("{which} {quantile} {told}, allowed {limit}"))
            }
            Self::Errors(limit) => {
                let found = result.errors + result.unanswered + result.skipped_sends;
                (found <= *limit, format!("errors and missing answers {found}, allowed {limit}"))
            }
            Self::Rate(limit) => {
                let found = result.produce.as_ref().map_or(0.0, |produce| produce.records_per_s);
                (found >= *limit, format!("{found:.0} records/s, wanted {limit:.0}"))
            }
        };
        (ok, format!("budget {}: {what}", if ok { "kept" } else { "EXCEEDED" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_parse_or_say_why_not() {
        let p99 = Budget::Latency(Which::Produce, Quantile::P99, 5000.0);
        assert_eq!("p99=5ms".parse(), Ok(p99));
        let e2e = Budget::Latency(Which::EndToEnd, Quantile::P999, 1e6);
        assert_eq!("e2e-p999=1s".parse(), Ok(e2e));
        assert_eq!("errors=0".parse(), Ok(Budget::Errors(0)));
        assert_eq!("rate=50k".parse(), Ok(Budget::Rate(50_000.0)));
        for bad in
            ["", "p99", "p98=1ms", "other-p99=1ms", "p99=fast", "p99=5", "e2e-max=0.5", "rate=max"]
        {
            assert!(bad.parse::<Budget>().is_err(), "{bad}");
        }
        for text in ["produce-p99.9=5000us", "e2e-max=1us", "errors=3", "rate=7"] {
            assert_eq!(text.parse::<Budget>().expect("a budget").to_string(), text);
        }
    }
}
