//! The simulated world: tasks, time, and operations on their way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake as TaskWake, Waker};

use crossbeam_queue::SegQueue;

use super::disk::Disk;
use super::env::SimEnv;
use super::fault::{Faults, OpKind, Rule};
use super::hash::mixed;
use super::prng::Prng;
use crate::io::Wake;
use crate::io::notify::Notify;
use crate::io::timers::{Clock, Timers};
use crate::memory::Pool;
use crate::types::{Nanos, ShardId};

/// Spare memory of a simulated shard. Bytes.
const SPARE_BYTES_MAX: usize = 16 << 20;
/// A run that takes more steps than this does not end.
const STEPS_MAX: u64 = 50_000_000;
/// Polling a task takes up to this long. Nanoseconds.
const POLL_NANOS_MAX: u64 = 400;

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Completion = Box<dyn FnOnce(&World)>;

/// Puts a task among those that can run.
struct TaskWaker {
    id: u64,
    ready: Arc<SegQueue<u64>>,
}

impl TaskWake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.id);
    }
}

/// Wakes a simulated shard.
#[derive(Debug, Default)]
pub(super) struct SimWaker {
    signal: AtomicBool,
}

impl Wake for SimWaker {
    fn wake(&self) {
        self.signal.store(true, Ordering::SeqCst);
    }
}

/// What belongs to one shard.
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) pool: Arc<Pool>,
    pub(super) waker: Arc<SimWaker>,
    pub(super) notify: Notify,
}

/// Everything there is.
pub(super) struct World {
    pub(super) prng: RefCell<Prng>,
    clock: Cell<Nanos>,
    trace: Cell<u64>,
    /// How often the machine has been started.
    pub(super) incarnation: Cell<u64>,
    pub(super) disk: RefCell<Disk>,
    pub(super) faults: RefCell<Faults>,
    /// What each operation on the disk was.
    pub(super) op_kinds: RefCell<Vec<OpKind>>,
    /// Files of which a write or a flush failed.
    pub(super) failed_files: RefCell<Vec<PathBuf>>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    next_id: Cell<u64>,
    ready: Arc<SegQueue<u64>>,
    runnable: RefCell<Vec<u64>>,
    timers: Timers,
    on_their_way: RefCell<BTreeMap<(Nanos, u64), Completion>>,
    shards: RefCell<BTreeMap<ShardId, Rc<Shard>>>,
}

impl Clock for Rc<World> {
    fn now(&self) -> Nanos {
        self.clock.get()
    }

    fn timers(&self) -> &Timers {
        &self.timers
    }
}

impl World {
    pub(super) fn time(&self) -> Nanos {
        self.clock.get()
    }

    fn id(&self) -> u64 {
        self.next_id.set(self.next_id.get() + 1);
        self.next_id.get()
    }

    /// Mixes what has happened into the trace.
    pub(super) fn trace(&self, what: &[u64]) {
        let mut hash = self.trace.get();
        for &word in what {
            hash = mixed(hash, word);
        }
        self.trace.set(hash ^ self.clock.get().0.rotate_left(32));
    }

    pub(super) fn random(&self) -> u64 {
        self.prng.borrow_mut().bits()
    }

    fn below(&self, bound: u64) -> u64 {
        self.prng.borrow_mut().below(bound)
    }

    pub(super) fn spawn(&self, shard: ShardId, task: impl Future<Output = ()> + 'static) {
        let id = self.id();
        self.trace(&[1, u64::from(shard), id]);
        self.tasks.borrow_mut().insert(id, Box::pin(task));
        self.ready.push(id);
    }

    /// Something that ends after `nanos`; `u64::MAX` never ends.
    pub(super) fn end_after(&self, nanos: u64, completion: impl FnOnce(&Self) + 'static) {
        let id = self.id();
        let at = Nanos(self.clock.get().0.saturating_add(nanos));
        self.on_their_way.borrow_mut().insert((at, id), Box::new(completion));
    }

    fn take_due(&self) -> Option<Completion> {
        let mut on_their_way = self.on_their_way.borrow_mut();
        let first = on_their_way.first_entry()?;
        (first.key().0 <= self.clock.get()).then(|| first.remove())
    }

