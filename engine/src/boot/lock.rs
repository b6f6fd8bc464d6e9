//! The lock on a log directory: one process at a time, as Kafka takes it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};

/// Held as long as the process uses the directory.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

/// The directory cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "the log directory {} is in use by another broker (its file .lock is locked): stop that one, \
         or set log.dirs to another directory", path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It is another one of `log.dirs`, by another name.
    #[error(
        "the log directories {} and {} are the same: take one of them out of log.dirs",
        first.display(), second.display()
    )]
    Twice {
        /// One name.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// It cannot be made or written.
    #[error("the log directory {} cannot be used: {source}: {}", path.display(), remedy(source))]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "give this user read and write permission for it, or set log.dirs to another directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "set log.dirs to a directory on a writable file system"
        }
        io::ErrorKind::StorageFull => "make room on its file system",
        _ => "check log.dirs",
    }
}

/// The locks of several log directories.
#[derive(Debug)]
pub struct DirLocks {
    _locks: Vec<DirLock>,
    /// Indexes of directories that cannot be used.
    pub failed: Vec<usize>,
}

impl DirLocks {
    /// Takes the lock of each directory. One that cannot be made or written is left out, and told loudly,
    /// unless it is the first.
    ///
    /// # Errors
    /// If another process has one of them, two are the same, or the first cannot be made or written.
    pub fn take(paths: &[PathBuf]) -> Result<Self, LockError> {
        let mut failed = Vec::new();
        let mut locks = Vec::new();
        let mut seen: Vec<((u64, u64), &PathBuf)> = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            match DirLock::take(path).and_then(|lock| Ok((lock, identity(path)?))) {
                Ok((lock, id)) => {
                    if let Some((_, first)) = seen.iter().find(|(known, _)| *known == id) {
                        let (first, second) = ((*first).clone(), path.clone());
                        return Err(LockError::Twice { first, second });
                    }
                    seen.push((id, path));
                    locks.push(lock);
                }
                Err(error @ LockError::Io { .. }) if index > 0 => {
                    tracing::error!(
                        "A LOG DIRECTORY IS OFFLINE, and the partitions in it: {error}"
                    );
                    failed.push(index);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { _locks: locks, failed })
    }
}

/// Which directory it is, whatever its name.
fn identity(path: &Path) -> Result<(u64, u64), LockError> {
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|source| LockError::Io { path: path.to_owned(), source })?;
    Ok((metadata.dev(), metadata.ino()))
}

impl DirLock {
    /// Makes the directory if need be, and takes its lock.
    ///
    /// # Errors
    /// If another process has it, or the directory cannot be made or written.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(".lock"))
            .map_err(failed)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => {
                Err(LockError::InUse { path: path.to_owned() })
            }
            Err(errno) => Err(failed(errno.into())),
        }
    }
}
