//! A classic group: its state, members and protocols. What members ask of it is in the sibling files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::member::{Member, Protocols};
use crate::codec::EncodeError;
use crate::group::call::{DescribedGroup, GroupError, GroupState, JoinedMember, ListedGroup};
use crate::group::call::{GroupType, Joined, Synced};
use crate::group::record::{GroupMemberFields, GroupValueFields, group_record};
use crate::group::step::Step;
use crate::group::subscription::{CONSUMER_PROTOCOL, subscribed_topics};
use crate::group::timers::TimerKey;
use crate::group::{GroupAnswer, GroupId, MemberId};
use crate::machine::{MachineRecord, Token};
use crate::types::TimestampMs;

/// How the first rebalance of an empty group waits for more members.
#[derive(Debug, Clone, Copy)]
pub(super) struct InitialDelay {
    /// The delay that runs.
    pub(super) delay_ms: u64,
    /// What may be waited after it.
    pub(super) remaining_ms: u64,
}

/// A classic group. Between calls, it is never in the state `Dead`: a dead group is forgotten.
#[derive(Debug)]
pub(in crate::group) struct ClassicGroup {
    /// Its id.
    pub(in crate::group) id: GroupId,
    /// Its state.
    pub(super) state: GroupState,
    /// It prepares its first rebalance since it was empty.
    pub(super) initial: Option<InitialDelay>,
    /// A member came since the initial delay began.
    pub(super) new_member_added: bool,
    /// Since when it is in its state; not known of records of old versions.
    pub(super) state_since_ms: Option<TimestampMs>,
    /// `consumer` and so on; none until the first member joins.
    pub(super) protocol_type: Option<String>,
    /// What the members voted for.
    pub(super) protocol: Option<String>,
    /// Counts the rebalances.
    pub(super) generation: i32,
    /// The member that assigns.
    pub(super) leader: Option<MemberId>,
    /// Its members.
    pub(super) members: BTreeMap<MemberId, Member>,
    /// Member ids by instance id.
    pub(super) static_members: BTreeMap<Arc<str>, MemberId>,
    /// Ids given out that have not joined yet (KIP-394).
    pub(super) pending_joins: BTreeSet<MemberId>,
    /// Members of this generation that have not synced yet.
    pub(super) pending_syncs: BTreeSet<MemberId>,
    /// The assignment of this generation is being stored.
    pub(super) storing: bool,
    /// How many members support each protocol.
    supported: BTreeMap<String, usize>,
    /// How many members' joins are held.
    joining: usize,
    /// Topics that members subscribed to, if known.
    subscribed: Option<BTreeSet<String>>,
}

impl ClassicGroup {
    /// An empty group.
    pub(in crate::group) fn new(id: GroupId, now_ms: TimestampMs) -> Self {
        Self {
            id,
            state: GroupState::Empty,
            initial: None,
            new_member_added: false,
            state_since_ms: Some(now_ms),
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            storing: false,
            supported: BTreeMap::new(),
            joining: 0,
            subscribed: None,
        }
    }

    /// The group that a record holds. Nothing of it shares memory with the record.
    pub(in crate::group) fn restored(id: GroupId, value: &GroupValueFields) -> Self {
        let since = value.current_state_timestamp;
        let protocol_type = value.protocol_type.to_string();
        let mut group = Self::new(id, since);
        group.state_since_ms = (since != -1).then_some(since);
        group.protocol_type = (!protocol_type.is_empty()).then_some(protocol_type);
        group.protocol = value.protocol.as_ref().map(ToString::to_string);
        group.generation = value.generation;
        for fields in &value.members {
            let protocol = group.protocol.clone().unwrap_or_default();
            let rebalance_timeout_ms = match fields.rebalance_timeout {
                -1 => fields.session_timeout,
                timeout => timeout,
            };
            let member = Member {
                id: fields.member_id.as_str().into(),
                instance_id: fields.group_instance_id.as_deref().map(Arc::from),
                client_id: fields.client_id.to_string(),
                client_host: fields.client_host.to_string(),
                rebalance_timeout_ms: rebalance_timeout_ms.max(0),
                session_timeout_ms: fields.session_timeout.max(0),
                protocols: vec![(protocol, Bytes::copy_from_slice(&fields.subscription))],
                assignment: Bytes::copy_from_slice(&fields.assignment),
                joining: None,
                syncing: None,
                is_new: false,
            };
            group.insert(member);
        }
        let leader = value.leader.as_deref().and_then(|id| group.members.get_key_value(id));
        group.leader = leader.or(group.members.first_key_value()).map(|(id, _)| id.clone());
        if !group.members.is_empty() {
            group.state = GroupState::Stable;
        }
        group.subscribed = group.read_subscriptions();
        group
    }

