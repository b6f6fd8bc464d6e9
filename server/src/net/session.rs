//! One client's requests and answers, without any I/O: bytes become frames, answers go out in the order
//! of the requests.
//!
//! Kafka takes one request of a connection at a time. The same order holds here, except that Produce
//! requests may begin while earlier Produce requests are not answered yet: their batches are on their way
//! in order when they have begun, and one flush can serve many of them.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use millrace_engine::codec::Frame;

use crate::api::{self, Outcome, Refusal, Work};
use crate::budget::Share;
use crate::limits::{
    DIRECT_RECEIVE_BYTES, FRAME_GROWTH, FRAME_RESERVE_BYTES, PIPELINED_BYTES_MAX,
    PIPELINED_REQUESTS_MAX, RECEIVE_BYTES,
};
use crate::protocol::frame::{FrameError, SIZE_BYTES, frame_size, split_frame};
use crate::stages::Complete;

/// What the session can go on with.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// This request may begin.
    Begin {
        /// Header and body.
        frame: Bytes,
        /// Whether it may be followed before it is answered.
        is_pipelined: bool,
    },
    /// A request is there, but earlier ones must be answered first.
    Wait,
    /// More bytes are needed: any.
    Receive,
    /// More bytes are needed, of a frame so large that they should go straight into its memory:
    /// [`Session::capacity_for`], [`Session::lend`].
    ReceiveDirect {
        /// How many bytes the whole frame has, with its size.
        whole: usize,
    },
}

/// The bytes are no requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// No frame can begin so.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A client that speaks TLS.
    #[error(
        "a TLS handshake on a PLAINTEXT listener: set security.protocol=PLAINTEXT in the client"
    )]
    Tls,
    /// A browser, a health check.
    #[error("an HTTP request on a Kafka listener")]
    Http,
}

/// Answers that are ready to be sent.
#[derive(Debug, Default)]
pub struct Answers {
    /// Their bytes, in order.
    pub parts: Vec<Bytes>,
    /// Bytes of the parts.
    pub bytes: usize,
    /// Bytes of the requests that they answer.
    pub released: usize,
    /// Memory of the records in them: nothing follows a fetch before it is answered, so there is one at most.
    pub memory: Option<Share>,
    /// What is known of those whose stages count.
    pub complete: Vec<Complete>,
    /// Why the connection must be closed after them, if it must.
    pub refusal: Option<Refusal>,
}

impl Answers {
    fn push(&mut self, frame: Frame) {
        self.bytes += frame.len;
        self.parts.extend(frame.parts);
    }
}

struct InFlight {
    work: Work,
    bytes: usize,
}

