//! Why connections end, and the log lines about those at fault: not more than a reader can bear.

use std::cell::Cell;
use std::io;

use millrace_engine::types::Nanos;

use super::session::SessionError;
use crate::api::{Peer, Refusal};
use crate::limits::{FAULT_LOG_LINES, FAULT_LOG_MS, MEMORY_WAIT_MS};

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// The client has ended it.
    #[error("the client has closed the connection")]
    Closed,
    /// The client has ended it in the middle of a request.
    #[error("the client has closed the connection in the middle of a request")]
    Truncated,
    /// Receiving or sending failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is no request.
    #[error(transparent)]
    Malformed(#[from] SessionError),
    /// A request cannot be answered.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing came, or nothing was read, for too long.
    #[error("no progress for {0} ms (connections.max.idle.ms)")]
    Idle(u64),
    /// There was no memory for a request.
    #[error(
        "no memory for a request of this size within {MEMORY_WAIT_MS} ms (queued.max.request.bytes)"
    )]
    NoMemory,
    /// The client did not read an answer whose memory others waited for.
    #[error("an answer was not read for {0} ms while others waited for its memory")]
    Unread(u64),
    /// The broker stops.
    #[error("the broker is stopping")]
    Stopping,
}

impl Ending {
    /// Whether a person should read of it.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::Closed | Self::Io(_) | Self::Idle(_) | Self::Stopping => false,
            Self::Truncated
            | Self::Malformed(_)
            | Self::Refused(_)
            | Self::NoMemory
            | Self::Unread(_) => true,
        }
    }
}

/// Logs endings, at most so many in a time. Lives on the shard's thread.
#[derive(Debug, Default)]
pub struct FaultLog {
    since: Cell<Nanos>,
    lines: Cell<u32>,
    left_out: Cell<u64>,
}

impl FaultLog {
    /// Logs why a connection ended.
    pub fn log(&self, now: Nanos, peer: &Peer, ending: &Ending) {
        let address = peer.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        if !ending.is_fault() {
            tracing::debug!(client = address, reason = %ending, "connection ended");
            return;
        }
        if self.may_log(now) {
            tracing::warn!(client = address, reason = %ending, "connection closed");
        }
    }

    fn may_log(&self, now: Nanos) -> bool {
        if self.lines.get() == 0 || now.ms_since(self.since.get()) >= FAULT_LOG_MS {
            self.since.set(now);
            self.lines.set(0);
            let left_out = self.left_out.take();
            if left_out > 0 {
                tracing::warn!(left_out, "more connections were closed than are logged");
            }
        }
        let may = self.lines.get() < FAULT_LOG_LINES;
        if may {
            self.lines.set(self.lines.get() + 1);
        } else {
            self.left_out.set(self.left_out.get() + 1);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_logged() {
        let log = FaultLog::default();
        let logged = (0..1000).filter(|_| log.may_log(Nanos(5))).count();
        assert_eq!(logged, FAULT_LOG_LINES as usize);
        assert_eq!(log.left_out.get(), 1000 - u64::from(FAULT_LOG_LINES));
        assert!(log.may_log(Nanos(5).plus_ms(FAULT_LOG_MS)));
        assert_eq!(log.left_out.get(), 0);
    }
}
