//! The group coordinator: one machine per partition of `__consumer_offsets`, without I/O.
//!
//! The machine's stored state is the fold of the records of its partition ([`GroupMachine::replay`]).
//! What it writes it orders with [`Order::Write`]; the host appends these in order, and for each one
//! that is durable it calls [`GroupMachine::written`] and then gives the answers in the order. Until
//! then, members do not get the assignment and readers do not see the offsets that it stores: nothing
//! is shown that a crash could take back.
//!
//! If a write fails, the host gives its waiting callers a storage error and calls
//! [`GroupMachine::unload`], which answers everybody else.

mod admin;
pub mod call;
mod classic;
mod config;
mod expiry;
mod offsets;
mod partition_for;
pub mod record;
mod step;
mod subscription;
mod timers;
mod writes;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

pub use call::{DescribedGroup, DescribedMember, GroupAnswer, GroupCall, GroupError, GroupState};
pub use config::GroupConfig;
pub use partition_for::partition_for;
pub use record::RecordError;

use crate::machine::{Order, Token};
use crate::types::{Nanos, TimestampMs};
use call::{JoinCall, Left};
use classic::ClassicGroup;
use offsets::OffsetStore;
use record::GroupRecord;
use step::Step;
use timers::{TimerKey, Timers};
use writes::Writes;

/// A group's id, shared.
type GroupId = Arc<str>;
/// A member's id, shared.
type MemberId = Arc<str>;
/// All groups of a machine.
type Groups = BTreeMap<GroupId, ClassicGroup>;

/// Longest string that the record format holds, less the UUID that is put behind a member's name.
/// Bytes.
const NAME_BYTES_MAX: usize = 32_767 - 37;

/// What became of a replayed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is part of the state now.
    Applied,
    /// Its type is not known here, and it was left alone.
    Skipped {
        /// The key type.
        key_type: i16,
    },
}

/// The coordinator of the groups of one partition of `__consumer_offsets`. It lives on the shard that
/// owns the partition, and only that shard changes it.
#[derive(Debug)]
pub struct GroupMachine {
    config: GroupConfig,
    groups: Groups,
    offsets: OffsetStore,
    timers: Timers,
    writes: Writes,
}

