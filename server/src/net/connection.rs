//! One connection on the ring: one side receives and begins requests, the other drives them and sends
//! their answers; others see whether anything moves at all, and whether the client reads.
//!
//! Back-pressure goes from the socket that is not read to the client: while a request waits for its
//! turn or for memory nothing is received, and while answers cannot be sent none is made.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use millrace_engine::io::Env;
use millrace_engine::io::ring::Stream;
use millrace_engine::io::runtime::RingEnv;
use millrace_engine::types::Nanos;

use super::event::{Event, either};
use super::faults::Ending;
use super::session::{Next, Session};
use crate::api::{self, Ctx, Peer};
use crate::budget::{Budget, Share};
use crate::limits::{
    MEMORY_WAIT_MS, SEND_BYTES, TAKEN_LOOK_MS, UNREAD_BYTES, UNREAD_LOOK_MS, UNREAD_MS,
};
use crate::stages::Complete;

/// A connection that is being served.
pub struct Connection {
    ctx: Rc<Ctx<RingEnv>>,
    stream: Stream,
    peer: Rc<Peer>,
    session: RefCell<Session>,
    /// Memory of the requests in flight.
    in_flight: RefCell<Share>,
    /// An answer is complete: there is room for requests.
    moved: Event,
    /// When bytes last went in or out.
    last_progress: Cell<Nanos>,
    /// When bytes last came in.
    last_received: Cell<Nanos>,
    is_sending: Cell<bool>,
    /// The answer with records that is being sent.
    held: RefCell<Option<Held>>,
    /// Such an answer has begun to be sent.
    holding: Event,
    /// Records have been sent.
    has_sent_records: Cell<bool>,
}

/// An answer that is being sent, whose memory others may come to wait for.
struct Held {
    since: Nanos,
    memory: Share,
}

/// How an answer stood when its client was last seen to take some of it.
struct Taken {
    at: Nanos,
    acknowledged: u64,
    /// How often others had asked for memory, and had had to wait for it.
    asks: u64,
    waits: u64,
}

impl Connection {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(ctx: Rc<Ctx<RingEnv>>, stream: Stream, peer: Rc<Peer>, budget: &Budget) -> Self {
        let session = RefCell::new(Session::new(ctx.config.network.request_bytes_max));
        let now = ctx.client.env().now();
        Self {
            ctx,
            stream,
            peer,
            session,
            in_flight: RefCell::new(budget.share()),
            moved: Event::default(),
            last_progress: Cell::new(now),
            last_received: Cell::new(now),
            is_sending: Cell::new(false),
            held: RefCell::default(),
            holding: Event::default(),
            has_sent_records: Cell::new(false),
        }
    }

    /// Serves until either side ends it.
    pub async fn run(&self, partial: Share) -> Ending {
        let transfer = either(self.receive(partial), self.send());
        let watch = either(self.watch_idleness(), self.watch_unread());
        let ending = either(transfer, watch).await;
        // A peer that is faster is no error.
        match ending {
            Ending::Io(_) => {}
            Ending::Unread(_) => drop(self.stream.abort()),
            _ => drop(self.stream.shutdown(Shutdown::Both)),
        }
        ending
    }

    fn now(&self) -> Nanos {
        self.ctx.client.env().now()
    }

    /// Receives and begins requests. `partial` is the memory of the frame that is being received.
    async fn receive(&self, mut partial: Share) -> Ending {
        loop {
            match self.receive_step(&mut partial).await {
                Ok(()) => {}
                Err(Ending::Closed) => {
                    let is_cut = self.session.borrow().has_partial_frame();
                    // What was asked before is still answered.
                    while !self.session.borrow().is_quiet() || self.is_sending.get() {
                        self.moved.wait().await;
                    }
                    return if is_cut { Ending::Truncated } else { Ending::Closed };
                }
                Err(ending) => return ending,
            }
        }
    }

