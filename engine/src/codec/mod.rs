//! The Kafka wire format: bounded reading, scatter/gather writing, and the `message!` macro.
//!
//! Requests, responses and the records of Kafka's internal topics are all declared with
//! [`message!`](crate::message). What is read may come from anyone: every length is checked against
//! the bytes that arrived before anything is allocated for it.

mod reader;
mod records;
mod sample;
mod schema;
mod text;
mod wire;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{BUDGET_BASE, BUDGET_PER_BYTE, DecodeError, Reader, TAGS_MAX};
pub use records::Records;
pub use sample::Sampler;
pub use schema::{Message, any_tag, tags_ascend};
pub use text::Str;
pub use wire::{Cx, Nullable, Wire, get_presence, put_presence, put_tagged};
pub use writer::{EncodeError, Frame, SHARE_MIN, Writer};
