//! What a supervisor wants of the broker: to be told when it serves and when it stops, to be told that it
//! is alive, and to have it ended by a signal. And the watch over shards that is told by.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use millrace_engine::types::ShardId;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::config::broker_config::StuckAction;
use crate::limits::WATCH_MS;

/// Tells the supervisor that asked for it (`NOTIFY_SOCKET`).
pub fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}

/// The signals that end the broker.
#[derive(Debug)]
pub struct StopSignals {
    bell: UnixStream,
    which: Arc<AtomicUsize>,
}

impl StopSignals {
    /// From here on a first signal waits for us instead of ending the process; a second one does end it.
    ///
    /// # Errors
    /// If the system lets no handler be set.
    pub fn catch() -> io::Result<Self> {
        let (bell, rope) = UnixStream::pair()?;
        bell.set_read_timeout(Some(Duration::from_millis(WATCH_MS)))?;
        let is_told = Arc::new(AtomicBool::new(false));
        let which = Arc::new(AtomicUsize::new(0));
        for (signal, number) in [(SIGINT, SIGINT as usize), (SIGTERM, SIGTERM as usize)] {
            // In this order: the first signal only sets the flag.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&is_told))?;
            flag::register(signal, Arc::clone(&is_told))?;
            flag::register_usize(signal, Arc::clone(&which), number)?;
            pipe::register(signal, rope.try_clone()?)?;
        }
        Ok(Self { bell, which })
    }

    /// Waits for a signal, but no longer than [`WATCH_MS`]; its name if there was one.
    pub fn wait(&mut self) -> Option<&'static str> {
        // Ends with a byte, or with nothing in time: either way the number tells.
        match (self.bell.read(&mut [0]), self.which.load(Ordering::SeqCst)) {
            (Err(_) | Ok(_), 0) => None,
            (_, number) if number == SIGINT as usize => Some("SIGINT"),
            _ => Some("SIGTERM"),
        }
    }
}

/// Sees whether shards turn: each is rung for, and answers by its next turn.
#[derive(Debug)]
pub struct Watch {
    /// So many looks in a row without an answer, and a shard is stuck.
    looks_max: u64,
    /// Looks without an answer, by shard.
    silent: Vec<u64>,
}

impl Watch {
    /// A watch over shards that may be silent for so long; 0 is for ever.
    #[must_use]
    pub fn new(shards: ShardId, silence_ms_max: u64) -> Self {
        let looks_max = match silence_ms_max {
            0 => u64::MAX,
            ms => ms.div_ceil(WATCH_MS).max(2),
        };
        Self { looks_max, silent: vec![0; usize::from(shards)] }
    }

    /// Takes in which shards have not answered since the last look; gives those that are found stuck
    /// now. Looks count and not time, so a process that stood still as a whole finds nothing.
    pub fn look(&mut self, is_silent: impl Fn(ShardId) -> bool) -> Vec<ShardId> {
        let mut stuck = Vec::new();
        for (shard, looks) in (0..).zip(&mut self.silent) {
            if is_silent(shard) {
                *looks = looks.saturating_add(1);
                if *looks == self.looks_max {
                    stuck.push(shard);
                }
            } else {
                if *looks >= self.looks_max {
                    tracing::warn!(shard, "the shard turns again");
                }
                *looks = 0;
            }
        }
        stuck
    }

    /// Whether every shard answered at the last look.
    #[must_use]
    pub fn all_turn(&self) -> bool {
        self.silent.iter().all(|looks| *looks == 0)
    }
}

/// Says that shards are stuck, and does what is to be done about it.
pub fn deal_with(stuck: &[ShardId], action: StuckAction) {
    for shard in stuck {
        tracing::error!(
            shard,
            "THE SHARD IS STUCK: it has not taken a turn for millrace.watchdog.ms; its partitions and \
             connections stand still"
        );
    }
    if !stuck.is_empty() && action == StuckAction::Abort {
        tracing::error!("the process ends, to be started again (millrace.watchdog.action=abort)");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_stuck_after_so_many_looks_in_a_row() {
        let mut watch = Watch::new(3, 3 * WATCH_MS);
        for _ in 0..2 {
            assert!(watch.look(|shard| shard == 1).is_empty());
            assert!(!watch.all_turn());
        }
        // It was late, not stuck.
        assert!(watch.look(|_| false).is_empty());
        assert!(watch.all_turn());
        for _ in 0..2 {
            assert!(watch.look(|shard| shard == 1).is_empty());
        }
        assert_eq!(watch.look(|shard| shard == 1), [1]);
        // It is told once, and again only after it had turned.
        assert!(watch.look(|shard| shard >= 1).is_empty());
        assert!(watch.look(|shard| shard >= 1).is_empty());
        assert_eq!(watch.look(|shard| shard >= 1), [2]);
        assert!(watch.look(|_| false).is_empty());
        assert!(watch.all_turn());
    }

    #[test]
    fn without_a_limit_no_shard_is_stuck() {
        let mut watch = Watch::new(1, 0);
        assert!((0..1_000).all(|_| watch.look(|_| true).is_empty()));
    }
}