    async fn receive_step(&self, partial: &mut Share) -> Result<(), Ending> {
        let next = self.session.borrow_mut().step()?;
        match next {
            Next::Begin { frame, is_pipelined } => {
                if self.ctx.client.is_stopping() {
                    return Err(Ending::Stopping);
                }
                let bytes = frame.len();
                self.hold(partial, bytes).await?;
                partial.move_to(&mut self.in_flight.borrow_mut(), bytes);
                partial.shrink(usize::MAX);
                if !is_pipelined {
                    self.await_taken().await?;
                }
                let work = api::begin(&self.ctx, &self.peer, frame, self.last_received.get())?;
                self.session.borrow_mut().push(work, bytes, is_pipelined);
            }
            Next::Wait => self.moved.wait().await,
            Next::Receive => {
                let received = self.stream.recv().await?;
                self.note_received(received.len())?;
                self.session.borrow_mut().receive(&received);
            }
            Next::ReceiveDirect { whole } => {
                let waiting = self.stream.waiting_bytes()?;
                let capacity = self.session.borrow().capacity_for(whole, waiting);
                self.hold(partial, capacity).await?;
                let (memory, len_min) = self.session.borrow_mut().lend(capacity);
                let (memory, count) = self.stream.recv_into(memory, len_min).await?;
                self.session.borrow_mut().take_back(memory);
                self.note_received(count)?;
            }
        }
        Ok(())
    }

    fn note_received(&self, count: usize) -> Result<(), Ending> {
        if count == 0 {
            return Err(Ending::Closed);
        }
        self.last_received.set(self.now());
        self.last_progress.set(self.last_received.get());
        self.ctx.metrics.count_received(count);
        Ok(())
    }

    /// While memory for records is short, waits until the client has all that it was sent: it is given no more
    /// before that. Nobody tells when that is, so its kernel is asked now and then.
    async fn await_taken(&self) -> Result<(), Ending> {
        let memory = &self.ctx.answer_memory;
        let is_short = || !(memory.readers().is_plentiful() && memory.others().is_plentiful());
        while self.has_sent_records.get() && is_short() && !self.stream.is_all_acknowledged()? {
            if self.ctx.client.is_stopping() {
                return Err(Ending::Stopping);
            }
            self.ctx.client.env().sleep_until(self.now().plus_ms(TAKEN_LOOK_MS)).await;
        }
        let has_taken =
            || memory.readers().used() == 0 || self.stream.is_all_acknowledged().unwrap_or(false);
        self.peer.is_reading.set(self.has_sent_records.get() && has_taken());
        Ok(())
    }

    fn note_answered(&self, complete: &[Complete], now: Nanos) {
        let mut stages = self.ctx.stages.borrow_mut();
        complete.iter().for_each(|request| stages.answered(request, now));
    }

    /// Waits until a share has at least so many bytes.
    async fn hold(&self, share: &mut Share, bytes: usize) -> Result<(), Ending> {
        let missing = bytes.saturating_sub(share.bytes());
        if missing == 0 {
            return Ok(());
        }
        let mut grow = share.grow(missing);
        // Nearly always there is room, and no timer is needed.
        let is_done = poll_fn(|cx| {
            let is_ready = Pin::new(&mut grow).poll(cx).is_ready();
            Poll::Ready(is_ready)
        })
        .await;
        if is_done {
            return Ok(());
        }
        let deadline = self.now().plus_ms(MEMORY_WAIT_MS);
        let grown = async {
            grow.await;
            Ok(())
        };
        let late = async {
            self.ctx.client.env().sleep_until(deadline).await;
            Err(Ending::NoMemory)
        };
        either(grown, late).await
    }

