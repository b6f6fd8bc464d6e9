//! What the generator runs against.

pub mod broker;
pub mod durability;
pub mod kafka;
pub mod millrace;
pub mod place;
pub mod warm;
