//! Joining a classic group.

use super::group::ClassicGroup;
use super::member::{Member, Protocols, kept_protocols, member_id};
use crate::group::call::{GroupError, GroupState, JoinCall, Joined};
use crate::group::step::Step;
use crate::group::timers::TimerKey;
use crate::group::writes::AfterWrite;
use crate::group::{GroupAnswer, MemberId};
use crate::machine::Token;

/// What is known at once about a join; if nothing, it is held.
type AtOnce = Option<Result<Joined, GroupError>>;

impl ClassicGroup {
    /// A client joins or joins again.
    pub(in crate::group) fn join(&mut self, call: &JoinCall, token: Token, step: &mut Step<'_>) {
        let answer = if !self.accepts(&call.member_id, step.config.members_max) {
            self.remove_pending(&call.member_id, step);
            self.remove(&call.member_id, &GroupError::GroupMaxSizeReached, step);
            self.maybe_complete_join(step);
            Some(Err(GroupError::GroupMaxSizeReached))
        } else if !self.supports(&call.protocol_type, &call.protocols) {
            Some(Err(GroupError::InconsistentGroupProtocol))
        } else if call.member_id.is_empty() {
            self.join_without_id(call, token, step)
        } else {
            self.join_with_id(call, token, step)
        };
        if let Some(answer) = answer {
            step.answer(token, GroupAnswer::Join(answer));
        }
    }

