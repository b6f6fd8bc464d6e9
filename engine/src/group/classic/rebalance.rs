//! Rebalances of a classic group: from the first join until everybody knows the generation.

use bytes::Bytes;

use super::group::{ClassicGroup, InitialDelay};
use crate::group::GroupAnswer;
use crate::group::call::{GroupError, GroupState};
use crate::group::step::Step;
use crate::group::timers::TimerKey;
use crate::group::writes::AfterWrite;

/// How soon at the earliest a join phase that nobody came to is looked at again.
const NOBODY_JOINED_MS_MIN: u64 = 1_000;

impl ClassicGroup {
    /// Starts a rebalance if the state allows it; if one is being prepared, perhaps ends its join
    /// phase.
    pub(super) fn rebalance_or_complete(&mut self, step: &mut Step<'_>) {
        match self.state {
            GroupState::Empty | GroupState::Stable | GroupState::CompletingRebalance => {
                self.prepare_rebalance(step);
            }
            GroupState::PreparingRebalance => self.maybe_complete_join(step),
            GroupState::Dead => {}
        }
    }

    /// Ends the join phase if nobody is missing; an initial rebalance waits for its delay.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_>) {
        let preparing = self.state == GroupState::PreparingRebalance;
        if preparing && self.initial.is_none() && self.has_all_joined() {
            self.complete_join(step);
        }
    }

    /// Asks all members to join again.
    pub(in crate::group) fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == GroupState::CompletingRebalance {
            self.abandon_assignment(&GroupError::RebalanceInProgress, step);
        }
        self.pending_syncs.clear();
        step.timers.cancel(&TimerKey::Sync(self.id.clone()));
        let is_initial = self.state == GroupState::Empty;
        self.become_state(GroupState::PreparingRebalance, step.wall_ms);
        if is_initial {
            let delay_ms = step.config.initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms);
            self.wait_initially(InitialDelay { delay_ms, remaining_ms }, step);
        } else if self.has_all_joined() {
            self.complete_join(step);
        } else {
            let at = step.now.plus_ms(self.rebalance_timeout_ms());
            step.timers.set(TimerKey::Join(self.id.clone()), at);
        }
    }

    fn wait_initially(&mut self, delay: InitialDelay, step: &mut Step<'_>) {
        self.new_member_added = false;
        self.initial = Some(delay);
        let at = step.now.plus_ms(delay.delay_ms);
        step.timers.set(TimerKey::Join(self.id.clone()), at);
    }

    /// The deadline of the join phase has come.
    pub(in crate::group) fn on_join_deadline(&mut self, step: &mut Step<'_>) {
        if self.state != GroupState::PreparingRebalance {
            return;
        }
        match self.initial {
            Some(InitialDelay { delay_ms, remaining_ms })
                if self.new_member_added && remaining_ms != 0 =>
            {
                let next_ms = step.config.initial_rebalance_delay_ms.min(remaining_ms);
                let remaining_ms = remaining_ms.saturating_sub(delay_ms);
                self.wait_initially(InitialDelay { delay_ms: next_ms, remaining_ms }, step);
            }
            _ => self.complete_join(step),
        }
    }

    /// Ends the join phase: dynamic members that did not come are removed, the rest is the next
    /// generation.
    pub(super) fn complete_join(&mut self, step: &mut Step<'_>) {
        step.timers.cancel(&TimerKey::Join(self.id.clone()));
        let absent = self.members.values().filter(|m| m.joining.is_none() && !m.is_static());
        for member_id in absent.map(|member| member.id.clone()).collect::<Vec<_>>() {
            self.remove(&member_id, &GroupError::UnknownMemberId, step);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members, and none of them came: wait for them or for their sessions' end.
            let wait_ms = self.rebalance_timeout_ms().max(NOBODY_JOINED_MS_MIN);
            step.timers.set(TimerKey::Join(self.id.clone()), step.now.plus_ms(wait_ms));
            return;
        }
        self.begin_generation(step.wall_ms);
        if self.state == GroupState::Empty {
            self.store_empty(step);
        } else {
            self.answer_joins(step);
            let at = step.now.plus_ms(self.rebalance_timeout_ms());
            step.timers.set(TimerKey::Sync(self.id.clone()), at);
        }
    }

    /// If the leader did not join, another member that did leads. False if none did.
    fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_some_and(|leader| leader.joining.is_some()) {
            return true;
        }
        let Some(joined) = self.members.values().find(|member| member.joining.is_some()) else {
            return false;
        };
        self.leader = Some(joined.id.clone());
        true
    }

    /// Tells all who joined, and waits for all to sync.
    fn answer_joins(&mut self, step: &mut Step<'_>) {
        let ids = self.members.keys().cloned().collect::<Vec<_>>();
        for member_id in ids {
            if let Some(token) = self.set_joining(&member_id, None) {
                step.answer(token, GroupAnswer::Join(Ok(self.joined(&member_id))));
            }
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
            }
            self.renew_session(&member_id, step);
            self.pending_syncs.insert(member_id);
        }
    }

    /// Stores that the group is empty now, so that a restart does not bring its members back.
    fn store_empty(&mut self, step: &mut Step<'_>) {
        // Strings are bounded when a member joins, so the record can be made.
        if let Ok(record) = self.to_record(step.wall_ms) {
            step.write(vec![record], AfterWrite::default());
        }
    }

    /// Takes the assignment back: whoever waits for it is told `why`.
    pub(super) fn abandon_assignment(&mut self, why: &GroupError, step: &mut Step<'_>) {
        self.storing = false;
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        self.answer_syncs(Some(why), step);
    }

    /// Tells all members whose sync is held their assignment, or `why` there is none.
    pub(super) fn answer_syncs(&mut self, why: Option<&GroupError>, step: &mut Step<'_>) {
        let ids = self.members.keys().cloned().collect::<Vec<_>>();
        for member_id in ids {
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            let Some(token) = member.syncing.take() else { continue };
            let assignment = member.assignment.clone();
            let answer = why.map_or_else(|| Ok(self.synced(assignment)), |why| Err(why.clone()));
            step.answer(token, GroupAnswer::Sync(answer));
            self.renew_session(&member_id, step);
        }
    }
}
