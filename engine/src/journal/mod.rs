//! The commit journal of a shard: one sequential write and one flush make the appends of all
//! partitions durable.
//!
//! A journal is a set of files of one size, written in full once and then recycled. Entries are redo
//! records: "these bytes stand at this position of that segment". An entry is needed until the segment
//! file itself holds its bytes durably; a file is free again when none of its entries is needed.

pub mod entry;
pub mod format;
pub mod plan;
pub mod replay;

#[cfg(test)]
mod tests;
