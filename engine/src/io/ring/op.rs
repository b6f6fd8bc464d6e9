//! One ring operation as a future that may be dropped at any time.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::core::{Completion, Ring};

/// What an operation owns while the kernel works on it: memory behind pointers.
pub(super) trait Payload: Unpin + 'static {
    /// Takes a result that nobody waits for any more: whoever gets descriptors or receive buffers
    /// out of a completion gives them back here.
    fn discard(self, completion: Completion, ring: &Ring)
    where
        Self: Sized,
    {
        let _no_result_to_give_back = (completion, ring);
    }
}

/// An operation that needs no memory, or only reads or writes some.
impl Payload for () {}
impl Payload for Vec<u8> {}
impl Payload for std::ffi::CString {}
impl Payload for (std::ffi::CString, std::ffi::CString) {}

/// An operation in flight. Dropped early, it leaves its payload with the ring until the kernel has
/// finished, and asks the kernel to hurry up if `cancel_on_drop` was chosen.
pub(super) struct Op<P: Payload> {
    ring: Ring,
    name: u64,
    payload: Option<P>,
    cancel_on_drop: bool,
}

impl<P: Payload> Op<P> {
    /// Only [`Ring::start`] makes these.
    pub(super) fn new(ring: Ring, name: u64, payload: P) -> Self {
        Self { ring, name, payload: Some(payload), cancel_on_drop: false }
    }

    /// For operations that may wait for a peer for ever.
    pub(super) fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }
}

impl<P: Payload> Future for Op<P> {
    type Output = (Completion, P);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(self.payload.is_some(), "an operation ends once");
        let Poll::Ready(completion) = self.ring.poll_slot(self.name, cx) else {
            return Poll::Pending;
        };
        let payload = self.payload.take().expect("checked above");
        Poll::Ready((completion, payload))
    }
}

impl<P: Payload> Drop for Op<P> {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take() {
            if self.cancel_on_drop {
                self.ring.cancel(self.name);
            }
            self.ring.abandon(self.name, payload);
        }
    }
}

/// A place for an operation that outlives whoever waits for it: the next one to wait gets its result.
pub(super) struct Kept<P: Payload>(RefCell<Option<Op<P>>>);

impl<P: Payload> Kept<P> {
    pub(super) fn none() -> Self {
        Self(RefCell::new(None))
    }

    pub(super) fn is_some(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Lets go of the operation.
    pub(super) fn clear(&self) {
        self.0.take();
    }

    /// Waits for the operation that is kept, or begins one. One caller at a time.
    pub(super) async fn wait(&self, start: impl Fn() -> Op<P>) -> (Completion, P) {
        poll_fn(|cx| {
            let mut kept = self.0.borrow_mut();
            let result = ready!(Pin::new(kept.get_or_insert_with(&start)).poll(cx));
            *kept = None;
            Poll::Ready(result)
        })
        .await
    }
}
