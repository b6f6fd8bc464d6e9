//! Leaving a classic group.

use super::group::ClassicGroup;
use crate::group::GroupAnswer;
use crate::group::call::{GroupError, GroupState, LeaveCall, Leaving, Left};
use crate::group::step::Step;
use crate::machine::Token;

impl ClassicGroup {
    /// Members leave, or are removed by an administrator. Answered when what it changes is durable.
    pub(in crate::group) fn leave(&mut self, call: &LeaveCall, token: Token, step: &mut Step<'_>) {
        let results = call.members.iter().map(|leaving| Left {
            member_id: leaving.member_id.clone(),
            instance_id: leaving.instance_id.clone(),
            result: self.leave_one(leaving, step),
        });
        let results = results.collect::<Vec<_>>();
        if results.iter().any(|left| left.result.is_ok()) {
            match self.state {
                GroupState::Stable | GroupState::CompletingRebalance => {
                    self.prepare_rebalance(step);
                }
                GroupState::PreparingRebalance => self.maybe_complete_join(step),
                GroupState::Empty | GroupState::Dead => {}
            }
        }
        step.answer_durable(token, GroupAnswer::Leave(Ok(results)));
    }

    fn leave_one(&mut self, leaving: &Leaving, step: &mut Step<'_>) -> Result<(), GroupError> {
        let instance_id = leaving.instance_id.as_deref();
        if leaving.member_id.is_empty() {
            let by_instance = instance_id.and_then(|id| self.static_members.get(id)).cloned();
            let member_id = by_instance.ok_or(GroupError::UnknownMemberId)?;
            self.remove(&member_id, &GroupError::UnknownMemberId, step);
        } else if self.pending_joins.contains(leaving.member_id.as_str()) {
            self.remove_pending(&leaving.member_id, step);
        } else {
            self.validate(&leaving.member_id, instance_id)?;
            self.remove(&leaving.member_id, &GroupError::UnknownMemberId, step);
        }
        Ok(())
    }
}
