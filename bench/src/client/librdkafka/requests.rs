//! How many requests an instance sent in the measured window, from the totals that it tells now and then.

use std::ops::Range;

/// Totals of one instance, in order of time.
#[derive(Clone, Debug)]
pub struct Requests(Vec<(u64, u64)>);

impl Requests {
    /// None were sent by `begin_ns`.
    pub fn none_by(begin_ns: u64) -> Self {
        Self(vec![(begin_ns, 0)])
    }

    /// So many were sent by `at_ns`.
    pub fn by(&mut self, at_ns: u64, count: u64) {
        if self.0.last().is_none_or(|last| last.0 < at_ns) {
            self.0.push((at_ns, count));
        }
    }

    /// The total at a time: on the line between the totals around it, or on that of the last two.
    fn at(&self, at_ns: u64) -> f64 {
        let right = self.0.partition_point(|sample| sample.0 < at_ns).clamp(1, self.0.len());
        let right = right.min(self.0.len() - 1);
        let (from, to) = (self.0[right.saturating_sub(1)], self.0[right]);
        if to.0 == from.0 {
            return to.1 as f64;
        }
        let slope = (to.1 as f64 - from.1 as f64) / (to.0 - from.0) as f64;
        (from.1 as f64 + (at_ns as f64 - from.0 as f64) * slope).max(0.0)
    }

    /// Requests in a window.
    pub fn within(&self, window: &Range<u64>) -> u64 {
        (self.at(window.end) - self.at(window.start)).max(0.0).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_lie_on_lines() {
        let mut requests = Requests::none_by(100);
        assert_eq!(requests.within(&(100..900)), 0, "nothing is known yet");
        requests.by(200, 10);
        requests.by(400, 50);
        assert_eq!(requests.within(&(100..200)), 10);
        assert_eq!(requests.within(&(150..300)), 25);
        assert_eq!(requests.within(&(200..500)), 60, "the last line goes on");
        requests.by(400, 99);
        assert_eq!(requests.within(&(200..400)), 40, "a moment has one total");
    }
}
