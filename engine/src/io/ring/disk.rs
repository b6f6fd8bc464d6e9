//! Opening, small files and directories, through the ring.

#![expect(unsafe_code, reason = "the kernel reads paths")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use io_uring::opcode;
use io_uring::types::Fd;

use super::blocking::Blocking;
use super::core::{Completion, Ring};
use super::file::RingFile;
use super::op::Payload;
use super::sys::{self, done, plain};
use crate::io::{DirEntry, OpenMode};
use crate::memory::Pool;

/// Rights of new files and directories: nobody but the broker's user reads its data.
const FILE_RIGHTS: libc::mode_t = 0o600;
const DIR_RIGHTS: libc::mode_t = 0o700;

const HERE: Fd = Fd(libc::AT_FDCWD);

/// The file system cannot do direct I/O.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file system of {} has no direct I/O (O_DIRECT); \
     put the data directory on ext4, xfs, btrfs or another file system that has it",
    path.display()
)]
pub struct DirectIoUnsupported {
    /// What was to be opened.
    pub path: PathBuf,
}

impl DirectIoUnsupported {
    /// Whether this is what an opening failed of.
    #[must_use]
    pub fn is_cause(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// A path being opened. A descriptor that nobody waits for any more is closed.
struct Opening {
    _path: CString,
}

impl Payload for Opening {
    fn discard(self, completion: Completion, ring: &Ring) {
        if completion.result >= 0 {
            ring.close(completion.result, true);
        }
    }
}

impl Payload for (Bytes, usize) {}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path with a zero byte"))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The file system as one shard uses it.
#[derive(Clone, Debug)]
pub struct Disk {
    ring: Ring,
    pool: Arc<Pool>,
    blocking: Rc<Blocking>,
}

impl Disk {
    /// The file system through this ring.
    #[must_use]
    pub fn new(ring: Ring, pool: Arc<Pool>, blocking: Rc<Blocking>) -> Self {
        Self { ring, pool, blocking }
    }

    async fn open_raw(&self, path: &Path, flags: i32) -> io::Result<File> {
        loop {
            let path = c_path(path)?;
            let entry = opcode::OpenAt::new(HERE, path.as_ptr())
                .flags(flags | libc::O_CLOEXEC)
                .mode(FILE_RIGHTS)
                .build();
            // SAFETY: the path is on the heap and the operation owns it.
            let op = unsafe { self.ring.start(entry, Opening { _path: path }) };
            let (completion, _) = op.await;
            if completion.is_retry() {
                continue;
            }
            completion.count()?;
            return Ok(File::from(sys::own(completion.result)));
        }
    }

    /// As `Env::open`.
    ///
    /// # Errors
    /// The system's, or one with [`DirectIoUnsupported`] inside.
    pub async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<RingFile> {
        let flags = match mode {
            OpenMode::ReadWrite => libc::O_RDWR,
            OpenMode::CreateNew => libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
            OpenMode::ReadOnly => libc::O_RDONLY,
        };
        match self.open_raw(path, flags | libc::O_DIRECT).await {
            Ok(file) => Ok(RingFile::new(
                file,
                self.ring.clone(),
                Arc::clone(&self.pool),
                Rc::clone(&self.blocking),
            )),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                if mode == OpenMode::CreateNew {
                    // Some file systems create the file first and find out then.
                    drop(self.remove_file(path).await);
                }
                let cause = DirectIoUnsupported { path: path.to_path_buf() };
                Err(io::Error::new(io::ErrorKind::Unsupported, cause))
            }
            Err(error) => Err(error),
        }
    }

    /// As `Env::read_small`.
    ///
    /// # Errors
    /// The system's; `InvalidData` if the file is larger than `bytes_max`.
    pub async fn read_small(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let file = self.open_raw(path, libc::O_RDONLY).await?;
        let size = file.metadata()?.len();
        let too_large = || io::Error::new(io::ErrorKind::InvalidData, "the file is too large");
        let size = usize::try_from(size).map_err(|_| too_large())?;
        if size > bytes_max {
            return Err(too_large());
        }
        let mut content = Vec::with_capacity(size);
        while content.len() < size {
            let rest = vec![0; (size - content.len()).min(1 << 20)];
            let at = content.len() as u64;
            let (completion, part) = sys::read(&self.ring, file.as_raw_fd(), rest, at).await;
            if completion.is_retry() {
                continue;
            }
            let count = completion.count()?;
            if count == 0 {
                break;
            }
            content.extend_from_slice(part.get(..count).unwrap_or_default());
        }
        self.ring.close(file.into_raw_fd(), false);
        Ok(content)
    }

    /// As `Env::write_small`.
    ///
    /// # Errors
    /// The system's; the old file is whole then, or the new one.
    pub async fn write_small(&self, path: &Path, content: Bytes) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        let file = self.open_raw(&temporary, flags).await?;
        let mut total = 0;
        while total < content.len() {
            let rest = content.get(total..).unwrap_or_default();
            let len = u32::try_from(rest.len().min(1 << 20)).expect("below 2^20");
            let entry = opcode::Write::new(Fd(file.as_raw_fd()), rest.as_ptr(), len);
            let entry = entry.offset(total as u64).build();
            // SAFETY: `Bytes` keeps its memory where it is, and the operation holds a share of it.
            let op = unsafe { self.ring.start(entry, (content.clone(), total)) };
            let (completion, _) = op.await;
            if completion.is_retry() {
                continue;
            }
            match completion.count()? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => total += count,
            }
        }
        self.sync(&file).await?;
        self.ring.close(file.into_raw_fd(), true);
        self.rename(&temporary, path).await?;
        self.sync_dir(parent(path)).await
    }

    async fn sync(&self, file: &File) -> io::Result<()> {
        let entry = opcode::Fsync::new(Fd(file.as_raw_fd())).build();
        let (completion, ()) = plain(&self.ring, entry).await;
        done(completion)
    }

    /// As `Env::create_dir`.
    ///
    /// # Errors
    /// The system's.
    pub async fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut next = path;
        loop {
            match self.create_one_dir(next).await {
                Ok(created) => {
                    if created {
                        self.sync_dir(parent(next)).await?;
                    }
                    match missing.pop() {
                        Some(child) => next = child,
                        None => return Ok(()),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(next);
                    next = next.parent().filter(|up| !up.as_os_str().is_empty()).ok_or(error)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns whether it was created; false if it is there.
    async fn create_one_dir(&self, path: &Path) -> io::Result<bool> {
        let name = c_path(path)?;
        let entry = opcode::MkDirAt::new(HERE, name.as_ptr()).mode(DIR_RIGHTS).build();
        // SAFETY: the path is on the heap and the operation owns it.
        let op = unsafe { self.ring.start(entry, name) };
        let (completion, _) = op.await;
        match done(completion) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let owned = path.to_path_buf();
                let is_dir = self.blocking.run(move || owned.is_dir()).await?;
                if is_dir { Ok(false) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// As `Env::list_dir`.
    ///
    /// # Errors
    /// The system's; `InvalidData` for a name that is not Unicode.
    pub async fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = path.to_path_buf();
        self.blocking.run(move || list(&path)).await?
    }

    async fn unlink(&self, path: &Path, flags: i32) -> io::Result<()> {
        let path = c_path(path)?;
        let entry = opcode::UnlinkAt::new(HERE, path.as_ptr()).flags(flags).build();
        // SAFETY: the path is on the heap and the operation owns it.
        let op = unsafe { self.ring.start(entry, path) };
        done(op.await.0)
    }

    /// As `Env::remove_file`.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.unlink(path, 0).await
    }

    /// As `Env::remove_dir`.
    ///
    /// # Errors
    /// The system's.
    pub async fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let path = path.to_path_buf();
        self.blocking.run(move || std::fs::remove_dir_all(path)).await?
    }

    /// As `Env::rename`.
    ///
    /// # Errors
    /// The system's.
    pub async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (c_path(from)?, c_path(to)?);
        let entry = opcode::RenameAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build();
        // SAFETY: both paths are on the heap and the operation owns them.
        let op = unsafe { self.ring.start(entry, (from, to)) };
        done(op.await.0)
    }

    /// As `Env::sync_dir`.
    ///
    /// # Errors
    /// The system's.
    pub async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let dir = self.open_raw(path, libc::O_RDONLY | libc::O_DIRECTORY).await?;
        let synced = self.sync(&dir).await;
        self.ring.close(dir.into_raw_fd(), false);
        synced
    }
}

fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            let text = format!("a file name that is not Unicode: {}", name.display());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let is_dir = entry.file_type()?.is_dir();
        entries.push(DirEntry { path: entry.path(), name, is_dir });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}
