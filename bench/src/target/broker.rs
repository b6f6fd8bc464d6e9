//! A broker that this program starts, and ends.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::Blame;
use crate::clock::pause;
use crate::sys::{self, Signal};
use crate::wire::ask::Asker;

/// How long a broker may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// How long it may take to end after being asked to.
const END_TIMEOUT: Duration = Duration::from_secs(20);
/// Lines of its log shown when it does not start.
const LOG_LINES: usize = 15;

/// Why a broker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The flags are wrong.
    #[error("{0}")]
    Flags(String),
    /// Something it needs is not there.
    #[error("{0}")]
    Missing(String),
    /// This machine refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// It ended, or did not serve in time.
    #[error("{name} {problem}; the end of {log}:\n{tail}")]
    Silent {
        /// Which.
        name: String,
        /// What it did.
        problem: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
}

impl Blame for StartError {
    fn flags(&self) -> bool {
        matches!(self, Self::Flags(_))
    }
}

/// A `StartError` for what this machine refused.
pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |source| StartError::System { what, source }
}

/// A running broker with its data; both go away with this value.
pub struct Broker {
    /// What reports call it.
    pub label: String,
    /// `host:port`.
    pub address: String,
    child: Child,
    command: Command,
    core: Option<usize>,
    directory: PathBuf,
    stopped: bool,
    keep: bool,
}

/// How to start one.
pub struct Start<'s> {
    /// What reports call it.
    pub label: String,
    /// The command, but for its output.
    pub command: Command,
    /// `127.0.0.1:port`.
    pub address: String,
    /// Its data and log; removed at the end.
    pub directory: &'s Path,
    /// Pinned to this core.
    pub core: Option<usize>,
}

/// A port that nothing listens on.
pub fn free_port() -> Result<u16, StartError> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    listener
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(system("no port is free"))
}

impl Broker {
    /// Starts it and waits until it serves.
    pub fn start(start: Start<'_>) -> Result<Self, StartError> {
        let Start { label, mut command, address, directory, core } = start;
        let log = directory.join("broker.log");
        let out =
            fs::File::create(&log).map_err(system(format!("cannot write {}", log.display())))?;
        let errors = out.try_clone().map_err(system("cannot share the log"))?;
        // In a group of its own: Ctrl-C on the terminal is for this program, which ends its brokers when it is done.
        command.stdin(Stdio::null()).stdout(out).stderr(errors).process_group(0);
        let child = spawn(&label, &mut command, core)?;
        let directory = directory.to_path_buf();
        let (stopped, keep) = (false, false);
        let mut broker = Self { label, address, child, command, core, directory, stopped, keep };
        broker.await_service(&log)?;
        Ok(broker)
    }

    /// Kills it without a chance to put anything in order, and starts it again over the same data; it may take a while
    /// until it serves.
    pub fn kill_and_start(&mut self) -> Result<(), StartError> {
        self.child.kill().map_err(system("cannot kill the broker"))?;
        self.child.wait().map_err(system("cannot wait for the broker's end"))?;
        let log = fs::File::options().append(true).open(self.directory.join("broker.log"));
        let log = log.map_err(system("cannot open the broker's log"))?;
        let errors = log.try_clone().map_err(system("cannot share the log"))?;
        self.command.stdout(log).stderr(errors);
        self.child = spawn(&self.label, &mut self.command, self.core)?;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a deadline while preparing, not a measurement")]
    fn await_service(&mut self, log: &Path) -> Result<(), StartError> {
        let deadline = Instant::now() + START_TIMEOUT;
        let problem = loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                break format!("ended at once ({status})");
            }
            let asked =
                Asker::connect(&self.address, Duration::from_secs(2)).and_then(|mut asker| {
                    asker.api_versions()?;
                    asker.metadata("millrace-bench-probe")
                });
            if asked.is_ok_and(|metadata| !metadata.nodes.is_empty()) {
                return Ok(());
            }
            if sys::interrupted() {
                break "was not waited for: interrupted".to_owned();
            }
            if Instant::now() > deadline {
                break format!("did not serve within {} s", START_TIMEOUT.as_secs());
            }
            pause(Duration::from_millis(100));
        };
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        // The log is the only clue: it stays.
        self.keep = true;
        Err(StartError::Silent { name: self.label.clone(), problem, log: log.into(), tail })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Holds the process still, so that it takes nothing from another one that is measured.
    pub fn hold(&mut self) -> io::Result<()> {
        self.stopped = true;
        sys::signal(self.pid(), Signal::Stop)
    }

    /// Lets it go on.
    pub fn go_on(&mut self) -> io::Result<()> {
        self.stopped = false;
        sys::signal(self.pid(), Signal::Continue)
    }
}

impl Drop for Broker {
    #[expect(clippy::disallowed_methods, reason = "a deadline while cleaning up")]
    fn drop(&mut self) {
        if self.stopped {
            self.go_on().ok();
        }
        sys::signal(self.pid(), Signal::Terminate).ok();
        let deadline = Instant::now() + END_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                self.child.kill().ok();
                self.child.wait().ok();
                break;
            }
            pause(Duration::from_millis(50));
        }
        if !self.keep {
            fs::remove_dir_all(&self.directory).ok();
        }
    }
}

/// Starts the process, pinned if wanted.
fn spawn(label: &str, command: &mut Command, core: Option<usize>) -> Result<Child, StartError> {
    // A child inherits the cores of the thread that starts it.
    let before = sys::cores().map_err(system("cannot read this process's cores"))?;
    if let Some(core) = core {
        sys::pin(core).map_err(system(format!("cannot pin {label} to core {core}")))?;
    }
    let child = command.spawn();
    sys::pin_to(&before).map_err(system("cannot unpin this process"))?;
    let program = command.get_program().to_string_lossy().into_owned();
    child.map_err(system(format!("cannot start {program}")))
}
