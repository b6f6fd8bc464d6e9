//! What the machine's disks have done, read from `/sys/block`.

use std::fs;

/// Counters of all real disks together.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceSample {
    /// Bytes written.
    pub written_bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Write requests completed.
    pub writes: u64,
    /// Flush requests completed.
    pub flushes: u64,
}

/// Units of the sector counters.
const SECTOR_BYTES: u64 = 512;

impl DeviceSample {
    /// Adds up all disks that stand for hardware (no loop, ram, zram, or stacked devices, which would count twice).
    pub fn read() -> Self {
        let mut sum = Self::default();
        for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if ["loop", "ram", "zram", "dm-", "md"].iter().any(|stem| name.starts_with(stem)) {
                continue;
            }
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let fields: Vec<u64> =
                stat.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
            let at = |index: usize| fields.get(index).copied().unwrap_or(0);
            sum.read_bytes += at(2) * SECTOR_BYTES;
            sum.writes += at(4);
            sum.written_bytes += at(6) * SECTOR_BYTES;
            sum.flushes += at(15);
        }
        sum
    }
}
