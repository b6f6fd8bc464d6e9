//! The engine of the millrace broker: record batches, partitions, the commit journal, coordinators
//! as state machines, and the shards that drive them. It knows record batches and no other Kafka
//! bytes of the wire.

#[macro_use]
pub mod plants;

pub mod boot;
pub mod client;
pub mod codec;
pub mod driver;
pub mod group;
pub mod io;
pub mod job;
pub mod journal;
pub mod limits;
pub mod log;
pub mod machine;
pub mod memory;
pub mod metadata;
pub mod partition;
pub mod record;
pub mod shard;
pub mod topic_config;
pub mod types;
