//! FindCoordinator, versions 0 to 6: which broker coordinates a group.
//!
//! The first question makes `__consumer_offsets`. Kafka answers it with `COORDINATOR_NOT_AVAILABLE` and
//! lets the client ask again; here it waits for the topic. Transactions and share groups are not built:
//! their coordinators are refused with `UNSUPPORTED_VERSION` and a text, upon which clients give up at once
//! instead of asking until they time out.

use std::collections::BTreeSet;

use millrace_engine::codec::Str;
use millrace_engine::group::partition_for;
use millrace_engine::io::Env;
use millrace_engine::metadata::controller::name::CONSUMER_OFFSETS;

use super::{Ctx, RequestMeta, auto_create};
use crate::protocol::ErrorCode;
use crate::protocol::messages::find_coordinator::{
    FindCoordinatorRequest, FindCoordinatorResponse, FindCoordinatorResponseCoordinator,
};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if request.key_type == GROUP && ctx.image().topics.by_name(CONSUMER_OFFSETS).is_none() {
        let name = BTreeSet::from([CONSUMER_OFFSETS.to_owned()]);
        auto_create::create(ctx, &name).await;
    }
    if meta.version() >= 4 {
        let keys = request.coordinator_keys.iter();
        return FindCoordinatorResponse {
            coordinators: keys.map(|key| find(ctx, meta, request.key_type, key)).collect(),
            ..FindCoordinatorResponse::default()
        };
    }
    let found = find(ctx, meta, request.key_type, &request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..FindCoordinatorResponse::default()
    }
}

fn find<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    key_type: i8,
    key: &Str,
) -> FindCoordinatorResponseCoordinator {
    let refused = |error: ErrorCode, text: &'static str| FindCoordinatorResponseCoordinator {
        key: key.clone(),
        node_id: -1,
        port: -1,
        error_code: error.code(),
        error_message: Some(Str::from_static(text)),
        ..FindCoordinatorResponseCoordinator::default()
    };
    match key_type {
        GROUP => {}
        TRANSACTION => {
            let text = "transactions are not built yet in this broker";
            return refused(ErrorCode::UnsupportedVersion, text);
        }
        SHARE if meta.version() >= 6 => {
            let text = "share groups are not built yet in this broker";
            return refused(ErrorCode::UnsupportedVersion, text);
        }
        _ => return refused(ErrorCode::InvalidRequest, "there is no such type of coordinator"),
    }
    let image = ctx.image();
    let leader = image.topics.by_name(CONSUMER_OFFSETS).and_then(|topic| {
        let count = i32::try_from(topic.partitions.len()).ok()?;
        let partition = topic.partition(partition_for(key.as_str(), count))?;
        image.cluster.broker(partition.leader).filter(|broker| broker.is_active())
    });
    let Some((leader, endpoint)) = leader.and_then(|b| Some((b, ctx.endpoint(b, &meta.peer)?)))
    else {
        return refused(ErrorCode::CoordinatorNotAvailable, "the coordinator is not available");
    };
    FindCoordinatorResponseCoordinator {
        key: key.clone(),
        node_id: leader.id,
        host: endpoint.host.clone(),
        port: i32::from(endpoint.port),
        error_code: ErrorCode::None.code(),
        error_message: None,
    }
}
