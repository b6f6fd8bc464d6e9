//! What a run measures: latencies, rates, CPU, memory, disk.

pub mod device;
pub mod latency;
pub mod log;
pub mod process;
pub mod recorder;
pub mod room;
pub mod used;
