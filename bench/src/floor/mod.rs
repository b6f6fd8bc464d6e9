//! What this machine can do at all: its disk, its loopback, its CRC. A broker's figures are read beside these.

pub mod disk;
pub mod loopback;
pub mod ring;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::measure::latency::Summary;
use crate::sys;

/// Time per figure of a quick look.
pub const QUICK: Duration = Duration::from_millis(700);

/// The figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Floor {
    pub seconds_per_figure: f64,
    /// Where the disk was measured.
    pub directory: String,
    /// The file system there.
    pub file_system: String,
    /// Direct writes of 1 MiB, four in flight, without flushes.
    pub disk_sequential_bytes_per_s: f64,
    /// A direct write of 4 KiB and a flush, one after the other.
    pub disk_flush_4k_us: Summary,
    /// A direct write of 128 KiB and a flush, one after the other.
    pub disk_flush_128k_us: Summary,
    /// 64 bytes there and back over TCP on loopback.
    pub loopback_round_trip_us: Summary,
    /// One connection in one direction, 128 KiB writes.
    pub loopback_bytes_per_s: f64,
    /// CRC-32C over 128 KiB, one core.
    pub crc32c_bytes_per_s: f64,
    /// A copy of memory beyond the caches, one core.
    pub copy_bytes_per_s: f64,
}

/// Measures everything; files are made in `directory` and removed.
pub fn measure(directory: &Path, each: Duration) -> io::Result<Floor> {
    if !directory.is_dir() {
        let text = format!("{} is not a directory", directory.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    // Whoever interrupts wants none of the figures.
    let rates =
        |figure: fn(&Path, Duration) -> io::Result<f64>| unless_told(|| figure(directory, each));
    let times = |size| unless_told(|| disk::flushed(directory, size, each));
    Ok(Floor {
        seconds_per_figure: each.as_secs_f64(),
        directory: directory.display().to_string(),
        file_system: crate::target::place::file_system(directory).unwrap_or_default(),
        disk_sequential_bytes_per_s: rates(disk::sequential)?,
        disk_flush_4k_us: times(4 << 10)?,
        disk_flush_128k_us: times(128 << 10)?,
        loopback_round_trip_us: unless_told(|| loopback::round_trips(each))?,
        loopback_bytes_per_s: rates(|_, each| loopback::throughput(each))?,
        crc32c_bytes_per_s: rates(|_, each| Ok(crc(each)))?,
        copy_bytes_per_s: rates(|_, each| Ok(copy(each)))?,
    })
}

fn unless_told<T>(measure: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let interrupted = || io::Error::other("interrupted");
    if sys::interrupted() {
        return Err(interrupted());
    }
    // The signal ends every measurement, and what the kernel was waiting for.
    let figure = measure();
    if sys::interrupted() { Err(interrupted()) } else { figure }
}

#[expect(clippy::disallowed_methods, reason = "the measurement itself")]
fn per_second(each: Duration, bytes: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < each && !sys::interrupted() {
        work();
        rounds += 1;
    }
    (rounds * bytes) as f64 / start.elapsed().as_secs_f64()
}

fn crc(each: Duration) -> f64 {
    let bytes = vec![0x5a_u8; 128 << 10];
    let mut sum = 0;
    let rate =
        per_second(each, bytes.len(), || sum ^= crc32c::crc32c(std::hint::black_box(&bytes)));
    std::hint::black_box(sum);
    rate
}

fn copy(each: Duration) -> f64 {
    let from = vec![0x5a_u8; 64 << 20];
    let mut to = vec![0_u8; from.len()];
    per_second(each, from.len(), || std::hint::black_box(&mut to).copy_from_slice(&from))
}

/// The figures as lines.
pub fn lines(floor: &Floor) -> Vec<String> {
    use crate::report::text::{rate, time};
    let latency = |name: &str, summary: &Summary| {
        format!(
            "{name:<34} p50 {:<9} p99 {:<9} max {:<9} {:.0}/s",
            time(summary.p50),
            time(summary.p99),
            time(summary.max),
            if summary.mean > 0.0 { 1e6 / summary.mean } else { 0.0 }
        )
    };
    vec![
        format!("disk at {} ({})", floor.directory, floor.file_system),
        format!(
            "{:<34} {}",
            "direct 1 MiB writes, no flush",
            rate(floor.disk_sequential_bytes_per_s)
        ),
        latency("direct 4 KiB write and flush", &floor.disk_flush_4k_us),
        latency("direct 128 KiB write and flush", &floor.disk_flush_128k_us),
        latency("loopback round trip, 64 bytes", &floor.loopback_round_trip_us),
        format!("{:<34} {}", "loopback, one connection", rate(floor.loopback_bytes_per_s)),
        format!("{:<34} {}", "CRC-32C, one core", rate(floor.crc32c_bytes_per_s)),
        format!("{:<34} {}", "memory copy, one core", rate(floor.copy_bytes_per_s)),
    ]
}
