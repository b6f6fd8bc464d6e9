//! How the server on a shard reaches any shard: a call goes into the own inbox or over a lane, and its
//! answer comes back as a future.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::boot::{Identity, Stop};
use crate::io::Env;
use crate::io::lane::LaneSender;
use crate::io::notify::Notify;
use crate::limits::FULL_DISK_RETRY_MS;
use crate::machine::Token;
use crate::metadata::Image;
use crate::metadata::controller::ControllerCall;
use crate::metadata::placement::Directories;
use crate::shard::Inheritance;
use crate::shard::call::{Answer, Call, ReplyTo};
use crate::shard::event::{DiskFailure, Event};
use crate::types::{Nanos, NodeId, ShardId, TopicPartition};

/// What goes over a lane.
#[derive(Debug)]
pub enum Message {
    /// A question.
    Call {
        /// Who asks.
        reply: ReplyTo,
        /// When it was sent, for the hop's cost.
        sent: Nanos,
        /// The question.
        call: Call,
    },
    /// An answer.
    Answer {
        /// The asker's name for the call.
        token: Token,
        /// The answer.
        answer: Answer,
    },
    /// From shard 0, first of all: what the last run left.
    Begin(Box<(Inheritance, Identity)>),
    /// From shard 0: the broker is registered, connections may be accepted.
    Serve,
}

/// What calls and hops there were on this shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientStats {
    /// Calls to the own shard.
    pub local: u64,
    /// Calls that went to another shard.
    pub hops: u64,
    /// Calls that came from another shard.
    pub hops_in: u64,
    /// Time that calls from another shard spent on the way. Nanoseconds.
    pub hop_ns: u64,
}

#[derive(Debug, Default)]
enum Place {
    #[default]
    Free,
    Waiting(Option<Waker>),
    Answered(Answer),
    /// Nobody waits any more; the answer is dropped when it comes.
    Abandoned,
}

#[derive(Debug)]
struct Lane {
    sender: LaneSender<Message>,
    /// What the lane had no room for, in order.
    overflow: VecDeque<Message>,
    is_dirty: bool,
}

struct Inner<E: Env> {
    env: E,
    shard: ShardId,
    shards: ShardId,
    inbox: RefCell<VecDeque<Event>>,
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<usize>>,
    lanes: RefCell<Vec<Option<Lane>>>,
    image: RefCell<Arc<Image>>,
    directories: RefCell<Directories>,
    stats: Cell<ClientStats>,
    stop: Stop,
    has_told_failure: Cell<bool>,
    /// How many failed directories the controller was told of.
    reported_failures: Cell<u32>,
    full_counts: Cell<(u64, u64)>,
    may_serve: Cell<bool>,
    bell: Notify,
}

/// A handle to all shards, from one of them. Cheap to clone.
pub struct Client<E: Env>(Rc<Inner<E>>);

impl<E: Env> Clone for Client<E> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<E: Env> Client<E> {
    /// A client on `shard`; `lanes` lead to each shard, none to itself.
    #[must_use]
    pub fn new(
        env: E,
        shard: ShardId,
        lanes: Vec<Option<LaneSender<Message>>>,
        stop: Stop,
    ) -> Self {
        let shards = ShardId::try_from(lanes.len()).expect("there are fewer than 65,536 shards");
        let lane = |sender| Lane { sender, overflow: VecDeque::new(), is_dirty: false };
        Self(Rc::new(Inner {
            env,
            shard,
            shards,
            inbox: RefCell::default(),
            places: RefCell::default(),
            free: RefCell::default(),
            lanes: RefCell::new(lanes.into_iter().map(|sender| sender.map(lane)).collect()),
            image: RefCell::default(),
            directories: RefCell::default(),
            stats: Cell::default(),
            stop,
            has_told_failure: Cell::new(false),
            reported_failures: Cell::new(0),
            full_counts: Cell::new((0, 0)),
            may_serve: Cell::new(false),
            bell: Notify::new(),
        }))
    }

    /// The world.
    #[must_use]
    pub fn env(&self) -> &E {
        &self.0.env
    }

    /// The shard that this client is on.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.0.shard
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> ShardId {
        self.0.shards
    }

    /// The shard that owns a partition.
    #[must_use]
    pub fn owner(&self, partition: TopicPartition) -> ShardId {
        self.0.directories.borrow().owner(&self.0.image.borrow(), partition, self.0.shards)
    }

    /// The log directories.
    #[must_use]
    pub fn directories(&self) -> Directories {
        self.0.directories.borrow().clone()
    }

    pub(crate) fn set_directories(&self, directories: Directories) {
        *self.0.directories.borrow_mut() = directories;
    }

