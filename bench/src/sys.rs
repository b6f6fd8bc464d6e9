//! The operating system calls the standard library does not offer: epoll, core pinning, CPU time, signals.
//!
//! This is the only file of the crate that holds `unsafe`; what it exports is safe to call.
#![expect(
    unsafe_code,
    reason = "epoll, affinity, rusage and signals have no safe interface in std"
)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a watched socket is ready for.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The token given when the socket was added.
    pub token: u64,
    /// Bytes, end of stream or an error can be read; otherwise there is room to write.
    pub readable: bool,
}

/// An epoll set, level-triggered.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// A set that reports up to `capacity` sockets per wait.
    pub fn new(capacity: usize) -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is checked before use.
        let raw = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `raw` was just returned by the kernel and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity.max(1)] })
    }

    /// Watches `socket` for reading, and for writing if `write` is set.
    pub fn add(&self, socket: &impl AsRawFd, token: u64, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), token, write)
    }

    /// Changes whether `socket` is watched for writing.
    pub fn change(&self, socket: &impl AsRawFd, token: u64, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket.as_raw_fd(), token, write)
    }

    fn control(&self, operation: i32, fd: RawFd, token: u64, write: bool) -> io::Result<()> {
        let interest = if write { libc::EPOLLIN | libc::EPOLLOUT } else { libc::EPOLLIN };
        let mut event = libc::epoll_event { events: interest as u32, u64: token };
        // SAFETY: `event` lives for the call, which copies it; both descriptors are open.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits at most `timeout_ns` (zero: only looks) and appends what is ready to `ready`.
    /// A signal ends the wait early with nothing ready.
    pub fn wait(&mut self, timeout_ns: u64, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = libc::timespec {
            tv_sec: (timeout_ns / 1_000_000_000) as i64,
            tv_nsec: (timeout_ns % 1_000_000_000) as i64,
        };
        let room = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        // SAFETY: `events` holds `room` entries and `timeout` lives for the call; no signal mask is given.
        let count = check(unsafe {
            libc::epoll_pwait2(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                room,
                &raw const timeout,
                std::ptr::null(),
            )
        });
        let count = match count {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        for event in self.events.iter().take(count) {
            let bits = event.events as i32;
            ready.push(Ready {
                token: event.u64,
                readable: bits & (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR) != 0,
            });
        }
        Ok(())
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Pins the calling thread to one core.
pub fn pin(core: usize) -> io::Result<()> {
    if core >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::other(format!("there is no core {core}")));
    }
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `core` was checked to be inside the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    pin_to(&Cores(set))
}

/// A set of cores.
pub struct Cores(libc::cpu_set_t);

/// The cores that the calling thread may run on.
pub fn cores() -> io::Result<Cores> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` lives for the call and its size is given.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    Ok(Cores(set))
}

/// Lets the calling thread run on `cores` only.
pub fn pin_to(cores: &Cores) -> io::Result<()> {
    // SAFETY: the set lives for the call and its size is given.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const cores.0) })?;
    Ok(())
}

/// Writes everything in the page cache to the disks, and waits for it.
pub fn sync_disks() {
    // SAFETY: takes nothing and always succeeds.
    unsafe { libc::sync() };
}

/// Lets the calling thread's timers fire as exactly as the kernel can (the default slack is 50 µs).
pub fn exact_timers() -> io::Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) })?;
    Ok(())
}

/// What this process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time, microseconds.
    pub cpu_us: u64,
    /// Voluntary and involuntary context switches.
    pub switches: u64,
    /// Highest resident size, bytes.
    pub rss_max_bytes: u64,
}

/// CPU time, context switches and peak memory of this process.
pub fn usage() -> io::Result<Usage> {
    usage_of(libc::RUSAGE_SELF)
}

/// The same of the processes that this one started and waited for, together.
pub fn usage_of_children() -> io::Result<Usage> {
    usage_of(libc::RUSAGE_CHILDREN)
}

fn usage_of(who: i32) -> io::Result<Usage> {
    // SAFETY: an all-zero rusage is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` lives for the call.
    check(unsafe { libc::getrusage(who, &raw mut usage) })?;
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Ok(Usage {
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
        switches: (usage.ru_nvcsw + usage.ru_nivcsw) as u64,
        rss_max_bytes: usage.ru_maxrss as u64 * 1024,
    })
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_interrupt(_signal: i32) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT and SIGTERM end the run in order; a second one kills at once.
pub fn catch_interrupt() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: an all-zero sigaction is a valid value to fill in.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_interrupt as *const () as usize;
        action.sa_flags = libc::SA_RESETHAND;
        // SAFETY: the handler only stores to an atomic, which is allowed in a signal handler.
        check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Whether SIGINT or SIGTERM has arrived.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// What a process can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// To end.
    Terminate,
    /// To hold still.
    Stop,
    /// To go on.
    Continue,
}

/// Tells process `pid` something.
pub fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Stop => libc::SIGSTOP,
        Signal::Continue => libc::SIGCONT,
    };
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: takes no pointers.
    check(unsafe { libc::kill(pid, number) })?;
    Ok(())
}
