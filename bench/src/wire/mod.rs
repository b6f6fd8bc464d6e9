//! Kafka's wire format as the generator speaks it.
//!
//! `cold` asks what is asked a few times per run and uses the messages of the project's protocol crate. `produce` and
//! `fetch` are encoded by hand, because they run for every batch and the generator's own cost must stay small and known:
//! a request is a small head written into a reused buffer beside record bytes that all requests share, and an answer is
//! read in place, without a message being built from it. (The protocol's messages own their fields, which costs an
//! allocation for every array and name: right for a broker's cold paths, several times the price of a head here.)

pub mod ask;
pub mod cold;
pub mod fetch;
pub mod produce;
pub mod reader;
pub mod writer;

/// API keys the generator uses.
pub mod key {
    /// Produce.
    pub const PRODUCE: i16 = 0;
    /// Fetch.
    pub const FETCH: i16 = 1;
    /// ListOffsets.
    pub const LIST_OFFSETS: i16 = 2;
    /// Metadata.
    pub const METADATA: i16 = 3;
    /// ApiVersions.
    pub const API_VERSIONS: i16 = 18;
    /// CreateTopics.
    pub const CREATE_TOPICS: i16 = 19;
    /// DeleteTopics.
    pub const DELETE_TOPICS: i16 = 20;
    /// InitProducerId.
    pub const INIT_PRODUCER_ID: i16 = 22;
    /// DescribeConfigs.
    pub const DESCRIBE_CONFIGS: i16 = 32;
}

/// The client id sent with every request.
pub const CLIENT_ID: &str = "millrace-bench";
