//! Connections through the ring: receiving, sending.
//!
//! A receive takes one of the shard's shared buffers only when data has come and only if somebody
//! waits for it: a session that does not ask is not read from, and TCP slows its peer down. (A
//! multishot receive would go on filling buffers for a paused session; it saves little, as the pump
//! submits all receives of a turn in one system call.)

#![expect(unsafe_code, reason = "the kernel reads and writes what is sent and received")]

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Deref;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use io_uring::types::Fd;
use io_uring::{cqueue, opcode, squeue};
use rustix::io::ioctl_fionread;

use super::buffers::GROUP;
use super::core::{Completion, Ring};
use super::op::{Kept, Op, Payload};
use super::sys::{self, RawAddress, done};
use crate::io::runtime::monotonic;
use crate::types::Nanos;

/// Most parts in one send operation (the kernel's `UIO_MAXIOV`).
const PARTS_MAX: usize = 1024;
/// Bytes received at once when all shared buffers are in use.
const OVERFLOW_BYTES: usize = 16 * 1024;
/// `IORING_RECVSEND_POLL_FIRST`: wait for data before trying to receive.
const POLL_FIRST: u16 = 1;
/// How long a connection is new: what it asks for comes behind the requests of older ones when many ask
/// at once, so that a crowd that connects is not in the way of who is there.
const NEW_MS: u64 = 1000;
/// A receive into a shared buffer; data that nobody takes is dropped.
struct Receiving;

impl Payload for Receiving {
    fn discard(self, completion: Completion, ring: &Ring) {
        if let Some(id) = cqueue::buffer_select(completion.flags) {
            ring.buffers().give_back(id);
        }
    }
}

impl Payload for BytesMut {}
impl Payload for Bytes {}
impl Payload for Box<RawAddress> {}

/// Parts being sent, and what the kernel reads about them.
struct Sending {
    message: Box<libc::msghdr>,
    /// Pointed to by `message`.
    addresses: Vec<libc::iovec>,
    parts: Vec<Bytes>,
}

impl Payload for Sending {}

/// What one receive has brought. Nothing at all means that the peer has ended the connection.
/// The memory goes back when this is dropped: copy out what is needed and let go.
pub struct Received {
    ring: Ring,
    from: Source,
}

enum Source {
    Shared { id: u16, len: u32 },
    Own(BytesMut),
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.from {
            Source::Shared { id, len } => self.ring.buffers().bytes(*id, *len),
            Source::Own(bytes) => bytes,
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Source::Shared { id, .. } = self.from {
            self.ring.buffers().give_back(id);
        }
    }
}

struct Connection {
    ring: Ring,
    /// `None` only while it is being dropped.
    socket: Option<TcpStream>,
    peer: Option<SocketAddr>,
    /// Since when it is new; none if it is not.
    new_since: Cell<Option<Nanos>>,
    /// Kept between calls, so that a dropped `recv` loses no data.
    receiving: Kept<Receiving>,
    /// The last receive has left data behind.
    has_more: Cell<bool>,
    receive: Turnstile,
    send: Turnstile,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The receive holds the connection open in the kernel.
        self.receiving.clear();
        if let Some(socket) = self.socket.take() {
            self.ring.close(socket.into_raw_fd(), false);
        }
    }
}

/// Lets one call through at a time, and none after one that was dropped half-way.
#[derive(Default)]
struct Turnstile {
    inside: Cell<bool>,
    broken: Cell<bool>,
}

struct Pass<'a> {
    turnstile: &'a Turnstile,
    /// Whether the stream's place is lost if this is dropped before the end.
    fragile: bool,
}

impl Turnstile {
    fn enter(&self, fragile: bool) -> io::Result<Pass<'_>> {
        if self.broken.get() {
            return Err(io::Error::other("an earlier transfer on this connection was given up"));
        }
        if self.inside.replace(true) {
            return Err(io::Error::other("two transfers in one direction of a connection"));
        }
        Ok(Pass { turnstile: self, fragile })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.turnstile.inside.set(false);
        if self.fragile {
            self.turnstile.broken.set(true);
        }
    }
}

