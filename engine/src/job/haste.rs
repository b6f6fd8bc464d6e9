//! Deleted files wait for their removal, as readers may still be in them; on a full disk they do not.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use futures_lite::future;

use crate::io::Env;
use crate::limits::FULL_DISK_HASTE_MS;
use crate::types::Nanos;

/// Since when there is haste, and who waits.
#[derive(Debug, Default)]
pub struct Haste {
    /// When the disk was found full last.
    last: Cell<Option<Nanos>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Haste {
    /// The disk is full now: whoever waits goes on.
    pub fn begin(&self, now: Nanos) {
        self.last.set(Some(now));
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Whether the disk was found full a moment ago.
    pub fn is_on(&self, now: Nanos) -> bool {
        self.last.get().is_some_and(|last| now.ms_since(last) < FULL_DISK_HASTE_MS)
    }

    /// Waits until `at`, or until there is haste.
    pub async fn wait<E: Env>(&self, env: &E, at: Nanos) {
        let hurried = poll_fn(|context| {
            if self.is_on(env.now()) {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        });
        future::or(hurried, env.sleep_until(at)).await;
    }
}
