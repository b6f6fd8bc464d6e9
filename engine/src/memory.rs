//! Aligned memory that the disk, the network and readers share without copying.
//!
//! A [`Block`] is a 4 KiB-aligned piece of memory taken from a [`Pool`] and given back when the last
//! holder lets go, on whichever shard that happens. Two ways to write one:
//! * [`Buffer`]: filled by one owner, then frozen into [`Bytes`] (cold reads, journal entries).
//! * [`Chunk`]: appended to at its end while what is already written is being read and written to
//!   disk (the tail of a partition).
//!
//! Memory is touched once and kept: on a virtual machine a page that was handed back to the host
//! costs a hundred times its memcpy when it is touched again.

// The one place beside the ring where `unsafe` stands: see docs/decisions/0002-aligned-memory.md.
#![expect(unsafe_code, reason = "aligned allocation and append-while-shared need raw memory")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;

use crate::limits::{BLOCK_BYTES, CHUNK_BYTES};

/// Size classes are powers of two from one block to 4 MiB.
const CLASS_COUNT: usize = 11;

/// Rounds up to the disk's block.
#[must_use]
pub const fn align_up(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES as u64)
}

/// Rounds down to the disk's block.
#[must_use]
pub const fn align_down(bytes: u64) -> u64 {
    bytes - bytes % BLOCK_BYTES as u64
}

/// A piece of memory: block-aligned, its length a power of two of blocks.
struct Block {
    memory: NonNull<u8>,
    len: usize,
    pool: Arc<Pool>,
}

// SAFETY: a block is plain memory; who may read and write which part of it is decided by `Buffer` and
// `Chunk`, which hand out mutable access to one owner only.
unsafe impl Send for Block {}
// SAFETY: as above: shared access reads only what has been written before it was shared.
unsafe impl Sync for Block {}

impl Block {
    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, BLOCK_BYTES).expect("a size class is a valid layout")
    }

    fn allocate(len: usize) -> NonNull<u8> {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is a size class, never zero.
        let memory = unsafe { alloc_zeroed(layout) };
        NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
    }

    fn free(memory: NonNull<u8>, len: usize) {
        // SAFETY: `memory` came from `allocate` with the same length, and its last holder is gone.
        unsafe { dealloc(memory.as_ptr(), Self::layout(len)) }
    }

    /// What stands in `range`, which the caller knows to be written and no longer changed.
    fn slice(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end);
        assert!(range.end <= self.len);
        // SAFETY: the start is within the block, checked above.
        let start = unsafe { self.memory.as_ptr().add(range.start) };
        // SAFETY: in bounds and initialised (blocks are zeroed at birth); writers append only behind
        // what was handed out, so nothing writes here while the slice lives.
        unsafe { std::slice::from_raw_parts(start, range.end - range.start) }
    }

    /// Copies into the block at `at`. The caller is the block's one writer, and nobody reads there.
    fn copy_in(&self, at: usize, source: &[u8]) {
        assert!(at + source.len() <= self.len);
        // SAFETY: the start is within the block, checked above.
        let target = unsafe { self.memory.as_ptr().add(at) };
        // SAFETY: in bounds; the ranges cannot overlap, as no slice of this part was ever handed out.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), target, source.len()) }
    }

    fn zero(&self, range: Range<usize>) {
        assert!(range.start <= range.end);
        assert!(range.end <= self.len);
        // SAFETY: the start is within the block, checked above.
        let target = unsafe { self.memory.as_ptr().add(range.start) };
        // SAFETY: in bounds; the caller is the one writer of this part.
        unsafe { std::ptr::write_bytes(target, 0, range.end - range.start) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.give_back(self.memory, self.len);
    }
}

/// What makes the allocator give back what was freed.
static COLLECT: OnceLock<fn()> = OnceLock::new();

/// Says what makes the process's allocator return freed memory to the system. Most keep it until they are
/// used again, which in an idle process is never.
pub fn collect_with(collect: fn()) {
    // There is one allocator, so a second time says nothing new.
    COLLECT.get_or_init(|| collect);
}

/// Raw memory waiting for its next use.
struct Spare(NonNull<u8>);

// SAFETY: spare memory has no holder; whoever pops it owns it.
unsafe impl Send for Spare {}

/// A shard's memory: size classes of spare blocks, bounded.
pub struct Pool {
    classes: [ArrayQueue<Spare>; CLASS_COUNT],
    /// Memory above this, in use and spare, is returned to the system.
    bytes_max: usize,
    spare_bytes: AtomicUsize,
    taken_bytes: AtomicUsize,
}

