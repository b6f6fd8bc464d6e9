//! Sessions of the members of a classic group: how they are kept, and how they end.

use super::group::ClassicGroup;
use crate::group::call::{GroupError, GroupState, HeartbeatCall};
use crate::group::step::Step;
use crate::group::timers::TimerKey;

impl ClassicGroup {
    /// A member shows that it is there.
    pub(in crate::group) fn heartbeat(
        &mut self,
        call: &HeartbeatCall,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        self.validate(&call.member_id, call.instance_id.as_deref())?;
        if call.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.renew_session(&call.member_id, step);
        match self.state {
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
            GroupState::Empty | GroupState::Dead => Err(GroupError::UnknownMemberId),
        }
    }

    /// A member's session begins again.
    pub(in crate::group) fn renew_session(&self, member_id: &str, step: &mut Step<'_>) {
        if let Some(member) = self.members.get(member_id) {
            let timeout_ms = u64::try_from(member.session_timeout_ms).unwrap_or(0);
            let key = TimerKey::Member(self.id.clone(), member.id.clone());
            step.timers.set(key, step.now.plus_ms(timeout_ms));
        }
    }

    /// A member's session is over, or a pending member did not come back.
    pub(in crate::group) fn on_session_deadline(&mut self, member_id: &str, step: &mut Step<'_>) {
        if self.pending_joins.contains(member_id) {
            self.remove_pending(member_id, step);
            self.complete_if_all_joined(step);
            return;
        }
        // The session of a member whose call is held begins again when the call is answered.
        if self.members.get(member_id).is_none_or(|member| member.is_held()) {
            return;
        }
        self.remove(member_id, &GroupError::UnknownMemberId, step);
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(step),
            GroupState::PreparingRebalance => self.complete_if_all_joined(step),
            GroupState::Empty | GroupState::Dead => {}
        }
    }

    /// Ends the join phase, also an initial one, if nobody is missing any more.
    fn complete_if_all_joined(&mut self, step: &mut Step<'_>) {
        if self.state == GroupState::PreparingRebalance && self.has_all_joined() {
            self.complete_join(step);
        }
    }
}
