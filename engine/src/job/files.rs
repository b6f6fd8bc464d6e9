//! The open files of a shard's jobs: opened once, kept while they are used, bounded.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::bounds::OPEN_FILES_MAX;
use super::dirs::Dir;
use super::lru::Lru;
use crate::io::{Env, File, OpenMode};
use crate::journal::plan::FileId;
use crate::log::files::{FileKind, FileState, LogFile};
use crate::shard::event::DiskFailure;
use crate::types::Offset;

use super::failure;

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// A segment, by its directory's life and base offset.
    Segment(u64, Offset),
    /// A journal file of this shard.
    Journal(FileId),
}

/// See the module. A file that was let go of stays open for those who still use it.
pub struct Files<E: Env> {
    env: E,
    open: Rc<RefCell<Lru<Key, E::File>>>,
}

impl<E: Env> Files<E> {
    /// Nothing is open yet.
    #[must_use]
    pub fn new(env: E) -> Self {
        Self { env, open: Rc::new(RefCell::new(Lru::new(OPEN_FILES_MAX))) }
    }

    fn known(&self, key: Key) -> Option<E::File> {
        self.open.borrow_mut().get(&key)
    }

    fn keep(&self, key: Key, file: &E::File) {
        self.open.borrow_mut().put(key, file.clone(), 1);
    }

    /// A segment's file, if there is one: also one that is to be deleted, for readers that were
    /// promised its content.
    pub async fn segment(&self, dir: &Dir, base: Offset) -> Result<Option<E::File>, DiskFailure> {
        let key = Key::Segment(dir.id, base);
        if let Some(file) = self.known(key) {
            return Ok(Some(file));
        }
        for state in [FileState::Live, FileState::Deleted] {
            let name = LogFile { offset: base, kind: FileKind::Log, state };
            let path = dir.path.join(name.to_string());
            match self.env.open(&path, OpenMode::ReadWrite).await {
                Ok(file) => {
                    self.keep(key, &file);
                    return Ok(Some(file));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failure("open", &path, error)),
            }
        }
        Ok(None)
    }

    /// A segment's file, created durably if there is none.
    pub async fn segment_or_new(&self, dir: &Dir, base: Offset) -> Result<E::File, DiskFailure> {
        let key = Key::Segment(dir.id, base);
        if let Some(file) = self.known(key) {
            return Ok(file);
        }
        let path = log_path(dir, base);
        match self.env.open(&path, OpenMode::ReadWrite).await {
            Ok(file) => {
                self.keep(key, &file);
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failure("open", &path, error)),
        }
        // A segment is on disk before its successor has a name, whatever the durability: what is
        // behind a hole could not be told from damage.
        let others = self.open.borrow().range(Key::Segment(dir.id, 0)..=Key::Segment(dir.id, base));
        for other in others {
            other
                .sync_data()
                .await
                .map_err(|error| failure("flush segments of", &dir.path, error))?;
        }
        let created = self.env.open(&path, OpenMode::CreateNew).await;
        let file = created.map_err(|error| failure("create", &path, error))?;
        let synced = match plant!(NoDirectoryFlush) {
            false => self.env.sync_dir(&dir.path).await,
            true => Ok(()),
        };
        if let Err(error) = synced {
            // The next try must not find a file whose name may be lost.
            drop(self.env.remove_file(&path).await);
            return Err(failure("flush directory", &dir.path, error));
        }
        self.keep(key, &file);
        Ok(file)
    }

    /// A journal file.
    pub async fn journal(&self, file: FileId, path: &Path) -> Result<E::File, DiskFailure> {
        let key = Key::Journal(file);
        if let Some(file) = self.known(key) {
            return Ok(file);
        }
        let opened = self.env.open(path, OpenMode::ReadWrite).await;
        let opened = opened.map_err(|error| failure("open", path, error))?;
        self.keep(key, &opened);
        Ok(opened)
    }

    /// Lets go of a segment's file.
    pub fn forget(&self, dir: &Dir, base: Offset) {
        self.open.borrow_mut().remove(&Key::Segment(dir.id, base));
    }

    /// Lets go of all files of a directory.
    pub fn forget_dir(&self, dir: &Dir) {
        let all = Key::Segment(dir.id, Offset::MIN)..=Key::Segment(dir.id, Offset::MAX);
        self.open.borrow_mut().remove_range(all);
    }

    /// How many files are kept open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.borrow().len()
    }
}

/// The path of a file in a partition's directory.
pub(super) fn path_of(dir: &Dir, offset: Offset, kind: FileKind) -> PathBuf {
    dir.path.join(LogFile::live(offset, kind).to_string())
}

/// The path of a segment's `.log` file.
pub(super) fn log_path(dir: &Dir, base: Offset) -> PathBuf {
    path_of(dir, base, FileKind::Log)
}
