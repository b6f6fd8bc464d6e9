//! The same load through librdkafka, the client that most people run: what differs from the lean client is the client.
//!
//! One librdkafka instance per producer and consumer, each with the threads that it starts by itself. One thread hands
//! over the records when they are due; acknowledgements and arrivals are timed on the threads that librdkafka tells
//! them on, and travel here over a channel. librdkafka packs batches and requests as it sees fit.

mod consumer;
mod driver;
mod event;
mod producer;
mod requests;
mod settings;

pub use driver::Driver;

/// The version that is linked.
pub fn version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
