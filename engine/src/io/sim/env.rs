//! [`Env`] and [`File`] over the simulated world.

use std::future::{Future, poll_fn};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Edit, Inode, Node, os_error};
use super::executor::{Shard, Slot, World};
use super::fault::{Fault, OpKind, Rule};
use crate::io::timers::Sleep;
use crate::io::{DirEntry, Env, File, OpenMode, Wake};
use crate::limits::BLOCK_BYTES;
use crate::memory::{Piece, Pool};
use crate::types::{Nanos, ShardId, TimestampMs};

/// Wall-clock time at simulated time 0: 2026-01-01. Milliseconds.
const WALL_START_MS: TimestampMs = 1_767_225_600_000;
/// One operation in this many takes long.
const SLOW_ONE_IN: u64 = 64;
const SLOW_FACTOR: u64 = 20;

/// Shortest and longest time of an operation. Nanoseconds.
const fn latency(kind: OpKind) -> (u64, u64) {
    match kind {
        OpKind::Read => (10_000, 300_000),
        OpKind::Write => (20_000, 400_000),
        OpKind::Sync | OpKind::SyncDir => (50_000, 1_500_000),
        OpKind::Open
        | OpKind::Allocate
        | OpKind::Truncate
        | OpKind::CreateDir
        | OpKind::ListDir
        | OpKind::Remove
        | OpKind::Rename => (10_000, 500_000),
    }
}

/// The error of a fault that gives one.
fn error_of(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        Some(Fault::Io) => Err(os_error(libc::EIO)),
        Some(Fault::NoSpace) => Err(os_error(libc::ENOSPC)),
        Some(Fault::ShortWrite) => Err(io::ErrorKind::WriteZero.into()),
        Some(Fault::Stall(_) | Fault::FlipBit) | None => Ok(()),
    }
}

/// The world as one simulated shard sees it.
#[derive(Clone)]
pub struct SimEnv {
    world: Rc<World>,
    shard: Rc<Shard>,
}

impl SimEnv {
    pub(super) fn new(world: Rc<World>, shard: Rc<Shard>) -> Self {
        Self { world, shard }
    }

    /// Which shard this is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard.id
    }

    /// Files of which a write or a flush has failed, by a fault, since the machine was started.
    #[must_use]
    pub fn failed_files(&self) -> Vec<PathBuf> {
        self.world.failed_files.borrow().clone()
    }

    /// Lets the next operation of a kind go wrong, whichever file it is on.
    pub fn fail_next(&self, kind: OpKind, fault: Fault) {
        self.world.faults.borrow_mut().add(Rule::Next(kind, String::new(), fault));
    }
}

/// Begins an operation; it ends after a while whether somebody waits or not.
async fn operate<T: 'static>(
    world: &Rc<World>,
    kind: OpKind,
    path: &Path,
    work: impl FnOnce(&World, Option<Fault>) -> io::Result<T> + 'static,
) -> io::Result<T> {
    let number = world.op_kinds.borrow().len() as u64;
    let text = path.to_string_lossy();
    let fault = world.faults.borrow_mut().take(number, kind, &text);
    world.op_kinds.borrow_mut().push(kind);
    let hash = u64::from(crc32c::crc32c(text.as_bytes()));
    world.trace(&[5, kind as u64, number, hash]);
    let nanos = {
        let mut prng = world.prng.borrow_mut();
        let (least, most) = latency(kind);
        let usual = least + prng.below(most - least);
        let slow = if prng.chance(SLOW_ONE_IN) { SLOW_FACTOR } else { 1 };
        match fault {
            Some(Fault::Stall(nanos)) => (usual * slow).saturating_add(nanos),
            _ => usual * slow,
        }
    };
    let slot = Slot::new();
    let end = Rc::clone(&slot);
    world.end_after(nanos, move |world| {
        let result = work(world, fault);
        let code = match &result {
            Ok(_) => 0,
            Err(error) => u64::from(error.raw_os_error().unwrap_or(-1).unsigned_abs()),
        };
        world.trace(&[6, number, code]);
        end.set(result);
    });
    poll_fn(|cx| slot.poll(cx)).await
}

/// An operation that either fails by its fault or does its work on the disk.
async fn simple<T: 'static>(
    world: &Rc<World>,
    kind: OpKind,
    path: &Path,
    work: impl FnOnce(&World, &Path) -> io::Result<T> + 'static,
) -> io::Result<T> {
    let owned = path.to_path_buf();
    let work = move |world: &World, fault| {
        error_of(fault)?;
        work(world, &owned)
    };
    operate(world, kind, path, work).await
}

