//! Expiry: offsets that nobody has needed for as long as they are kept, and groups with nothing left.

use super::offsets::{Change, OffsetStore};
use super::record::{StoredOffset, group_record};
use super::step::Step;
use super::{GroupId, Groups};
use crate::types::TimestampMs;

/// Forgets expired offsets, and groups that have neither members nor offsets.
///
/// Offsets of topics that members are subscribed to stay. Others are kept for the retention from
/// when the group became empty, or from their commit if the group is stable or never had members.
pub(super) fn sweep(groups: &mut Groups, offsets: &mut OffsetStore, step: &mut Step<'_>) {
    let (wall_ms, retention_ms) = (step.wall_ms, step.config.offsets_retention_ms);
    let mut changes = Vec::new();
    let mut ended = Vec::new();
    for (group_id, group) in &*groups {
        let expired = offsets.tombstones(group_id, wall_ms, |topic, value| {
            let base = group.retention_base(value.committed_ms);
            !group.is_subscribed(topic)
                && base.is_some_and(|base| is_expired(value, base, wall_ms, retention_ms))
        });
        let is_left = expired.len() < offsets.latest(group_id).count();
        changes.extend(expired);
        if !is_left && group.is_idle() {
            changes.extend(group_tombstone(group_id, wall_ms));
            ended.push(group_id.clone());
        }
    }
    for group_id in ended {
        groups.remove(&group_id);
    }
    offsets.write(changes, step);
}

/// The change that deletes a group.
pub(super) fn group_tombstone(group_id: &GroupId, wall_ms: TimestampMs) -> Option<Change> {
    // Ids are bounded when a group is made, so the record can be made.
    let record = group_record(wall_ms, group_id, None).ok()?;
    Some(Change { record, offset: None })
}

fn is_expired(
    value: &StoredOffset,
    base_ms: TimestampMs,
    now_ms: TimestampMs,
    retention_ms: i64,
) -> bool {
    match value.expires_ms {
        Some(expires_ms) => now_ms >= expires_ms,
        None => now_ms.saturating_sub(base_ms) >= retention_ms,
    }
}
