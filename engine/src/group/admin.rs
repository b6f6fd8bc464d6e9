//! What administrators ask: describe, list and delete groups.

use super::call::{DescribedGroup, GroupError, GroupState, GroupType, ListCall};
use super::classic::ClassicGroup;
use super::expiry::group_tombstone;
use super::offsets::OffsetStore;
use super::step::Step;
use super::{GroupAnswer, Groups};
use crate::machine::Token;

/// `DescribeGroups`, of one group.
pub(super) fn describe(groups: &Groups, group_id: String, token: Token, step: &mut Step<'_>) {
    let found = groups.get(group_id.as_str()).map(ClassicGroup::describe);
    let described = found.unwrap_or_else(|| DescribedGroup {
        group_id,
        found: false,
        state: GroupState::Dead,
        protocol_type: String::new(),
        protocol: String::new(),
        members: Vec::new(),
    });
    step.answer(token, GroupAnswer::Describe(described));
}

/// `ListGroups`.
pub(super) fn list(groups: &Groups, call: &ListCall, token: Token, step: &mut Step<'_>) {
    let type_fits = passes(&call.types, GroupType::Classic.name());
    let listed =
        groups.values().filter(|group| type_fits && passes(&call.states, group.state().name()));
    let listed = listed.map(ClassicGroup::list).collect();
    step.answer(token, GroupAnswer::List(listed));
}

/// Whether a filter lets `name` through: an empty one does.
fn passes(filter: &[String], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
}

/// `DeleteGroups`. Answered when it is durable.
pub(super) fn delete(
    groups: &mut Groups,
    offsets: &mut OffsetStore,
    group_ids: Vec<String>,
    token: Token,
    step: &mut Step<'_>,
) {
    let mut changes = Vec::new();
    let mut results = Vec::with_capacity(group_ids.len());
    for group_id in group_ids {
        let result = deletable(groups, &group_id).map(|group| {
            changes.extend(offsets.tombstones(&group.id, step.wall_ms, |_, _| true));
            changes.extend(group_tombstone(&group.id, step.wall_ms));
        });
        if result.is_ok()
            && let Some(group) = groups.remove(group_id.as_str())
        {
            group.dissolve(&GroupError::UnknownMemberId, step);
        }
        results.push((group_id, result));
    }
    offsets.write(changes, step);
    step.answer_durable(token, GroupAnswer::Delete(results));
}

/// The group, if it may be deleted.
fn deletable<'a>(groups: &'a Groups, group_id: &str) -> Result<&'a ClassicGroup, GroupError> {
    let group = groups.get(group_id).ok_or(GroupError::GroupIdNotFound)?;
    let is_empty = group.state() == GroupState::Empty;
    if is_empty { Ok(group) } else { Err(GroupError::NonEmptyGroup) }
}
