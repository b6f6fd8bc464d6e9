//! The APIs that are served: one table, and the way from a request's frame to its answer's.
//!
//! A handler is a file with `pub async fn handle(&Ctx<E>, &RequestMeta, Request) -> Response`; the
//! table below, behind Produce and Fetch, is all that ApiVersions announces and all that is answered. Produce
//! alone has a part that runs at once, when its frame is taken, so that batches keep the order in which they
//! came; of Produce and Fetch it is told when they reached which stage.

pub mod authorized_operations;
mod auto_create;
pub mod context;
pub mod errors;

pub mod api_versions;
pub mod describe_cluster;
pub mod describe_topic_partitions;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;
// Administration and groups.
pub mod alter_configs;
pub mod broker_rules;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod elect_leaders;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_partition_reassignments;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod sync_group;
pub mod told;
pub mod update_features;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use millrace_engine::codec::{DecodeError, EncodeError, Frame, Message, Reader};
use millrace_engine::io::Env;
use millrace_engine::types::Nanos;

pub use context::{Ctx, Peer, RequestMeta};

use crate::budget::Share;
use crate::protocol::frame::response_frame;
use crate::protocol::messages::{self, FetchRequest, ProduceRequest, Request};
use crate::protocol::{ApiKey, HeaderError, RequestHeader};
use crate::stages::{FetchTrace, Trace};

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It is answered.
    Answer(Frame),
    /// It is a Produce request, its batches are durable, and it is answered.
    Produced(Frame, Trace),
    /// It is a Fetch request, and answered with records whose memory is counted until they are sent.
    Fetched(Frame, FetchTrace, Share),
    /// It wants no answer (Produce with `acks=0`).
    Silence,
    /// The connection is closed, for this reason.
    Close(Refusal),
}

/// A request on its way to its outcome. It makes progress only when it is polled, except for what its
/// beginning has done already.
pub type Work = Pin<Box<dyn Future<Output = Outcome>>>;

/// A request that costs its connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header leads to no request.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Messages of this API exist, but it is not served.
    #[error("{0} is not served")]
    NotServed(ApiKey),
    /// The body is not what its header says.
    #[error("malformed {api} request of version {version}: {cause}")]
    Body {
        /// The API.
        api: ApiKey,
        /// The version.
        version: i16,
        /// What is wrong.
        cause: DecodeError,
    },
    /// The answer does not fit its version: a fault of this broker.
    #[error("the answer to {api} of version {version} cannot be written: {cause}")]
    Response {
        /// The API.
        api: ApiKey,
        /// The version.
        version: i16,
        /// What is wrong.
        cause: EncodeError,
    },
    /// A Produce request with `acks=0` failed: closing is the only way to say so.
    #[error("a produce request with acks=0 failed: {0}")]
    Unacknowledged(String),
}

macro_rules! served {
    ($($module:ident $request:ident,)*) => {
        /// The APIs that are served, by key.
        pub const SERVED: &[ApiKey] =
            &[ApiKey::Produce, ApiKey::Fetch, $(messages::$request::API),*];

        fn handle<E: Env>(
            ctx: Rc<Ctx<E>>,
            meta: RequestMeta,
            reader: Reader,
        ) -> Result<Work, Refusal> {
            let api = meta.header.api;
            $(
                if api == messages::$request::API {
                    let request: messages::$request = body(&meta.header, reader)?;
                    return Ok(Box::pin(async move {
                        let response = $module::handle(&ctx, &meta, request).await;
                        answer_to::<messages::$request>(&meta.header, &response)
                    }));
                }
            )*
            Err(Refusal::NotServed(api))
        }
    };
}

// In the order of their keys.
served! {
    list_offsets ListOffsetsRequest,
    metadata MetadataRequest,
    offset_commit OffsetCommitRequest,
    offset_fetch OffsetFetchRequest,
    find_coordinator FindCoordinatorRequest,
    join_group JoinGroupRequest,
    heartbeat HeartbeatRequest,
    leave_group LeaveGroupRequest,
    sync_group SyncGroupRequest,
    describe_groups DescribeGroupsRequest,
    list_groups ListGroupsRequest,
    api_versions ApiVersionsRequest,
    create_topics CreateTopicsRequest,
    delete_topics DeleteTopicsRequest,
    delete_records DeleteRecordsRequest,
    init_producer_id InitProducerIdRequest,
    offset_for_leader_epoch OffsetForLeaderEpochRequest,
    describe_configs DescribeConfigsRequest,
    alter_configs AlterConfigsRequest,
    describe_log_dirs DescribeLogDirsRequest,
    create_partitions CreatePartitionsRequest,
    delete_groups DeleteGroupsRequest,
    elect_leaders ElectLeadersRequest,
    incremental_alter_configs IncrementalAlterConfigsRequest,
    list_partition_reassignments ListPartitionReassignmentsRequest,
    offset_delete OffsetDeleteRequest,
    describe_quorum DescribeQuorumRequest,
    update_features UpdateFeaturesRequest,
    describe_cluster DescribeClusterRequest,
    describe_producers DescribeProducersRequest,
    list_config_resources ListConfigResourcesRequest,
    describe_topic_partitions DescribeTopicPartitionsRequest,
}