/// An open file; the last one closes it.
struct Handle {
    world: Rc<World>,
    incarnation: u64,
    inode: Inode,
    path: PathBuf,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.incarnation == self.world.incarnation.get() {
            self.world.disk.borrow_mut().close(self.inode);
        }
    }
}

/// A file of the simulated disk.
#[derive(Clone)]
pub struct SimFile {
    handle: Rc<Handle>,
    writable: bool,
}

impl SimFile {
    async fn edit(&self, kind: OpKind, edit: Edit) -> io::Result<()> {
        if !self.writable {
            return Err(os_error(libc::EBADF));
        }
        let world = &self.handle.world;
        if let Edit::Write(position, bytes) = &edit {
            world.trace(&[7, *position, u64::from(crc32c::crc32c(bytes))]);
        }
        let inode = self.handle.inode;
        let room = world.disk.borrow().check_room(inode, &edit);
        let id = world.disk.borrow_mut().begin(inode, edit)?;
        let handle = Rc::clone(&self.handle);
        let work = move |world: &World, fault| {
            let result = error_of(fault).and(room);
            let mut disk = world.disk.borrow_mut();
            let result = match result {
                Ok(()) => disk.end(inode, id),
                Err(error) => {
                    let mut prng = world.prng.borrow_mut();
                    if fault.is_some() && kind == OpKind::Write {
                        world.failed_files.borrow_mut().push(handle.path.clone());
                    }
                    match fault {
                        Some(Fault::ShortWrite) => disk.end_short(inode, id, &mut prng)?,
                        _ => disk.end_failed(inode, id, &mut prng),
                    }
                    Err(error)
                }
            };
            drop(disk);
            // Open until now.
            drop(handle);
            result
        };
        operate(world, kind, &self.handle.path, work).await
    }

    /// Reads any range, as small files are read.
    async fn read_range(&self, position: u64, len: usize) -> io::Result<Vec<u8>> {
        let handle = Rc::clone(&self.handle);
        let work = move |world: &World, fault| {
            let read = error_of(fault)
                .and_then(|()| world.disk.borrow_mut().read(handle.inode, position, len));
            let mut bytes = read?;
            if fault == Some(Fault::FlipBit) && !bytes.is_empty() {
                let mut prng = world.prng.borrow_mut();
                let (at, bit) = (prng.index(bytes.len()), prng.below(8));
                bytes[at] ^= 1 << bit;
            }
            Ok(bytes)
        };
        operate(&self.handle.world, OpKind::Read, &self.handle.path, work).await
    }
}

fn assert_aligned(position: u64, len: usize) {
    assert!(position.is_multiple_of(BLOCK_BYTES as u64), "direct I/O is done in blocks");
    assert!(len.is_multiple_of(BLOCK_BYTES), "direct I/O is done in blocks");
}

impl File for SimFile {
    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        assert_aligned(position, len);
        self.read_range(position, len).await.map(Bytes::from)
    }

    async fn write_at(&self, position: u64, pieces: Vec<Piece>) -> io::Result<()> {
        let len: usize = pieces.iter().map(Piece::len).sum();
        let mut bytes = Vec::with_capacity(len);
        for piece in &pieces {
            bytes.extend_from_slice(&piece.to_vec());
        }
        assert_aligned(position, bytes.len());
        if bytes.is_empty() {
            return Ok(());
        }
        self.edit(OpKind::Write, Edit::Write(position, Bytes::from(bytes))).await
    }

    async fn sync_data(&self) -> io::Result<()> {
        let handle = Rc::clone(&self.handle);
        let mark = self.handle.world.disk.borrow().mark();
        let work = move |world: &World, fault| {
            let inode = handle.inode;
            if let Err(error) = error_of(fault) {
                let mut prng = world.prng.borrow_mut();
                world.disk.borrow_mut().sync_failed(inode, mark, &mut prng);
                world.failed_files.borrow_mut().push(handle.path.clone());
                return Err(error);
            }
            world.disk.borrow_mut().sync(inode, mark)
        };
        operate(&self.handle.world, OpKind::Sync, &self.handle.path, work).await
    }

    async fn allocate(&self, len: u64) -> io::Result<()> {
        self.edit(OpKind::Allocate, Edit::Allocate(len)).await
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.edit(OpKind::Truncate, Edit::Truncate(len)).await
    }

    async fn size(&self) -> io::Result<u64> {
        self.handle.world.disk.borrow_mut().size(self.handle.inode)
    }

    async fn written_end(&self) -> io::Result<u64> {
        self.handle.world.disk.borrow_mut().written_end(self.handle.inode)
    }
}

