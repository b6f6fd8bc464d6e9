//! The simulated disk: what programs see, what would be there after a power cut, and the difference.
//!
//! Rules, each at least as harsh as ext4, xfs and a disk with a write cache:
//! * A write that has ended is seen by readers; it is durable after a flush of its file that *began*
//!   after it had ended.
//! * A power cut keeps any part of what was not flushed, by sectors of 512 bytes; growth of a file
//!   may be kept or lost apart from the data; reserved space reads as zeros.
//! * Creations, renames and removals are durable after a flush of a directory they touch (a rename is
//!   one entry of the file system's own journal); a power cut keeps any of the others. A file whose
//!   name is lost is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::hash::mixed;
use super::image::{Image, SECTOR_BYTES};
use super::names::Names;
use super::prng::Prng;

/// So many files that nobody can find any more are kept; they are looked for beyond that.
const FORGOTTEN_FILES_MAX: usize = 32;

pub(super) type Inode = u64;

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Dir,
    File(Inode),
}

/// A change of a file.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    Write(u64, Bytes),
    Truncate(u64),
    Allocate(u64),
}

impl Edit {
    fn apply(&self, image: &mut Image) {
        match self {
            Self::Write(position, bytes) => image.write(*position, bytes),
            Self::Truncate(len) => image.set_len(*len),
            Self::Allocate(len) => image.extend_to(*len),
        }
    }

    /// The file's length after this, if it had `len` before.
    fn len_after(&self, len: u64) -> u64 {
        match self {
            Self::Write(position, bytes) => len.max(position + bytes.len() as u64),
            Self::Truncate(new) => *new,
            Self::Allocate(new) => len.max(*new),
        }
    }
}

#[derive(Debug, Clone)]
struct Unflushed {
    id: u64,
    edit: Edit,
    ended: bool,
}

#[derive(Debug, Default, Clone)]
struct FileState {
    live: Image,
    durable: Image,
    /// Ended ones in the order in which they ended; the others anywhere.
    unflushed: Vec<Unflushed>,
    handles: u32,
}

/// A change of names.
#[derive(Debug, Clone)]
enum Change {
    Create(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl Change {
    fn move_paths(&mut self, from: &Path, to: &Path) {
        match self {
            Self::Create(path, _) | Self::Remove(path) => *path = moved(path, from, to),
            Self::Rename(old, new, _) => {
                *old = moved(old, from, to);
                *new = moved(new, from, to);
            }
        }
    }
}

/// A path after what stands at `from` has been renamed to `to`.
fn moved(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
        Ok(_) => to.to_path_buf(),
        Err(_) => path.to_path_buf(),
    }
}

#[derive(Debug, Clone)]
struct Unsynced {
    id: u64,
    change: Change,
    /// Directories it touches; a flush of one of them makes it durable.
    dirs: BTreeSet<PathBuf>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    files: BTreeMap<Inode, FileState>,
    live: Names,
    durable: Names,
    unsynced: Vec<Unsynced>,
    next_id: u64,
    /// How often what a power cut would leave has changed.
    pub version: u64,
    /// Bytes that all files together may have.
    pub capacity: Option<u64>,
}

pub(super) fn os_error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn dir_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_path_buf()
}

impl Disk {
    pub(super) fn new() -> Self {
        let root = Names::new();
        Self {
            files: BTreeMap::new(),
            durable: root.clone(),
            live: root,
            unsynced: Vec::new(),
            next_id: 0,
            version: 0,
            capacity: None,
        }
    }

    fn id(&mut self) -> u64 {
        self.version += 1;
        self.next_id += 1;
        self.next_id
    }

    /// Whether a power cut would leave nothing but what is there.
    pub(super) fn is_durable(&self) -> bool {
        self.unsynced.is_empty() && self.files.values().all(|file| file.unflushed.is_empty())
    }

    /// A number that two disks have in common only if programs find the same on both.
    pub(super) fn fingerprint(&self) -> u64 {
        self.live.below(Path::new("/")).fold(0, |hash, (path, node)| {
            let bytes = path.as_os_str().as_encoded_bytes();
            let named = bytes.iter().fold(hash, |hash, byte| mixed(hash, u64::from(*byte)));
            let file = |inode| self.files.get(&inode).map(|file| file.live.fingerprint());
            match node {
                Node::Dir => mixed(named, 0),
                Node::File(inode) => mixed(named, file(inode).unwrap_or_default()),
            }
        })
    }

