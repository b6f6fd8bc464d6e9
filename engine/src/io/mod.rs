//! The seam to the world: files, clock, chance and tasks, behind one trait with two backends.
//!
//! [`Env`] is everything that is not deterministic. [`ring`] and [`runtime`] implement it with an
//! io_uring ring on a glommio executor, [`sim`] with a seeded world in one thread. Types that can do
//! I/O carry an `Env` parameter; types without it cannot.

pub mod lane;
pub mod notify;
#[cfg(test)]
mod parity;
pub mod ring;
pub mod runtime;
pub mod sim;
pub mod timers;
pub mod together;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::memory::{Piece, Pool};
use crate::types::{Nanos, TimestampMs};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Direct I/O for reading and writing; must exist.
    ReadWrite,
    /// Direct I/O for reading and writing; must not exist. The directory is *not* flushed.
    CreateNew,
    /// Direct I/O for reading only; must exist.
    ReadOnly,
}

/// The world as one shard sees it. Cheap to clone; lives on one thread.
pub trait Env: Clone + 'static {
    /// An open file.
    type File: File;

    /// Monotonic time.
    fn now(&self) -> Nanos;
    /// Wall-clock time in milliseconds since the Unix epoch.
    fn wall_ms(&self) -> TimestampMs;
    /// 64 random bits.
    fn random(&self) -> u64;
    /// Runs a task on this shard's thread.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);
    /// Waits until `deadline`.
    fn sleep_until(&self, deadline: Nanos) -> impl Future<Output = ()>;
    /// The shard's memory.
    fn pool(&self) -> &Arc<Pool>;
    /// Wakes this shard from any thread: makes [`Env::notified`] end.
    fn waker(&self) -> Arc<dyn Wake>;
    /// The same from the shard's own thread, without a system call.
    fn notify(&self);
    /// Ends at the next [`Env::notify`] or wake, or at once if there was one since the last wait.
    /// One waiter: the shard's driver, which looks at its inbox and lanes *after* this.
    fn notified(&self) -> impl Future<Output = ()>;

    /// Opens a file for direct I/O.
    fn open(&self, path: &Path, mode: OpenMode) -> impl Future<Output = io::Result<Self::File>>;
    /// Reads a small file whole (checkpoints, snapshots, indexes). `NotFound` if there is none.
    /// `InvalidData` if it is larger than `bytes_max`.
    fn read_small(
        &self,
        path: &Path,
        bytes_max: usize,
    ) -> impl Future<Output = io::Result<Vec<u8>>>;
    /// Replaces a small file atomically and durably: `.tmp`, flush, rename, flush of the directory.
    fn write_small(&self, path: &Path, bytes: Bytes) -> impl Future<Output = io::Result<()>>;
    /// Creates a directory and its parents; existing ones are fine. Its parent is flushed.
    fn create_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Names and kinds of what is in a directory, sorted by name.
    fn list_dir(&self, path: &Path) -> impl Future<Output = io::Result<Vec<DirEntry>>>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Removes a directory with everything in it.
    fn remove_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Renames a file or directory. Neither directory is flushed.
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = io::Result<()>>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Full path.
    pub path: PathBuf,
    /// Last component.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// An open file. Cheap to clone (shared handle); closed when the last clone is dropped.
/// Positions and lengths of reads and writes are multiples of [`crate::limits::BLOCK_BYTES`].
pub trait File: Clone + 'static {
    /// Reads up to `len` bytes at `position`; fewer only where the file ends.
    fn read_at(&self, position: u64, len: usize) -> impl Future<Output = io::Result<Bytes>>;
    /// Writes the pieces one behind the other at `position`: all of it, or an error. Not durable
    /// before [`File::sync_data`].
    fn write_at(&self, position: u64, pieces: Vec<Piece>) -> impl Future<Output = io::Result<()>>;
    /// As [`File::write_at`] and [`File::sync_data`], but only these pieces are sure to be durable.
    fn write_durably(
        &self,
        position: u64,
        pieces: Vec<Piece>,
    ) -> impl Future<Output = io::Result<()>> {
        async move {
            self.write_at(position, pieces).await?;
            self.sync_data().await
        }
    }
    /// Makes completed writes durable, with what is needed to read them back (size, extents).
    fn sync_data(&self) -> impl Future<Output = io::Result<()>>;
    /// Reserves disk space for bytes `0..len` and makes the file at least that long (zeros).
    fn allocate(&self, len: u64) -> impl Future<Output = io::Result<()>>;
    /// Sets the file's length. Not durable before [`File::sync_data`].
    fn truncate(&self, len: u64) -> impl Future<Output = io::Result<()>>;
    /// The file's length in bytes.
    fn size(&self) -> impl Future<Output = io::Result<u64>>;
    /// Where the last of what was written ends: there are only zeros from there to the file's end, as in
    /// space that is reserved. The file's length if that is not known.
    fn written_end(&self) -> impl Future<Output = io::Result<u64>>;
}

/// What a host of shards can be woken by, from any thread.
pub trait Wake: Send + Sync {
    /// Makes the shard take a turn soon.
    fn wake(&self);
}
