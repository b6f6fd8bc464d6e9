//! The ring: its two queues and the table of operations that the kernel has not finished.

#![expect(unsafe_code, reason = "queueing an operation hands memory to the kernel")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, opcode, squeue};

use super::buffers::Buffers;
use super::op::{Op, Payload};
use super::wake::RingWaker;
use crate::io::notify::Notify;
use crate::io::runtime::monotonic;
use crate::io::timers::{Clock, Timers};
use crate::types::Nanos;

/// The name of operations whose completion nobody waits for.
const UNNAMED: u64 = u64::MAX;
/// In the name of operations that may wait when others have ended.
const PATIENT: u64 = 1 << 32;
/// Completions are taken from the queue in portions of this many.
const REAP_BATCH: usize = 256;
/// Of operations that may wait so many end between two visits to the kernel, and so many while the kernel
/// has more to tell, which may be of others.
const PATIENT_BATCH: usize = 32;
/// See [`PATIENT_BATCH`].
const PATIENT_LEAST: usize = 4;

/// How a ring is made.
#[derive(Debug, Clone, Copy)]
pub struct RingOptions {
    /// Operations that can be queued before a system call must be made.
    pub entries: u32,
    /// Receive buffers that all streams of the shard share; a power of two.
    pub receive_buffers: u16,
    /// Bytes in one receive buffer.
    pub receive_buffer_bytes: u32,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { entries: 256, receive_buffers: 64, receive_buffer_bytes: 64 * 1024 }
    }
}

/// What a ring has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingStats {
    /// System calls made.
    pub enters: u64,
    /// Of them, how many found nothing to do and waited.
    pub sleeps: u64,
    /// Operations that have ended.
    pub completions: u64,
    /// Times another thread's signal was taken up.
    pub signals: u64,
    /// Receive buffers that now hold data nobody has taken.
    pub receive_buffers_held: u16,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    /// The system call's result, or a negated error number.
    pub result: i32,
    /// Flags of the completion queue entry.
    pub flags: u32,
}

impl Completion {
    /// The result as a count, or the error.
    pub(super) fn count(self) -> io::Result<usize> {
        usize::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(-self.result))
    }

    /// Whether the operation should simply be made again.
    pub(super) fn is_retry(self) -> bool {
        self.result == -libc::EINTR || self.result == -libc::EAGAIN
    }
}

/// The row of the table that an operation's name is of.
fn row(name: u64) -> u32 {
    u32::try_from(name & !PATIENT).expect("a row and a mark make a name")
}

/// What becomes of a completion whose future is gone.
type Orphan = Box<dyn FnOnce(Completion, &Ring)>;

/// One row of the table of operations.
enum Slot {
    Free,
    /// The kernel is at work and a future waits.
    InFlight(Option<Waker>),
    /// The kernel is at work; the future is gone and has left its memory here.
    Orphaned(Orphan),
    /// Finished, not yet seen by the future.
    Done(Completion),
}

/// How long to wait for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    AtMost(Duration),
    Endless,
}

struct State {
    uring: IoUring,
    slots: Vec<Slot>,
    free: Vec<u32>,
    in_flight: usize,
    /// Operations for which the submission queue had no room.
    backlog: VecDeque<squeue::Entry>,
    reaped: Vec<(u64, Completion)>,
    /// Those of patient operations that have not had their turn.
    patient: VecDeque<(u32, Completion)>,
    stats: RingStats,
}

struct Inner {
    // Declared before the buffers: the ring is closed before their memory is freed.
    state: RefCell<State>,
    buffers: Buffers,
    timers: Timers,
    waker: Arc<RingWaker>,
    notify: Notify,
    /// Polls of tasks other than the pump, so that the pump knows whether anything ran.
    polls: Cell<u64>,
    stopping: Cell<bool>,
    can_truncate: bool,
}

/// A shard's ring. Cheap to clone; lives on the thread that made it.
#[derive(Clone)]
pub struct Ring(Rc<Inner>);

