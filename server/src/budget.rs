//! Bytes that one shard holds at once for requests, or for answers: who wants more than is left waits,
//! first come first served. Lives on the shard's thread.
//!
//! Answers have two budgets, so that clients that do not read do not take the memory of those that do.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::limits::{NEW_READER_MEMORY_PART, UNREAD_MEMORY_PART};

/// Memory for records on their way to clients.
#[derive(Debug)]
pub struct AnswerMemory {
    readers: Budget,
    others: Budget,
}

impl AnswerMemory {
    /// With `bytes` in all.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let others = bytes / NEW_READER_MEMORY_PART;
        Self { readers: Budget::new(bytes - others), others: Budget::new(others) }
    }

    /// For clients that have taken all the records that they were sent.
    #[must_use]
    pub const fn readers(&self) -> &Budget {
        &self.readers
    }

    /// For clients that were sent no records yet, or have not taken them.
    #[must_use]
    pub const fn others(&self) -> &Budget {
        &self.others
    }
}

/// The bytes of one shard.
#[derive(Debug, Clone)]
pub struct Budget(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    used: Cell<usize>,
    unread: Cell<usize>,
    asked: Cell<u64>,
    waiting: RefCell<VecDeque<(u64, Waker)>>,
    next_id: Cell<u64>,
}

impl Budget {
    /// With `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Rc::new(Inner {
            max,
            used: Cell::new(0),
            unread: Cell::new(0),
            asked: Cell::new(0),
            waiting: RefCell::default(),
            next_id: Cell::new(0),
        }))
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.get()
    }

    /// Bytes that nobody uses.
    #[must_use]
    pub fn free(&self) -> usize {
        self.0.max.saturating_sub(self.used())
    }

    /// Whether somebody waits for bytes.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.0.waiting.borrow().is_empty()
    }

    /// How often somebody has had to wait so far.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.0.next_id.get()
    }

    /// How often somebody has asked for bytes so far.
    #[must_use]
    pub fn asks(&self) -> u64 {
        self.0.asked.get()
    }

    /// Whether so many bytes are left unread that little is left for others.
    #[must_use]
    pub fn is_much_unread(&self) -> bool {
        self.0.unread.get() > self.0.max / UNREAD_MEMORY_PART
    }

    /// Whether nearly all bytes are free.
    #[must_use]
    pub fn is_plentiful(&self) -> bool {
        self.used() <= self.0.max / UNREAD_MEMORY_PART
    }

    /// An empty share.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0, is_unread: false }
    }

    /// Whoever is alone may have more than there is: a request is never too large for the budget.
    fn has_room(&self, bytes: usize) -> bool {
        let used = self.0.used.get();
        used == 0 || used.saturating_add(bytes) <= self.0.max
    }

    fn wake_first(&self) {
        if let Some((_, waker)) = self.0.waiting.borrow().front() {
            waker.wake_by_ref();
        }
    }
}

/// What one connection has of the budget; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: usize,
    is_unread: bool,
}

impl Share {
    /// How much this is.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What this is a share of.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Says whether the client leaves unread what is in these bytes.
    pub fn set_unread(&mut self, is_unread: bool) {
        if self.is_unread != is_unread {
            self.is_unread = is_unread;
            let unread = &self.budget.0.unread;
            unread.set(match is_unread {
                true => unread.get() + self.bytes,
                false => unread.get() - self.bytes,
            });
        }
    }

    /// Takes more, as soon as there is room and everybody who came earlier has been served.
    pub fn grow(&mut self, bytes: usize) -> Grow<'_> {
        let asked = &self.budget.0.asked;
        asked.set(asked.get() + 1);
        Grow { share: self, bytes, id: None }
    }

    /// Has exactly so many from now on, if that is possible without waiting.
    #[must_use]
    pub fn settle(&mut self, bytes: usize) -> bool {
        let Some(missing) = bytes.checked_sub(self.bytes).filter(|missing| *missing > 0) else {
            self.shrink(self.bytes - bytes);
            return true;
        };
        let is_alone = self.budget.used() == self.bytes;
        let has_room = is_alone || (!self.budget.is_wanted() && self.budget.has_room(missing));
        if has_room {
            let used = &self.budget.0.used;
            used.set(used.get() + missing);
            self.bytes = bytes;
        }
        has_room
    }

    /// Gives some back.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        if bytes > 0 {
            self.bytes -= bytes;
            let inner = &self.budget.0;
            inner.used.set(inner.used.get() - bytes);
            self.budget.wake_first();
        }
    }

    /// Moves bytes to another share of the same budget.
    pub fn move_to(&mut self, other: &mut Self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        other.bytes += bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set_unread(false);
        self.shrink(self.bytes);
    }
}