impl GroupMachine {
    /// A machine without groups.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            groups: Groups::new(),
            offsets: OffsetStore::default(),
            timers: Timers::default(),
            writes: Writes::default(),
        }
    }

    /// Folds one stored record in, in the order of the log and before [`GroupMachine::on_loaded`].
    /// Control records and records of aborted transactions are not for it.
    ///
    /// # Errors
    /// [`RecordError`] if the record is malformed; the state is unchanged then.
    pub fn replay(
        &mut self,
        key: Option<&Bytes>,
        value: Option<&Bytes>,
    ) -> Result<Replayed, RecordError> {
        match record::decode(key, value)? {
            GroupRecord::Offset { value: Some(value), .. }
                if plant!(LoseCommittedOffset) && value.offset % 8 == 0 => {}
            GroupRecord::Offset { group_id, topic, partition, value } => {
                let group_id = GroupId::from(group_id);
                if let Some(value) = &value
                    && !self.groups.contains_key(&group_id)
                {
                    let group = ClassicGroup::new(group_id.clone(), value.committed_ms);
                    self.groups.insert(group_id.clone(), group);
                }
                self.offsets.restore(&group_id, &topic, partition, value);
            }
            GroupRecord::Group { group_id, value: Some(value) } => {
                let group_id = GroupId::from(group_id);
                let group = ClassicGroup::restored(group_id.clone(), &value);
                self.groups.insert(group_id, group);
            }
            GroupRecord::Group { group_id, value: None } => {
                self.groups.remove(group_id.as_str());
            }
            GroupRecord::Unknown(key_type) => return Ok(Replayed::Skipped { key_type }),
        }
        Ok(Replayed::Applied)
    }

    /// All records are folded in: the sessions of the members begin, and a group that is larger than
    /// now configured rebalances.
    pub fn on_loaded(
        &mut self,
        now: Nanos,
        wall_ms: TimestampMs,
        orders: &mut Vec<Order<GroupAnswer>>,
    ) {
        for group_id in self.offsets.groups() {
            let new = || ClassicGroup::new(group_id.clone(), wall_ms);
            self.groups.entry(group_id.clone()).or_insert_with(new);
        }
        self.renew_sessions(now, wall_ms, orders);
        let (groups, _, mut step) = self.split(now, wall_ms, orders);
        for group in groups.values_mut() {
            if group.size() > step.config.members_max {
                group.prepare_rebalance(&mut step);
            }
        }
        self.keep_sweeping(now);
    }

    /// The sessions of all members begin again: they could not show that they are there.
    pub fn renew_sessions(
        &mut self,
        now: Nanos,
        wall_ms: TimestampMs,
        orders: &mut Vec<Order<GroupAnswer>>,
    ) {
        let (groups, _, mut step) = self.split(now, wall_ms, orders);
        for group in groups.values() {
            for member_id in group.members().map(|member| member.id.clone()).collect::<Vec<_>>() {
                group.renew_session(&member_id, &mut step);
            }
        }
    }

    /// Works on one call. Every call is answered once: at once, with a write, later from
    /// [`GroupMachine::tick`] or [`GroupMachine::written`], or when the machine is unloaded.
    pub fn call(
        &mut self,
        now: Nanos,
        wall_ms: TimestampMs,
        token: Token,
        call: GroupCall,
        orders: &mut Vec<Order<GroupAnswer>>,
    ) {
        let (groups, offsets, mut step) = self.split(now, wall_ms, orders);
        let step = &mut step;
        match call {
            GroupCall::Join(call) => join(groups, offsets, &call, token, step),
            GroupCall::Sync(call) => match find(groups, &call.group_id) {
                Ok(group) => group.sync(&call, token, step),
                Err(error) => step.answer(token, GroupAnswer::Sync(Err(error))),
            },
            GroupCall::Heartbeat(call) => {
                let group = find(groups, &call.group_id);
                let result = group.and_then(|group| group.heartbeat(&call, step));
                step.answer(token, GroupAnswer::Heartbeat(result));
            }
            GroupCall::Leave(call) => match find(groups, &call.group_id) {
                Ok(group) => {
                    group.leave(&call, token, step);
                    drop_hollow(groups, offsets, &call.group_id);
                }
                Err(GroupError::UnknownMemberId) => {
                    let results = call.members.into_iter().map(|leaving| Left {
                        member_id: leaving.member_id,
                        instance_id: leaving.instance_id,
                        result: Err(GroupError::UnknownMemberId),
                    });
                    step.answer(token, GroupAnswer::Leave(Ok(results.collect())));
                }
                Err(error) => step.answer(token, GroupAnswer::Leave(Err(error))),
            },
            GroupCall::OffsetCommit(call) => offsets.commit(groups, &call, token, step),
            GroupCall::OffsetFetch(call) => offsets.fetch(&call, token, step),
            GroupCall::OffsetDelete(call) => offsets.delete(groups, call, token, step),
            GroupCall::Describe { group_id } => admin::describe(groups, group_id, token, step),
            GroupCall::List(call) => admin::list(groups, &call, token, step),
            GroupCall::Delete { group_ids } => {
                admin::delete(groups, offsets, group_ids, token, step);
            }
        }
        self.keep_sweeping(now);
    }

    /// Does what is due. The host calls it at [`GroupMachine::next_deadline`] or later.
    pub fn tick(&mut self, now: Nanos, wall_ms: TimestampMs, orders: &mut Vec<Order<GroupAnswer>>) {
        // What falls due while this goes on waits for the next tick, so that one ends.
        for (at, key) in self.timers.due(now) {
            let (groups, offsets, mut step) = self.split(now, wall_ms, orders);
            if !step.timers.take(at, &key) {
                continue;
            }
            match key {
                TimerKey::Sweep => expiry::sweep(groups, offsets, &mut step),
                TimerKey::Join(group_id) => {
                    if let Some(group) = groups.get_mut(&group_id) {
                        group.on_join_deadline(&mut step);
                    }
                }
                TimerKey::Sync(group_id) => {
                    if let Some(group) = groups.get_mut(&group_id) {
                        group.on_sync_deadline(&mut step);
                    }
                }
                TimerKey::Member(group_id, member_id) => {
                    if let Some(group) = groups.get_mut(&group_id) {
                        group.on_session_deadline(&member_id, &mut step);
                    }
                    drop_hollow(groups, offsets, &group_id);
                }
            }
        }
        self.keep_sweeping(now);
    }

    /// The oldest write that was ordered and not yet reported is durable. The host reports each, in
    /// order, and only then gives the answers that were ordered with it.
    pub fn written(
        &mut self,
        now: Nanos,
        wall_ms: TimestampMs,
        orders: &mut Vec<Order<GroupAnswer>>,
    ) {
        let (groups, offsets, mut step) = self.split(now, wall_ms, orders);
        let Some(write) = step.writes.pop() else { return };
        offsets.on_durable(write.number, &write.after.offsets);
        if let Some(assigned) = write.after.assigned
            && let Some(group) = groups.get_mut(&assigned.group_id)
        {
            group.on_assignment_stored(assigned.generation, &mut step);
        }
        for (token, answer) in write.reads {
            step.answer(token, answer);
        }
    }

    /// Every topic with offsets: its name and the id that was given with them, zero if none was.
    #[must_use]
    pub fn topics(&self) -> std::collections::BTreeSet<(String, crate::types::TopicId)> {
        self.offsets.topics()
    }

    /// Drops the offsets of topics that were deleted. A zero id matches any topic of the name.
    pub fn topics_deleted(
        &mut self,
        now: Nanos,
        wall_ms: TimestampMs,
        topics: &[(String, crate::types::TopicId)],
        orders: &mut Vec<Order<GroupAnswer>>,
    ) {
        let (_, offsets, mut step) = self.split(now, wall_ms, orders);
        offsets.topics_deleted(topics, &mut step);
    }

    /// The machine ends here: everybody whose answer it still holds is told to look for the
    /// coordinator again. Answers ordered with writes are the host's. The machine is empty afterwards.
    pub fn unload(&mut self, orders: &mut Vec<Order<GroupAnswer>>) {
        let all = std::mem::take(&mut self.groups);
        let (_, offsets, mut step) = self.split(Nanos::default(), 0, orders);
        for group in all.into_values() {
            group.dissolve(&GroupError::NotCoordinator, &mut step);
        }
        for (token, _) in step.writes.clear() {
            step.answer(token, GroupAnswer::OffsetFetch(Err(GroupError::NotCoordinator)));
        }
        step.timers.clear();
        *offsets = OffsetStore::default();
    }

    /// When to call [`GroupMachine::tick`] next; [`Nanos::NEVER`] if there is nothing to wait for.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        self.timers.next()
    }

    /// How many writes were ordered and not reported yet.
    #[must_use]
    pub fn writes_in_flight(&self) -> usize {
        self.writes.len()
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    fn split<'a>(
        &'a mut self,
        now: Nanos,
        wall_ms: TimestampMs,
        orders: &'a mut Vec<Order<GroupAnswer>>,
    ) -> (&'a mut Groups, &'a mut OffsetStore, Step<'a>) {
        let time = (now, wall_ms);
        let step = Step::new(time, &self.config, &mut self.timers, &mut self.writes, orders);
        (&mut self.groups, &mut self.offsets, step)
    }

    /// Expiry is looked at from time to time while there is a group, and not at all while there is
    /// none.
    fn keep_sweeping(&mut self, now: Nanos) {
        if self.groups.is_empty() {
            self.timers.cancel(&TimerKey::Sweep);
        } else if !self.timers.is_set(&TimerKey::Sweep) {
            let at = now.plus_ms(self.config.offsets_retention_check_ms.max(1));
            self.timers.set(TimerKey::Sweep, at);
        }
    }
}

