//! Connections with clients: listening, frames, order, back-pressure.

pub mod connection;
pub mod event;
pub mod faults;
pub mod listener;
pub mod session;
