//! Syncing: the leader hands in the assignment, it is stored, and everybody gets its part.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::group::ClassicGroup;
use crate::group::GroupAnswer;
use crate::group::call::{GroupError, GroupState, SyncCall};
use crate::group::step::Step;
use crate::group::timers::TimerKey;
use crate::group::writes::{AfterWrite, Assigned};
use crate::machine::Token;

impl ClassicGroup {
    /// A member asks for its assignment; the leader brings all.
    pub(in crate::group) fn sync(&mut self, call: &SyncCall, token: Token, step: &mut Step<'_>) {
        if let Err(error) = self.validate_sync(call) {
            return step.answer(token, GroupAnswer::Sync(Err(error)));
        }
        self.has_synced(&call.member_id, step);
        if self.state == GroupState::Stable {
            let member = self.members.get(call.member_id.as_str());
            let assignment = member.map(|member| member.assignment.clone()).unwrap_or_default();
            return step.answer(token, GroupAnswer::Sync(Ok(self.synced(assignment))));
        }
        let member = self.members.get_mut(call.member_id.as_str());
        let old = member.and_then(|member| member.syncing.replace(token));
        if let Some(old) = old {
            // Sent twice: the client has given the first up.
            step.answer(old, GroupAnswer::Sync(Err(GroupError::RebalanceInProgress)));
        }
        if self.is_leader(&call.member_id) && !self.storing {
            self.store_assignment(&call.assignments, step);
        }
    }

    fn validate_sync(&self, call: &SyncCall) -> Result<(), GroupError> {
        self.validate(&call.member_id, call.instance_id.as_deref())?;
        if call.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if differ(&call.protocol_type, &self.protocol_type)
            || differ(&call.protocol, &self.protocol)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        match self.state {
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::Empty | GroupState::Dead => Err(GroupError::UnknownMemberId),
        }
    }

    fn has_synced(&mut self, member_id: &str, step: &mut Step<'_>) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            step.timers.cancel(&TimerKey::Sync(self.id.clone()));
        }
    }

    /// Stores what the leader assigned. Members that it forgot get nothing.
    fn store_assignment(&mut self, assignments: &[(String, Bytes)], step: &mut Step<'_>) {
        let by_id = assignments.iter().map(|(id, bytes)| (id.as_str(), bytes));
        let by_id = by_id.collect::<BTreeMap<_, _>>();
        for member in self.members.values_mut() {
            // Copied: a slice would keep the whole request in memory as long as the group lives.
            let given = by_id.get(&*member.id).map(|bytes| Bytes::copy_from_slice(bytes));
            member.assignment = given.unwrap_or_default();
        }
        match self.to_record(step.wall_ms) {
            Ok(record) if step.fit_batch([&record].into_iter()) => {
                self.storing = true;
                let assigned = Assigned { group_id: self.id.clone(), generation: self.generation };
                let after = AfterWrite { assigned: Some(assigned), ..AfterWrite::default() };
                step.write(vec![record], after);
            }
            _ => {
                self.abandon_assignment(&GroupError::GroupTooLarge, step);
                self.prepare_rebalance(step);
            }
        }
    }

    /// The assignment of `generation` is durable: members get it, unless the group has moved on.
    pub(in crate::group) fn on_assignment_stored(&mut self, generation: i32, step: &mut Step<'_>) {
        let waits = self.state == GroupState::CompletingRebalance && self.storing;
        if waits && self.generation == generation {
            self.storing = false;
            self.answer_syncs(None, step);
            self.become_state(GroupState::Stable, step.wall_ms);
        }
    }

    /// Members of this generation that have not synced in time are removed.
    pub(in crate::group) fn on_sync_deadline(&mut self, step: &mut Step<'_>) {
        let waits = matches!(self.state, GroupState::CompletingRebalance | GroupState::Stable);
        if waits && !self.pending_syncs.is_empty() {
            for member_id in std::mem::take(&mut self.pending_syncs) {
                self.remove(&member_id, &GroupError::UnknownMemberId, step);
            }
            self.prepare_rebalance(step);
        }
    }
}

/// Whether both are given and not the same.
fn differ(given: &Option<String>, own: &Option<String>) -> bool {
    matches!((given, own), (Some(given), Some(own)) if given != own)
}
