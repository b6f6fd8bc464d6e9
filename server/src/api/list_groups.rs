//! ListGroups, versions 0 to 5.
//!
//! All groups, by state (from version 4) and type (from version 5); every coordinator is asked. All
//! groups are `classic` here.

use millrace_engine::codec::Str;
use millrace_engine::group::call::{ListCall, ListedGroup};
use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;
use millrace_engine::shard::call::CoordinatorError;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_groups::ListGroupsResponseGroup;
use crate::protocol::messages::{ListGroupsRequest, ListGroupsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let strings = |texts: Vec<Str>| texts.iter().map(ToString::to_string).collect();
    let filter =
        ListCall { states: strings(request.states_filter), types: strings(request.types_filter) };
    let mut groups = Vec::new();
    for answer in fanout::all_groups(&ctx.client, &GroupCall::List(filter)).await {
        match answer {
            Ok(GroupAnswer::List(listed)) => groups.extend(listed.into_iter().map(listed_group)),
            Ok(other) => unreachable!("a list was answered with {other:?}"),
            Err(CoordinatorError::NotHere) => {}
            Err(error) => return failure((&error).into()),
        }
    }
    ListGroupsResponse { groups, ..ListGroupsResponse::default() }
}

fn listed_group(group: ListedGroup) -> ListGroupsResponseGroup {
    ListGroupsResponseGroup {
        group_id: group.group_id.into(),
        protocol_type: group.protocol_type.into(),
        group_state: Str::from_static(group.state.name()),
        group_type: Str::from_static(group.group_type.name()),
    }
}

fn failure(error: ErrorCode) -> ListGroupsResponse {
    ListGroupsResponse { error_code: error.code(), ..ListGroupsResponse::default() }
}
