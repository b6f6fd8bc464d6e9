//! A file opened for direct I/O, through the ring.

#![expect(unsafe_code, reason = "the kernel reads and writes pool memory")]

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use io_uring::opcode;
use io_uring::types::{Fd, FsyncFlags};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::blocking::Blocking;
use super::core::{Completion, Ring};
use super::op::{Op, Payload};
use super::sys::{done, plain};
use crate::io::File;
use crate::limits::BLOCK_BYTES;
use crate::memory::{Buffer, Piece, Pool};

/// Most pieces in one write operation (the kernel's `UIO_MAXIOV`).
const PIECES_MAX: usize = 1024;
/// Most bytes in one operation; the kernel's own bound is just below 2 GiB.
const OPERATION_BYTES_MAX: usize = 1 << 30;

impl Payload for Buffer {}

/// Pieces being written, and their addresses as the kernel reads them.
struct Writing {
    addresses: Vec<libc::iovec>,
    pieces: Vec<Piece>,
}

impl Payload for Writing {}

struct Handle {
    /// `None` only while it is being dropped.
    file: Option<std::fs::File>,
    ring: Ring,
    pool: Arc<Pool>,
    blocking: Rc<Blocking>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.ring.close(file.into_raw_fd(), true);
        }
    }
}

/// A file opened for direct I/O. Operations that have started go on in the kernel when their future
/// is dropped.
#[derive(Clone)]
pub struct RingFile(Rc<Handle>);

impl RingFile {
    pub(super) fn new(
        file: std::fs::File,
        ring: Ring,
        pool: Arc<Pool>,
        blocking: Rc<Blocking>,
    ) -> Self {
        Self(Rc::new(Handle { file: Some(file), ring, pool, blocking }))
    }

    fn file(&self) -> &std::fs::File {
        self.0.file.as_ref().expect("taken only when dropped")
    }

    fn fd(&self) -> RawFd {
        self.file().as_raw_fd()
    }

    fn start_read(&self, mut buffer: Buffer, done: usize, position: u64) -> Op<Buffer> {
        let rest = buffer.as_mut_slice().get_mut(done..).unwrap_or_default();
        let len = u32::try_from(rest.len().min(OPERATION_BYTES_MAX)).expect("below 2^30");
        let entry = opcode::Read::new(Fd(self.fd()), rest.as_mut_ptr(), len);
        let entry = entry.offset(position + done as u64).build();
        // SAFETY: the buffer's block is on the heap, `len` bytes of it lie behind the address, and it
        // has one owner, the operation.
        unsafe { self.0.ring.start(entry, buffer) }
    }

    fn start_write(&self, writing: Writing, position: u64, flags: i32) -> Op<Writing> {
        let fd = Fd(self.fd());
        let entry = match writing.addresses.as_slice() {
            [one] => {
                let len = u32::try_from(one.iov_len).expect("bounded in write_some");
                let entry = opcode::Write::new(fd, one.iov_base.cast(), len);
                entry.offset(position).rw_flags(flags).build()
            }
            many => {
                let count = u32::try_from(many.len()).expect("bounded in write_some");
                let entry = opcode::Writev::new(fd, many.as_ptr(), count);
                entry.offset(position).rw_flags(flags).build()
            }
        };
        // SAFETY: the addresses are on the heap, and each piece keeps its block alive; what a piece
        // covers may be written behind its written part while the kernel reads it, which `Piece`
        // allows.
        unsafe { self.0.ring.start(entry, writing) }
    }

    /// Writes a first part of the pieces, skipping `skip` bytes; returns how many bytes that was.
    async fn write_some(
        &self,
        position: u64,
        pieces: Vec<Piece>,
        skip: usize,
        flags: i32,
    ) -> (Completion, Vec<Piece>) {
        let mut addresses = Vec::with_capacity(pieces.len().min(PIECES_MAX));
        let (mut before, mut total) = (skip, 0);
        for piece in &pieces {
            if addresses.len() == PIECES_MAX || total >= OPERATION_BYTES_MAX {
                break;
            }
            let skipped = before.min(piece.len());
            before -= skipped;
            let len = (piece.len() - skipped).min(OPERATION_BYTES_MAX - total);
            if len > 0 {
                let base = piece.as_ptr().wrapping_add(skipped).cast_mut().cast();
                addresses.push(libc::iovec { iov_base: base, iov_len: len });
                total += len;
            }
        }
        let op = self.start_write(Writing { addresses, pieces }, position + skip as u64, flags);
        let (completion, writing) = op.await;
        (completion, writing.pieces)
    }

