//! Direct writes and flushes through io_uring, as bare as they come.
#![expect(unsafe_code, reason = "the kernel reads buffers while a submission is under way")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};

/// Alignment that direct I/O asks for on any disk in use.
const ALIGN: usize = 4096;

/// A buffer aligned for direct I/O.
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` bytes that are not zero, so that no layer may take a short cut.
    pub fn new(len: usize) -> Self {
        let bytes: Vec<u8> = (0..len + ALIGN).map(|at| (at * 31) as u8 | 1).collect();
        let start = bytes.as_ptr().align_offset(ALIGN);
        Self { bytes, start, len }
    }

    fn as_ptr(&self) -> *const u8 {
        self.bytes[self.start..self.start + self.len].as_ptr()
    }
}

/// Writes of one buffer to one file. Waits for everything it has submitted before it goes away.
pub struct Writes<'b> {
    ring: IoUring,
    file: File,
    buffer: &'b Aligned,
    in_flight: usize,
}

impl<'b> Writes<'b> {
    /// For up to `depth` writes at a time.
    pub fn new(file: File, buffer: &'b Aligned, depth: u32) -> io::Result<Self> {
        Ok(Self { ring: IoUring::new(depth.max(2))?, file, buffer, in_flight: 0 })
    }

    /// Writes under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Begins to write the buffer at `offset`.
    pub fn write(&mut self, offset: u64) -> io::Result<()> {
        let fd = types::Fd(self.file.as_raw_fd());
        let entry = opcode::Write::new(fd, self.buffer.as_ptr(), self.buffer.len as u32)
            .offset(offset)
            .build();
        self.push(&entry)
    }

    /// Begins to flush the file's data.
    pub fn flush(&mut self) -> io::Result<()> {
        let fd = types::Fd(self.file.as_raw_fd());
        self.push(&opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build())
    }

    fn push(&mut self, entry: &io_uring::squeue::Entry) -> io::Result<()> {
        // SAFETY: the buffer outlives this value, which does not go away before the kernel is done with it (`Drop`),
        // is only read, and the file stays open as long.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.map_err(io::Error::other)?;
        self.in_flight += 1;
        self.ring.submit().map(|_| ())
    }

    /// Waits for one write or flush.
    pub fn wait(&mut self) -> io::Result<()> {
        self.ring.submit_and_wait(1)?;
        let Some(done) = self.ring.completion().next() else { return Ok(()) };
        self.in_flight -= 1;
        if done.result() < 0 {
            return Err(io::Error::from_raw_os_error(-done.result()));
        }
        Ok(())
    }
}

impl Drop for Writes<'_> {
    fn drop(&mut self) {
        while self.in_flight > 0 {
            let waited = self.ring.submit_and_wait(1);
            if waited.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
                // Without the kernel's word the buffer may still be read; ending is the only safe way out.
                std::process::abort();
            }
            self.in_flight -= self.ring.completion().count().min(self.in_flight);
        }
    }
}