impl Ring {
    /// Makes the calling thread's ring. `waker` is how other threads reach it.
    ///
    /// # Errors
    /// What `io_uring_setup` or the registration of the receive buffers gave.
    pub fn new(options: RingOptions, waker: Arc<RingWaker>) -> io::Result<Self> {
        let uring = Self::build(options.entries)?;
        let mut probe = Probe::new();
        uring.submitter().register_probe(&mut probe)?;
        let can_truncate = probe.is_supported(opcode::Ftruncate::CODE);
        let buffers = Buffers::new(&uring, options.receive_buffers, options.receive_buffer_bytes)?;
        Ok(Self(Rc::new(Inner {
            state: RefCell::new(State {
                uring,
                slots: Vec::new(),
                free: Vec::new(),
                in_flight: 0,
                backlog: VecDeque::new(),
                reaped: Vec::with_capacity(REAP_BATCH),
                patient: VecDeque::new(),
                stats: RingStats::default(),
            }),
            buffers,
            timers: Timers::new(),
            waker,
            notify: Notify::new(),
            polls: Cell::new(0),
            stopping: Cell::new(false),
            can_truncate,
        })))
    }

    /// Completions are worked off only when this thread asks for them (DEFER_TASKRUN, kernel 6.1), or
    /// at least without interrupting it (COOP_TASKRUN, 5.19). TASKRUN_FLAG tells in shared memory
    /// whether there are any, which saves the system call when there are none.
    fn build(entries: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_cqsize(entries * 4).setup_submit_all().setup_taskrun_flag();
        let mut deferred = builder.clone();
        deferred.setup_single_issuer().setup_defer_taskrun();
        match deferred.build(entries) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                builder.setup_coop_taskrun().build(entries)
            }
            built => built,
        }
    }

    /// The receive buffers.
    pub(super) fn buffers(&self) -> &Buffers {
        &self.0.buffers
    }

    /// How other threads wake this shard.
    #[must_use]
    pub fn waker(&self) -> &Arc<RingWaker> {
        &self.0.waker
    }

    /// What the shard's driver waits for.
    #[must_use]
    pub fn notify(&self) -> &Notify {
        &self.0.notify
    }

    /// What the ring has done so far.
    #[must_use]
    pub fn stats(&self) -> RingStats {
        let stats = self.0.state.borrow().stats;
        RingStats { receive_buffers_held: self.0.buffers.held(), ..stats }
    }

    /// Operations that the kernel has not finished.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.state.borrow().in_flight
    }

    /// Whether the kernel has `ftruncate` as a ring operation (6.9).
    pub(super) fn can_truncate(&self) -> bool {
        self.0.can_truncate
    }

    /// Counts one poll of a task.
    pub(crate) fn count_poll(&self) {
        self.0.polls.set(self.0.polls.get().wrapping_add(1));
    }

    pub(super) fn polls(&self) -> u64 {
        self.0.polls.get()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.0.stopping.get()
    }

    pub(super) fn count_signal(&self) {
        self.0.state.borrow_mut().stats.signals += 1;
    }

    /// Queues an operation.
    ///
    /// # Safety
    /// Every address in `entry` must point to memory that `payload` owns *behind a pointer* (it stays
    /// where it is when the payload is moved) and that nobody else uses in a conflicting way until
    /// the payload is dropped.
    pub(super) unsafe fn start<P: Payload>(&self, entry: squeue::Entry, payload: P) -> Op<P> {
        // SAFETY: the same contract.
        unsafe { self.start_named(entry, payload, 0) }
    }

    /// The same for an operation whose end may wait when many end at once: of such ones no more than
    /// [`PATIENT_BATCH`] keep the others from theirs.
    ///
    /// # Safety
    /// As [`Ring::start`].
    pub(super) unsafe fn start_patient<P: Payload>(
        &self,
        entry: squeue::Entry,
        payload: P,
    ) -> Op<P> {
        // SAFETY: the same contract.
        unsafe { self.start_named(entry, payload, PATIENT) }
    }

    /// # Safety
    /// As [`Ring::start`].
    unsafe fn start_named<P: Payload>(&self, entry: squeue::Entry, payload: P, mark: u64) -> Op<P> {
        let name = {
            let mut state = self.0.state.borrow_mut();
            let index = state.take_slot(Slot::InFlight(None));
            let name = u64::from(index) | mark;
            // On a stopped ring nothing ever ends: tasks that retry would spin otherwise.
            if !self.0.stopping.get() {
                state.in_flight += 1;
                state.queue(entry.user_data(name));
            }
            name
        };
        Op::new(self.clone(), name, payload)
    }

    /// Asks the kernel to give up on an operation; its completion comes all the same.
    pub(super) fn cancel(&self, name: u64) {
        let mut state = self.0.state.borrow_mut();
        if matches!(state.slot(row(name)), Slot::InFlight(_) | Slot::Orphaned(_)) {
            let entry = opcode::AsyncCancel::new(name).build();
            state.queue(entry.user_data(UNNAMED));
        }
    }

    /// Closes a descriptor. `in_background` is for large files, whose last close can take long (the blocks
    /// of a removed file are freed then).
    pub(super) fn close(&self, fd: RawFd, in_background: bool) {
        if self.0.stopping.get() {
            super::sys::close(fd);
            return;
        }
        let mut entry = opcode::Close::new(Fd(fd)).build().user_data(UNNAMED);
        if in_background {
            entry = entry.flags(squeue::Flags::ASYNC);
        }
        self.0.state.borrow_mut().queue(entry);
    }

    /// Looks whether an operation is done; if so its row is free again.
    pub(super) fn poll_slot(&self, name: u64, cx: &Context<'_>) -> Poll<Completion> {
        let index = row(name);
        let mut state = self.0.state.borrow_mut();
        let slot = state.slot(index);
        match slot {
            Slot::Done(completion) => {
                let completion = *completion;
                state.free_slot(index);
                Poll::Ready(completion)
            }
            Slot::InFlight(waker) => {
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    let stale = waker.replace(cx.waker().clone());
                    // Dropping the last waker of a task may drop its futures, which come back here.
                    drop(state);
                    drop(stale);
                }
                Poll::Pending
            }
            Slot::Free | Slot::Orphaned(_) => unreachable!("a future owns its row until it ends"),
        }
    }

    /// A future goes before its operation has ended: the table takes over the memory, or, if there is
    /// a result already, gives it back.
    pub(super) fn abandon<P: Payload>(&self, name: u64, payload: P) {
        let index = row(name);
        let done = {
            let mut state = self.0.state.borrow_mut();
            match std::mem::replace(state.slot(index), Slot::Free) {
                Slot::Done(completion) => {
                    state.free_slot(index);
                    Some((completion, payload))
                }
                Slot::InFlight(waker) => {
                    *state.slot(index) =
                        Slot::Orphaned(Box::new(move |done, ring| payload.discard(done, ring)));
                    drop(state);
                    drop(waker);
                    None
                }
                Slot::Free | Slot::Orphaned(_) => {
                    unreachable!("a future owns its row until it ends")
                }
            }
        };
        if let Some((completion, payload)) = done {
            payload.discard(completion, self);
        }
    }

    /// Whether a system call now would have something to do.
    pub(super) fn has_work(&self) -> bool {
        let mut state = self.0.state.borrow_mut();
        if !state.backlog.is_empty() {
            return true;
        }
        let queue = state.uring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Submits everything queued, lets the kernel post completions and waits for one if told so.
    ///
    /// # Errors
    /// What `io_uring_enter` gave beyond interruptions and fullness, which are no errors here: the
    /// ring is broken.
    pub(super) fn enter(&self, patience: Patience) -> io::Result<()> {
        let mut state = self.0.state.borrow_mut();
        state.move_backlog();
        state.stats.enters += 1;
        let submitter = state.uring.submitter();
        let entered = match patience {
            Patience::None => submitter.submit(),
            Patience::Endless => submitter.submit_and_wait(1),
            Patience::AtMost(duration) => {
                let time = Timespec::from(duration);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&time))
            }
        };
        if patience != Patience::None {
            state.stats.sleeps += 1;
        }
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Interrupted; waited long enough; completions must be taken first; no memory for now.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Takes what has completed and wakes who waits for it: of what is patient a part.
    pub(super) fn reap(&self) {
        loop {
            let mut reaped = self.0.state.borrow_mut().take_completions();
            let count = reaped.len();
            for (name, completion) in reaped.drain(..) {
                match name {
                    UNNAMED => {}
                    name if name & PATIENT == 0 => self.finish(row(name), completion),
                    name => {
                        self.0.state.borrow_mut().patient.push_back((row(name), completion));
                    }
                }
            }
            let mut state = self.0.state.borrow_mut();
            state.reaped = reaped;
            state.stats.completions += count as u64;
            if count < REAP_BATCH {
                break;
            }
        }
        let most = match self.0.state.borrow_mut().uring.submission().taskrun() {
            _ if self.is_stopping() => usize::MAX,
            true => PATIENT_LEAST,
            false => PATIENT_BATCH,
        };
        for _ in 0..most {
            let next = self.0.state.borrow_mut().patient.pop_front();
            let Some((index, completion)) = next else { return };
            self.finish(index, completion);
        }
    }

    /// Whether something has completed that nobody was woken for yet.
    pub(super) fn has_patient(&self) -> bool {
        !self.0.state.borrow().patient.is_empty()
    }

    fn finish(&self, index: u32, completion: Completion) {
        self.0.buffers.note(completion.flags);
        let ended = {
            let mut state = self.0.state.borrow_mut();
            state.in_flight -= 1;
            std::mem::replace(state.slot(index), Slot::Done(completion))
        };
        // Outside of the borrow: a waker or a dropped payload may come back to the ring.
        match ended {
            Slot::InFlight(Some(waker)) => {
                if !self.0.stopping.get() {
                    waker.wake();
                }
            }
            Slot::InFlight(None) => {}
            Slot::Orphaned(orphan) => {
                self.0.state.borrow_mut().free_slot(index);
                orphan(completion, self);
            }
            Slot::Free | Slot::Done(_) => unreachable!("one completion for each operation"),
        }
    }

    /// Ends the ring: nothing new is taken, everything in flight is cancelled and awaited, so that
    /// the kernel holds no memory of this thread when this returns.
    ///
    /// # Errors
    /// The ring is broken.
    pub(crate) fn stop(&self) -> io::Result<()> {
        self.0.stopping.set(true);
        {
            let mut state = self.0.state.borrow_mut();
            let all = opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
            state.queue(all.user_data(UNNAMED));
        }
        while self.in_flight() > 0 {
            self.enter(Patience::AtMost(Duration::from_millis(100)))?;
            self.reap();
        }
        // Tasks and the ring hold each other through these.
        self.0.timers.clear();
        Ok(())
    }
}

