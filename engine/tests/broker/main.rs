//! Whole brokers in a simulated world.

#![expect(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "tests")]

mod checkpoints;
mod directories;
mod full_disk;
mod harness;
mod waypoints;