/// A TCP connection. Cheap to clone; closed when the last clone is dropped. One task may receive
/// while another sends.
#[derive(Clone)]
pub struct Stream(Rc<Connection>);

impl Stream {
    /// A connection that somebody has just made.
    pub(super) fn accepted(ring: &Ring, socket: TcpStream) -> Self {
        let stream = Self::new(ring, socket);
        stream.0.new_since.set(Some(monotonic()));
        stream
    }

    fn new(ring: &Ring, socket: TcpStream) -> Self {
        let peer = socket.peer_addr().ok();
        Self(Rc::new(Connection {
            ring: ring.clone(),
            socket: Some(socket),
            peer,
            new_since: Cell::new(None),
            receiving: Kept::none(),
            has_more: Cell::new(false),
            receive: Turnstile::default(),
            send: Turnstile::default(),
        }))
    }

    /// Connects to `address`.
    ///
    /// # Errors
    /// The system's.
    pub async fn connect(ring: &Ring, address: SocketAddr) -> io::Result<Self> {
        let raw = Box::new(RawAddress::new(address));
        let socket = TcpStream::from(raw.socket()?);
        let entry = opcode::Connect::new(Fd(socket.as_raw_fd()), raw.as_ptr(), raw.len()).build();
        // SAFETY: the address is in a box that the operation owns.
        let op = unsafe { ring.start(entry, raw) }.cancel_on_drop();
        done(op.await.0)?;
        Ok(Self::new(ring, socket))
    }

    /// Where this end is.
    #[cfg(test)]
    pub(super) fn socket_address(&self) -> SocketAddr {
        self.socket().local_addr().expect("a connected socket")
    }

    fn socket(&self) -> &TcpStream {
        self.0.socket.as_ref().expect("taken only when dropped")
    }

    fn fd(&self) -> Fd {
        let fd: RawFd = self.socket().as_raw_fd();
        Fd(fd)
    }

