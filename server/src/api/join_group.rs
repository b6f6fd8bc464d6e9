//! JoinGroup, versions 0 to 9.
//!
//! Becomes or stays a member of a classic group; the answer comes when the join phase ends. From
//! version 4 a dynamic member without id is sent back with one (KIP-394), from version 5 members may be
//! static (KIP-345), from version 9 a leader may be told to leave the assignment as it is (KIP-814).
//!
//! Not done: members of the classic protocol in groups of the new one (KIP-848).

use millrace_engine::codec::Str;
use millrace_engine::group::call::{GroupError, JoinCall, Joined, JoinedMember};
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group::JoinGroupResponseMember;
use crate::protocol::messages::{JoinGroupRequest, JoinGroupResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let version = meta.version();
    let call = GroupCall::Join(call_of(meta, ctx.random(), &request));
    let answer = fanout::group(&ctx.client, &request.group_id, call).await;
    match answer {
        Ok(GroupAnswer::Join(Ok(joined))) => joined_response(version, joined),
        Ok(GroupAnswer::Join(Err(error))) => {
            let member_id = match &error {
                GroupError::MemberIdRequired { member_id } => member_id.as_str().into(),
                GroupError::GroupMaxSizeReached => Default::default(),
                _ => request.member_id,
            };
            let response = failure(version, ErrorCode::from(&error));
            JoinGroupResponse { member_id, ..response }
        }
        Ok(other) => unreachable!("a join was answered with {other:?}"),
        Err(error) => failure(version, ErrorCode::from(&error)),
    }
}

fn call_of(meta: &RequestMeta, random: u128, request: &JoinGroupRequest) -> JoinCall {
    let version = meta.version();
    let protocols = request.protocols.iter();
    JoinCall {
        group_id: request.group_id.to_string(),
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
        client_id: meta.client_id().to_owned(),
        client_host: meta.peer.client_host(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols
            .map(|protocol| (protocol.name.to_string(), protocol.metadata.clone()))
            .collect(),
        reason: request.reason.as_ref().map(ToString::to_string),
        require_known_member_id: version >= 4,
        supports_skip_assignment: version >= 9,
        random,
    }
}

fn joined_response(version: i16, joined: Joined) -> JoinGroupResponse {
    let protocol = joined.protocol.filter(|name| !name.is_empty());
    let member = |member: JoinedMember| JoinGroupResponseMember {
        member_id: member.member_id.into(),
        group_instance_id: member.instance_id.map(Into::into),
        metadata: member.metadata,
    };
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.map(Into::into),
        protocol_name: protocol_name(version, protocol),
        leader: joined.leader.into(),
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id.into(),
        members: joined.members.into_iter().map(member).collect(),
        ..JoinGroupResponse::default()
    }
}

fn failure(version: i16, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error.code(),
        protocol_name: protocol_name(version, None),
        ..JoinGroupResponse::default()
    }
}

/// Before version 7 no protocol is the empty one.
fn protocol_name(version: i16, name: Option<String>) -> Option<Str> {
    match name {
        Some(name) => Some(name.into()),
        None => (version < 7).then(Default::default),
    }
}