    /// The metadata as this shard has it.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.0.image.borrow())
    }

    /// Calls and hops so far.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        self.0.stats.get()
    }

    /// Whether the broker is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stop.is_stopping()
    }

    /// Asks a shard. The call is on its way when this returns: calls are taken up in the order in
    /// which they are made. Dropping the answer abandons it, not the call.
    pub fn call(&self, shard: ShardId, call: Call) -> Pending<E> {
        let index = self.take_place();
        let token = Token(index as u64);
        let reply = ReplyTo { shard: self.0.shard, token };
        let mut stats = self.0.stats.get();
        if shard == self.0.shard {
            stats.local += 1;
            self.push(Event::Call(reply, call));
        } else {
            stats.hops += 1;
            let sent = self.0.env.now();
            self.send(shard, Message::Call { reply, sent, call });
            // The lane is flushed by the driver at the end of its turn.
            self.0.env.notify();
        }
        self.0.stats.set(stats);
        Pending { client: self.clone(), index, is_done: false }
    }

    fn take_place(&self) -> usize {
        let mut places = self.0.places.borrow_mut();
        let index = self.0.free.borrow_mut().pop().unwrap_or_else(|| {
            places.push(Place::Free);
            places.len() - 1
        });
        if let Some(place) = places.get_mut(index) {
            *place = Place::Waiting(None);
        }
        index
    }

    /// Gives the own shard an event.
    pub(crate) fn push(&self, event: Event) {
        self.0.inbox.borrow_mut().push_back(event);
        self.0.env.notify();
    }

    pub(crate) fn pop(&self) -> Option<Event> {
        self.0.inbox.borrow_mut().pop_front()
    }

    pub(crate) fn set_image(&self, image: Arc<Image>) {
        *self.0.image.borrow_mut() = image;
    }

    /// Tells a shard what the last run left for it.
    pub(crate) fn begin(&self, shard: ShardId, inheritance: Inheritance, identity: Identity) {
        self.send(shard, Message::Begin(Box::new((inheritance, identity))));
        self.flush_lanes();
    }

    /// The broker is registered: every shard may serve.
    pub(crate) fn serve_everywhere(&self) {
        self.0.may_serve.set(true);
        for shard in (0..self.0.shards).filter(|shard| *shard != self.0.shard) {
            self.send(shard, Message::Serve);
        }
        self.0.env.notify();
    }

    /// The log directory failed here: its other shards are told, and all of them if it has the metadata
    /// log.
    pub(crate) fn fail(&self, failure: &DiskFailure) {
        let (shard, directory) = (self.0.shard, self.0.directories.borrow().of_shard(self.0.shard));
        tracing::debug!(shard, directory, %failure, "its shards stop acknowledging");
        if !self.0.has_told_failure.replace(true) {
            self.0.stop.fail(directory);
        }
    }

    /// On the shard of the controller: has directories that failed since the last time taken out of the
    /// broker's registration.
    pub(crate) fn report_failed_directories(&self, node_id: NodeId) {
        let count = self.0.stop.failure_count();
        if self.0.shard != 0 || count == self.0.reported_failures.get() || !self.may_serve() {
            return;
        }
        self.0.reported_failures.set(count);
        let directories = self.directories();
        let failed = self.0.stop.failed_directories(directories.count());
        let ids: Vec<_> = failed.into_iter().filter_map(|index| directories.id(index)).collect();
        let client = self.clone();
        self.0.env.spawn(async move {
            let directories = ids;
            let call = ControllerCall::DirectoriesFailed { broker_id: node_id, directories };
            // Refused while the disk is full.
            while let Answer::Controller(Err(_)) =
                client.call(0, Call::Controller(call.clone())).await
                && !client.is_stopping()
                && !client.has_failed(0)
            {
                let env = &client.0.env;
                env.sleep_until(env.now().plus_ms(FULL_DISK_RETRY_MS)).await;
            }
        });
    }

    /// A log directory was found to be of no use.
    pub(crate) fn fail_directory(&self, directory: usize) {
        self.0.stop.fail(directory);
    }

    /// Whether the log directory at an index failed.
    #[must_use]
    pub fn has_failed(&self, directory: usize) -> bool {
        self.0.stop.has_failed(directory)
    }

    /// The failure on another shard of the log directory, or of the one with the metadata log, once.
    pub(crate) fn failure_elsewhere(&self) -> Option<DiskFailure> {
        let own = self.own_directory();
        let has_failed = self.0.stop.has_failed(own) || self.0.stop.has_failed(0);
        let is_new = has_failed && !self.0.has_told_failure.replace(true);
        is_new.then(|| DiskFailure {
            action: "use",
            path: "the log directory".to_owned(),
            reason: "it failed on another shard".to_owned(),
            is_full: false,
            is_damage: false,
        })
    }

    fn own_directory(&self) -> usize {
        self.0.directories.borrow().of_shard(self.0.shard)
    }

    pub(crate) fn note_full(&self) {
        self.0.stop.note_full(self.own_directory());
    }

    /// Whether any shard has found a disk full since this was asked last, and if so, whether it was that of
    /// this shard's log directory.
    pub(crate) fn was_disk_full(&self) -> Option<bool> {
        let (own, all) = self.0.stop.full_counts(self.own_directory());
        let (own_before, all_before) = self.0.full_counts.replace((own, all));
        (all != all_before).then_some(own != own_before)
    }

    /// Ends when somebody outside has rung this shard's bell ([`Stop::ring`]) since the last time. One
    /// waiter.
    pub async fn rung(&self) {
        self.0.bell.notified().await;
    }

    /// Passes the bell on to who waits for it, if it was rung.
    pub(crate) fn listen(&self) {
        if self.0.stop.take_ring(self.0.shard) {
            self.0.bell.notify();
        }
    }

    pub(crate) fn may_serve(&self) -> bool {
        self.0.may_serve.get()
    }

    /// Hands an answer to whoever waits for it, here or on another shard.
    pub(crate) fn answer(&self, reply: ReplyTo, answer: Answer) {
        if reply.shard == self.0.shard {
            self.resolve(reply.token, answer);
        } else {
            self.send(reply.shard, Message::Answer { token: reply.token, answer });
        }
    }

    /// A message from another shard.
    pub(crate) fn receive(&self, message: Message) -> Option<Event> {
        match message {
            Message::Answer { token, answer } => {
                self.resolve(token, answer);
                None
            }
            Message::Begin(_) => None,
            Message::Serve => {
                self.0.may_serve.set(true);
                None
            }
            Message::Call { reply, sent, call } => {
                let mut stats = self.0.stats.get();
                stats.hops_in += 1;
                stats.hop_ns += self.0.env.now().0.saturating_sub(sent.0);
                self.0.stats.set(stats);
                Some(Event::Call(reply, call))
            }
        }
    }

    fn resolve(&self, token: Token, answer: Answer) {
        let Ok(index) = usize::try_from(token.0) else { return };
        let mut places = self.0.places.borrow_mut();
        let Some(place) = places.get_mut(index) else { return };
        match std::mem::take(place) {
            Place::Waiting(waker) => {
                *place = Place::Answered(answer);
                drop(places);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Place::Abandoned => self.0.free.borrow_mut().push(index),
            other => *place = other,
        }
    }

    fn send(&self, shard: ShardId, message: Message) {
        let mut lanes = self.0.lanes.borrow_mut();
        let lane = lanes.get_mut(usize::from(shard)).and_then(Option::as_mut);
        let lane = lane.expect("there is a lane to every other shard");
        lane.is_dirty = true;
        if !lane.overflow.is_empty() {
            lane.overflow.push_back(message);
        } else if let Err(message) = lane.sender.push(message) {
            lane.overflow.push_back(message);
        }
    }

    /// Wakes the shards that have messages. Says whether some lane was full, so that this must be
    /// tried again soon.
    pub(crate) fn flush_lanes(&self) -> bool {
        let mut is_full = false;
        for lane in self.0.lanes.borrow_mut().iter_mut().flatten() {
            while let Some(message) = lane.overflow.pop_front() {
                if let Err(message) = lane.sender.push(message) {
                    lane.overflow.push_front(message);
                    is_full = true;
                    break;
                }
                lane.is_dirty = true;
            }
            if std::mem::take(&mut lane.is_dirty) {
                lane.sender.flush();
            }
        }
        is_full
    }
}

/// An answer that is awaited.
pub struct Pending<E: Env> {
    client: Client<E>,
    index: usize,
    is_done: bool,
}

impl<E: Env> Future for Pending<E> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let inner = Rc::clone(&self.client.0);
        let mut places = inner.places.borrow_mut();
        let place = places.get_mut(self.index).expect("a pending call has a place");
        match std::mem::take(place) {
            Place::Answered(answer) => {
                self.is_done = true;
                inner.free.borrow_mut().push(self.index);
                Poll::Ready(answer)
            }
            _ => {
                *place = Place::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<E: Env> Drop for Pending<E> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut places = self.client.0.places.borrow_mut();
        let Some(place) = places.get_mut(self.index) else { return };
        let old = std::mem::take(place);
        match old {
            Place::Waiting(_) => *place = Place::Abandoned,
            answered => {
                self.client.0.free.borrow_mut().push(self.index);
                drop(places);
                drop(answered);
            }
        }
    }
}
