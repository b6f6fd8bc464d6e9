//! Shards as pinned threads: one glommio executor each, with one ring on it, and [`RingEnv`], the
//! production side of [`Env`].

use std::future::Future;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};

use super::ring::blocking::Blocking;
use super::ring::disk::Disk;
use super::ring::pump::{ShardTask, pump, watch_eventfd};
use super::ring::{Ring, RingFile, RingOptions, RingWaker, sys};
use super::timers::Sleep;
use super::{DirEntry, Env, OpenMode, Wake};
use crate::memory::Pool;
use crate::types::{Nanos, ShardId, TimestampMs};

/// The oldest kernel whose rings do what is needed here (DEFER_TASKRUN).
const KERNEL_MIN: (u32, u32) = (6, 1);
/// What glommio's own rings need to lock (its `MIN_MEMLOCK_LIMIT`).
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;
/// glommio's timer that takes a task queue off the core; there is only one queue here.
const PREEMPT_TIMER: Duration = Duration::from_secs(3600);
/// glommio's rings are not used for input and output.
const GLOMMIO_RING_DEPTH: usize = 8;
const GLOMMIO_MEMORY_BYTES: usize = 64 * 1024;
/// The exit code after a panic, as of a Rust program whose main thread panics.
const EXIT_PANIC: i32 = 101;

/// Monotonic time since the first call in this process; the same on all shards.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock behind Env")]
pub fn monotonic() -> Nanos {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    Nanos(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Why the machine cannot run shards, or a shard could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel is older than 6.1.
    #[error(
        "this kernel is {found}, and at least 6.1 is needed for its io_uring; update the kernel"
    )]
    KernelTooOld {
        /// `/proc/sys/kernel/osrelease`.
        found: String,
    },
    /// An administrator has switched io_uring off.
    #[error(
        "io_uring is switched off on this machine (kernel.io_uring_disabled is {value}); \
         switch it on with: sysctl kernel.io_uring_disabled=0"
    )]
    Disabled {
        /// 1 (for most users) or 2 (for all).
        value: String,
    },
    /// Rings cannot be made although they are not switched off.
    #[error(
        "io_uring is forbidden to this process, probably by a container's seccomp profile; \
         allow it (docker run --security-opt seccomp=unconfined, or a profile with io_uring_setup)"
    )]
    Forbidden,
    /// RLIMIT_MEMLOCK is too low.
    #[error(
        "at most {found} bytes of memory may be locked, and at least {needed} are needed; \
         raise the limit with: ulimit -l 8192 (systemd: LimitMEMLOCK=8M)"
    )]
    Memlock {
        /// The limit. Bytes.
        found: u64,
        /// What is needed. Bytes.
        needed: u64,
    },
    /// A shard cannot run on its core.
    #[error(
        "shard {shard} could not start on core {core:?}: {reason}; choose cores of this machine"
    )]
    Core {
        /// The shard.
        shard: ShardId,
        /// The core it was to be pinned to.
        core: Option<usize>,
        /// What the executor said.
        reason: String,
    },
    /// Anything else that the system refused.
    #[error("shard {shard} could not start: {source}")]
    System {
        /// The shard.
        shard: ShardId,
        /// What the system said.
        source: io::Error,
    },
}

/// Finds out whether this machine can run shards, before anything is started.
///
/// # Errors
/// With what to do about it.
pub fn check_machine() -> Result<(), StartError> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if kernel_version(release).is_some_and(|version| version < KERNEL_MIN) {
        return Err(StartError::KernelTooOld { found: release.to_owned() });
    }
    let memlock =
        sys::memlock_bytes_max().map_err(|source| StartError::System { shard: 0, source })?;
    if let Some(found) = memlock.filter(|&found| found < MEMLOCK_BYTES_MIN) {
        return Err(StartError::Memlock { found, needed: MEMLOCK_BYTES_MIN });
    }
    let options = RingOptions { entries: 8, receive_buffers: 1, receive_buffer_bytes: 4096 };
    let made = RingWaker::new().and_then(|waker| Ring::new(options, Arc::new(waker)));
    made.map(drop).map_err(|source| refusal(0, source))
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn refusal(shard: ShardId, source: io::Error) -> StartError {
    if source.kind() != io::ErrorKind::PermissionDenied
        && source.raw_os_error() != Some(libc::ENOSYS)
    {
        return StartError::System { shard, source };
    }
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    match setting.as_deref().map(str::trim) {
        Ok(value @ ("1" | "2")) => StartError::Disabled { value: value.to_owned() },
        _ => StartError::Forbidden,
    }
}

