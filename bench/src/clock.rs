//! The one clock of a run: nanoseconds since it started, and the wall time for record timestamps.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock with a known wall-clock start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix_ns: u64,
}

impl Clock {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the load generator's one source of time")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_unix_ns: since_epoch.as_nanos() as u64 }
    }

    /// Nanoseconds since the start.
    #[expect(clippy::disallowed_methods, reason = "the load generator's one source of time")]
    #[inline]
    pub fn now_ns(&self) -> u64 {
        Instant::now().duration_since(self.start).as_nanos() as u64
    }

    /// The wall time of the start, nanoseconds since 1970.
    pub fn start_unix_ns(&self) -> u64 {
        self.start_unix_ns
    }

    /// Milliseconds since 1970 at `now_ns` of this clock.
    #[inline]
    pub fn unix_ms(&self, now_ns: u64) -> i64 {
        ((self.start_unix_ns + now_ns) / 1_000_000) as i64
    }
}

/// Sleeps; for the parts of the program that are not being measured.
#[expect(
    clippy::disallowed_methods,
    reason = "waits for processes and files, never on the measured path"
)]
pub fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}
