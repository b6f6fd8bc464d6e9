//! One ring operation as a future that may be dropped at any time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

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
