//! The engine of the millrace broker: record batches, partitions, the commit journal, coordinators
//! as state machines, and the shards that drive them. It knows record batches and no other Kafka
//! bytes of the wire.

pub mod limits;
pub mod machine;
pub mod memory;
pub mod types;