    /// A number above which all later changes lie.
    pub(super) fn mark(&self) -> u64 {
        self.next_id
    }

    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        self.live.get(path)
    }

    fn file(&mut self, inode: Inode) -> io::Result<&mut FileState> {
        self.files.get_mut(&inode).ok_or_else(|| os_error(libc::EBADF))
    }

    fn change(&mut self, change: Change, dirs: impl IntoIterator<Item = PathBuf>) {
        apply(&change, &mut self.live);
        let id = self.id();
        self.unsynced.push(Unsynced { id, change, dirs: dirs.into_iter().collect() });
    }

    fn check_dir(&self, path: &Path) -> io::Result<()> {
        match self.live.get(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(os_error(libc::ENOTDIR)),
            None => Err(os_error(libc::ENOENT)),
        }
    }

    /// Opens a file; `create` is `None` for one that must exist, and whether it may exist otherwise.
    pub(super) fn open(&mut self, path: &Path, create: Option<bool>) -> io::Result<Inode> {
        let inode = match (self.live.get(path), create) {
            (Some(Node::Dir), _) => return Err(os_error(libc::EISDIR)),
            (Some(Node::File(_)), Some(false)) => return Err(os_error(libc::EEXIST)),
            (Some(Node::File(inode)), _) => inode,
            (None, None) => return Err(os_error(libc::ENOENT)),
            (None, Some(_)) => {
                let dir = dir_of(path);
                self.check_dir(&dir)?;
                let inode = self.id();
                self.files.insert(inode, FileState::default());
                self.change(Change::Create(path.to_path_buf(), Node::File(inode)), [dir]);
                inode
            }
        };
        self.file(inode)?.handles += 1;
        Ok(inode)
    }

    pub(super) fn close(&mut self, inode: Inode) {
        // After a power cut there may be no such file any more.
        if let Some(file) = self.files.get_mut(&inode) {
            file.handles = file.handles.saturating_sub(1);
        }
    }

    /// Forgets files that no name, no handle and no change that may be kept refers to.
    fn forget_unused(&mut self) {
        let inode = |node: &Node| match node {
            Node::File(inode) => Some(*inode),
            Node::Dir => None,
        };
        let changed = self.unsynced.iter().filter_map(|unsynced| match &unsynced.change {
            Change::Create(_, node) | Change::Rename(_, _, node) => inode(node),
            Change::Remove(_) => None,
        });
        let named = self.live.nodes().chain(self.durable.nodes()).filter_map(inode);
        let used: BTreeSet<Inode> = named.chain(changed).collect();
        self.files.retain(|inode, file| file.handles > 0 || used.contains(inode));
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        if self.live.get(path).is_some() {
            return Err(os_error(libc::EEXIST));
        }
        let dir = dir_of(path);
        self.check_dir(&dir)?;
        self.change(Change::Create(path.to_path_buf(), Node::Dir), [dir]);
        Ok(())
    }

    /// Names and nodes directly in a directory.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, Node)>> {
        self.check_dir(path)?;
        let inside = self.live.below(path).filter(|(name, _)| name.parent() == Some(path));
        Ok(inside.map(|(name, node)| (name.to_owned(), node)).collect())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        match self.live.get(path) {
            None => Err(os_error(libc::ENOENT)),
            Some(Node::Dir) => Err(os_error(libc::EISDIR)),
            Some(Node::File(_)) => {
                self.change(Change::Remove(path.to_path_buf()), [dir_of(path)]);
                Ok(())
            }
        }
    }

    pub(super) fn remove_tree(&mut self, path: &Path) -> io::Result<()> {
        self.check_dir(path)?;
        let below: Vec<_> = self.live.below(path).map(|(name, _)| name.to_owned()).collect();
        for name in below.into_iter().rev().chain([path.to_owned()]) {
            let dir = dir_of(&name);
            self.change(Change::Remove(name), [dir]);
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.live.get(from).ok_or_else(|| os_error(libc::ENOENT))?;
        self.check_dir(&dir_of(to))?;
        match (node, self.live.get(to)) {
            (Node::File(_), Some(Node::Dir)) => return Err(os_error(libc::EISDIR)),
            (Node::Dir, Some(Node::File(_))) => return Err(os_error(libc::ENOTDIR)),
            (Node::Dir, Some(Node::Dir)) if !self.list(to)?.is_empty() => {
                return Err(os_error(libc::ENOTEMPTY));
            }
            _ => {}
        }
        if to.starts_with(from) && to != from {
            return Err(os_error(libc::EINVAL));
        }
        let dirs = [dir_of(from), dir_of(to)];
        self.change(Change::Rename(from.to_path_buf(), to.to_path_buf(), node), dirs);
        // A flush of the directory under its new name is what older changes in it wait for.
        for unsynced in &mut self.unsynced {
            if node == Node::Dir {
                unsynced.dirs = unsynced.dirs.iter().map(|dir| moved(dir, from, to)).collect();
            }
        }
        Ok(())
    }

    /// Ends a flush of a directory that began when `mark` was taken.
    pub(super) fn sync_dir(&mut self, path: &Path, mark: u64) -> io::Result<()> {
        self.check_dir(path)?;
        self.version += 1;
        let mut left: Vec<Unsynced> = Vec::new();
        for unsynced in std::mem::take(&mut self.unsynced) {
            if unsynced.id > mark || !unsynced.dirs.contains(path) {
                left.push(unsynced);
                continue;
            }
            apply(&unsynced.change, &mut self.durable);
            // What was done earlier inside a renamed directory will be done under its new name.
            if let Change::Rename(from, to, Node::Dir) = &unsynced.change {
                left.iter_mut().for_each(|earlier| earlier.change.move_paths(from, to));
            }
        }
        self.unsynced = left;
        if self.files.len() > 2 * self.live.len() + FORGOTTEN_FILES_MAX {
            self.forget_unused();
        }
        Ok(())
    }

    pub(super) fn size(&mut self, inode: Inode) -> io::Result<u64> {
        Ok(self.file(inode)?.live.len())
    }

    pub(super) fn written_end(&mut self, inode: Inode) -> io::Result<u64> {
        Ok(self.file(inode)?.live.written_end())
    }

    pub(super) fn read(&mut self, inode: Inode, position: u64, len: usize) -> io::Result<Vec<u8>> {
        Ok(self.file(inode)?.live.read(position, len))
    }

    /// Whether there is room for an edit.
    pub(super) fn check_room(&self, inode: Inode, edit: &Edit) -> io::Result<()> {
        let Some(capacity) = self.capacity else { return Ok(()) };
        let Some(file) = self.files.get(&inode) else { return Ok(()) };
        let len = file.live.len();
        let growth = edit.len_after(len).saturating_sub(len);
        let linked: BTreeSet<&Node> = self.live.nodes().collect();
        let used: u64 = self
            .files
            .iter()
            .filter(|(inode, file)| file.handles > 0 || linked.contains(&Node::File(**inode)))
            .map(|(_, file)| file.live.len())
            .sum();
        if growth > 0 && used + growth > capacity { Err(os_error(libc::ENOSPC)) } else { Ok(()) }
    }

    /// Notes that an edit is on its way to the disk.
    pub(super) fn begin(&mut self, inode: Inode, edit: Edit) -> io::Result<u64> {
        let id = self.id();
        self.file(inode)?.unflushed.push(Unflushed { id, edit, ended: false });
        Ok(id)
    }

    /// Ends an edit: readers see it.
    pub(super) fn end(&mut self, inode: Inode, id: u64) -> io::Result<()> {
        let ended_id = self.id();
        let file = self.file(inode)?;
        let Some(at) = file.unflushed.iter().position(|unflushed| unflushed.id == id) else {
            return Err(os_error(libc::EBADF));
        };
        let unflushed = file.unflushed.remove(at);
        unflushed.edit.apply(&mut file.live);
        // A new number, so that only flushes that begin from now on cover it.
        file.unflushed.push(Unflushed { id: ended_id, edit: unflushed.edit, ended: true });
        Ok(())
    }

    /// Ends an edit that failed: a write may have changed any of its sectors.
    pub(super) fn end_failed(&mut self, inode: Inode, id: u64, prng: &mut Prng) {
        let Some(file) = self.files.get_mut(&inode) else { return };
        let Some(at) = file.unflushed.iter().position(|unflushed| unflushed.id == id) else {
            return;
        };
        let unflushed = file.unflushed.remove(at);
        if let Edit::Write(position, bytes) = unflushed.edit {
            let len = file.live.len();
            let mut torn = file.live.clone();
            torn.write_sectors(position, &bytes, |_| prng.chance(2));
            torn.set_len(torn.len().min(len));
            file.live = torn.clone();
            // What got through is as little durable as any write.
            if len > position {
                let kept = usize::try_from(len - position).unwrap_or(usize::MAX).min(bytes.len());
                let content = Bytes::from(torn.read(position, kept));
                let id = self.id();
                if let Some(file) = self.files.get_mut(&inode) {
                    let edit = Edit::Write(position, content);
                    file.unflushed.push(Unflushed { id, edit, ended: true });
                }
            }
        }
    }

    /// Ends a write that came to an end early.
    pub(super) fn end_short(&mut self, inode: Inode, id: u64, prng: &mut Prng) -> io::Result<()> {
        let file = self.file(inode)?;
        let Some(at) = file.unflushed.iter().position(|unflushed| unflushed.id == id) else {
            return Err(os_error(libc::EBADF));
        };
        if let Edit::Write(_, bytes) = &mut file.unflushed[at].edit {
            bytes.truncate(prng.index(bytes.len().div_ceil(SECTOR_BYTES).max(1)) * SECTOR_BYTES);
        }
        self.end(inode, id)
    }

    /// Ends a flush of a file that began when `mark` was taken.
    pub(super) fn sync(&mut self, inode: Inode, mark: u64) -> io::Result<()> {
        self.version += 1;
        let file = self.file(inode)?;
        let durable = &mut file.durable;
        file.unflushed.retain(|unflushed| {
            let covered = unflushed.ended && unflushed.id <= mark;
            if covered {
                unflushed.edit.apply(durable);
            }
            !covered
        });
        Ok(())
    }

    /// Ends a flush that failed: the disk has dropped some of what it held, and never tells again. It
    /// is not read back either, as direct I/O reads from the disk.
    pub(super) fn sync_failed(&mut self, inode: Inode, mark: u64, prng: &mut Prng) {
        self.version += 1;
        if let Some(file) = self.files.get_mut(&inode) {
            file.unflushed.retain(|unflushed| {
                let covered = unflushed.ended && unflushed.id <= mark;
                !covered || prng.chance(2)
            });
            file.live = file.durable.clone();
            for unflushed in file.unflushed.iter().filter(|unflushed| unflushed.ended) {
                unflushed.edit.apply(&mut file.live);
            }
        }
    }

    /// The process is gone, the machine is not: what programs saw is what is there.
    pub(super) fn forget_handles(&mut self) {
        for file in self.files.values_mut() {
            file.handles = 0;
        }
        self.forget_unused();
    }

    /// The power is gone: the durable state and any part of the rest is what is there.
    pub(super) fn power_cut(&mut self, prng: &mut Prng) {
        let keep_in = prng.below(4);
        let keep = |prng: &mut Prng| match keep_in {
            0 => false,
            1 => true,
            _ => prng.chance(2),
        };
        for unsynced in std::mem::take(&mut self.unsynced) {
            if keep(prng) {
                apply(&unsynced.change, &mut self.durable);
            }
        }
        self.durable.prune();
        self.live = self.durable.clone();
        for file in self.files.values_mut() {
            let mut image = std::mem::take(&mut file.durable);
            for unflushed in std::mem::take(&mut file.unflushed) {
                cut(&unflushed.edit, &mut image, prng, keep_in);
            }
            file.live = image.clone();
            file.durable = image;
            file.handles = 0;
        }
        self.forget_unused();
    }
}

/// What a power cut leaves of one edit that was not flushed. `mode` 0 leaves nothing, 1 everything.
fn cut(edit: &Edit, image: &mut Image, prng: &mut Prng, mode: u64) {
    let len = image.len();
    match edit {
        Edit::Write(position, bytes) => {
            // Whole, in part, or nothing.
            let whole = mode == 1 || (mode != 0 && prng.chance(3));
            let some = whole || (mode != 0 && prng.chance(2));
            let grown = whole || (mode != 0 && prng.chance(2));
            image.write_sectors(*position, bytes, |_| whole || (some && prng.chance(2)));
            if !grown {
                image.set_len(len);
            }
        }
        Edit::Truncate(_) | Edit::Allocate(_) => {
            if mode == 1 || (mode != 0 && prng.chance(2)) {
                edit.apply(image);
            }
        }
    }
}

/// Applies a change of names; parts of it that do not fit (as an earlier change was lost) are left out.
fn apply(change: &Change, names: &mut Names) {
    match change {
        Change::Create(path, node) => names.insert(path, *node),
        Change::Remove(path) => names.remove(path),
        Change::Rename(from, to, node) => names.rename(from, to, *node),
    }
}
