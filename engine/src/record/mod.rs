//! Record batches of Kafka's version 2: the only Kafka bytes that the engine knows.

pub mod batch;
pub mod builder;
pub mod codec;
pub mod control;
pub mod crc;
pub mod layout;
pub mod recompress;
pub mod records;
pub mod stream;
pub mod validate;
pub mod varint;
pub mod walk;

#[cfg(test)]
mod tests;