/// See [`Share::grow`].
#[derive(Debug)]
pub struct Grow<'a> {
    share: &'a mut Share,
    bytes: usize,
    id: Option<u64>,
}

impl Future for Grow<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let inner = Rc::clone(&self.share.budget.0);
        let mut waiting = inner.waiting.borrow_mut();
        let is_first = waiting.front().is_none_or(|(id, _)| Some(*id) == self.id);
        if is_first && self.share.budget.has_room(self.bytes) {
            if self.id.take().is_some() {
                waiting.pop_front();
            }
            drop(waiting);
            inner.used.set(inner.used.get() + self.bytes);
            self.share.bytes += self.bytes;
            // There may be room for the next one too.
            self.share.budget.wake_first();
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        match self.id {
            Some(id) => {
                if let Some(place) = waiting.iter_mut().find(|(waiter, _)| *waiter == id) {
                    place.1 = waker;
                }
            }
            None => {
                let id = inner.next_id.get();
                inner.next_id.set(id + 1);
                waiting.push_back((id, waker));
                self.id = Some(id);
            }
        }
        Poll::Pending
    }
}

impl Drop for Grow<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.share.budget.0.waiting.borrow_mut().retain(|(waiter, _)| *waiter != id);
            self.share.budget.wake_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(grow: &mut Grow<'_>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(grow).poll(&mut cx).is_ready()
    }

    #[test]
    fn first_come_first_served() {
        let budget = Budget::new(100);
        let (mut a, mut b, mut c) = (budget.share(), budget.share(), budget.share());
        assert!(poll(&mut a.grow(80)));
        let mut large = b.grow(50);
        let mut small = c.grow(10);
        assert!(!poll(&mut large));
        assert!(!poll(&mut small), "it would fit, but it came later");
        a.shrink(80);
        assert!(!poll(&mut small));
        assert!(poll(&mut large));
        drop(large);
        assert!(poll(&mut small));
        drop(small);
        assert_eq!(budget.used(), 60);
        b.move_to(&mut c, 20);
        drop(b);
        assert_eq!((budget.used(), c.bytes()), (30, 30));
        drop(c);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn more_is_taken_at_once_or_not_at_all() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.share(), budget.share());
        assert!(poll(&mut a.grow(60)));
        // Alone it may have more than there is.
        assert!(a.settle(130));
        assert_eq!((budget.used(), budget.free()), (130, 0));
        assert_eq!((budget.is_wanted(), budget.waits()), (false, 0));
        let mut waiting = b.grow(10);
        assert!(!poll(&mut waiting));
        assert_eq!((budget.is_wanted(), budget.waits()), (true, 1));
        assert!(a.settle(95));
        assert!(!poll(&mut waiting));
        assert!(a.settle(20));
        assert!(poll(&mut waiting));
        drop(waiting);
        let mut c = budget.share();
        let mut waiting = c.grow(71);
        assert!(!poll(&mut waiting));
        // While somebody waits nobody else takes more.
        assert!(!a.settle(21));
        drop(waiting);
        assert!(!budget.is_wanted());
        assert!(!a.settle(91));
        assert!(a.settle(90));
        assert_eq!((budget.used(), budget.free()), (100, 0));
    }

    #[test]
    fn what_is_left_unread_is_counted_until_it_is_given_back() {
        let memory = AnswerMemory::new(160);
        let budget = memory.readers();
        assert_eq!((budget.free(), memory.others().free()), (120, 40));
        let (mut a, mut b) = (budget.share(), budget.share());
        assert!(a.settle(15) && budget.is_plentiful());
        assert!(poll(&mut b.grow(15)) && !budget.is_plentiful());
        assert_eq!(budget.asks(), 1);
        a.set_unread(true);
        a.set_unread(true);
        assert!(!budget.is_much_unread(), "an eighth");
        b.set_unread(true);
        assert!(budget.is_much_unread());
        b.set_unread(false);
        assert!(!budget.is_much_unread());
        b.set_unread(true);
        drop(a);
        assert!(!budget.is_much_unread());
        drop(b);
        assert_eq!((budget.used(), budget.0.unread.get()), (0, 0));
    }

    #[test]
    fn giving_up_lets_the_next_one_through() {
        let budget = Budget::new(10);
        let (mut a, mut b, mut c) = (budget.share(), budget.share(), budget.share());
        assert!(poll(&mut a.grow(1000)), "alone, a request may be larger than the budget");
        let mut first = b.grow(5);
        let mut second = c.grow(5);
        assert!(!poll(&mut first) && !poll(&mut second));
        drop(a);
        drop(first);
        assert!(poll(&mut second));
    }
}
