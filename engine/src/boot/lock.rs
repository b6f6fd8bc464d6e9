//! The lock on a log directory: one process at a time, as Kafka takes it.

use std::fs::{File, OpenOptions};
use std::io;
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
