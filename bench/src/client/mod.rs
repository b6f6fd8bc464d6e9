//! The clients that drive a load. The program's own is lean: one thread, one epoll set, many pipelined connections.
//!
//! What makes it lean: batches are encoded once (`batch::template`), a request's record bytes are shared with all others
//! and go to the kernel by a vectored write, answers are read in place, and nothing is allocated per request once the
//! buffers are warm. epoll and not io_uring, because on loopback the two cost the same and only the broker has disk
//! writes to batch with its sends. `librdkafka` drives the same load through the client that most people run.

pub mod choice;
pub mod connection;
pub mod consumer;
pub mod course;
pub mod driver;
pub mod group;
pub mod journey;
#[cfg(feature = "librdkafka")]
pub mod librdkafka;
pub mod outcome;
pub mod packer;
pub mod producer;
pub mod schedule;
pub mod setup;
pub mod ticks;
pub mod workforce;