/// Ends the process, whatever happens to its last words.
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        std::process::exit(EXIT_PANIC)
    }
}

/// Ends the process after a task has panicked (the panic's own message has been written).
pub(crate) fn exit_after_panic() -> ! {
    let exit = Exit;
    let thread = thread::current();
    let name = thread.name().unwrap_or("a thread");
    let words = "a task panicked; the broker stops, as its shard cannot go on";
    tracing::error!(shard = name, "{words}");
    // Nobody may be listening any more.
    writeln!(io::stderr(), "{name}: {words}").ok();
    drop(exit);
    unreachable!("the process has ended")
}

/// How one shard is started.
#[derive(Debug, Clone)]
pub struct ShardSpec {
    /// Which shard.
    pub shard: ShardId,
    /// The core to pin it to; `None` leaves that to the kernel.
    pub core: Option<usize>,
    /// Its ring.
    pub ring: RingOptions,
    /// Spare memory that the shard's pool keeps for reuse. Bytes.
    pub pool_bytes_max: usize,
    /// Memory that the pool takes and touches at the start. Bytes, at most `pool_bytes_max`.
    pub touch_bytes: usize,
    waker: Arc<RingWaker>,
}

impl ShardSpec {
    /// With usual values. The shard's waker exists from here on, so that lanes to it can be made
    /// before any shard starts.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new(shard: ShardId, core: Option<usize>) -> io::Result<Self> {
        Ok(Self {
            shard,
            core,
            ring: RingOptions::default(),
            pool_bytes_max: 64 << 20,
            touch_bytes: 0,
            waker: Arc::new(RingWaker::new()?),
        })
    }

    /// Wakes this shard from any thread.
    #[must_use]
    pub fn waker(&self) -> Arc<RingWaker> {
        Arc::clone(&self.waker)
    }
}

/// Running shards.
#[derive(Debug)]
pub struct Runtime {
    threads: Vec<JoinHandle<()>>,
}

impl Runtime {
    /// Starts a thread for each shard and runs its main task on it; a shard ends when its main task
    /// does. Returns when all have started. A panic in any task ends the process.
    ///
    /// # Errors
    /// The first shard that could not start; those that had started are still running their main
    /// tasks, so the caller should end the process.
    pub fn start<M, F>(shards: Vec<(ShardSpec, M)>) -> Result<Self, StartError>
    where
        M: FnOnce(RingEnv) -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        check_machine()?;
        let mut threads = Vec::with_capacity(shards.len());
        for (spec, main) in shards {
            let (started, report) = mpsc::channel();
            let shard = spec.shard;
            let thread = thread::Builder::new()
                .name(format!("shard-{shard}"))
                .spawn(move || run_shard(&spec, main, &started))
                .map_err(|source| StartError::System { shard, source })?;
            match report.recv() {
                Ok(result) => result?,
                Err(_) => {
                    let source = io::Error::other("its thread ended at once");
                    return Err(StartError::System { shard, source });
                }
            }
            threads.push(thread);
        }
        Ok(Self { threads })
    }

    /// Waits until every shard's main task has ended.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                exit_after_panic();
            }
        }
    }
}

fn executor(spec: &ShardSpec) -> Result<LocalExecutor, StartError> {
    let placement = spec.core.map_or(Placement::Unbound, Placement::Fixed);
    let made = LocalExecutorBuilder::new(placement)
        .io_memory(GLOMMIO_MEMORY_BYTES)
        .ring_depth(GLOMMIO_RING_DEPTH)
        .preempt_timer(PREEMPT_TIMER)
        .make();
    made.map_err(|error| match error {
        GlommioError::IoError(source) => refusal(spec.shard, source),
        other => StartError::Core { shard: spec.shard, core: spec.core, reason: other.to_string() },
    })
}