impl Pool {
    /// A pool that keeps returned memory for reuse as long as all of its memory, in use and spare, has
    /// no more than `bytes_max` bytes. Who takes memory bounds what is in use.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        let class = |i: usize| {
            let len = BLOCK_BYTES << i;
            ArrayQueue::new((bytes_max / len).clamp(4, 65_536))
        };
        Arc::new(Self {
            classes: std::array::from_fn(class),
            bytes_max,
            spare_bytes: AtomicUsize::new(0),
            taken_bytes: AtomicUsize::new(0),
        })
    }

    /// Bytes that are held by someone now.
    #[must_use]
    pub fn taken_bytes(&self) -> usize {
        self.taken_bytes.load(Ordering::Relaxed)
    }

    /// As [`Pool::trim`], when nothing much will happen for a while: the allocator gives back what it keeps,
    /// too.
    pub fn rest(&self, keep: usize) {
        if self.trim(keep) > 0
            && let Some(collect) = COLLECT.get()
        {
            collect();
        }
    }

    /// Returns spare memory above `keep` bytes to the allocator, largest blocks first. Says how much.
    pub fn trim(&self, keep: usize) -> usize {
        let mut freed = 0;
        for (i, class) in self.classes.iter().enumerate().rev() {
            let len = BLOCK_BYTES << i;
            while self.spare_bytes.load(Ordering::Relaxed) > keep
                && let Some(Spare(memory)) = class.pop()
            {
                self.spare_bytes.fetch_sub(len, Ordering::Relaxed);
                Block::free(memory, len);
                freed += len;
            }
        }
        freed
    }

    /// A buffer of `len` bytes, its memory rounded up to a size class.
    /// Its old content is arbitrary.
    #[must_use]
    pub fn buffer(self: &Arc<Self>, len: usize) -> Buffer {
        Buffer { block: self.take(len), len }
    }

    /// An empty chunk of [`CHUNK_BYTES`].
    #[must_use]
    pub fn chunk(self: &Arc<Self>) -> Chunk {
        Chunk { block: Arc::new(self.take(CHUNK_BYTES)), len: 0 }
    }

    fn take(self: &Arc<Self>, len: usize) -> Block {
        let len = len.max(BLOCK_BYTES).next_power_of_two();
        self.taken_bytes.fetch_add(len, Ordering::Relaxed);
        let spare = self.class(len).and_then(ArrayQueue::pop);
        let memory = match spare {
            Some(Spare(memory)) => {
                self.spare_bytes.fetch_sub(len, Ordering::Relaxed);
                memory
            }
            None => {
                // Spare memory of other sizes must not add up with what is in use.
                let taken = self.taken_bytes.load(Ordering::Relaxed);
                self.trim(self.bytes_max.saturating_sub(taken));
                Block::allocate(len)
            }
        };
        Block { memory, len, pool: Arc::clone(self) }
    }

    fn class(&self, len: usize) -> Option<&ArrayQueue<Spare>> {
        let index = (len / BLOCK_BYTES).trailing_zeros() as usize;
        self.classes.get(index)
    }

    fn give_back(&self, memory: NonNull<u8>, len: usize) {
        let taken = self.taken_bytes.fetch_sub(len, Ordering::Relaxed) - len;
        let spare = self.spare_bytes.fetch_add(len, Ordering::Relaxed) + len;
        let keep = taken + spare <= self.bytes_max;
        let kept = keep && self.class(len).is_some_and(|class| class.push(Spare(memory)).is_ok());
        if !kept {
            self.spare_bytes.fetch_sub(len, Ordering::Relaxed);
            Block::free(memory, len);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (i, class) in self.classes.iter().enumerate() {
            while let Some(Spare(memory)) = class.pop() {
                Block::free(memory, BLOCK_BYTES << i);
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("taken_bytes", &self.taken_bytes()).finish_non_exhaustive()
    }
}

/// Aligned memory with one owner who may write it.
pub struct Buffer {
    block: Block,
    len: usize,
}

impl Buffer {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.block.slice(0..self.len)
    }

    /// The bytes, to be written.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: in bounds and initialised; `&mut self` is the only way to this memory.
        unsafe { std::slice::from_raw_parts_mut(self.block.memory.as_ptr(), self.len) }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps only the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Shared bytes, not copied.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(Frozen { block: Arc::new(self.block), range: 0..self.len })
    }

    /// The whole buffer, to be written to disk; its length must be a multiple of the block.
    #[must_use]
    pub fn into_piece(self) -> Piece {
        assert!(self.len.is_multiple_of(BLOCK_BYTES), "direct I/O is done in blocks");
        Piece { range: 0..self.len, block: Arc::new(self.block) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Memory that grows at its end while its beginning is shared.
pub struct Chunk {
    block: Arc<Block>,
    len: usize,
}

impl Chunk {
    /// Bytes written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Room left, in bytes.
    #[must_use]
    pub fn room(&self) -> usize {
        CHUNK_BYTES - self.len
    }

    /// Copies as much of `source` as there is room for, and says how much that was.
    pub fn append(&mut self, source: &[u8]) -> usize {
        let count = source.len().min(self.room());
        let source = source.get(..count).unwrap_or_default();
        // Only `&mut self` writes, and only behind `len`, up to which slices are handed out.
        self.block.copy_in(self.len, source);
        self.len += count;
        count
    }

    /// Shared bytes of what is written, not copied.
    ///
    /// # Panics
    /// If the range is not within what is written.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Bytes {
        assert!(range.end <= self.len);
        Bytes::from_owner(Frozen { block: Arc::clone(&self.block), range })
    }

    /// What is written, as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.block.slice(0..self.len)
    }

    /// The blocks that hold `range`, to be written to disk: the start is rounded down, the end is
    /// rounded up, and what lies behind the end of what is written is zeroed.
    ///
    /// # Panics
    /// If the range is not within what is written.
    #[must_use]
    pub fn piece(&mut self, range: Range<usize>) -> Piece {
        assert!(range.end <= self.len);
        let start = range.start - range.start % BLOCK_BYTES;
        let end = range.end.next_multiple_of(BLOCK_BYTES);
        if end > self.len {
            self.block.zero(self.len..end);
        }
        Piece { block: Arc::clone(&self.block), range: start..end }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Whole blocks on their way to the disk: address and length are multiples of the block.
#[derive(Clone)]
pub struct Piece {
    block: Arc<Block>,
    range: Range<usize>,
}

impl Piece {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The address of the first byte, for the kernel. The memory may still grow behind what its
    /// writer had written when the piece was made; a torn last block is expected and harmless, as
    /// those bytes are not acknowledged before they are written again.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        // SAFETY: the range was checked against the block when the piece was made.
        unsafe { self.block.memory.as_ptr().add(self.range.start) }
    }

    /// A copy of the bytes, for a disk that is itself memory. Only on the shard that owns the writer:
    /// there nothing is being written meanwhile.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.block.slice(self.range.clone()).to_vec()
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The owner behind shared bytes.
struct Frozen {
    block: Arc<Block>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.block.slice(self.range.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_grows_while_its_beginning_is_shared() {
        let pool = Pool::new(1 << 20);
        let mut chunk = pool.chunk();
        assert_eq!(chunk.append(b"abc"), 3);
        let first = chunk.slice(0..3);
        assert_eq!(chunk.append(&[7; CHUNK_BYTES]), CHUNK_BYTES - 3);
        assert_eq!(chunk.room(), 0);
        assert_eq!(first, "abc");
        drop(chunk);
        assert_eq!(first, "abc");
        assert_eq!(pool.taken_bytes(), CHUNK_BYTES);
        drop(first);
        assert_eq!(pool.taken_bytes(), 0);
    }

    #[test]
    fn a_piece_is_whole_blocks_with_a_zero_end_although_memory_is_reused() {
        let pool = Pool::new(1 << 20);
        let mut dirty = pool.chunk();
        dirty.append(&[9; CHUNK_BYTES]);
        drop(dirty);
        let mut chunk = pool.chunk();
        chunk.append(&[1; BLOCK_BYTES + 10]);
        let piece = chunk.piece(BLOCK_BYTES + 5..BLOCK_BYTES + 10);
        assert_eq!(piece.len(), BLOCK_BYTES);
        assert!((piece.as_ptr() as usize).is_multiple_of(BLOCK_BYTES));
        let bytes = piece.to_vec();
        assert!(bytes[..10].iter().all(|&b| b == 1));
        assert!(bytes[10..].iter().all(|&b| b == 0));
    }

    #[test]
    fn a_buffer_becomes_bytes_and_returns_to_the_pool() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.buffer(5000);
        buffer.as_mut_slice().fill(3);
        let bytes = buffer.freeze();
        assert_eq!(bytes.len(), 5000);
        assert!(bytes.iter().all(|&b| b == 3));
        assert_eq!(pool.taken_bytes(), 8192);
        drop(bytes);
        assert_eq!(pool.taken_bytes(), 0);
    }

    #[test]
    fn spare_memory_of_one_size_gives_way_to_another() {
        let pool = Pool::new(4 * CHUNK_BYTES);
        let chunks: Vec<_> = (0..4).map(|_| pool.chunk()).collect();
        drop(chunks);
        assert_eq!(pool.spare_bytes.load(Ordering::Relaxed), 4 * CHUNK_BYTES);
        let large = pool.buffer(2 * CHUNK_BYTES);
        assert_eq!(pool.spare_bytes.load(Ordering::Relaxed), 2 * CHUNK_BYTES);
        drop(large);
        assert_eq!(pool.spare_bytes.load(Ordering::Relaxed), 4 * CHUNK_BYTES);
        // While much is in use nothing is kept beside it.
        let _much = [pool.buffer(4 * CHUNK_BYTES), pool.buffer(4 * CHUNK_BYTES)];
        assert_eq!(pool.spare_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn more_than_the_bound_goes_back_to_the_system() {
        let pool = Pool::new(CHUNK_BYTES);
        let chunks: Vec<_> = (0..4).map(|_| pool.chunk()).collect();
        drop(chunks);
        assert!(pool.spare_bytes.load(Ordering::Relaxed) <= CHUNK_BYTES);
        pool.trim(0);
        assert_eq!(pool.spare_bytes.load(Ordering::Relaxed), 0);
    }
}