/// The group that a member speaks of.
fn find<'a>(groups: &'a mut Groups, group_id: &str) -> Result<&'a mut ClassicGroup, GroupError> {
    if group_id.is_empty() {
        return Err(GroupError::InvalidGroupId);
    }
    groups.get_mut(group_id).ok_or(GroupError::UnknownMemberId)
}

fn join(
    groups: &mut Groups,
    offsets: &OffsetStore,
    call: &JoinCall,
    token: Token,
    step: &mut Step<'_>,
) {
    if let Err(error) = validate_join(groups, call, step.config) {
        return step.answer(token, GroupAnswer::Join(Err(error)));
    }
    if !groups.contains_key(call.group_id.as_str()) {
        let group_id = GroupId::from(call.group_id.as_str());
        groups.insert(group_id.clone(), ClassicGroup::new(group_id, step.wall_ms));
    }
    if let Some(group) = groups.get_mut(call.group_id.as_str()) {
        group.join(call, token, step);
    }
    drop_hollow(groups, offsets, &call.group_id);
}

fn validate_join(groups: &Groups, call: &JoinCall, config: &GroupConfig) -> Result<(), GroupError> {
    if call.group_id.is_empty() || call.group_id.len() > NAME_BYTES_MAX {
        return Err(GroupError::InvalidGroupId);
    }
    let timeouts = config.session_timeout_ms_min..=config.session_timeout_ms_max;
    if !timeouts.contains(&call.session_timeout_ms) {
        return Err(GroupError::InvalidSessionTimeout);
    }
    if !call.member_id.is_empty() && !groups.contains_key(call.group_id.as_str()) {
        return Err(GroupError::UnknownMemberId);
    }
    let names = [&call.client_id, &call.client_host, &call.protocol_type];
    let mut names = names.into_iter().chain(&call.instance_id);
    let mut protocols = call.protocols.iter().map(|(name, _)| name);
    let is_long = |name: &String| name.len() > NAME_BYTES_MAX;
    if names.any(is_long) || protocols.any(is_long) {
        return Err(GroupError::GroupTooLarge);
    }
    Ok(())
}

/// Forgets a group that a join created and nothing came of.
fn drop_hollow(groups: &mut Groups, offsets: &OffsetStore, group_id: &str) {
    if groups.get(group_id).is_some_and(ClassicGroup::is_hollow) && !offsets.has_any(group_id) {
        groups.remove(group_id);
    }
}
