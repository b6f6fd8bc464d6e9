//! SyncGroup, versions 0 to 5.
//!
//! Fetches a member's assignment, and brings those of all members if it comes from the leader; the
//! answer comes when the assignment is durable. From version 5 protocol type and name must be given
//! (KIP-559).

use millrace_engine::group::call::SyncCall;
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{SyncGroupRequest, SyncGroupResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let is_named = request.protocol_type.is_some() && request.protocol_name.is_some();
    if meta.version() >= 5 && !is_named {
        return failure(ErrorCode::InconsistentGroupProtocol);
    }
    let call = GroupCall::Sync(call_of(&request));
    match fanout::group(&ctx.client, &request.group_id, call).await {
        Ok(GroupAnswer::Sync(Ok(synced))) => SyncGroupResponse {
            protocol_type: synced.protocol_type.map(Into::into),
            protocol_name: synced.protocol.map(Into::into),
            assignment: synced.assignment,
            ..SyncGroupResponse::default()
        },
        Ok(GroupAnswer::Sync(Err(error))) => failure(ErrorCode::from(&error)),
        Ok(other) => unreachable!("a sync was answered with {other:?}"),
        Err(error) => failure(ErrorCode::from(&error)),
    }
}

fn call_of(request: &SyncGroupRequest) -> SyncCall {
    let assignments = request.assignments.iter();
    SyncCall {
        group_id: request.group_id.to_string(),
        generation: request.generation_id,
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
        protocol_type: request.protocol_type.as_ref().map(ToString::to_string),
        protocol: request.protocol_name.as_ref().map(ToString::to_string),
        assignments: assignments
            .map(|one| (one.member_id.to_string(), one.assignment.clone()))
            .collect(),
    }
}

fn failure(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), ..SyncGroupResponse::default() }
}
