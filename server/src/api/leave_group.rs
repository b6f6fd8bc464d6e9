//! LeaveGroup, versions 0 to 5.
//!
//! Takes members out of a classic group: one up to version 2, several from version 3, static ones by
//! their group instance id (KIP-345).

use millrace_engine::group::call::{LeaveCall, Leaving, Left};
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::leave_group::LeaveGroupResponseMember;
use crate::protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let group_id = request.group_id.to_string();
    let call = LeaveCall { group_id, members: leaving(meta.version(), &request) };
    match fanout::group(&ctx.client, &request.group_id, GroupCall::Leave(call)).await {
        Ok(GroupAnswer::Leave(Ok(left))) => left_response(meta.version(), left),
        Ok(GroupAnswer::Leave(Err(error))) => failure(ErrorCode::from(&error)),
        Ok(other) => unreachable!("a leave was answered with {other:?}"),
        Err(error) => failure(ErrorCode::from(&error)),
    }
}

fn leaving(version: i16, request: &LeaveGroupRequest) -> Vec<Leaving> {
    if version <= 2 {
        return vec![Leaving { member_id: request.member_id.to_string(), instance_id: None }];
    }
    let members = request.members.iter();
    members
        .map(|member| Leaving {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
        })
        .collect()
}

fn left_response(version: i16, left: Vec<Left>) -> LeaveGroupResponse {
    let code = |left: &Left| left.result.as_ref().err().map_or(ErrorCode::None, ErrorCode::from);
    if version <= 2 {
        let error = left.iter().map(code).find(|error| !error.is_none());
        return failure(error.unwrap_or_default());
    }
    let members = left.into_iter().map(|left| LeaveGroupResponseMember {
        error_code: code(&left).code(),
        member_id: left.member_id.into(),
        group_instance_id: left.instance_id.map(Into::into),
    });
    LeaveGroupResponse { members: members.collect(), ..LeaveGroupResponse::default() }
}

fn failure(error: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() }
}
