//! The offsets of one partition and the order that always holds among them.

use crate::types::Offset;

/// Start ≤ last stable ≤ high watermark ≤ durable ≤ end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    start: Offset,
    stable: Offset,
    high_watermark: Offset,
    durable: Offset,
    end: Offset,
}

impl Offsets {
    /// The offsets of a log that is durable from `start` to `end`.
    ///
    /// # Panics
    /// If the start is behind the end.
    #[must_use]
    pub fn new(start: Offset, end: Offset) -> Self {
        assert!(start <= end, "a log does not start behind its end");
        Self { start, stable: end, high_watermark: end, durable: end, end }
    }

    /// First offset of the log.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// First offset that a read-committed consumer may not see yet.
    #[must_use]
    pub fn stable(&self) -> Offset {
        self.stable
    }

    /// First offset that no consumer may see yet.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// First offset that is not on this broker's disk.
    #[must_use]
    pub fn durable(&self) -> Offset {
        self.durable
    }

    /// Offset of the next record.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Records were appended.
    pub fn appended(&mut self, end: Offset) {
        self.set(Self { end, ..*self });
    }

    /// Everything before `durable` is on disk; the only replica's disk is the high watermark.
    /// `unstable` is the first offset of an open transaction, if there is one.
    pub fn committed(&mut self, durable: Offset, unstable: Option<Offset>) {
        let durable = durable.max(self.durable);
        let high_watermark = durable;
        let stable = unstable.unwrap_or(high_watermark).min(high_watermark).max(self.stable);
        self.set(Self { durable, high_watermark, stable, ..*self });
    }

    /// Records before `start` are gone.
    pub fn started(&mut self, start: Offset) {
        let start = start.clamp(self.start, self.high_watermark);
        self.set(Self { start, stable: self.stable.max(start), ..*self });
    }

    /// The one setter: holds the order, and that only the start may overtake nothing.
    fn set(&mut self, new: Self) {
        assert!(new.start <= new.stable, "start {} <= stable {}", new.start, new.stable);
        assert!(new.stable <= new.high_watermark);
        assert!(new.high_watermark <= new.durable);
        assert!(new.durable <= new.end, "durable {} <= end {}", new.durable, new.end);
        assert!(new.start >= self.start);
        assert!(new.durable >= self.durable);
        assert!(new.end >= self.end);
        *self = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_rise_in_order() {
        let mut offsets = Offsets::new(5, 10);
        offsets.appended(20);
        assert_eq!((offsets.durable(), offsets.high_watermark(), offsets.end()), (10, 10, 20));
        offsets.committed(15, Some(12));
        assert_eq!((offsets.stable(), offsets.high_watermark()), (12, 15));
        offsets.committed(15, None);
        assert_eq!(offsets.stable(), 15);
        offsets.started(100);
        assert_eq!(offsets.start(), 15);
        offsets.started(3);
        assert_eq!(offsets.start(), 15);
    }

    #[test]
    #[should_panic(expected = "durable 21 <= end 20")]
    fn nothing_is_durable_before_it_is_appended() {
        let mut offsets = Offsets::new(0, 20);
        offsets.committed(21, None);
    }
}
