//! The disk's floor: direct sequential writes, and small writes with a flush each.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ring::{Aligned, Writes};
use crate::clock::Clock;
use crate::measure::latency::{Summary, histogram};
use crate::sys;

/// The file is written before it is measured, and then over and over: a journal's case.
const FILE_BYTES: u64 = 64 << 20;
const SEQUENTIAL_BYTES: usize = 1 << 20;
const SEQUENTIAL_DEPTH: u32 = 4;

/// A file that goes away with this value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn file(directory: &Path) -> io::Result<(Scratch, File)> {
    let path = directory.join(format!("millrace-bench-floor-{}", std::process::id()));
    let scratch = Scratch(path);
    let filler = vec![1_u8; SEQUENTIAL_BYTES];
    let plain = File::create(&scratch.0)?;
    for offset in (0..FILE_BYTES).step_by(SEQUENTIAL_BYTES) {
        plain.write_all_at(&filler, offset)?;
    }
    plain.sync_all()?;
    let direct =
        OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(&scratch.0).map_err(
            |error| {
                io::Error::new(
                    error.kind(),
                    format!("{} does not take direct writes ({error})", directory.display()),
                )
            },
        )?;
    Ok((scratch, direct))
}

/// Bytes per second of direct writes in a row.
pub fn sequential(directory: &Path, each: Duration) -> io::Result<f64> {
    let (_scratch, file) = file(directory)?;
    let buffer = Aligned::new(SEQUENTIAL_BYTES);
    let mut writes = Writes::new(file, &buffer, SEQUENTIAL_DEPTH)?;
    let (clock, end_ns) = (Clock::start(), each.as_nanos() as u64);
    let (mut offset, mut done) = (0, 0_u64);
    while clock.now_ns() < end_ns && !sys::interrupted() {
        while writes.in_flight() < SEQUENTIAL_DEPTH as usize {
            writes.write(offset)?;
            offset = (offset + SEQUENTIAL_BYTES as u64) % FILE_BYTES;
        }
        writes.wait()?;
        done += SEQUENTIAL_BYTES as u64;
    }
    Ok(done as f64 / (clock.now_ns() as f64 / 1e9))
}

/// Times of a direct write of `size` bytes with a flush behind it.
pub fn flushed(directory: &Path, size: usize, each: Duration) -> io::Result<Summary> {
    let (_scratch, file) = file(directory)?;
    let buffer = Aligned::new(size);
    let mut writes = Writes::new(file, &buffer, 2)?;
    let (clock, end_ns) = (Clock::start(), each.as_nanos() as u64);
    let mut times = histogram();
    let mut offset = 0;
    while clock.now_ns() < end_ns && !sys::interrupted() {
        let start_ns = clock.now_ns();
        writes.write(offset)?;
        writes.wait()?;
        writes.flush()?;
        writes.wait()?;
        times.saturating_record(clock.now_ns() - start_ns);
        offset = (offset + size as u64) % FILE_BYTES;
    }
    Ok(Summary::of(&times))
}