    /// Its state.
    pub(in crate::group) fn state(&self) -> GroupState {
        self.state
    }

    /// Its generation.
    pub(in crate::group) fn generation(&self) -> i32 {
        self.generation
    }

    /// Its members.
    pub(in crate::group) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// How many members it has.
    pub(in crate::group) fn size(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members and waits for none.
    pub(in crate::group) fn is_idle(&self) -> bool {
        self.state == GroupState::Empty && self.pending_joins.is_empty()
    }

    /// Whether nothing of it was ever stored and nobody is in it: forgetting it needs no record.
    pub(in crate::group) fn is_hollow(&self) -> bool {
        self.is_idle() && self.generation == 0 && self.protocol_type.is_none()
    }

    /// Whether its members are ordinary consumers.
    pub(in crate::group) fn is_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL)
    }

    /// Whether a member is subscribed to `topic`; if that cannot be known, consumers are.
    pub(in crate::group) fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed.as_ref().map_or(self.is_consumers(), |topics| topics.contains(topic))
    }

    /// From when on the retention of an offset committed at `committed_ms` counts, or none if
    /// offsets do not expire in this state.
    pub(in crate::group) fn retention_base(
        &self,
        committed_ms: TimestampMs,
    ) -> Option<TimestampMs> {
        match (&self.protocol_type, self.state) {
            (None, _) => Some(committed_ms),
            (Some(_), GroupState::Empty) => Some(self.state_since_ms.unwrap_or(committed_ms)),
            (Some(_), GroupState::Stable) if self.is_consumers() && self.subscribed.is_some() => {
                Some(committed_ms)
            }
            _ => None,
        }
    }

    /// Finds the member that a call names.
    pub(in crate::group) fn validate(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            let owner = self.static_members.get(instance_id).ok_or(GroupError::UnknownMemberId)?;
            if &**owner != member_id {
                return Err(GroupError::FencedInstanceId);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    /// Moves to another state.
    pub(super) fn become_state(&mut self, state: GroupState, now_ms: TimestampMs) {
        self.state = state;
        self.state_since_ms = Some(now_ms);
    }

    /// Whether `member_id` is the leader.
    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Adds a member. The first sets the protocol type and leads.
    pub(super) fn insert(&mut self, member: Member) {
        self.joining += usize::from(member.joining.is_some());
        for (name, _) in &member.protocols {
            *self.supported.entry(name.clone()).or_default() += 1;
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.id.clone());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.pending_joins.remove(&member.id);
        if let Some(twin) = self.members.insert(member.id.clone(), member) {
            // Only a record that names a member twice leads here.
            self.uncount(&twin);
        }
    }

    /// Takes a member out, without electing another leader or answering anybody.
    pub(super) fn take(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.uncount(&member);
        self.pending_syncs.remove(member_id);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id) == Some(&member.id)
        {
            self.static_members.remove(instance_id);
        }
        Some(member)
    }

    fn uncount(&mut self, member: &Member) {
        self.joining -= usize::from(member.joining.is_some());
        self.count_out(&member.protocols);
    }

    fn count_out(&mut self, protocols: &Protocols) {
        for (name, _) in protocols {
            if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
    }

    /// Removes a member: whoever waits for it is told `why`, its session ends, another leads.
    pub(super) fn remove(&mut self, member_id: &str, why: &GroupError, step: &mut Step<'_>) {
        if let Some(member) = self.take(member_id) {
            step.timers.cancel(&TimerKey::Member(self.id.clone(), member.id.clone()));
            answer_held(member, why, step);
            if self.is_leader(member_id) {
                self.leader = self.members.keys().next().cloned();
            }
        }
    }

    /// Forgets an id that was given out.
    pub(super) fn remove_pending(&mut self, member_id: &str, step: &mut Step<'_>) {
        if let Some(id) = self.pending_joins.take(member_id) {
            step.timers.cancel(&TimerKey::Member(self.id.clone(), id));
        }
    }

    /// Changes what a member can do.
    pub(super) fn set_protocols(&mut self, member_id: &str, protocols: Protocols) {
        for (name, _) in &protocols {
            *self.supported.entry(name.clone()).or_default() += 1;
        }
        if let Some(member) = self.members.get_mut(member_id) {
            let old = std::mem::replace(&mut member.protocols, protocols);
            self.count_out(&old);
        }
    }

    /// Holds a member's join, or ends the hold; gives the token held before.
    pub(super) fn set_joining(&mut self, member_id: &str, token: Option<Token>) -> Option<Token> {
        let member = self.members.get_mut(member_id)?;
        let old = std::mem::replace(&mut member.joining, token);
        self.joining += usize::from(token.is_some());
        self.joining -= usize::from(old.is_some());
        old
    }

    /// How many members' joins are held.
    pub(super) fn joining_count(&self) -> usize {
        self.joining
    }

    /// Whether nobody is missing in the join phase.
    pub(super) fn has_all_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending_joins.is_empty()
    }

    /// The longest time that a member may take to join again.
    pub(super) fn rebalance_timeout_ms(&self) -> u64 {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        timeouts.max().map_or(0, |ms| u64::try_from(ms).unwrap_or(0))
    }

    /// Whether a member with these protocols could be in the group.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| {
                self.supported.get(name).copied().unwrap_or(0) == self.members.len()
            })
    }

    /// The protocol that most members prefer among those that all support; the first by name of
    /// several.
    pub(super) fn voted_protocol(&self) -> Option<String> {
        let mut votes = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            let choice = member.protocols.iter().find(|(name, _)| {
                self.supported.get(name).copied().unwrap_or(0) == self.members.len()
            });
            if let Some((name, _)) = choice {
                *votes.entry(name).or_default() += 1;
            }
        }
        let winner = votes.iter().rev().max_by_key(|(_, count)| **count)?;
        Some((*winner.0).to_owned())
    }

    /// Begins the next generation with the members there are.
    pub(super) fn begin_generation(&mut self, now_ms: TimestampMs) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.initial = None;
        self.storing = false;
        self.pending_syncs.clear();
        self.protocol = self.voted_protocol();
        self.subscribed = self.read_subscriptions();
        let is_empty = self.members.is_empty();
        let next = if is_empty { GroupState::Empty } else { GroupState::CompletingRebalance };
        self.become_state(next, now_ms);
    }

    /// The topics that the members' metadata names; none if they are no consumers or it is not
    /// readable.
    fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_consumers() {
            return None;
        }
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.append(&mut subscribed_topics(&member.metadata(self.protocol.as_deref()))?);
        }
        Some(all)
    }

    /// What a member that has joined is told.
    pub(super) fn joined(&self, member_id: &str) -> Joined {
        let members = if self.is_leader(member_id) { self.roster() } else { Vec::new() };
        Joined {
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            skip_assignment: false,
            members,
        }
    }

    /// All members as the leader sees them.
    fn roster(&self) -> Vec<JoinedMember> {
        let shown = self.members.values().map(|member| JoinedMember {
            member_id: member.id.to_string(),
            instance_id: member.instance_id.as_deref().map(str::to_owned),
            metadata: member.metadata(self.protocol.as_deref()),
        });
        shown.collect()
    }

    /// What a member that has synced is told.
    pub(super) fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }

    /// The record that stores the group as it is.
    pub(super) fn to_record(&self, now_ms: TimestampMs) -> Result<MachineRecord, EncodeError> {
        let members = self.members.values().map(|member| GroupMemberFields {
            member_id: (&*member.id).into(),
            group_instance_id: member.instance_id.as_deref().map(Into::into),
            client_id: member.client_id.as_str().into(),
            client_host: member.client_host.as_str().into(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(self.protocol.as_deref()),
            assignment: member.assignment.clone(),
        });
        let value = GroupValueFields {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default().into(),
            generation: self.generation,
            protocol: self.protocol.as_deref().map(Into::into),
            leader: self.leader.as_deref().map(Into::into),
            current_state_timestamp: self.state_since_ms.unwrap_or(-1),
            members: members.collect(),
        };
        group_record(now_ms, &self.id, Some(&value))
    }

    /// How it is described. Metadata is shown only of a stable group.
    pub(in crate::group) fn describe(&self) -> DescribedGroup {
        let stable = self.state == GroupState::Stable;
        let protocol = if stable { self.protocol.as_deref() } else { None };
        DescribedGroup {
            group_id: self.id.to_string(),
            found: true,
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: self.members.values().map(|member| member.describe(protocol)).collect(),
        }
    }

    /// How it is listed.
    pub(in crate::group) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.to_string(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
            group_type: GroupType::Classic,
        }
    }

    /// Asserts what always holds between calls.
    #[cfg(test)]
    pub(in crate::group) fn check(&self, timers: &crate::group::timers::Timers) {
        let joining = self.members.values().filter(|member| member.joining.is_some()).count();
        assert_eq!(joining, self.joining);
        let mut supported = BTreeMap::<String, usize>::new();
        for (name, _) in self.members.values().flat_map(|member| &member.protocols) {
            *supported.entry(name.clone()).or_default() += 1;
        }
        assert_eq!(supported, self.supported);
        let statics =
            self.members.values().filter_map(|m| Some((m.instance_id.clone()?, m.id.clone())));
        assert_eq!(statics.collect::<BTreeMap<_, _>>(), self.static_members);
        assert!(self.pending_syncs.iter().all(|id| self.members.contains_key(id)));
        assert!(self.pending_joins.iter().all(|id| !self.members.contains_key(id)));
        assert_eq!(self.leader.is_some(), !self.members.is_empty());
        assert!(self.leader.iter().all(|id| self.members.contains_key(id)));
        let is_set = |key| timers.is_set(&key);
        for member in self.members.values() {
            let has_session = is_set(TimerKey::Member(self.id.clone(), member.id.clone()));
            assert!(
                has_session || member.is_held(),
                "a member lives by its session or a held call"
            );
            assert!(member.joining.is_none() || self.state == GroupState::PreparingRebalance);
            assert!(member.syncing.is_none() || self.state == GroupState::CompletingRebalance);
        }
        for id in &self.pending_joins {
            assert!(is_set(TimerKey::Member(self.id.clone(), id.clone())));
        }
        let is_preparing = self.state == GroupState::PreparingRebalance;
        assert_eq!(is_set(TimerKey::Join(self.id.clone())), is_preparing);
        assert!(self.initial.is_none() || is_preparing);
        let must_sync = !self.pending_syncs.is_empty();
        assert_eq!(is_set(TimerKey::Sync(self.id.clone())), must_sync);
        assert!(!self.storing || self.state == GroupState::CompletingRebalance);
        match self.state {
            GroupState::Empty => assert!(self.members.is_empty() && !must_sync),
            GroupState::PreparingRebalance => assert!(!must_sync),
            GroupState::CompletingRebalance | GroupState::Stable => {
                assert!(!self.members.is_empty());
                assert!(self.protocol.is_some() && self.protocol == self.protocol_or_vote());
            }
            GroupState::Dead => panic!("a dead group is forgotten"),
        }
    }

    /// The protocol, if every member supports it.
    #[cfg(test)]
    fn protocol_or_vote(&self) -> Option<String> {
        let protocol = self.protocol.clone()?;
        let count = self.supported.get(&protocol).copied().unwrap_or(0);
        (count == self.members.len()).then_some(protocol)
    }

    /// Ends the group here: its deadlines are gone and whoever waits is told `why`.
    pub(in crate::group) fn dissolve(self, why: &GroupError, step: &mut Step<'_>) {
        step.timers.cancel(&TimerKey::Join(self.id.clone()));
        step.timers.cancel(&TimerKey::Sync(self.id.clone()));
        for id in self.pending_joins {
            step.timers.cancel(&TimerKey::Member(self.id.clone(), id));
        }
        for (id, member) in self.members {
            step.timers.cancel(&TimerKey::Member(self.id.clone(), id));
            answer_held(member, why, step);
        }
    }
}

/// Tells whoever waits for `member`.
fn answer_held(member: Member, why: &GroupError, step: &mut Step<'_>) {
    if let Some(token) = member.joining {
        step.answer(token, GroupAnswer::Join(Err(why.clone())));
    }
    if let Some(token) = member.syncing {
        step.answer(token, GroupAnswer::Sync(Err(why.clone())));
    }
}
