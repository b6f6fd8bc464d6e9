//! A gate that lets a number of jobs through at once, in the order in which they came, those first for
//! which somebody waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct Inner {
    free: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Ticket>>>,
    /// Those that go before them.
    hurried: RefCell<VecDeque<Rc<Ticket>>>,
}

#[derive(Debug, Default)]
struct Ticket {
    key: u64,
    is_granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// See the module. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Rc<Inner>);

impl Gate {
    /// A gate for `count` jobs at once.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let (waiting, hurried) = (RefCell::default(), RefCell::default());
        Self(Rc::new(Inner { free: Cell::new(count), waiting, hurried }))
    }

    /// Queues up now; the future ends when it is this one's turn.
    pub fn enter(&self) -> Entering {
        self.enter_as(0)
    }

    /// As [`Gate::enter`], under a key that [`Gate::hurry`] knows it by.
    pub fn enter_as(&self, key: u64) -> Entering {
        let ticket = Rc::new(Ticket { key, ..Ticket::default() });
        match self.0.free.get().checked_sub(1) {
            Some(left) => {
                self.0.free.set(left);
                ticket.is_granted.set(true);
            }
            None => self.0.waiting.borrow_mut().push_back(Rc::clone(&ticket)),
        }
        Entering { gate: self.clone(), ticket: Some(ticket) }
    }

    /// The job with this key goes before those that were not hurried, if it still queues.
    pub fn hurry(&self, key: u64) {
        let mut waiting = self.0.waiting.borrow_mut();
        let at = waiting.iter().position(|ticket| ticket.key == key);
        self.0.hurried.borrow_mut().extend(at.and_then(|at| waiting.remove(at)));
    }

    /// Passes one place on.
    fn leave(&self) {
        loop {
            let next = self.0.hurried.borrow_mut().pop_front();
            let next = next.or_else(|| self.0.waiting.borrow_mut().pop_front());
            let Some(ticket) = next else {
                self.0.free.set(self.0.free.get() + 1);
                return;
            };
            // Nobody but the queue holds the ticket of a job that was given up.
            if Rc::strong_count(&ticket) > 1 {
                ticket.is_granted.set(true);
                if let Some(waker) = ticket.waker.borrow_mut().take() {
                    waker.wake();
                }
                return;
            }
        }
    }
}

/// A place in the queue before a gate.
#[derive(Debug)]
pub struct Entering {
    gate: Gate,
    ticket: Option<Rc<Ticket>>,
}

impl Future for Entering {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let is_granted = self.ticket.as_ref().is_some_and(|ticket| ticket.is_granted.get());
        if is_granted {
            self.ticket = None;
            return Poll::Ready(Permit(self.gate.clone()));
        }
        if let Some(ticket) = &self.ticket {
            *ticket.waker.borrow_mut() = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take()
            && ticket.is_granted.get()
        {
            self.gate.leave();
        }
    }
}

/// The right to be inside; given back when it is dropped.
#[derive(Debug)]
pub struct Permit(Gate);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn in_order_and_not_more_than_allowed() {
        let gate = Gate::new(1);
        let (first, mut second, third) = (gate.enter(), gate.enter(), gate.enter());
        block_on(async {
            let permit = first.await;
            assert!(poll_once(&mut second).await.is_none());
            drop(permit);
            let permit = poll_once(&mut second).await;
            assert!(permit.is_some());
            drop(third);
            drop(permit);
            let fourth = poll_once(gate.enter()).await;
            assert!(fourth.is_some());
        });
    }

    #[test]
    fn who_is_hurried_goes_first() {
        let gate = Gate::new(1);
        let first = gate.enter_as(1);
        let [mut second, mut third, fourth] = [2, 3, 4].map(|key| gate.enter_as(key));
        [4, 3, 7].into_iter().for_each(|key| gate.hurry(key));
        block_on(async {
            drop(first.await);
            assert!(poll_once(&mut second).await.is_none());
            assert!(poll_once(&mut third).await.is_none());
            drop(fourth.await);
            drop(third.await);
            drop(second.await);
        });
    }
}
