//! Tells a shard's driver, from its own thread, that there is something to do.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct State {
    notified: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

/// One waiter; notifications while nobody waits are kept as one. Lives on one thread.
#[derive(Debug, Clone, Default)]
pub struct Notify(Rc<State>);

impl Notify {
    /// With no notification.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the waiter, or lets the next wait end at once.
    pub fn notify(&self) {
        if !self.0.notified.replace(true) {
            let waiter = self.0.waiter.borrow_mut().take();
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }

    /// Ends at the next notification, or now if there was one since the last wait.
    #[must_use]
    pub fn notified(&self) -> Notified {
        Notified(self.clone())
    }
}

/// See [`Notify::notified`].
#[derive(Debug)]
pub struct Notified(Notify);

impl Future for Notified {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let state = &self.0.0;
        if state.notified.replace(false) {
            return Poll::Ready(());
        }
        let stale = state.waiter.borrow_mut().replace(cx.waker().clone());
        drop(stale);
        Poll::Pending
    }
}
