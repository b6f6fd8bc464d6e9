//! Receive buffers that all streams of a shard share: the kernel picks one when data has come, so a
//! connection that waits holds no memory.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue};

/// The group's number in the ring; there is only one.
pub(super) const GROUP: u16 = 0;

/// Page-aligned memory, zeroed.
struct Region {
    memory: NonNull<u8>,
    layout: Layout,
}

impl Region {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, 4096).expect("a few MiB");
        assert!(layout.size() > 0);
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        Self { memory, layout }
    }

    fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.layout.size());
        // SAFETY: within the region, checked above.
        unsafe { self.memory.as_ptr().add(offset) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; the ring that used it is closed.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) }
    }
}

/// The shared buffers and the queue through which they are lent to the kernel.
pub(super) struct Buffers {
    entries: Region,
    memory: Region,
    count: u16,
    bytes: u32,
    tail: Cell<u16>,
    /// Buffers that hold data not yet given back.
    held: Cell<u16>,
}

impl Buffers {
    pub(super) fn new(uring: &IoUring, count: u16, bytes: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two());
        assert!(bytes > 0);
        let buffers = Self {
            entries: Region::new(usize::from(count) * size_of::<BufRingEntry>()),
            memory: Region::new(usize::from(count) * bytes as usize),
            count,
            bytes,
            tail: Cell::new(0),
            held: Cell::new(count),
        };
        let address = buffers.entries.memory.as_ptr() as u64;
        let submitter = uring.submitter();
        // SAFETY: the entries are page-aligned, have room for `count`, and live longer than the ring
        // (`core::Inner` declares the ring first).
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0) }?;
        for id in 0..count {
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// Notes that a completion has brought a buffer.
    pub(super) fn note(&self, flags: u32) {
        if cqueue::buffer_select(flags).is_some() {
            self.held.set(self.held.get() + 1);
        }
    }

    /// Buffers that hold data not yet given back.
    pub(super) fn held(&self) -> u16 {
        self.held.get()
    }

    /// Lends a buffer to the kernel again.
    pub(super) fn give_back(&self, id: u16) {
        assert!(id < self.count);
        let base: *mut BufRingEntry = self.entries.memory.as_ptr().cast();
        let tail = self.tail.get();
        // SAFETY: the index is below `count`, for which there is room.
        let entry = unsafe { base.add(usize::from(tail & (self.count - 1))) };
        let address = self.memory.at(usize::from(id) * self.bytes as usize) as u64;
        // SAFETY: the kernel reads this entry only once the tail has moved past it; zeroed memory is
        // a valid entry; the pointer is aligned, as the region is.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(self.bytes);
        entry.set_bid(id);
        // SAFETY: `base` is the first entry of the registered ring.
        let shared_tail = unsafe { BufRingEntry::tail(base) };
        // SAFETY: aligned and alive as the region is; the kernel only reads it.
        let shared_tail = unsafe { AtomicU16::from_ptr(shared_tail.cast_mut()) };
        self.tail.set(tail.wrapping_add(1));
        shared_tail.store(self.tail.get(), Ordering::Release);
        self.held.set(self.held.get() - 1);
    }

    /// What the kernel has put into a buffer.
    pub(super) fn bytes(&self, id: u16, len: u32) -> &[u8] {
        assert!(id < self.count);
        assert!(len <= self.bytes);
        let start = self.memory.at(usize::from(id) * self.bytes as usize);
        // SAFETY: in bounds and initialised; the buffer was taken out of the queue by the kernel and
        // nobody writes to it until it is given back, which `net::Received` does when dropped.
        unsafe { std::slice::from_raw_parts(start, len as usize) }
    }
}