/// One connection's state. Lives on the shard's thread.
pub struct Session {
    received: BytesMut,
    frame_bytes_max: usize,
    has_taken_frame: bool,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// A request is under way that nothing may follow.
    is_exclusive: bool,
    /// Who sends the answers waits for requests.
    sender: Option<Waker>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("received", &self.received.len())
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session whose frames may have so many bytes (`socket.request.max.bytes`).
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            received: BytesMut::new(),
            frame_bytes_max,
            has_taken_frame: false,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            is_exclusive: false,
            sender: None,
        }
    }

    /// Takes in what has been received.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.received.is_empty()
            && let Some(prefix) = bytes.first_chunk::<SIZE_BYTES>()
            && let Ok(size) = frame_size(*prefix, self.frame_bytes_max)
        {
            // The beginning of a large frame: room for the rest now saves moving it later.
            let room = (SIZE_BYTES + size).min(bytes.len() * FRAME_GROWTH).max(bytes.len());
            self.received = BytesMut::with_capacity(room);
        }
        self.received.extend_from_slice(bytes);
    }

    /// Whether part of a frame is there.
    #[must_use]
    pub fn has_partial_frame(&self) -> bool {
        !self.received.is_empty()
    }

    /// Whether every request is answered.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// What to do next.
    ///
    /// # Errors
    /// If what was received is no request: the connection cannot be read on.
    pub fn step(&mut self) -> Result<Next, SessionError> {
        let Some(prefix) = self.received.first_chunk::<SIZE_BYTES>() else {
            return Ok(Next::Receive);
        };
        let size = self.size_of(*prefix)?;
        let missing = (SIZE_BYTES + size).saturating_sub(self.received.len());
        if missing >= DIRECT_RECEIVE_BYTES {
            return Ok(Next::ReceiveDirect { whole: SIZE_BYTES + size });
        }
        if missing > 0 {
            return Ok(Next::Receive);
        }
        let frame = self.received.get(SIZE_BYTES..).unwrap_or_default();
        let is_pipelined = api::is_pipelined(frame);
        if !self.may_begin(is_pipelined) {
            return Ok(Next::Wait);
        }
        let Some(frame) = split_frame(&mut self.received, self.frame_bytes_max)? else {
            return Ok(Next::Receive);
        };
        self.has_taken_frame = true;
        if self.received.is_empty() {
            // The frame has all of this memory; a silent connection keeps none.
            self.received = BytesMut::new();
        }
        Ok(Next::Begin { frame, is_pipelined })
    }

    fn size_of(&self, prefix: [u8; SIZE_BYTES]) -> Result<usize, SessionError> {
        if !self.has_taken_frame {
            match &prefix {
                [0x16, 0x03, ..] => return Err(SessionError::Tls),
                b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"CONN" | b"DELE" | b"PATC"
                | b"PRI " => return Err(SessionError::Http),
                _ => {}
            }
        }
        Ok(frame_size(prefix, self.frame_bytes_max)?)
    }

    /// How much memory a frame may have now: little before much of it has come, be it only as far as the
    /// kernel, where `waiting` bytes of the connection are.
    #[must_use]
    pub fn capacity_for(&self, whole: usize, waiting: usize) -> usize {
        let come = self.received.len().saturating_add(waiting);
        let earned = come.saturating_mul(FRAME_GROWTH);
        whole.min(earned.max(FRAME_RESERVE_BYTES))
    }

    fn may_begin(&self, is_pipelined: bool) -> bool {
        if self.in_flight.is_empty() {
            return true;
        }
        is_pipelined
            && !self.is_exclusive
            && self.in_flight.len() < PIPELINED_REQUESTS_MAX
            && self.in_flight_bytes < PIPELINED_BYTES_MAX
    }

    /// Lends the memory of the frame that is being received, with room for more: up to `capacity`, but
    /// no more than one receive should wait for. It comes back with [`Session::take_back`].
    pub fn lend(&mut self, capacity: usize) -> (BytesMut, usize) {
        let mut memory = std::mem::take(&mut self.received);
        let room = capacity.saturating_sub(memory.len());
        // A fresh allocation of exactly this size: the frame shall not keep more than itself.
        if memory.capacity() < capacity {
            let mut larger = BytesMut::with_capacity(capacity);
            larger.extend_from_slice(&memory);
            memory = larger;
        }
        (memory, room.min(RECEIVE_BYTES))
    }

    /// Takes back what was lent, with what has been received behind it.
    pub fn take_back(&mut self, memory: BytesMut) {
        self.received = memory;
    }

    /// A request has begun; `bytes` is the length of its frame.
    pub fn push(&mut self, work: Work, bytes: usize, is_pipelined: bool) {
        self.in_flight.push_back(InFlight { work, bytes });
        self.in_flight_bytes += bytes;
        self.is_exclusive = !is_pipelined;
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }

    /// Drives the oldest request and collects the answers that are complete, up to about `bytes_max`.
    /// Pending as long as there are none.
    pub fn poll_answers(&mut self, cx: &mut Context<'_>, bytes_max: usize) -> Poll<Answers> {
        let mut answers = Answers::default();
        let mut is_any = false;
        while answers.bytes < bytes_max
            && answers.refusal.is_none()
            && let Some(oldest) = self.in_flight.front_mut()
            && let Poll::Ready(outcome) = oldest.work.as_mut().poll(cx)
        {
            is_any = true;
            if let Some(done) = self.in_flight.pop_front() {
                self.in_flight_bytes -= done.bytes;
                answers.released += done.bytes;
            }
            match outcome {
                Outcome::Answer(frame) => answers.push(frame),
                Outcome::Produced(frame, trace) => {
                    answers.push(frame);
                    answers.complete.push(Complete::Produce(trace));
                }
                Outcome::Fetched(frame, trace, memory) => {
                    answers.push(frame);
                    answers.complete.push(Complete::Fetch(trace));
                    answers.memory = Some(memory).filter(|memory| memory.bytes() > 0);
                }
                Outcome::Silence => {}
                Outcome::Close(refusal) => answers.refusal = Some(refusal),
            }
        }
        if is_any {
            return Poll::Ready(answers);
        }
        if self.in_flight.is_empty() {
            self.sender = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