    /// The next moment at which something happens by itself.
    fn next_event(&self) -> Option<Nanos> {
        let operation = self.on_their_way.borrow().first_key_value().map(|(key, _)| key.0);
        let operation = operation.filter(|&at| at != Nanos::NEVER);
        match (operation, self.timers.next()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn take_signals(&self) {
        for shard in self.shards.borrow().values() {
            if shard.waker.signal.swap(false, Ordering::SeqCst) {
                shard.notify.notify();
            }
        }
    }

    /// One of the tasks that can run.
    fn take_runnable(&self) -> Option<u64> {
        let mut runnable = self.runnable.borrow_mut();
        while let Some(id) = self.ready.pop() {
            if !runnable.contains(&id) {
                runnable.push(id);
            }
        }
        if runnable.is_empty() {
            return None;
        }
        let at = self.prng.borrow_mut().index(runnable.len());
        Some(runnable.swap_remove(at))
    }

    fn poll(&self, id: u64) {
        // A task may have ended since it was woken.
        let Some(mut task) = self.tasks.borrow_mut().remove(&id) else { return };
        self.trace(&[2, id]);
        let waker = Waker::from(Arc::new(TaskWaker { id, ready: Arc::clone(&self.ready) }));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.borrow_mut().insert(id, task);
        }
        let spent = self.below(POLL_NANOS_MAX);
        self.clock.set(Nanos(self.clock.get().0 + spent));
    }

    /// One thing happens; false if nothing ever will again by itself.
    fn step(&self) -> bool {
        self.take_signals();
        self.timers.fire(self.clock.get());
        let due = self.next_event().is_some_and(|at| at <= self.clock.get());
        if due && (self.runnable_is_empty() || self.below(2) == 0) {
            if let Some(completion) = self.take_due() {
                completion(self);
            }
            return true;
        }
        if let Some(id) = self.take_runnable() {
            self.poll(id);
            return true;
        }
        match self.next_event() {
            Some(at) => {
                self.clock.set(self.clock.get().max(at));
                true
            }
            None => false,
        }
    }

    fn runnable_is_empty(&self) -> bool {
        self.ready.is_empty() && self.runnable.borrow().is_empty()
    }

    /// Ends all tasks, as the end of the process does.
    fn end_tasks(&self) {
        // Each is dropped outside of the borrow: futures close files and leave timers as they go.
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
        let operations = std::mem::take(&mut *self.on_their_way.borrow_mut());
        drop(operations);
        self.timers.clear();
        self.runnable.borrow_mut().clear();
        while self.ready.pop().is_some() {}
        self.shards.borrow_mut().clear();
        self.failed_files.borrow_mut().clear();
        self.incarnation.set(self.incarnation.get() + 1);
    }
}

/// A run came to a point from which nothing would ever happen, or did not come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulation stalled at {at:?} after {steps} steps")]
pub struct Stalled {
    /// Simulated time.
    pub at: Nanos,
    /// Steps made in this run.
    pub steps: u64,
}

/// A simulated machine. See the module above.
pub struct Sim {
    world: Rc<World>,
}

impl Sim {
    /// A machine with an empty disk (there is a directory `/`), and with everything that happens
    /// drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let start = Nanos(prng.below(1 << 40));
        Self::with(seed, prng, start, Disk::new())
    }

    /// Another machine with a copy of this one's disk at this moment, with what is not durable on it,
    /// for a power cut there. It knows nothing of this one's faults; what happens there is drawn from
    /// `seed`.
    #[must_use]
    pub fn twin(&self, seed: u64) -> Self {
        let mut disk = self.world.disk.borrow().clone();
        disk.capacity = None;
        Self::with(seed, Prng::new(seed), self.now(), disk)
    }

    fn with(seed: u64, prng: Prng, start: Nanos, disk: Disk) -> Self {
        Self {
            world: Rc::new(World {
                prng: RefCell::new(prng),
                clock: Cell::new(start),
                trace: Cell::new(seed),
                incarnation: Cell::new(0),
                disk: RefCell::new(disk),
                faults: RefCell::new(Faults::default()),
                op_kinds: RefCell::default(),
                failed_files: RefCell::default(),
                tasks: RefCell::new(BTreeMap::new()),
                next_id: Cell::new(0),
                ready: Arc::new(SegQueue::new()),
                runnable: RefCell::new(Vec::new()),
                timers: Timers::new(),
                on_their_way: RefCell::new(BTreeMap::new()),
                shards: RefCell::new(BTreeMap::new()),
            }),
        }
    }

    /// The world as a shard sees it. After [`Sim::kill`] or [`Sim::power_cut`] ask again.
    #[must_use]
    pub fn env(&self, shard: ShardId) -> SimEnv {
        let mut shards = self.world.shards.borrow_mut();
        let state = shards.entry(shard).or_insert_with(|| {
            Rc::new(Shard {
                id: shard,
                pool: Pool::new(SPARE_BYTES_MAX),
                waker: Arc::new(SimWaker::default()),
                notify: Notify::new(),
            })
        });
        SimEnv::new(Rc::clone(&self.world), Rc::clone(state))
    }

