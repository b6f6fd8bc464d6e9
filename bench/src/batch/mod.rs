//! Record batches (format v2) as the generator makes and reads them.
//!
//! Written here and not taken from the engine because the generator's cost is part of what it measures: a batch is
//! encoded once, and sending it again touches about a hundred bytes of it.

pub mod compression;
pub mod crc;
pub mod header;
pub mod key;
pub mod mixed;
pub mod payload;
pub mod ready;
pub mod record;
pub mod ring;
pub mod size;
pub mod stamp;
pub mod stock;
pub mod template;
pub mod varint;
pub mod walk;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Where the CRC stands; it covers everything behind it.
pub const CRC_AT: usize = 17;
/// The first byte the CRC covers.
pub const CRC_FROM: usize = 21;
/// Bytes before the part that the length field counts.
pub const LENGTH_EXCLUDES: usize = 12;