impl Clock for Ring {
    fn now(&self) -> Nanos {
        monotonic()
    }

    fn timers(&self) -> &Timers {
        &self.0.timers
    }
}

impl State {
    fn take_slot(&mut self, slot: Slot) -> u32 {
        match self.free.pop() {
            Some(index) => {
                *self.slot(index) = slot;
                index
            }
            None => {
                let index = u32::try_from(self.slots.len()).expect("fewer operations than 2^32");
                self.slots.push(slot);
                index
            }
        }
    }

    fn slot(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }

    fn free_slot(&mut self, index: u32) {
        *self.slot(index) = Slot::Free;
        self.free.push(index);
    }

    fn queue(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() && self.push(&entry) {
            return;
        }
        // Full: make room. What cannot be submitted now waits for the pump.
        self.stats.enters += 1;
        let room = self.uring.submit().is_ok();
        if !(room && self.backlog.is_empty() && self.push(&entry)) {
            self.backlog.push_back(entry);
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> bool {
        let mut queue = self.uring.submission();
        // SAFETY: `Ring::start`'s contract: the memory stays until the completion has been reaped, as
        // payloads leave the table only then. Entries without a payload hold no address.
        unsafe { queue.push(entry) }.is_ok()
    }

    fn move_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    fn take_completions(&mut self) -> Vec<(u64, Completion)> {
        let mut reaped = std::mem::take(&mut self.reaped);
        for entry in self.uring.completion().take(REAP_BATCH) {
            let completion = Completion { result: entry.result(), flags: entry.flags() };
            reaped.push((entry.user_data(), completion));
        }
        reaped
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}
