//! The server of the millrace broker: Kafka's protocol, sessions with clients, configuration. It turns
//! frames into calls on the engine's shards and answers into frames, and is thin.

pub mod admin;
pub mod api;
pub mod budget;
pub mod cli;
pub mod config;
pub mod document;
pub mod fanout;
pub mod fetch_sessions;
pub mod launch;
pub mod limits;
pub mod metrics;
pub mod net;
pub mod protocol;
pub mod stages;
pub mod supervise;
