//! A bounded queue of messages from one shard to another, which wakes the receiver only if it sleeps.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use super::Wake;

struct Shared<T> {
    queue: ArrayQueue<T>,
    sent: AtomicU64,
    refused: AtomicU64,
    wake: Arc<dyn Wake>,
}

/// What has gone through a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Messages taken in.
    pub sent: u64,
    /// Messages refused because the lane was full.
    pub refused: u64,
}

/// The sending end; may be cloned for several senders.
pub struct LaneSender<T>(Arc<Shared<T>>);

/// The receiving end.
pub struct LaneReceiver<T>(Arc<Shared<T>>);

/// A lane for up to `messages_max` messages, to the shard that `wake` wakes.
#[must_use]
pub fn lane<T: Send>(messages_max: usize, wake: Arc<dyn Wake>) -> (LaneSender<T>, LaneReceiver<T>) {
    assert!(messages_max > 0);
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(messages_max),
        sent: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        wake,
    });
    (LaneSender(Arc::clone(&shared)), LaneReceiver(shared))
}

impl<T> LaneSender<T> {
    /// Puts a message into the lane and makes the receiver take a turn soon.
    ///
    /// # Errors
    /// The message, if the lane is full.
    pub fn try_send(&self, message: T) -> Result<(), T> {
        self.push(message)?;
        self.flush();
        Ok(())
    }

    /// Puts a message into the lane without waking the receiver: [`LaneSender::flush`] must follow,
    /// once for many messages.
    ///
    /// # Errors
    /// The message, if the lane is full.
    pub fn push(&self, message: T) -> Result<(), T> {
        let pushed = self.0.queue.push(message);
        let counter = if pushed.is_ok() { &self.0.sent } else { &self.0.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        pushed
    }

    /// Makes the receiver look at what has been pushed.
    pub fn flush(&self) {
        self.0.wake.wake();
    }

    /// What has gone through so far.
    #[must_use]
    pub fn stats(&self) -> LaneStats {
        LaneStats {
            sent: self.0.sent.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }
}

impl<T> Clone for LaneSender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> LaneReceiver<T> {
    /// The next message, if there is one.
    #[must_use]
    pub fn pop(&self) -> Option<T> {
        self.0.queue.pop()
    }

    /// Up to `count_max` messages, in the order of each sender. If more are left the receiver must
    /// come again by itself: it is not woken for them a second time.
    pub fn drain(&self, count_max: usize) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.0.queue.pop()).take(count_max)
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.queue.is_empty()
    }

    /// Whether every sender is gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl<T> fmt::Debug for LaneSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneSender").field("len", &self.0.queue.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for LaneReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneReceiver").field("len", &self.0.queue.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicU64);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_full_lane_gives_the_message_back() {
        let wakes = Arc::new(Count::default());
        let (sender, receiver) = lane(2, Arc::clone(&wakes) as Arc<dyn Wake>);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.push(2), Ok(()));
        assert_eq!(sender.try_send(3), Err(3));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(sender.stats(), LaneStats { sent: 2, refused: 1 });
        assert_eq!(receiver.drain(1).collect::<Vec<_>>(), [1]);
        assert!(!receiver.is_empty());
        assert_eq!(receiver.drain(9).collect::<Vec<_>>(), [2]);
        assert_eq!(receiver.pop(), None);
        assert!(!receiver.is_abandoned());
        drop(sender);
        assert!(receiver.is_abandoned());
    }
}