    /// Where the peer is; `None` if it had gone before it could be asked.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Sends small segments at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().set_nodelay(nodelay)
    }

    /// Bounds what the kernel holds to be sent (`SO_SNDBUF`; the kernel doubles it). Bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn set_send_buffer_bytes(&self, bytes: i32) -> io::Result<()> {
        sys::set_option(self.socket(), libc::SOL_SOCKET, libc::SO_SNDBUF, bytes)
    }

    /// Bounds what the kernel holds of what was received (`SO_RCVBUF`; the kernel doubles it). Bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn set_receive_buffer_bytes(&self, bytes: i32) -> io::Result<()> {
        sys::set_option(self.socket(), libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
    }

    /// How many bytes of what was sent the peer's kernel has acknowledged so far (`TCP_INFO`): while its
    /// program does not read, they soon stay the same.
    ///
    /// # Errors
    /// The system's.
    pub fn acknowledged_bytes(&self) -> io::Result<u64> {
        sys::tcp_info(self.socket()).map(|info| info.tcpi_bytes_acked)
    }

    /// How many bytes have come that nobody has received yet; none if the last receive left none behind.
    ///
    /// # Errors
    /// The system's.
    pub fn waiting_bytes(&self) -> io::Result<usize> {
        if !self.0.has_more.get() {
            return Ok(0);
        }
        Ok(usize::try_from(ioctl_fionread(self.socket())?).unwrap_or(usize::MAX))
    }

    /// Whether the peer's kernel has acknowledged all that was sent.
    ///
    /// # Errors
    /// The system's.
    pub fn is_all_acknowledged(&self) -> io::Result<bool> {
        let info = sys::tcp_info(self.socket())?;
        Ok(info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0)
    }

    /// Ends the connection in one or both directions; calls that wait end too.
    ///
    /// # Errors
    /// The system's, `NotConnected` if the peer was faster.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }

    /// Ends the connection at once: what was not yet taken from the kernel by the peer is thrown away, not
    /// kept for it.
    ///
    /// # Errors
    /// The system's, `NotConnected` if the peer was faster.
    pub fn abort(&self) -> io::Result<()> {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        sys::set_option(self.socket(), libc::SOL_SOCKET, libc::SO_LINGER, linger)?;
        self.shutdown(Shutdown::Both)
    }

    fn poll_first(&self) -> u16 {
        if self.0.has_more.get() { 0 } else { POLL_FIRST }
    }

    fn start_receive(&self) -> Op<Receiving> {
        let entry = opcode::Recv::new(self.fd(), std::ptr::null_mut(), 0)
            .buf_group(GROUP)
            .ioprio(self.poll_first())
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        if self.is_new() {
            // SAFETY: no memory is passed: the kernel takes a shared buffer, which `Buffers` keeps.
            unsafe { self.0.ring.start_patient(entry, Receiving) }.cancel_on_drop()
        } else {
            // SAFETY: as above.
            unsafe { self.0.ring.start(entry, Receiving) }.cancel_on_drop()
        }
    }

    fn is_new(&self) -> bool {
        let is_new = |since: &Nanos| monotonic().ms_since(*since) < NEW_MS;
        let since = self.0.new_since.get().filter(is_new);
        self.0.new_since.set(since);
        since.is_some()
    }

    /// Receives into the free capacity behind the bytes: `len` of it, all of them if `whole`.
    async fn receive_behind(
        &self,
        mut bytes: BytesMut,
        len: usize,
        whole: bool,
    ) -> (Completion, BytesMut) {
        let filled = bytes.len();
        let spare = bytes.spare_capacity_mut();
        let len = len.min(spare.len()).min(1 << 30);
        let size = u32::try_from(len).expect("below 2^31");
        let entry = opcode::Recv::new(self.fd(), spare.as_mut_ptr().cast(), size)
            .ioprio(self.poll_first())
            .flags(if whole { libc::MSG_WAITALL } else { 0 })
            .build();
        // SAFETY: `size` bytes of free capacity lie behind the address, on the heap, and the
        // operation owns them.
        let op = unsafe { self.0.ring.start(entry, bytes) }.cancel_on_drop();
        let (completion, mut bytes) = op.await;
        let count = usize::try_from(completion.result).unwrap_or_default().min(len);
        // SAFETY: the kernel has written `count` bytes behind the first `filled`, within capacity.
        unsafe { bytes.set_len(filled + count) };
        self.0.has_more.set(cqueue::sock_nonempty(completion.flags));
        (completion, bytes)
    }

    /// Waits for data. May be dropped and called again: nothing is lost. One caller at a time.
    ///
    /// # Errors
    /// The system's, such as `ConnectionReset`.
    pub async fn recv(&self) -> io::Result<Received> {
        let _pass = self.0.receive.enter(false)?;
        self.recv_inside().await
    }

    async fn recv_inside(&self) -> io::Result<Received> {
        loop {
            let (completion, Receiving) = self.0.receiving.wait(|| self.start_receive()).await;
            if completion.is_retry() {
                continue;
            }
            let ring = self.0.ring.clone();
            if completion.result == -libc::ENOBUFS {
                // There is data, but all shared buffers are in use: take a little memory of our own
                // and do not wait for others to let go.
                let own = BytesMut::with_capacity(OVERFLOW_BYTES);
                self.0.has_more.set(true);
                let (completion, own) = self.receive_behind(own, OVERFLOW_BYTES, false).await;
                if completion.is_retry() {
                    continue;
                }
                completion.count()?;
                return Ok(Received { ring, from: Source::Own(own) });
            }
            self.0.has_more.set(cqueue::sock_nonempty(completion.flags));
            let len = completion.count()?;
            let from = match cqueue::buffer_select(completion.flags) {
                Some(id) => Source::Shared { id, len: u32::try_from(len).unwrap_or_default() },
                None => Source::Own(BytesMut::new()),
            };
            return Ok(Received { ring, from });
        }
    }

    /// Receives straight behind `bytes`, into capacity that is there already: at least `len_min` bytes
    /// (0: whatever comes) unless the peer ends, and no more than the capacity, of which there must be
    /// at least `len_min` and 1. Returns the bytes and how many came; 0 is the end.
    ///
    /// If the future is dropped half-way, the connection cannot receive any more.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Panics
    /// If there is not enough capacity.
    pub async fn recv_into(
        &self,
        mut bytes: BytesMut,
        len_min: usize,
    ) -> io::Result<(BytesMut, usize)> {
        assert!(bytes.capacity() - bytes.len() >= len_min.max(1), "room for what is asked for");
        let mut pass = self.0.receive.enter(true)?;
        let before = bytes.len();
        if self.0.receiving.is_some() {
            // A `recv` was dropped while it waited: its data comes first.
            let first = self.recv_inside().await?;
            let fits = first.len().min(bytes.capacity() - bytes.len());
            if fits < first.len() {
                bytes.reserve(first.len());
            }
            bytes.extend_from_slice(&first);
        }
        loop {
            let got = bytes.len() - before;
            if got >= len_min.max(1) {
                break;
            }
            let (len, whole) = match len_min {
                0 => (bytes.capacity() - bytes.len(), false),
                len_min => (len_min - got, true),
            };
            let (completion, filled) = self.receive_behind(bytes, len, whole).await;
            bytes = filled;
            if !completion.is_retry() && completion.count()? == 0 {
                break;
            }
        }
        pass.fragile = false;
        let got = bytes.len() - before;
        Ok((bytes, got))
    }

    fn start_send(&self, mut parts: Vec<Bytes>) -> SendOp {
        let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        if parts.len() == 1 {
            let part = parts.pop().expect("just counted");
            let len = u32::try_from(part.len().min(1 << 30)).expect("below 2^31");
            let entry = opcode::Send::new(self.fd(), part.as_ptr(), len).flags(flags).build();
            // SAFETY: `Bytes` keeps its memory where it is, and the operation holds a share of it.
            return SendOp::One(unsafe { self.0.ring.start(entry, part) });
        }
        let address = |part: &Bytes| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        };
        let mut addresses: Vec<_> = parts.iter().take(PARTS_MAX).map(address).collect();
        // SAFETY: all zeros is a valid msghdr: null pointers and lengths of 0.
        let mut message: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        message.msg_iov = addresses.as_mut_ptr();
        message.msg_iovlen = addresses.len();
        let flags = u32::try_from(flags).expect("small positive flags");
        let entry = opcode::SendMsg::new(self.fd(), &raw const *message).flags(flags).build();
        let sending = Sending { message, addresses, parts };
        // SAFETY: message, addresses and parts are on the heap, and the operation owns them.
        SendOp::Many(unsafe { self.0.ring.start(entry, sending) })
    }

    /// Sends all parts, one behind the other. One caller at a time.
    ///
    /// If the future is dropped half-way, the connection cannot send any more.
    ///
    /// # Errors
    /// The system's, such as `BrokenPipe`; how much has been sent is not known then.
    pub async fn send(&self, mut parts: Vec<Bytes>) -> io::Result<()> {
        let mut pass = self.0.send.enter(true)?;
        parts.retain(|part| !part.is_empty());
        while !parts.is_empty() {
            let (completion, returned) = match self.start_send(parts) {
                SendOp::One(op) => {
                    let (completion, part) = op.await;
                    (completion, vec![part])
                }
                SendOp::Many(op) => {
                    let (completion, sending) = op.await;
                    debug_assert!(!sending.addresses.is_empty(), "kept for the kernel");
                    drop(sending.message);
                    (completion, sending.parts)
                }
            };
            parts = returned;
            if completion.is_retry() {
                continue;
            }
            advance(&mut parts, completion.count()?);
        }
        pass.fragile = false;
        Ok(())
    }
}

enum SendOp {
    One(Op<Bytes>),
    Many(Op<Sending>),
}

/// Takes away what has been sent.
fn advance(parts: &mut Vec<Bytes>, mut count: usize) {
    let whole = parts.iter().take_while(|part| {
        let fits = part.len() <= count;
        if fits {
            count -= part.len();
        }
        fits
    });
    let whole = whole.count();
    parts.drain(..whole);
    if let Some(first) = parts.first_mut() {
        first.advance(count);
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("peer", &self.0.peer).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received").field("len", &self.len()).finish()
    }
}