impl SimEnv {
    async fn open_file(
        &self,
        path: &Path,
        create: Option<bool>,
        writable: bool,
    ) -> io::Result<SimFile> {
        let owner = Rc::clone(&self.world);
        let incarnation = self.world.incarnation.get();
        // The handle is made with the file: should nobody wait for it any more it is closed again.
        let work = move |world: &World, path: &Path| {
            let inode = world.disk.borrow_mut().open(path, create)?;
            Ok(Rc::new(Handle { world: owner, incarnation, inode, path: path.to_path_buf() }))
        };
        let handle = simple(&self.world, OpKind::Open, path, work).await?;
        Ok(SimFile { handle, writable })
    }

    async fn make_dir(&self, path: &Path) -> io::Result<bool> {
        let work = |world: &World, path: &Path| world.disk.borrow_mut().create_dir(path);
        match simple(&self.world, OpKind::CreateDir, path, work).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let is_dir = self.world.disk.borrow().node(path) == Some(Node::Dir);
                if is_dir { Ok(false) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}

impl Env for SimEnv {
    type File = SimFile;

    fn now(&self) -> Nanos {
        self.world.time()
    }

    fn wall_ms(&self) -> TimestampMs {
        let ms = TimestampMs::try_from(self.world.time().0 / 1_000_000).unwrap_or_default();
        WALL_START_MS + ms
    }

    fn random(&self) -> u64 {
        self.world.random()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.world.spawn(self.shard.id, task);
    }

    async fn sleep_until(&self, deadline: Nanos) {
        Sleep::new(Rc::clone(&self.world), deadline).await;
    }

    fn pool(&self) -> &Arc<Pool> {
        &self.shard.pool
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.shard.waker) as Arc<dyn Wake>
    }

    fn notify(&self) {
        self.shard.notify.notify();
    }

    async fn notified(&self) {
        self.shard.notify.notified().await;
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        let (create, writable) = match mode {
            OpenMode::ReadWrite => (None, true),
            OpenMode::CreateNew => (Some(false), true),
            OpenMode::ReadOnly => (None, false),
        };
        self.open_file(path, create, writable).await
    }

    async fn read_small(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let file = self.open_file(path, None, false).await?;
        let too_large = || io::Error::new(io::ErrorKind::InvalidData, "the file is too large");
        let size = usize::try_from(file.size().await?).map_err(|_| too_large())?;
        if size > bytes_max {
            return Err(too_large());
        }
        file.read_range(0, size).await
    }

    async fn write_small(&self, path: &Path, bytes: Bytes) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = self.open_file(&temporary, Some(true), true).await?;
        file.edit(OpKind::Truncate, Edit::Truncate(0)).await?;
        file.edit(OpKind::Write, Edit::Write(0, bytes)).await?;
        file.sync_data().await?;
        self.rename(&temporary, path).await?;
        self.sync_dir(path.parent().unwrap_or(path)).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        for dir in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            if self.make_dir(dir).await? {
                self.sync_dir(dir.parent().unwrap_or(dir)).await?;
            }
        }
        Ok(())
    }

    async fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let work = |world: &World, path: &Path| world.disk.borrow().list(path);
        let entries = simple(&self.world, OpKind::ListDir, path, work).await?;
        let entry = |(path, node): (PathBuf, Node)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            DirEntry { path, name, is_dir: node == Node::Dir }
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        let work = |world: &World, path: &Path| world.disk.borrow_mut().remove_file(path);
        simple(&self.world, OpKind::Remove, path, work).await
    }

    async fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let work = |world: &World, path: &Path| world.disk.borrow_mut().remove_tree(path);
        simple(&self.world, OpKind::Remove, path, work).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let to = to.to_path_buf();
        let work = move |world: &World, from: &Path| world.disk.borrow_mut().rename(from, &to);
        simple(&self.world, OpKind::Rename, from, work).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mark = self.world.disk.borrow().mark();
        let work = move |world: &World, path: &Path| world.disk.borrow_mut().sync_dir(path, mark);
        simple(&self.world, OpKind::SyncDir, path, work).await
    }
}

impl std::fmt::Debug for SimEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimEnv").field("shard", &self.shard.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimFile").field("path", &self.handle.path).finish_non_exhaustive()
    }
}
