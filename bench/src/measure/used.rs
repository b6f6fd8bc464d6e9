//! What a run used of the machine: the difference of two samples, and sums of such.

use super::device::DeviceSample;
use super::process::ProcessSample;
use crate::clock::Clock;
use crate::sys::{self, Usage};

/// What the machine had used at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// When, nanoseconds of the run's clock.
    pub at_ns: u64,
    client: Usage,
    broker: Option<ProcessSample>,
    device: DeviceSample,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Time between them, nanoseconds.
    pub time_ns: u64,
    /// By this process; its memory is the highest.
    pub client: Usage,
    /// By the broker, where known; its memory is that at the end.
    pub broker: Option<ProcessSample>,
    /// By the disks.
    pub device: DeviceSample,
}

impl Sample {
    /// Now, with the broker's process if it is known.
    pub fn take(clock: &Clock, broker: Option<u32>) -> Self {
        Self {
            at_ns: clock.now_ns(),
            client: sys::usage().unwrap_or_default(),
            broker: broker.and_then(ProcessSample::read),
            device: DeviceSample::read(),
        }
    }

    /// What was used since `before`.
    pub fn since(&self, before: &Self) -> Used {
        let broker = before.broker.zip(self.broker).map(|(before, after)| ProcessSample {
            cpu_us: after.cpu_us.saturating_sub(before.cpu_us),
            switches: after.switches.saturating_sub(before.switches),
            written_bytes: after.written_bytes.saturating_sub(before.written_bytes),
            ..after
        });
        let device = |field: fn(&DeviceSample) -> u64| {
            field(&self.device).saturating_sub(field(&before.device))
        };
        Used {
            time_ns: self.at_ns.saturating_sub(before.at_ns),
            client: Usage {
                cpu_us: self.client.cpu_us.saturating_sub(before.client.cpu_us),
                switches: self.client.switches.saturating_sub(before.client.switches),
                rss_max_bytes: self.client.rss_max_bytes,
            },
            broker,
            device: DeviceSample {
                written_bytes: device(|sample| sample.written_bytes),
                read_bytes: device(|sample| sample.read_bytes),
                writes: device(|sample| sample.writes),
                flushes: device(|sample| sample.flushes),
            },
        }
    }
}

impl Used {
    /// Adds what another run used.
    pub fn add(&mut self, other: &Self) {
        self.time_ns += other.time_ns;
        self.client.cpu_us += other.client.cpu_us;
        self.client.switches += other.client.switches;
        self.client.rss_max_bytes = self.client.rss_max_bytes.max(other.client.rss_max_bytes);
        self.broker = self.broker.zip(other.broker).map(|(mine, theirs)| ProcessSample {
            cpu_us: mine.cpu_us + theirs.cpu_us,
            switches: mine.switches + theirs.switches,
            written_bytes: mine.written_bytes + theirs.written_bytes,
            rss_bytes: mine.rss_bytes.max(theirs.rss_bytes),
            rss_max_bytes: mine.rss_max_bytes.max(theirs.rss_max_bytes),
            threads: mine.threads.max(theirs.threads),
        });
        self.device.written_bytes += other.device.written_bytes;
        self.device.read_bytes += other.device.read_bytes;
        self.device.writes += other.device.writes;
        self.device.flushes += other.device.flushes;
    }
}
