//! How a shard is woken: from its own thread without a system call, from another thread with one, and
//! only if the shard sleeps.
//!
//! The protocol has two flags, both sequentially consistent:
//! * A waker first makes its message visible (pushes it into a lane), then sets `signal`; if it was
//!   the one to set it, and finds `asleep` set, it clears `asleep` and writes the eventfd.
//! * The shard, before it sleeps, sets `asleep` and then looks at `signal`; if that is set it does not
//!   sleep. Whenever it takes `signal` it clears it first and looks for messages afterwards.
//!
//! Whichever of "set `signal`" and "set `asleep`" comes first in the one order of these operations,
//! the other side sees it, so a message is never left lying while the shard sleeps. A waker that
//! finds `signal` set relies on whoever set it: the shard has not cleared it yet, hence will look for
//! messages later than this one was pushed.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::io::Wake;

/// Wakes one shard from any thread.
#[derive(Debug)]
pub struct RingWaker {
    eventfd: File,
    signal: AtomicBool,
    asleep: AtomicBool,
    writes: AtomicU64,
}

impl RingWaker {
    /// A waker for a shard that may start later.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            eventfd: super::sys::eventfd()?,
            signal: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            writes: AtomicU64::new(0),
        })
    }

    /// How often the shard had to be woken by a system call.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }

    /// Takes the signal, if there is one. The shard looks for messages after this.
    pub(super) fn take_signal(&self) -> bool {
        self.signal.load(Ordering::Relaxed) && self.signal.swap(false, Ordering::SeqCst)
    }

    /// Declares the shard asleep; false if there is a signal, and the shard must not sleep.
    pub(super) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let quiet = !self.signal.load(Ordering::SeqCst);
        if !quiet {
            self.wake_up();
        }
        quiet
    }

    pub(super) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}

impl Wake for RingWaker {
    fn wake(&self) {
        let first = !self.signal.swap(true, Ordering::SeqCst);
        if first && self.asleep.swap(false, Ordering::SeqCst) {
            self.writes.fetch_add(1, Ordering::Relaxed);
            // Fails only if the counter is full, and then the shard is being woken already.
            if let Err(error) = (&self.eventfd).write_all(&1_u64.to_ne_bytes()) {
                tracing::error!(%error, "a shard could not be woken");
            }
        }
    }
}