    /// Simulated time.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.world.time()
    }

    /// A number that two runs have in common only if the same happened in both.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.world.trace.get()
    }

    /// Operations on the disk that have begun so far.
    #[must_use]
    pub fn disk_ops(&self) -> u64 {
        self.world.op_kinds.borrow().len() as u64
    }

    /// What each operation on the disk so far was; its place here is its number.
    #[must_use]
    pub fn op_kinds(&self) -> Vec<OpKind> {
        self.world.op_kinds.borrow().clone()
    }

    /// How often what a power cut would leave has changed: it does so when a change begins, ends, and is
    /// flushed.
    #[must_use]
    pub fn disk_version(&self) -> u64 {
        self.world.disk.borrow().version
    }

    /// Whether everything on the disk is durable, so that all power cuts are the same.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.world.disk.borrow().is_durable()
    }

    /// A number that two disks have in common only if programs find the same on both.
    #[must_use]
    pub fn disk_fingerprint(&self) -> u64 {
        self.world.disk.borrow().fingerprint()
    }

    /// Lets an operation go wrong.
    pub fn fault(&self, rule: Rule) {
        self.world.faults.borrow_mut().add(rule);
    }

    /// What faults have hit.
    #[must_use]
    pub fn hits(&self) -> Vec<String> {
        self.world.faults.borrow().hits.clone()
    }

    /// Takes back all rules that have not hit.
    pub fn clear_faults(&self) {
        self.world.faults.borrow_mut().clear();
    }

    /// Bounds the bytes that all files together may have.
    pub fn set_disk_capacity(&self, bytes: Option<u64>) {
        self.world.disk.borrow_mut().capacity = bytes;
    }

    /// Runs until the future has ended; other tasks run meanwhile.
    ///
    /// # Errors
    /// It waits for something that will never happen.
    pub fn run<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Result<T, Stalled> {
        let result = Rc::new(RefCell::new(None));
        let cell = Rc::clone(&result);
        self.world.spawn(0, async move {
            let value = future.await;
            *cell.borrow_mut() = Some(value);
        });
        let mut steps = 0;
        loop {
            if let Some(value) = result.borrow_mut().take() {
                return Ok(value);
            }
            if steps == STEPS_MAX || !self.world.step() {
                return Err(Stalled { at: self.now(), steps });
            }
            steps += 1;
        }
    }

    /// Makes up to `steps` steps (a task is polled, an operation ends, or time goes on); returns how
    /// many there were before nothing was left to happen. For stopping anywhere.
    pub fn run_steps(&self, steps: u64) -> u64 {
        (0..steps).take_while(|_| self.world.step()).count() as u64
    }

    /// Runs until this time.
    pub fn run_until(&self, deadline: Nanos) {
        while self.now() < deadline {
            let busy = !self.world.runnable_is_empty();
            let soon = self.world.next_event().is_some_and(|at| at <= deadline);
            if !(busy || soon) || !self.world.step() {
                self.world.clock.set(deadline.max(self.now()));
            }
        }
    }

    /// The process dies, as by SIGKILL: operations on their way still reach the disk.
    pub fn kill(&self) {
        loop {
            let first = self.world.on_their_way.borrow_mut().pop_first();
            match first {
                Some((_, completion)) => completion(&self.world),
                None => break,
            }
        }
        self.world.end_tasks();
        self.world.disk.borrow_mut().forget_handles();
        self.world.trace(&[3]);
    }

    /// The machine loses its power and is started again: what was not flushed is kept in any part.
    pub fn power_cut(&self) {
        self.world.end_tasks();
        let mut prng = self.world.prng.borrow_mut();
        self.world.disk.borrow_mut().power_cut(&mut prng);
        drop(prng);
        self.world.trace(&[4]);
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // Tasks hold the world, and the world holds them.
        self.world.end_tasks();
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// Where an operation's result is left for its future.
pub(super) struct Slot<T> {
    result: RefCell<Option<T>>,
    waiter: RefCell<Option<Waker>>,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { result: RefCell::new(None), waiter: RefCell::new(None) })
    }

    pub(super) fn set(&self, value: T) {
        *self.result.borrow_mut() = Some(value);
        let waiter = self.waiter.borrow_mut().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<T> {
        match self.result.borrow_mut().take() {
            Some(value) => Poll::Ready(value),
            None => {
                *self.waiter.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
