//! DescribeGroups, versions 0 to 6.
//!
//! State and members of classic groups, in the order asked for. A group that does not exist is dead, and
//! from version 6 an error as well (KIP-1043). There is no access control yet, so whoever asks for
//! authorized operations may do everything.

use millrace_engine::codec::Str;
use millrace_engine::group::call::{DescribedGroup, DescribedMember, GroupState};
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;

use super::{Ctx, RequestMeta, authorized_operations};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_groups::{
    DescribeGroupsResponseGroup, DescribeGroupsResponseMember,
};
use crate::protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        let call = GroupCall::Describe { group_id: group_id.to_string() };
        let mut group = match fanout::group(&ctx.client, &group_id, call).await {
            Ok(GroupAnswer::Describe(group)) => described(meta.version(), group),
            Ok(other) => unreachable!("a description was answered with {other:?}"),
            Err(error) => failure(group_id, (&error).into()),
        };
        if request.include_authorized_operations && group.error_code == 0 {
            group.authorized_operations = authorized_operations::GROUP;
        }
        groups.push(group);
    }
    DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }
}

fn described(version: i16, group: DescribedGroup) -> DescribeGroupsResponseGroup {
    if !group.found && version >= 6 {
        let message = format!("Group {} not found.", group.group_id);
        return DescribeGroupsResponseGroup {
            error_message: Some(message.into()),
            group_state: Str::from_static(GroupState::Dead.name()),
            ..failure(group.group_id.into(), ErrorCode::GroupIdNotFound)
        };
    }
    let member = |member: DescribedMember| DescribeGroupsResponseMember {
        member_id: member.member_id.into(),
        group_instance_id: member.instance_id.map(Into::into),
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    };
    DescribeGroupsResponseGroup {
        group_id: group.group_id.into(),
        group_state: Str::from_static(group.state.name()),
        protocol_type: group.protocol_type.into(),
        protocol_data: group.protocol.into(),
        members: group.members.into_iter().map(member).collect(),
        ..DescribeGroupsResponseGroup::default()
    }
}

fn failure(group_id: Str, error: ErrorCode) -> DescribeGroupsResponseGroup {
    DescribeGroupsResponseGroup {
        error_code: error.code(),
        group_id,
        ..DescribeGroupsResponseGroup::default()
    }
}
