//! Tasks of one shard that wait for a time: a sorted table, no ticks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::types::Nanos;

/// Deadlines and who waits for them.
#[derive(Debug, Default)]
pub struct Timers {
    waiting: RefCell<BTreeMap<(Nanos, u64), Waker>>,
    next_id: Cell<u64>,
}

impl Timers {
    /// With nobody waiting.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Nanos> {
        self.waiting.borrow().first_key_value().map(|(key, _)| key.0)
    }

    /// Wakes whose time has come. Returns how many.
    pub fn fire(&self, now: Nanos) -> usize {
        let mut count = 0;
        while let Some(waker) = self.pop(now) {
            waker.wake();
            count += 1;
        }
        count
    }

    fn pop(&self, now: Nanos) -> Option<Waker> {
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Forgets everybody.
    pub fn clear(&self) {
        // Dropped outside of the borrow: a task may go with its waker, and its timers with it.
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        drop(waiting);
    }
}

/// Where a [`Sleep`] finds its clock and its table.
pub trait Clock {
    /// Monotonic time.
    fn now(&self) -> Nanos;
    /// Who waits.
    fn timers(&self) -> &Timers;
}

/// Waits for a deadline; [`Nanos::NEVER`] never comes.
#[derive(Debug)]
pub struct Sleep<C: Clock> {
    clock: C,
    deadline: Nanos,
    id: Option<u64>,
}

impl<C: Clock> Sleep<C> {
    /// A future that ends at `deadline`.
    #[must_use]
    pub fn new(clock: C, deadline: Nanos) -> Self {
        Self { clock, deadline, id: None }
    }
}

impl<C: Clock + Unpin> Future for Sleep<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline == Nanos::NEVER {
            return Poll::Pending;
        }
        if self.clock.now() >= self.deadline {
            return Poll::Ready(());
        }
        let timers = self.clock.timers();
        let id = self.id.unwrap_or_else(|| {
            let id = timers.next_id.get();
            timers.next_id.set(id + 1);
            id
        });
        let stale = timers.waiting.borrow_mut().insert((self.deadline, id), cx.waker().clone());
        drop(stale);
        self.id = Some(id);
        Poll::Pending
    }
}

impl<C: Clock> Drop for Sleep<C> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let waker = self.clock.timers().waiting.borrow_mut().remove(&(self.deadline, id));
            drop(waker);
        }
    }
}
