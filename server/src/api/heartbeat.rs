//! Heartbeat, versions 0 to 4.
//!
//! Keeps a member of a classic group alive and tells it of a rebalance. While the coordinator loads, any
//! heartbeat is fine, as in Kafka.

use millrace_engine::group::call::HeartbeatCall;
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;
use millrace_engine::shard::call::CoordinatorError;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{HeartbeatRequest, HeartbeatResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let call = GroupCall::Heartbeat(HeartbeatCall {
        group_id: request.group_id.to_string(),
        generation: request.generation_id,
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
    });
    let error = match fanout::group(&ctx.client, &request.group_id, call).await {
        Ok(GroupAnswer::Heartbeat(Ok(()))) | Err(CoordinatorError::Loading) => ErrorCode::None,
        Ok(GroupAnswer::Heartbeat(Err(error))) => ErrorCode::from(&error),
        Ok(other) => unreachable!("a heartbeat was answered with {other:?}"),
        Err(error) => ErrorCode::from(&error),
    };
    HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() }
}
