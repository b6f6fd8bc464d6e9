//! Listening sockets through the ring.

#![expect(unsafe_code, reason = "the kernel is asked for connections")]

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::Fd;

use super::core::{Completion, Ring};
use super::net::Stream;
use super::op::{Kept, Op, Payload};
use super::sys;
use crate::io::runtime::monotonic;
use crate::io::timers::Sleep;

/// How long an address may be in use before binding it fails: the sockets of a process that was
/// killed live on for some milliseconds, until its ring is torn down.
const BIND_PATIENCE_MS: u64 = 1000;
const BIND_RETRY_MS: u64 = 5;

/// An accept in flight; a connection that nobody takes is closed.
struct Accepting;

impl Payload for Accepting {
    fn discard(self, completion: Completion, ring: &Ring) {
        if completion.result >= 0 {
            ring.close(completion.result, false);
        }
    }
}

/// A listening socket.
pub struct Listener {
    ring: Ring,
    socket: TcpListener,
    /// Kept between calls, so that a dropped `accept` loses no connection.
    accepting: Kept<Accepting>,
}

impl Listener {
    /// Listens at `address`. Each shard may do so at the same one: the kernel spreads connections.
    /// Waits for about a second for an address in use, which a killed process may leave behind.
    ///
    /// # Errors
    /// The system's, among them `AddrInUse` and `PermissionDenied`.
    pub async fn bind(ring: &Ring, address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let give_up = monotonic().plus_ms(BIND_PATIENCE_MS);
        let socket = loop {
            match sys::listen(address, backlog) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && monotonic() < give_up => {
                    Sleep::new(ring.clone(), monotonic().plus_ms(BIND_RETRY_MS)).await;
                }
                bound => break bound?,
            }
        };
        Ok(Self { ring: ring.clone(), socket, accepting: Kept::none() })
    }

    /// Where it listens (the port that was chosen, if 0 was asked for).
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn start(&self) -> Op<Accepting> {
        let null = std::ptr::null_mut();
        let entry = opcode::Accept::new(Fd(self.socket.as_raw_fd()), null, null.cast())
            .flags(libc::SOCK_CLOEXEC)
            .build();
        // SAFETY: no address is asked for, so no memory is passed.
        unsafe { self.ring.start(entry, Accepting) }.cancel_on_drop()
    }

    /// The next connection. May be dropped and called again. One caller at a time.
    ///
    /// # Errors
    /// The system's; a caller should go on after a pause if it is out of descriptors, and at once
    /// otherwise.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            let (completion, Accepting) = self.accepting.wait(|| self.start()).await;
            if completion.is_retry() {
                continue;
            }
            completion.count()?;
            let socket = TcpStream::from(sys::own(completion.result));
            return Ok(Stream::accepted(&self.ring, socket));
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}
