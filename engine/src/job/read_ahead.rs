//! Where readers are in segments, and what they will want next, read while they still use the last.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::Shared;
use super::bounds::{CURSORS_MAX, READ_AHEAD_BYTES};
use super::dirs::Dir;
use super::lru::Lru;
use crate::io::{Env, File};
use crate::limits::READ_BYTES_MAX;
use crate::memory::{align_down, align_up};
use crate::types::Offset;

/// A read on its way, or what came of it: none if it failed, then the reader tries itself.
#[derive(Debug, Default)]
struct Ahead {
    result: RefCell<Option<Option<Bytes>>>,
    waiting: RefCell<Vec<Waker>>,
}

/// A directory's life, a segment's base offset, and an offset or position in it.
type OffsetKey = (u64, Offset, Offset);
type PositionKey = (u64, Offset, u64);

/// See the module.
pub struct ReadAhead<E: Env> {
    env: E,
    cursors: RefCell<Lru<OffsetKey, u64>>,
    chunks: Shared<Lru<PositionKey, Rc<Ahead>>>,
    hits: Cell<u64>,
    /// One read ahead: a small cache holds some of them too.
    step: usize,
}

impl<E: Env> ReadAhead<E> {
    /// No reader yet; what is read ahead never takes more than `cache_bytes`.
    pub fn new(env: E, cache_bytes: usize) -> Self {
        let bytes_max = READ_AHEAD_BYTES.min(cache_bytes);
        let chunks = Rc::new(RefCell::new(Lru::new(bytes_max)));
        let cursors = RefCell::new(Lru::new(CURSORS_MAX));
        let step = READ_BYTES_MAX.min(align_down(bytes_max as u64 / 2) as usize);
        Self { env, cursors, chunks, hits: Cell::new(0), step }
    }

    /// Where the batch with `offset` begins, if a read ended right before it.
    pub fn cursor(&self, dir: &Dir, segment: Offset, offset: Offset) -> Option<u64> {
        self.cursors.borrow_mut().get(&(dir.id, segment, offset))
    }

    /// A read ended at `position`, before the batch with `offset`.
    pub fn ended(&self, dir: &Dir, segment: Offset, offset: Offset, position: u64) {
        self.cursors.borrow_mut().put((dir.id, segment, offset), position, 1);
    }

    /// Reads on from `position` in the background, up to the content's end `to`.
    pub fn begin(&self, dir: &Dir, segment: Offset, file: &E::File, position: u64, to: u64) {
        let start = align_down(position);
        let key = (dir.id, segment, start);
        if position >= to || self.step == 0 || self.chunks.borrow_mut().get(&key).is_some() {
            return;
        }
        let content = to - start;
        let len = usize::try_from(align_up(content)).map_or(self.step, |len| len.min(self.step));
        let ahead = Rc::new(Ahead::default());
        self.chunks.borrow_mut().put(key, Rc::clone(&ahead), len);
        let file = file.clone();
        self.env.spawn(async move {
            let read = file.read_at(start, len).await.ok();
            // Behind the content the file may still change.
            let content = usize::try_from(content).unwrap_or(usize::MAX);
            let read = read.map(|bytes| bytes.slice(..bytes.len().min(content)));
            *ahead.result.borrow_mut() = Some(read);
            for waker in ahead.waiting.take() {
                waker.wake();
            }
        });
    }

    /// What was read ahead from the block of `position` on, and where it begins.
    pub async fn take(&self, dir: &Dir, segment: Offset, position: u64) -> Option<(u64, Bytes)> {
        let start = align_down(position);
        let key = (dir.id, segment, start);
        let ahead = self.chunks.borrow_mut().get(&key)?;
        let read = poll_fn(|cx| match &*ahead.result.borrow() {
            Some(read) => Poll::Ready(read.clone()),
            None => {
                ahead.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
        let is_useful = read.as_ref().is_some_and(|b| start + b.len() as u64 > position);
        if !is_useful {
            self.chunks.borrow_mut().remove(&key);
            return None;
        }
        self.hits.set(self.hits.get() + 1);
        read.map(|bytes| (start, bytes))
    }

    /// How many reads were answered from what was read ahead.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// A directory is deleted.
    pub fn forget_dir(&self, dir: &Dir) {
        let all = (dir.id, Offset::MIN, 0)..=(dir.id, Offset::MAX, u64::MAX);
        self.chunks.borrow_mut().remove_range(all);
        let all = (dir.id, Offset::MIN, Offset::MIN)..=(dir.id, Offset::MAX, Offset::MAX);
        self.cursors.borrow_mut().remove_range(all);
    }
}
