//! What is done beside the shards: every wait, and all I/O. A job owns its input, sees no shard's
//! state, and ends in an event.
//!
//! [`Jobs::accept`] is called in the order in which the shard asked; what must happen in that order
//! (lives of a directory, versions of a file) is queued up there. [`Jobs::run`] may be polled in any
//! order.

mod accept;
pub mod bounds;
pub mod checkpoints;
mod commit;
mod damages;
mod dirs;
mod examine;
mod files;
mod flush;
mod gate;
mod haste;
mod indexes;
pub mod journal_file;
mod log_state;
mod lru;
mod newest;
mod open;
mod read;
mod read_ahead;
mod read_log;
mod recover;
mod redo;
mod remove;
mod resync;
mod scrub;
mod seal;
mod search;
mod segment_reader;
mod segment_scan;
pub mod survey;
mod tail_check;
mod trust;
pub mod waypoints;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

pub use accept::Accepted;
use bounds::{OPENS_AT_ONCE, READS_AT_ONCE, WRITES_AT_ONCE};
use checkpoints::OffsetsWriters;
use damages::Damages;
use dirs::Dirs;
use files::Files;
use gate::Gate;
use haste::Haste;
use indexes::Indexes;
use read_ahead::ReadAhead;

use crate::io::Env;
use crate::shard::event::{DiskFailure, Event, Job};
use crate::types::{Offset, ShardId, TopicPartition};

/// What a shard's jobs are told once.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// Which shard they are for: names its journal files.
    pub shard: ShardId,
    /// The log directory.
    pub log_dir: Arc<Path>,
    /// Whether acknowledgements wait for the flush. Without it a power cut may leave holes, which
    /// recovery then has to accept.
    pub is_flushed: bool,
    /// Whether the last run stopped cleanly: its indexes and snapshots are believed.
    pub was_clean: bool,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// Offsets below which the last run had flushed everything, from the checkpoint.
    pub recovery_points: Arc<BTreeMap<TopicPartition, Offset>>,
    /// Most that indexes, and most that what is read ahead, may take. Bytes, each.
    pub cache_bytes: usize,
}

struct Inner<E: Env> {
    env: E,
    settings: JobSettings,
    dirs: Dirs,
    damages: Damages,
    examinations: Gate,
    files: Files<E>,
    indexes: Indexes,
    ahead: ReadAhead<E>,
    opens: Gate,
    reads: Gate,
    writes: Gate,
    offsets: OffsetsWriters,
    haste: Haste,
    forgetting: Gate,
    /// Whether waypoints of the last run were removed.
    has_forgotten: Cell<bool>,
    running: Cell<usize>,
}

/// The jobs of one shard. Clones are the same.
pub struct Jobs<E: Env>(Rc<Inner<E>>);

impl<E: Env> Clone for Jobs<E> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<E: Env> Jobs<E> {
    /// No job yet.
    #[must_use]
    pub fn new(env: E, settings: JobSettings) -> Self {
        Self(Rc::new(Inner {
            files: Files::new(env.clone()),
            ahead: ReadAhead::new(env.clone(), settings.cache_bytes),
            env,
            dirs: Dirs::default(),
            damages: Damages::default(),
            examinations: Gate::new(1),
            indexes: Indexes::new(settings.cache_bytes),
            settings,
            opens: Gate::new(OPENS_AT_ONCE),
            reads: Gate::new(READS_AT_ONCE),
            writes: Gate::new(WRITES_AT_ONCE),
            offsets: OffsetsWriters::default(),
            haste: Haste::default(),
            forgetting: Gate::new(1),
            has_forgotten: Cell::new(false),
            running: Cell::new(0),
        }))
    }

    fn env(&self) -> &E {
        &self.0.env
    }

    /// The log directory of the shard.
    #[must_use]
    pub fn log_dir(&self) -> &Path {
        &self.0.settings.log_dir
    }

    fn settings(&self) -> &JobSettings {
        &self.0.settings
    }

    /// Jobs that were accepted and have not ended, but for those that only wait to delete something.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.running.get()
    }

    /// The disk is full: what waits to be removed is removed now.
    pub fn hurry(&self) {
        self.0.haste.begin(self.env().now());
    }

    /// Somebody waits for the partition of this directory to be open: it is opened before others.
    pub fn hurry_open(&self, dir: &Arc<Path>) {
        self.0.opens.hurry(self.0.dirs.enter(dir).id);
    }

    /// Files that are kept open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.0.files.len()
    }

    /// Cold reads that found what they wanted read ahead.
    #[must_use]
    pub fn read_ahead_hits(&self) -> u64 {
        self.0.ahead.hits()
    }

    /// Ranges of damaged records that are known.
    #[must_use]
    pub fn damaged_ranges(&self) -> u64 {
        self.0.damages.count()
    }

    /// Does a job that was accepted now: see [`Jobs::run_accepted`].
    pub async fn run(&self, job: Job, emit: &dyn Fn(Event)) {
        self.run_accepted(self.accept(job), emit).await;
    }
}

/// What a job's failure to read, write or rename something is told as.
fn failure(action: &'static str, path: &Path, error: io::Error) -> DiskFailure {
    let is_full = is_full(&error);
    let path = path.display().to_string();
    DiskFailure { action, path, reason: error.to_string(), is_full, is_damage: false }
}

/// Whether there was no room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What stands on the disk cannot be right.
fn damage(action: &'static str, path: &Path, reason: impl Into<String>) -> DiskFailure {
    let path = path.display().to_string();
    DiskFailure { action, path, reason: reason.into(), is_full: false, is_damage: true }
}

/// Whether direct I/O is to be had.
#[derive(Debug, Clone, Copy)]
pub struct DirectIo;

impl DirectIo {
    /// Whether an opening failed because the file system has no direct I/O.
    #[must_use]
    pub fn is_unsupported(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Unsupported
    }
}

/// A file that may be missing: none if it is.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A table behind a shared reference.
type Shared<T> = Rc<RefCell<T>>;
