//! A partition's log on disk and in memory: segments, indexes, checkpoints. No I/O happens here.

pub mod checkpoint;
pub mod damage;
pub mod files;
pub mod index;
pub mod index_check;
pub mod scan;
pub mod segment;
pub mod tail;
