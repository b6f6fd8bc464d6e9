//! The broker's metadata: KRaft records, the image they fold into, and the controller that writes
//! them.
//!
//! ```text
//! snapshot file, log batches ── loader ──▶ image ──▶ published to every shard, as Arc<Image>
//!                                            ▲
//!   call ──▶ controller ──▶ records ── apply ┘   (appended and durable first)
//! ```
//!
//! State is the fold of records, nothing else: the same [`apply`] folds what the controller has
//! just planned, what is read at start, and in a cluster what another controller has written.

pub mod access;
pub mod apply;
pub mod batches;
pub mod bootstrap;
pub mod changes;
pub mod cluster;
pub mod configs;
pub mod controller;
pub mod features;
pub mod image;
pub mod loader;
pub mod placement;
pub mod quorum_state;
pub mod record;
pub mod snapshot;
pub mod table;
pub mod topics;

#[cfg(test)]
mod tests;

pub use image::Image;
