//! Histogram logs (`.hlog`, V2) as HdrHistogram's own tools read them: one line per second and kind.

use std::io::{self, Write};
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

/// Values are nanoseconds; the log's human-readable maximum is in milliseconds.
const MAX_DIVISOR: f64 = 1e6;

/// The lines of a log: some hundred bytes per second of a run, where a histogram in memory takes a quarter of a megabyte.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: Vec<u8>,
}

impl Log {
    /// Appends what was recorded over `span` (nanoseconds of the run's clock) under the name `tag`.
    pub fn push(&mut self, tag: &str, span: &Range<u64>, histogram: &Histogram<u64>) {
        if histogram.is_empty() {
            return;
        }
        let start = Duration::from_nanos(span.start);
        let length = Duration::from_nanos(span.end.saturating_sub(span.start));
        let mut whole = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let written = IntervalLogWriterBuilder::new()
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(&mut whole, &mut serializer)
            .and_then(|mut log| {
                let tag = Tag::new(tag);
                log.write_histogram(histogram, start, length, tag).map_err(broken)
            });
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        // The head of a log is written once, by `write`.
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            if !line.starts_with(b"#") && !line.starts_with(b"\"") {
                self.lines.extend_from_slice(line);
            }
        }
    }

    /// Appends the lines of another log.
    pub fn append(&mut self, other: &Self) {
        self.lines.extend_from_slice(&other.lines);
    }

    /// Writes the log of a run whose clock began at `start_unix_ns`.
    pub fn write(&self, out: &mut impl Write, start_unix_ns: u64) -> io::Result<()> {
        let start = UNIX_EPOCH + Duration::from_nanos(start_unix_ns);
        let mut serializer = V2DeflateSerializer::new();
        IntervalLogWriterBuilder::new()
            .add_comment("millrace-bench: values in nanoseconds")
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(out, &mut serializer)?;
        out.write_all(&self.lines)
    }
}

fn broken<E: std::fmt::Debug>(error: IntervalLogWriterError<E>) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latency::histogram;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn is_read_by_the_formats_own_reader() {
        let mut log = Log::default();
        let mut seconds = histogram();
        for second in 0..3_u64 {
            seconds.record(1_000_000 * (second + 1)).expect("in range");
            log.push("produce", &(second * 1_000_000_000..(second + 1) * 1_000_000_000), &seconds);
        }
        let mut bytes = Vec::new();
        log.write(&mut bytes, 1_700_000_000_000_000_000).expect("to memory");
        let entries: Vec<_> = IntervalLogIterator::new(&bytes).collect();
        let intervals = entries.iter().filter(|entry| matches!(entry, Ok(LogEntry::Interval(_))));
        assert_eq!(intervals.count(), 3, "{}", String::from_utf8_lossy(&bytes));
        assert!(entries.iter().all(Result::is_ok));
    }
}
