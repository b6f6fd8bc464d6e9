//! One io_uring ring per shard, driven by one task of the shard's executor.
//!
//! * `core`: the ring and the table of operations in flight; `op`: one operation as a future.
//! * `pump`: the task that submits, reaps and sleeps. All other tasks only queue operations; the
//!   pump submits what one round of tasks has queued with one system call.
//! * `file`, `disk`: files and directories; `listen`, `net`, `buffers`: sockets.
//! * `wake`: how another thread wakes the shard.
//! * `blocking`: the few calls that have no io_uring operation; `sys`: single system calls.
//!
//! Memory that the kernel reads or writes belongs to the operation until its completion has been
//! reaped: a future that is dropped earlier leaves it behind in the table (see `op::Op`).

pub mod blocking;
pub mod buffers;
pub mod core;
pub mod disk;
pub mod file;
pub mod listen;
pub mod net;
mod op;
pub mod pump;
pub mod sys;
pub mod wake;

pub use self::core::{Ring, RingOptions, RingStats};
pub use self::file::RingFile;
pub use self::listen::Listener;
pub use self::net::{Received, Stream};
pub use self::wake::RingWaker;

#[cfg(test)]
mod tests;
