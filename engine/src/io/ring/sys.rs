//! Single system calls behind safe functions.

#![expect(unsafe_code, reason = "calls into libc")]

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use io_uring::{opcode, types::Fd};

use super::core::{Completion, Ring};
use super::op::Op;

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes over a descriptor that a system call has just made.
pub(super) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller got this descriptor from the kernel as new, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Closes a descriptor that its owner has let go.
pub(super) fn close(fd: RawFd) {
    drop(own(fd));
}

/// A new eventfd with counter 0.
///
/// # Errors
/// No descriptor is left.
pub fn eventfd() -> io::Result<File> {
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    Ok(File::from(own(checked(fd)?)))
}

/// 64 bits of the kernel's randomness.
#[must_use]
pub fn random() -> u64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer has the length that is given.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert!(count == 8, "getrandom gives up to 256 bytes at once");
    u64::from_ne_bytes(bytes)
}

/// Bytes of memory that the process may lock, `None` for no limit.
///
/// # Errors
/// The limit cannot be read.
pub fn memlock_bytes_max() -> io::Result<Option<u64>> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is written for the duration of the call only.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) })?;
    Ok((limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur))
}

/// A read into memory of the operation's own.
pub(super) fn read(ring: &Ring, fd: RawFd, mut memory: Vec<u8>, at: u64) -> Op<Vec<u8>> {
    let len = u32::try_from(memory.len()).expect("small reads only");
    let entry = opcode::Read::new(Fd(fd), memory.as_mut_ptr(), len).offset(at).build();
    // SAFETY: the vector owns `len` bytes on the heap and is not touched before the end.
    unsafe { ring.start(entry, memory) }
}

/// An operation on a descriptor that takes no memory.
pub(super) fn plain(ring: &Ring, entry: io_uring::squeue::Entry) -> Op<()> {
    // SAFETY: for callers in this folder: such entries (fsync, fallocate, ftruncate) hold no address.
    unsafe { ring.start(entry, ()) }
}

/// What an operation without a result of its own has given.
pub(super) fn done(completion: Completion) -> io::Result<()> {
    completion.count().map(drop)
}

/// An address as the kernel wants it.
#[derive(Clone, Copy)]
pub(super) enum RawAddress {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl RawAddress {
    pub(super) fn new(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => Self::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            }),
        }
    }

    pub(super) fn as_ptr(&self) -> *const libc::sockaddr {
        match self {
            Self::V4(v4) => std::ptr::from_ref(v4).cast(),
            Self::V6(v6) => std::ptr::from_ref(v6).cast(),
        }
    }

    pub(super) fn len(&self) -> libc::socklen_t {
        let len = match self {
            Self::V4(_) => size_of::<libc::sockaddr_in>(),
            Self::V6(_) => size_of::<libc::sockaddr_in6>(),
        };
        libc::socklen_t::try_from(len).expect("an address is a few bytes")
    }

    fn family(&self) -> libc::c_int {
        match self {
            Self::V4(_) => libc::AF_INET,
            Self::V6(_) => libc::AF_INET6,
        }
    }

    /// A TCP socket for this kind of address. It is blocking: the ring waits for it by itself.
    pub(super) fn socket(&self) -> io::Result<OwnedFd> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::socket(self.family(), kind, libc::IPPROTO_TCP) };
        checked(fd).map(own)
    }
}

/// Sets an option of a socket: an integer, or the structure that the option takes.
pub(super) fn set_option<T: Copy>(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: T,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).expect("a few bytes");
    let value = std::ptr::from_ref(&value).cast();
    // SAFETY: `value` points to a value of the given length that lives through the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, len) };
    checked(result).map(drop)
}

/// What the kernel knows of a TCP connection (`man 7 tcp`, `TCP_INFO`).
pub(super) fn tcp_info(socket: &impl AsRawFd) -> io::Result<libc::tcp_info> {
    // SAFETY: all zeros is a valid `tcp_info`: it has numbers only.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = libc::socklen_t::try_from(size_of_val(&info)).expect("a few hundred bytes");
    let value = (&raw mut info).cast();
    let (level, name) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    // SAFETY: at most `len` bytes of `info` are written, during the call only.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, value, &raw mut len) };
    checked(result).map(|_| info)
}

/// A listening socket whose port may be shared by several (one for each shard).
pub(super) fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let raw = RawAddress::new(address);
    let socket = raw.socket()?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    if address.is_ipv6() {
        set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
    }
    // SAFETY: the address lives through the call and has the length that is given.
    checked(unsafe { libc::bind(socket.as_raw_fd(), raw.as_ptr(), raw.len()) })?;
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: no memory is passed.
    checked(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(TcpListener::from(socket))
}