/// Whether the request in a frame may begin while earlier ones of its connection are not answered yet.
/// Only Produce may, behind nothing but Produce: its batches are on their way in order when it has begun.
#[must_use]
pub fn is_pipelined(frame: &[u8]) -> bool {
    frame.starts_with(&ApiKey::Produce.code().to_be_bytes())
}

/// Begins a request whose last byte was there at `received`. Batches of a Produce request are on their
/// way to their shards when this returns.
///
/// # Errors
/// [`Refusal`], upon which the connection is to be closed.
pub fn begin<E: Env>(
    ctx: &Rc<Ctx<E>>,
    peer: &Rc<Peer>,
    frame: Bytes,
    received: Nanos,
) -> Result<Work, Refusal> {
    let bytes = frame.len();
    let mut reader = Reader::new(frame);
    let header = match RequestHeader::get(&mut reader) {
        Ok(header) => header,
        Err(HeaderError::UnknownApiVersions { correlation_id, .. }) => {
            ctx.metrics.count_request(ApiKey::ApiVersions, ctx.client.stats());
            return api_versions::unsupported(correlation_id);
        }
        Err(error) => return Err(error.into()),
    };
    ctx.metrics.count_request(header.api, ctx.client.stats());
    let meta = RequestMeta { header, peer: Rc::clone(peer) };
    let ctx = Rc::clone(ctx);
    match meta.header.api {
        ApiKey::Produce => produce(&ctx, meta, reader, Arrival { received, bytes }),
        ApiKey::Fetch => fetch(ctx, meta, reader, received),
        _ => handle(ctx, meta, reader),
    }
}

/// What is known of a frame besides its contents.
struct Arrival {
    received: Nanos,
    bytes: usize,
}

fn produce<E: Env>(
    ctx: &Rc<Ctx<E>>,
    meta: RequestMeta,
    reader: Reader,
    arrival: Arrival,
) -> Result<Work, Refusal> {
    let request: ProduceRequest = body(&meta.header, reader)?;
    let work = produce::start(ctx, &meta, request);
    Ok(Box::pin(async move {
        let produce::Produced { response, times, partitions } = match work.await {
            Ok(Some(produced)) => produced,
            Ok(None) => return Outcome::Silence,
            Err(refusal) => return Outcome::Close(refusal),
        };
        match (answer_to::<ProduceRequest>(&meta.header, &response), times) {
            (Outcome::Answer(frame), Some(times)) => {
                let Arrival { received, bytes } = arrival;
                let RequestHeader { correlation_id, client_id, .. } = meta.header;
                let trace = Trace { received, times, correlation_id, client_id, bytes, partitions };
                Outcome::Produced(frame, trace)
            }
            (outcome, _) => outcome,
        }
    }))
}

fn fetch<E: Env>(
    ctx: Rc<Ctx<E>>,
    meta: RequestMeta,
    reader: Reader,
    received: Nanos,
) -> Result<Work, Refusal> {
    let request: FetchRequest = body(&meta.header, reader)?;
    Ok(Box::pin(async move {
        let budget = match meta.peer.is_reading.get() {
            true => ctx.answer_memory.readers(),
            false => ctx.answer_memory.others(),
        };
        let mut memory = budget.share();
        let (response, times) = fetch::handle(&ctx, &meta, request, &mut memory).await;
        match (answer_to::<FetchRequest>(&meta.header, &response), times) {
            (Outcome::Answer(frame), Some(times)) => {
                Outcome::Fetched(frame, FetchTrace { received, times }, memory)
            }
            (outcome, _) => outcome,
        }
    }))
}

/// Reads a body. Bytes behind it are ignored, as Kafka does.
fn body<M: Message>(header: &RequestHeader, mut reader: Reader) -> Result<M, Refusal> {
    let refused = |cause| Refusal::Body { api: header.api, version: header.version, cause };
    M::decode(header.version, &mut reader).map_err(refused)
}

fn answer_to<R: Request>(header: &RequestHeader, response: &R::Response) -> Outcome {
    match response_frame(header, response) {
        Ok(frame) => Outcome::Answer(frame),
        Err(cause) => {
            Outcome::Close(Refusal::Response { api: header.api, version: header.version, cause })
        }
    }
}