    /// Writes all of the pieces; `flags` are those of `pwritev2`.
    async fn write_all(&self, position: u64, mut pieces: Vec<Piece>, flags: i32) -> io::Result<()> {
        let len = pieces.iter().map(Piece::len).sum();
        assert_aligned(position, len);
        let mut total = 0;
        while total < len {
            let (completion, returned) = self.write_some(position, pieces, total, flags).await;
            pieces = returned;
            if completion.is_retry() {
                continue;
            }
            // A short write may end within a block, from where direct I/O cannot go on.
            let count = completion.count()?;
            let whole = count - count % BLOCK_BYTES;
            if whole == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            total += whole;
        }
        Ok(())
    }
}

fn assert_aligned(position: u64, len: usize) {
    assert!(position.is_multiple_of(BLOCK_BYTES as u64), "direct I/O is done in blocks");
    assert!(len.is_multiple_of(BLOCK_BYTES), "direct I/O is done in blocks");
}

impl File for RingFile {
    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        assert_aligned(position, len);
        let mut buffer = self.0.pool.buffer(len);
        let mut total = 0;
        while total < len {
            let (completion, returned) = self.start_read(buffer, total, position).await;
            buffer = returned;
            if completion.is_retry() {
                continue;
            }
            let count = completion.count()?;
            total += count;
            // The file ends here; a part of a block cannot be read on from anyway.
            if count == 0 || !count.is_multiple_of(BLOCK_BYTES) {
                break;
            }
        }
        buffer.truncate(total);
        Ok(buffer.freeze())
    }

    async fn write_at(&self, position: u64, pieces: Vec<Piece>) -> io::Result<()> {
        self.write_all(position, pieces, 0).await
    }

    async fn write_durably(&self, position: u64, pieces: Vec<Piece>) -> io::Result<()> {
        // The kernel writes and flushes by itself, or writes through where the device can; nobody is woken
        // in between. Each part of a write that comes in parts is flushed. An interrupted one is made again
        // as a whole, write and flush.
        self.write_all(position, pieces, libc::RWF_DSYNC).await
    }

    async fn sync_data(&self) -> io::Result<()> {
        loop {
            let entry = opcode::Fsync::new(Fd(self.fd())).flags(FsyncFlags::DATASYNC).build();
            let (completion, ()) = plain(&self.0.ring, entry).await;
            // A flush that failed otherwise is never repeated here: what it did not write may be lost.
            if completion.result != -libc::EINTR {
                return done(completion);
            }
        }
    }

    async fn allocate(&self, len: u64) -> io::Result<()> {
        loop {
            let entry = opcode::Fallocate::new(Fd(self.fd()), len).build();
            let (completion, ()) = plain(&self.0.ring, entry).await;
            if !completion.is_retry() {
                return done(completion);
            }
        }
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        if !self.0.ring.can_truncate() {
            let file = self.file().try_clone()?;
            return self.0.blocking.run(move || file.set_len(len)).await?;
        }
        loop {
            let entry = opcode::Ftruncate::new(Fd(self.fd()), len).build();
            let (completion, ()) = plain(&self.0.ring, entry).await;
            if !completion.is_retry() {
                return done(completion);
            }
        }
    }

    async fn size(&self) -> io::Result<u64> {
        // The inode of an open file is in memory: this does not wait for the disk.
        Ok(self.file().metadata()?.len())
    }

    async fn written_end(&self) -> io::Result<u64> {
        let file = self.file().try_clone()?;
        self.0.blocking.run(move || written_end(&file)).await?
    }
}

/// The end of the last extent that holds data.
fn written_end(file: &std::fs::File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let mut end = 0;
    while end < len {
        let data = match seek(file, SeekFrom::Data(end)) {
            Err(Errno::NXIO) => break,
            // The file system does not know.
            Err(Errno::INVAL) => return Ok(len),
            found => found?,
        };
        end = seek(file, SeekFrom::Hole(data))?;
    }
    Ok(end)
}

impl std::fmt::Debug for RingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RingFile").field("fd", &self.fd()).finish_non_exhaustive()
    }
}
