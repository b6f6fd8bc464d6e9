//! Holds touched memory and hands it back as others need it.
//!
//! In a virtual machine that reports free pages to its host, the first touch of a page is slow kernel work. A broker
//! that dirties the page cache pays for it on every new page, which says nothing about the broker. While the feeder
//! runs, the pages that the cache takes have been touched a moment ago.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::clock::pause;
use crate::sys;

/// Why it could not run.
#[derive(Debug, thiserror::Error)]
pub enum FeederError {
    /// The kernel does not tell how much memory is free.
    #[error("/proc/meminfo does not tell how much memory is free")]
    NoMeminfo,
}

/// Memory is taken and given back in pieces of this size; large enough to be mapped and unmapped one by one.
const PIECE_BYTES: usize = 64 << 20;
const POLL: Duration = Duration::from_millis(10);

/// What to hold.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// Ends after this time.
    pub duration: Duration,
    /// Free memory to leave.
    pub leave_bytes: u64,
    /// Never holds more than this.
    pub most_bytes: u64,
}

impl Feed {
    /// Fills memory, says `ready`, and feeds until the end.
    #[expect(clippy::disallowed_methods, reason = "a bound on the run time, not a measurement")]
    pub fn run(&self, say: impl Fn(&str)) -> Result<(), FeederError> {
        let deadline = Instant::now() + self.duration;
        let over = || Instant::now() >= deadline || sys::interrupted();
        let mut pieces: VecDeque<Vec<u8>> = VecDeque::new();
        let room = |held: usize| {
            held as u64 * (PIECE_BYTES as u64) < self.most_bytes.saturating_sub(PIECE_BYTES as u64)
        };
        while free_bytes()? > self.leave_bytes + PIECE_BYTES as u64 && room(pieces.len()) && !over()
        {
            pieces.push_back(vec![1; PIECE_BYTES]);
        }
        say(&format!("ready: holding {} MiB", pieces.len() * (PIECE_BYTES >> 20)));
        while !over() && !pieces.is_empty() {
            if free_bytes()? < self.leave_bytes {
                pieces.pop_front();
            } else {
                pause(POLL);
            }
        }
        say(&format!("over: {} MiB were left", pieces.len() * (PIECE_BYTES >> 20)));
        Ok(())
    }
}

fn free_bytes() -> Result<u64, FeederError> {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        })
        .map(|kib| kib * 1024)
        .ok_or(FeederError::NoMeminfo)
}
