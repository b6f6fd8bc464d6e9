//! Looking at a log directory while no broker runs on it: what is there, and whether it is whole. And a
//! whole broker in simulation.
//!
//! [`inspect`] and [`verify`] read only, and read with the engine's own pure code, so what they believe is
//! what the broker believes.

pub mod directory;
pub mod inspect;
pub mod journals;
pub mod metadata;
pub mod segment;
pub mod simulate;
pub mod verify;
