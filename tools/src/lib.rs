//! Looking at a log directory while no broker runs on it: what is there, and whether it is whole. And a
//! whole broker in simulation.
//!
//! [`inspect`] and [`verify`] read only, and [`repair`] too unless it is told to act. They read with the
//! engine's own code, so what they believe is what the broker believes.

pub mod directory;
pub mod inspect;
pub mod journals;
pub mod metadata;
pub mod repair;
pub mod segment;
pub mod simulate;
pub mod verify;
