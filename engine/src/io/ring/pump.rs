//! The task that drives a ring: it submits, reaps, fires timers, and sleeps when no task can run.
//!
//! glommio runs tasks first in, first out, so when the pump yields and is polled again, every task
//! that could run has run. If none did, the shard is idle, and the pump waits in the ring itself: the
//! thread sleeps in `io_uring_enter` until an operation ends, the next deadline comes, or another
//! thread writes the eventfd that the ring always has a read on. glommio's own reactor takes no
//! part in that (nothing of glommio's is waited for: timers, files and sockets are all in this ring),
//! which saves the system calls of its three rings at each wake.

use std::future::Future;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future::yield_now;

use super::core::{Patience, Ring};
use super::sys;
use crate::io::runtime::monotonic;
use crate::io::timers::Clock;
use crate::types::Nanos;

/// Rounds of tasks before what they queued is submitted although more tasks can run: long enough for
/// a request to pass from its session through the shard to its job in one submission.
const ROUNDS_MAX: usize = 8;

/// Drives the ring until it is stopped.
///
/// # Panics
/// If the kernel refuses to enter the ring: the shard cannot go on.
pub(crate) async fn pump(ring: Ring) {
    while !ring.is_stopping() {
        let idle = run_tasks(&ring).await;
        if ring.is_stopping() {
            break;
        }
        let mut busy = !idle || ring.has_patient();
        if ring.waker().take_signal() {
            ring.count_signal();
            ring.notify().notify();
            busy = true;
        }
        let next = ring.timers().next();
        let now = if next.is_some() { monotonic() } else { Nanos::default() };
        if next.is_some_and(|next| next <= now) {
            ring.timers().fire(now);
            busy = true;
        }
        let patience = match next {
            _ if busy => Patience::None,
            None => Patience::Endless,
            Some(next) => Patience::AtMost(Duration::from_nanos(next.0 - now.0)),
        };
        turn(&ring, patience);
    }
}

/// One visit to the kernel, asleep if there is patience and no signal came meanwhile.
fn turn(ring: &Ring, patience: Patience) {
    let sleep = patience != Patience::None && ring.waker().fall_asleep();
    if sleep || ring.has_work() {
        let patience = if sleep { patience } else { Patience::None };
        let entered = ring.enter(patience);
        ring.waker().wake_up();
        if let Err(error) = entered {
            panic!("io_uring_enter failed, the shard cannot go on: {error}");
        }
    }
    ring.reap();
}

/// Lets every task that can run do so, for a few rounds. Returns whether none is left.
async fn run_tasks(ring: &Ring) -> bool {
    for _ in 0..ROUNDS_MAX {
        let before = ring.polls();
        yield_now().await;
        if ring.polls() == before {
            return true;
        }
    }
    false
}

/// Keeps a read on the waker's eventfd in the ring, so that writing it ends the ring's sleep.
///
/// # Panics
/// If the eventfd cannot be read.
pub(crate) async fn watch_eventfd(ring: Ring) {
    let fd: RawFd = ring.waker().fd();
    let mut counter = vec![0_u8; 8];
    while !ring.is_stopping() {
        let (completion, memory) = sys::read(&ring, fd, counter, 0).await;
        counter = memory;
        if completion.result < 0 && !completion.is_retry() {
            panic!("the shard cannot be woken any more: {:?}", completion.count());
        }
    }
}

/// A task of the shard: counts its polls, and ends the process if it panics, because a broker whose
/// shard has lost a task half-way through is not one to go on with.
pub(crate) struct ShardTask<F> {
    ring: Ring,
    future: F,
}

impl<F: Future<Output = ()>> ShardTask<Pin<Box<F>>> {
    pub(crate) fn new(ring: Ring, future: F) -> Self {
        Self { ring, future: Box::pin(future) }
    }
}

impl<F: Future<Output = ()> + Unpin> Future for ShardTask<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.ring.count_poll();
        let future = Pin::new(&mut self.future);
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll,
            Err(_) => crate::io::runtime::exit_after_panic(),
        }
    }
}
