//! DeleteGroups, versions 0 to 2.
//!
//! Deletes empty groups with their offsets; a group that is named twice is deleted and told once. The
//! answer comes when all deletions are durable.

use std::collections::{BTreeMap, BTreeSet};

use millrace_engine::group::{GroupAnswer, GroupCall};
use millrace_engine::io::Env;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_groups::DeleteGroupsResponseGroup;
use crate::protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    mut request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut seen = BTreeSet::new();
    request.groups_names.retain(|group_id| seen.insert(group_id.clone()));
    let mut by_coordinator: BTreeMap<Option<i32>, Vec<String>> = BTreeMap::new();
    for group_id in &request.groups_names {
        let coordinator = fanout::coordinator_of(&ctx.client, group_id);
        by_coordinator.entry(coordinator).or_default().push(group_id.to_string());
    }
    let mut errors = BTreeMap::new();
    for group_ids in by_coordinator.into_values() {
        let Some(first) = group_ids.first() else { continue };
        let call = GroupCall::Delete { group_ids: group_ids.clone() };
        match fanout::group(&ctx.client, first, call).await {
            Ok(GroupAnswer::Delete(results)) => {
                errors.extend(results.into_iter().map(|(group_id, result)| {
                    let error = result.as_ref().err().map_or(ErrorCode::None, ErrorCode::from);
                    (group_id, error)
                }));
            }
            Ok(other) => unreachable!("a deletion was answered with {other:?}"),
            Err(error) => {
                let error = ErrorCode::from(&error);
                errors.extend(group_ids.into_iter().map(|group_id| (group_id, error)));
            }
        }
    }
    let results = request.groups_names.into_iter().map(|group_id| {
        let error = errors.get(group_id.as_str()).copied();
        let error = error.unwrap_or(ErrorCode::UnknownServerError);
        DeleteGroupsResponseGroup { error_code: error.code(), group_id }
    });
    DeleteGroupsResponse { results: results.collect(), ..DeleteGroupsResponse::default() }
}