    /// Drives requests and sends their answers, several at once if they are there.
    async fn send(&self) -> Ending {
        loop {
            let answers =
                poll_fn(|cx| self.session.borrow_mut().poll_answers(cx, SEND_BYTES)).await;
            self.in_flight.borrow_mut().shrink(answers.released);
            self.is_sending.set(true);
            self.moved.raise();
            if !answers.parts.is_empty() {
                let now = self.now();
                self.last_progress.set(now);
                self.note_answered(&answers.complete, now);
                if let Some(memory) = answers.memory {
                    self.has_sent_records.set(true);
                    self.held.replace(Some(Held { since: now, memory }));
                    self.holding.raise();
                }
                if let Err(error) = self.stream.send(answers.parts).await {
                    return Ending::Io(error);
                }
                self.held.take();
                self.last_progress.set(self.now());
                self.ctx.metrics.count_sent(answers.bytes);
            }
            self.is_sending.set(false);
            self.moved.raise();
            if let Some(refusal) = answers.refusal {
                return Ending::Refused(refusal);
            }
        }
    }

    /// Waits for a time far away: the timer is looked at only when it is due, not whenever this
    /// connection's task is woken. One task polls this as long as it lives, so its waker stays good.
    async fn sleep_until(&self, deadline: Nanos) {
        let mut sleep = pin!(self.ctx.client.env().sleep_until(deadline));
        let mut is_armed = false;
        poll_fn(|cx| {
            if is_armed && self.now() < deadline {
                return Poll::Pending;
            }
            is_armed = true;
            sleep.as_mut().poll(cx)
        })
        .await;
    }

    /// Ends when neither side has moved a byte for too long, unless the client waits for this broker.
    async fn watch_idleness(&self) -> Ending {
        let Some(idle_ms) = self.ctx.config.network.idle_ms_max else {
            return std::future::pending().await;
        };
        loop {
            self.sleep_until(self.last_progress.get().plus_ms(idle_ms)).await;
            let is_working = !self.session.borrow().is_quiet() && !self.is_sending.get();
            if is_working {
                self.last_progress.set(self.now());
            } else if self.now().ms_since(self.last_progress.get()) >= idle_ms {
                return Ending::Idle(idle_ms);
            }
        }
    }

    /// Ends when the client takes too little of an answer for too long while others wait for its memory.
    async fn watch_unread(&self) -> Ending {
        let since = || self.held.borrow().as_ref().map(|held| held.since);
        loop {
            self.holding.wait().await;
            while let Some(since) = since() {
                if let Some(unread_ms) = self.left_unread_ms(since).await {
                    return Ending::Unread(unread_ms);
                }
            }
        }
    }

    /// Looks now and then at how much of the answer the client's kernel has, until the answer is sent or has
    /// been left unread, and says for how long.
    async fn left_unread_ms(&self, since: Nanos) -> Option<u64> {
        let mut last: Option<Taken> = None;
        loop {
            self.sleep_until(self.now().plus_ms(UNREAD_LOOK_MS)).await;
            let mut held = self.held.borrow_mut();
            let held = held.as_mut().filter(|held| held.since == since)?;
            let budget = held.memory.budget();
            let now = Taken {
                at: self.now(),
                // A socket that tells nothing is about to end.
                acknowledged: self.stream.acknowledged_bytes().unwrap_or(u64::MAX),
                asks: budget.asks(),
                waits: budget.waits(),
            };
            match &last {
                Some(last) if now.acknowledged < last.acknowledged.saturating_add(UNREAD_BYTES) => {
                    held.memory.set_unread(true);
                    if is_patience_over(last, &now, held.memory.budget()) {
                        return Some(now.at.ms_since(last.at));
                    }
                }
                _ => {
                    held.memory.set_unread(false);
                    last = Some(now);
                }
            }
        }
    }
}

/// Whether an answer of which nothing was taken between two looks is in the way of others.
fn is_patience_over(last: &Taken, now: &Taken, budget: &Budget) -> bool {
    if budget.is_much_unread() {
        return budget.is_wanted() || now.asks != last.asks;
    }
    let is_wanted = budget.is_wanted() || now.waits != last.waits;
    is_wanted && now.at.ms_since(last.at) >= UNREAD_MS
}
