//! What a handler is given: the shards, the configuration, who asks.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use millrace_engine::client::Client;
use millrace_engine::codec::Str;
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::metadata::cluster::BrokerImage;
use millrace_engine::metadata::record::Endpoint;
use millrace_engine::types::NodeId;

use super::init_producer_id::ProducerIds;
use crate::budget::AnswerMemory;
use crate::config::BrokerConfig;
use crate::fetch_sessions::FetchSessions;
use crate::limits::ANSWER_MEMORY_PART;
use crate::metrics::{Counters, Metrics};
use crate::protocol::RequestHeader;
use crate::stages::Stages;

/// What all handlers of one shard share. Lives on the shard's thread.
pub struct Ctx<E: Env> {
    /// To all shards.
    pub client: Client<E>,
    /// The broker's settings.
    pub config: Arc<BrokerConfig>,
    /// `cluster.id`.
    pub cluster_id: Str,
    /// What was counted.
    pub metrics: Metrics,
    /// What Produce and Fetch requests spent in each stage.
    pub stages: RefCell<Stages>,
    /// Incremental fetch sessions of this shard's connections (KIP-227).
    pub fetch_sessions: RefCell<FetchSessions>,
    /// Producer ids to give out.
    pub producer_ids: RefCell<ProducerIds>,
    /// Memory for records on their way to clients.
    pub answer_memory: AnswerMemory,
}

impl<E: Env> Ctx<E> {
    /// The handlers' world on the shard of `client`.
    #[must_use]
    pub fn new(
        client: Client<E>,
        config: Arc<BrokerConfig>,
        cluster_id: &str,
        counters: Arc<Counters>,
    ) -> Self {
        let sessions_max = config.fetch.sessions_max.div_ceil(u32::from(client.shards().max(1)));
        let memory_bytes = config.millrace.memory_bytes / u64::from(client.shards().max(1));
        let answer_bytes = memory_bytes / ANSWER_MEMORY_PART;
        let sessions = FetchSessions::new(usize::try_from(sessions_max).unwrap_or(usize::MAX));
        Self {
            client,
            config,
            cluster_id: cluster_id.into(),
            metrics: Metrics::new(counters),
            stages: RefCell::default(),
            fetch_sessions: RefCell::new(sessions),
            producer_ids: RefCell::default(),
            answer_memory: AnswerMemory::new(usize::try_from(answer_bytes).unwrap_or(usize::MAX)),
        }
    }

    /// The metadata as this shard has it now.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.client.image()
    }

    /// This broker's number.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.config.node_id
    }

    /// 128 random bits.
    #[must_use]
    pub fn random(&self) -> u128 {
        let env = self.client.env();
        u128::from(env.random()) << 64 | u128::from(env.random())
    }

    /// Where clients who came in through the listener of `peer` reach a broker; none if that broker has
    /// no such listener.
    #[must_use]
    pub fn endpoint<'a>(&self, broker: &'a BrokerImage, peer: &Peer) -> Option<&'a Endpoint> {
        broker.endpoint(&peer.listener)
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Option<SocketAddr>,
    /// The name of the listener that it came in through.
    pub listener: Rc<str>,
    /// Whether it has taken all that it was sent, records among it.
    pub is_reading: Cell<bool>,
}

impl Peer {
    /// The client's address as Kafka prints it: `/127.0.0.1`.
    #[must_use]
    pub fn client_host(&self) -> String {
        self.address.map_or_else(String::new, |address| format!("/{}", address.ip()))
    }
}

/// What a handler knows of a request besides its body.
#[derive(Debug, Clone)]
pub struct RequestMeta {
    /// API, version, correlation id, client id.
    pub header: RequestHeader,
    /// Who asks.
    pub peer: Rc<Peer>,
}

impl RequestMeta {
    /// The version of request and response.
    #[must_use]
    pub const fn version(&self) -> i16 {
        self.header.version
    }

    /// What the client calls itself; empty if it does not say.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.header.client_id.as_ref().map_or("", |id| id.as_str())
    }
}
