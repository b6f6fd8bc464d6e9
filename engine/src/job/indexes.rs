//! Indexes of sealed segments, loaded when a reader needs one and kept while there is room.

use std::cell::RefCell;

use super::bounds::{INDEX_CACHE_BYTES, INDEX_FILE_BYTES_MAX};
use super::dirs::Dir;
use super::files::path_of;
use super::lru::Lru;
use super::{Jobs, failure, found};
use crate::io::Env;
use crate::log::files::FileKind;
use crate::log::index::SealedIndex;
use crate::partition::commit::Seal;
use crate::shard::event::DiskFailure;
use crate::types::Offset;

/// A directory's life and a base offset.
type Key = (u64, Offset);

/// What an entry costs beside its bytes.
const ENTRY_BYTES: usize = 128;

/// See the module. None stands for an index that cannot be used.
#[derive(Debug)]
pub struct Indexes(RefCell<Lru<Key, Option<SealedIndex>>>);

impl Indexes {
    /// Nothing yet, and never more than `cache_bytes`.
    pub fn new(cache_bytes: usize) -> Self {
        Self(RefCell::new(Lru::new(INDEX_CACHE_BYTES.min(cache_bytes))))
    }

    /// A segment is being sealed: its indexes are known before their files are there.
    pub fn sealed(&self, dir: &Dir, seal: &Seal) {
        let (offsets, times) = (&seal.offset_index, &seal.time_index);
        let index = SealedIndex::load(seal.segment, offsets, times, seal.bytes, Offset::MAX).ok();
        if index.is_some() {
            self.put((dir.id, seal.segment), index);
        }
    }

    /// The indexes of a sealed segment were made anew.
    pub fn rebuilt(&self, dir: &Dir, base: Offset, index: SealedIndex) {
        self.put((dir.id, base), Some(index));
    }

    fn put(&self, key: Key, index: Option<SealedIndex>) {
        let bytes = index.as_ref().map_or(0, |i| i.offset_bytes().len() + i.time_bytes().len());
        self.0.borrow_mut().put(key, index, ENTRY_BYTES + bytes);
    }

    /// A segment is deleted.
    pub fn forget(&self, dir: &Dir, base: Offset) {
        self.0.borrow_mut().remove(&(dir.id, base));
    }

    /// A directory is deleted.
    pub fn forget_dir(&self, dir: &Dir) {
        self.0.borrow_mut().remove_range((dir.id, Offset::MIN)..=(dir.id, Offset::MAX));
    }
}

impl<E: Env> Jobs<E> {
    /// The indexes of a sealed segment with `bytes` bytes of content; none if they cannot be used, so
    /// that the log has to be read from the segment's begin.
    pub(super) async fn sealed_index(
        &self,
        dir: &Dir,
        base: Offset,
        bytes: u64,
    ) -> Result<Option<SealedIndex>, DiskFailure> {
        let key = (dir.id, base);
        let known = self.0.indexes.0.borrow_mut().get(&key);
        if let Some(index) = known {
            return Ok(index);
        }
        let loaded = match self.index_files(dir, base).await? {
            Some((offsets, times)) => SealedIndex::load(base, &offsets, &times, bytes, Offset::MAX)
                .map_err(|error| error.to_string()),
            None => Err("a file is missing".to_owned()),
        };
        let index = match loaded {
            Ok(index) => Some(index),
            Err(reason) => {
                tracing::warn!(dir = %dir.path.display(), segment = base, reason,
                    "a segment has no usable index: it is made anew from the log when somebody reads");
                None
            }
        };
        self.0.indexes.put(key, index.clone());
        Ok(index)
    }

    /// The bytes of `.index` and `.timeindex`, if both files are there and of a size to be believed.
    pub(super) async fn index_files(
        &self,
        dir: &Dir,
        base: Offset,
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>, DiskFailure> {
        let offsets = self.small_file(dir, base, FileKind::OffsetIndex).await?;
        let times = self.small_file(dir, base, FileKind::TimeIndex).await?;
        Ok(offsets.zip(times))
    }

    /// A file beside a segment; none if it is missing or too large to be true.
    pub(super) async fn small_file(
        &self,
        dir: &Dir,
        offset: Offset,
        kind: FileKind,
    ) -> Result<Option<Vec<u8>>, DiskFailure> {
        let path = path_of(dir, offset, kind);
        match found(self.env().read_small(&path, INDEX_FILE_BYTES_MAX).await) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
            read => read.map_err(|error| failure("read", &path, error)),
        }
    }
}