    /// Whether there is room for the member.
    fn accepts(&self, member_id: &str, members_max: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.joining.is_some())
                    || self.joining_count() < members_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.members.len() < members_max
            }
        }
    }

    fn join_without_id(&mut self, call: &JoinCall, token: Token, step: &mut Step<'_>) -> AtOnce {
        let new_id = member_id(call);
        if self.members.contains_key(&new_id) || self.pending_joins.contains(&new_id) {
            // The random bits were used before: never in practice, and the client comes again.
            return Some(Err(GroupError::UnknownMemberId));
        }
        let instance_id = call.instance_id.as_deref();
        if let Some(old_id) = instance_id.and_then(|id| self.static_members.get(id)).cloned() {
            self.replace_static(call, token, (&old_id, new_id), step);
            None
        } else if call.require_known_member_id && instance_id.is_none() {
            let timeout_ms = u64::try_from(call.session_timeout_ms).unwrap_or(0);
            let key = TimerKey::Member(self.id.clone(), new_id.clone());
            step.timers.set(key, step.now.plus_ms(timeout_ms));
            self.pending_joins.insert(new_id.clone());
            Some(Err(GroupError::MemberIdRequired { member_id: new_id.to_string() }))
        } else {
            self.add_member(call, token, new_id, step);
            None
        }
    }

    fn join_with_id(&mut self, call: &JoinCall, token: Token, step: &mut Step<'_>) -> AtOnce {
        if let Some(pending_id) = self.pending_joins.get(call.member_id.as_str()).cloned() {
            if call.instance_id.is_some() {
                // Ids are only given out beforehand to dynamic members.
                return Some(Err(GroupError::UnknownMemberId));
            }
            self.add_member(call, token, pending_id, step);
            return None;
        }
        if let Err(error) = self.validate(&call.member_id, call.instance_id.as_deref()) {
            return Some(Err(error));
        }
        let protocols = kept_protocols(&call.protocols);
        let is_same = self.members.get(call.member_id.as_str())?.protocols == protocols;
        let must_rebalance = match self.state {
            GroupState::PreparingRebalance => true,
            // The answer to the first join was lost.
            GroupState::CompletingRebalance => !is_same,
            // A leader that joins again asks for a new assignment.
            GroupState::Stable => !is_same || self.is_leader(&call.member_id),
            GroupState::Empty | GroupState::Dead => return Some(Err(GroupError::UnknownMemberId)),
        };
        if must_rebalance {
            self.hold_join(call, &call.member_id, protocols, Some(token), step);
            self.rebalance_or_complete(step);
            return None;
        }
        let mut joined = self.joined(&call.member_id);
        if self.state == GroupState::Stable {
            joined.members.clear();
        }
        Some(Ok(joined))
    }

    /// A member that was not there before.
    fn add_member(&mut self, call: &JoinCall, token: Token, id: MemberId, step: &mut Step<'_>) {
        if self.members.is_empty() {
            self.protocol_type = Some(call.protocol_type.clone());
        }
        if self.initial.is_some() {
            self.new_member_added = true;
        }
        self.insert(Member::joining(id.clone(), call, kept_protocols(&call.protocols), token));
        let at = step.now.plus_ms(step.config.new_member_join_timeout_ms);
        step.timers.set(TimerKey::Member(self.id.clone(), id), at);
        self.rebalance_or_complete(step);
    }

    /// Notes what a member says on joining again and holds its join under `token`, if given.
    /// A join that it sent before and was held is answered: its client has given it up.
    fn hold_join(
        &mut self,
        call: &JoinCall,
        member_id: &str,
        protocols: Protocols,
        token: Option<Token>,
        step: &mut Step<'_>,
    ) {
        self.set_protocols(member_id, protocols);
        if let Some(member) = self.members.get_mut(member_id) {
            member.rebalance_timeout_ms = call.rebalance_timeout_ms.max(0);
            member.session_timeout_ms = call.session_timeout_ms.max(0);
        }
        if let Some(old) = self.set_joining(member_id, token) {
            step.answer(old, GroupAnswer::Join(Err(GroupError::RebalanceInProgress)));
        }
    }

    /// KIP-345: a static member came back under a new id. Its earlier self is fenced; if the group
    /// is stable and would choose the same protocol, its assignment stays and nobody else notices.
    fn replace_static(
        &mut self,
        call: &JoinCall,
        token: Token,
        (old_id, new_id): (&MemberId, MemberId),
        step: &mut Step<'_>,
    ) {
        let old_leader = self.leader.clone();
        self.rename(old_id, &new_id, step);
        let protocols = kept_protocols(&call.protocols);
        self.hold_join(call, &new_id, protocols, Some(token), step);
        self.renew_session(&new_id, step);
        match self.state {
            GroupState::Stable if self.voted_protocol() == self.protocol => {
                self.set_joining(&new_id, None);
                let mut joined = self.joined(&new_id);
                if call.supports_skip_assignment {
                    joined.skip_assignment = self.is_leader(&new_id);
                } else {
                    // Without the flag a leader would assign anew: it is told that it does not lead.
                    joined.leader = old_leader.as_deref().unwrap_or_default().to_owned();
                    joined.members.clear();
                }
                self.store_renamed(token, joined, step);
            }
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(step),
            GroupState::PreparingRebalance => self.maybe_complete_join(step),
            GroupState::Empty | GroupState::Dead => {}
        }
    }

    /// Gives a member another id, and tells whoever waits for the old one that it is fenced.
    fn rename(&mut self, old_id: &MemberId, new_id: &MemberId, step: &mut Step<'_>) {
        let had_to_sync = self.pending_syncs.contains(old_id);
        let Some(mut member) = self.take(old_id) else { return };
        step.timers.cancel(&TimerKey::Member(self.id.clone(), old_id.clone()));
        if let Some(old) = member.joining.take() {
            step.answer(old, GroupAnswer::Join(Err(GroupError::FencedInstanceId)));
        }
        if let Some(old) = member.syncing.take() {
            step.answer(old, GroupAnswer::Sync(Err(GroupError::FencedInstanceId)));
        }
        member.id = new_id.clone();
        member.is_new = false;
        self.insert(member);
        if had_to_sync {
            self.pending_syncs.insert(new_id.clone());
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
    }

    /// Stores the group with the new id of a member and answers its join when that is durable.
    fn store_renamed(&mut self, token: Token, joined: Joined, step: &mut Step<'_>) {
        match self.to_record(step.wall_ms) {
            Ok(record) if step.fit_batch([&record].into_iter()) => {
                step.write(vec![record], AfterWrite::default());
                step.answer_durable(token, GroupAnswer::Join(Ok(joined)));
            }
            _ => {
                step.answer(token, GroupAnswer::Join(Err(GroupError::GroupTooLarge)));
                self.prepare_rebalance(step);
            }
        }
    }
}