fn run_shard<M, F>(spec: &ShardSpec, main: M, started: &Sender<Result<(), StartError>>)
where
    M: FnOnce(RingEnv) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let executor = match executor(spec) {
        Ok(executor) => executor,
        Err(error) => {
            drop(started.send(Err(error)));
            return;
        }
    };
    let env = match RingEnv::new(spec) {
        Ok(env) => env,
        Err(source) => {
            drop(started.send(Err(refusal(spec.shard, source))));
            return;
        }
    };
    drop(started.send(Ok(())));
    // Tasks catch their own panics; this is for the pump, and for what glommio itself may do.
    let run = catch_unwind(AssertUnwindSafe(|| {
        executor.run(async move {
            let ring = env.ring().clone();
            spawn(watch_eventfd(ring.clone()));
            spawn(pump(ring.clone()));
            ShardTask::new(ring.clone(), async move { main(env).await }).await;
            if let Err(error) = ring.stop() {
                tracing::error!(%error, "a shard's ring did not end well");
            }
        });
    }));
    if run.is_err() {
        exit_after_panic();
    }
}

/// Queues a task; unlike glommio's `spawn_local` it never runs within the call.
fn spawn(task: impl Future<Output = ()> + 'static) {
    let queue = glommio::executor().current_task_queue();
    match glommio::spawn_local_into(task, queue) {
        Ok(task) => drop(task.detach()),
        Err(error) => unreachable!("the queue that runs now exists: {error}"),
    }
}

struct World {
    shard: ShardId,
    ring: Ring,
    pool: Arc<Pool>,
    disk: Disk,
}

/// The world as a shard's thread sees it. Cheap to clone.
#[derive(Clone)]
pub struct RingEnv(Rc<World>);

impl RingEnv {
    fn new(spec: &ShardSpec) -> io::Result<Self> {
        let ring = Ring::new(spec.ring, spec.waker())?;
        let pool = Pool::new(spec.pool_bytes_max);
        touch(&pool, spec.touch_bytes.min(spec.pool_bytes_max));
        let blocking = Rc::new(Blocking::new(ring.clone()));
        let disk = Disk::new(ring.clone(), Arc::clone(&pool), blocking);
        Ok(Self(Rc::new(World { shard: spec.shard, ring, pool, disk })))
    }

    /// Which shard this is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.0.shard
    }

    /// The shard's ring, for sockets.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.0.ring
    }
}

/// Makes the pool own memory that the machine has really given. On a virtual machine the first touch
/// of a page is many times dearer than all later ones.
fn touch(pool: &Arc<Pool>, bytes: usize) {
    let chunk_count = bytes / crate::limits::CHUNK_BYTES;
    let chunks: Vec<_> = (0..chunk_count)
        .map(|_| {
            let mut chunk = pool.chunk();
            chunk.append(&[0; crate::limits::CHUNK_BYTES]);
            chunk
        })
        .collect();
    drop(chunks);
}

impl Env for RingEnv {
    type File = RingFile;

    fn now(&self) -> Nanos {
        monotonic()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock behind Env")]
    fn wall_ms(&self) -> TimestampMs {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        TimestampMs::try_from(since.as_millis()).unwrap_or(TimestampMs::MAX)
    }

    fn random(&self) -> u64 {
        sys::random()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        spawn(ShardTask::new(self.0.ring.clone(), task));
    }

    async fn sleep_until(&self, deadline: Nanos) {
        Sleep::new(self.0.ring.clone(), deadline).await;
    }

    fn pool(&self) -> &Arc<Pool> {
        &self.0.pool
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(self.0.ring.waker()) as Arc<dyn Wake>
    }

    fn notify(&self) {
        self.0.ring.notify().notify();
    }

    async fn notified(&self) {
        self.0.ring.notify().notified().await;
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<RingFile> {
        self.0.disk.open(path, mode).await
    }

    async fn read_small(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.0.disk.read_small(path, bytes_max).await
    }

    async fn write_small(&self, path: &Path, bytes: Bytes) -> io::Result<()> {
        self.0.disk.write_small(path, bytes).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.disk.create_dir(path).await
    }

    async fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.disk.list_dir(path).await
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.disk.remove_file(path).await
    }

    async fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.disk.remove_dir(path).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.disk.rename(from, to).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.disk.sync_dir(path).await
    }
}

impl std::fmt::Debug for RingEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RingEnv").field("shard", &self.0.shard).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_compared_as_numbers() {
        for (text, version) in [
            ("6.18.44-fc", Some((6, 18))),
            ("5.10.0", Some((5, 10))),
            ("6.1-rc2", Some((6, 1))),
            ("", None),
        ] {
            assert_eq!(kernel_version(text), version, "{text}");
        }
        assert!((5, 19) < KERNEL_MIN);
        assert!((6, 1) >= KERNEL_MIN);
    }

    #[test]
    fn this_machine_can_run_shards() {
        check_machine().unwrap();
    }
}
