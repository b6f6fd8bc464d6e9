//! Committed offsets: what was written, and what of it is durable and may be read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::call::{
    CommitPartition, CommitTopic, FetchTopic, GroupError, GroupState, OffsetCommitCall,
    OffsetDeleteCall, OffsetFetchCall, PartitionOffset, TopicOffsets, TopicResults,
};
use super::classic::ClassicGroup;
use super::record::{StoredOffset, offset_record};
use super::step::Step;
use super::writes::{AfterWrite, WriteNumber};
use super::{GroupAnswer, GroupId, Groups, NAME_BYTES_MAX};
use crate::machine::{MachineRecord, Token};
use crate::types::{TimestampMs, TopicId};

/// Group, topic, partition.
pub(super) type OffsetKey = (GroupId, Arc<str>, i32);

/// A record, and the offset that it changes if it is one of an offset.
#[derive(Debug)]
pub(super) struct Change {
    /// What is written.
    pub(super) record: MachineRecord,
    /// Which offset it stores, or forgets.
    pub(super) offset: Option<(OffsetKey, Option<StoredOffset>)>,
}

/// The offset of one partition.
#[derive(Debug, Default)]
struct Slot {
    /// What readers see.
    durable: Option<StoredOffset>,
    /// What was written since, oldest first.
    pending: VecDeque<(WriteNumber, Option<StoredOffset>)>,
}

impl Slot {
    /// What was written last.
    fn latest(&self) -> Option<&StoredOffset> {
        self.pending.back().map_or(self.durable.as_ref(), |(_, value)| value.as_ref())
    }
}

type Partitions = BTreeMap<i32, Slot>;
type Topics = BTreeMap<Arc<str>, Partitions>;

/// All offsets of a machine.
#[derive(Debug, Default)]
pub(super) struct OffsetStore {
    groups: BTreeMap<GroupId, Topics>,
}

impl OffsetStore {
    /// Folds a stored offset in; none forgets it.
    pub(super) fn restore(
        &mut self,
        group_id: &GroupId,
        topic: &str,
        partition: i32,
        value: Option<StoredOffset>,
    ) {
        let key = (group_id.clone(), Arc::from(topic), partition);
        self.slot(&key).durable = value;
        self.drop_vacant(&key);
    }

    /// The groups that have offsets.
    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.groups.keys()
    }

    /// Whether the group has an offset, durable or not.
    pub(super) fn has_any(&self, group_id: &str) -> bool {
        self.latest(group_id).next().is_some()
    }

    /// What was last written of a group: topic, partition, offset.
    pub(super) fn latest(
        &self,
        group_id: &str,
    ) -> impl Iterator<Item = (&Arc<str>, i32, &StoredOffset)> {
        let topics = self.groups.get(group_id).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            let slots = partitions.iter();
            slots.filter_map(move |(partition, slot)| Some((topic, *partition, slot.latest()?)))
        })
    }

    /// `OffsetCommit`.
    pub(super) fn commit(
        &mut self,
        groups: &mut Groups,
        call: &OffsetCommitCall,
        token: Token,
        step: &mut Step<'_>,
    ) {
        let prepared = validate_commit(groups, call, step)
            .and_then(|()| self.prepare_commit(call, step))
            .and_then(|(changes, results)| {
                let records = changes.iter().map(|change| &change.record);
                let fit = step.fit_batch(records);
                if fit { Ok((changes, results)) } else { Err(GroupError::InvalidCommitOffsetSize) }
            });
        match prepared {
            Ok((changes, results)) => {
                if !changes.is_empty() && !groups.contains_key(call.group_id.as_str()) {
                    let id = GroupId::from(call.group_id.as_str());
                    groups.insert(id.clone(), ClassicGroup::new(id, step.wall_ms));
                }
                self.write(changes, step);
                step.answer_durable(token, GroupAnswer::OffsetCommit(Ok(results)));
            }
            Err(error) => step.answer(token, GroupAnswer::OffsetCommit(Err(error))),
        }
    }

    /// The records of a commit and the results to answer.
    fn prepare_commit(
        &self,
        call: &OffsetCommitCall,
        step: &Step<'_>,
    ) -> Result<(Vec<Change>, Vec<TopicResults>), GroupError> {
        let group_id = self.group_id(&call.group_id);
        let expires_ms = call.retention_ms.map(|ms| step.wall_ms.saturating_add(ms));
        let mut changes = Vec::new();
        let mut results = Vec::with_capacity(call.topics.len());
        for topic in &call.topics {
            let name = self.topic_name(&group_id, &topic.name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let result = if is_text_long(partition, step.config.offset_metadata_units_max) {
                    Err(GroupError::OffsetMetadataTooLarge)
                } else {
                    let key = (group_id.clone(), name.clone(), partition.partition);
                    let value = stored(topic, partition, step.wall_ms, expires_ms);
                    changes.push(change(key, Some(value), step.wall_ms)?);
                    Ok(())
                };
                partitions.push((partition.partition, result));
            }
            let (name, topic_id) = (topic.name.clone(), topic.topic_id);
            results.push(TopicResults { name, topic_id, partitions });
        }
        Ok((changes, results))
    }

    /// `OffsetFetch`. Without `require_stable`, what is durable. With it, what was written last, as
    /// soon as that is durable.
    pub(super) fn fetch(&self, call: &OffsetFetchCall, token: Token, step: &mut Step<'_>) {
        let none = Topics::new();
        let topics = self.groups.get(call.group_id.as_str()).unwrap_or(&none);
        let mut reader = OffsetReader { require_stable: call.require_stable, wait_for: None };
        let found = match &call.topics {
            Some(wanted) => wanted.iter().map(|topic| reader.named(topics, topic)).collect(),
            None => topics.iter().flat_map(|(name, slots)| reader.all(name, slots)).collect(),
        };
        let answer = GroupAnswer::OffsetFetch(Ok(found));
        let at_once = match reader.wait_for {
            Some(number) => step.writes.hold(number, token, answer),
            None => Some(answer),
        };
        if let Some(answer) = at_once {
            step.answer(token, answer);
        }
    }

    /// `OffsetDelete`.
    pub(super) fn delete(
        &mut self,
        groups: &Groups,
        call: OffsetDeleteCall,
        token: Token,
        step: &mut Step<'_>,
    ) {
        let group = match deletable(groups, &call.group_id) {
            Ok(group) => group,
            Err(error) => return step.answer(token, GroupAnswer::OffsetDelete(Err(error))),
        };
        let mut changes = Vec::new();
        let mut results = Vec::with_capacity(call.topics.len());
        for (name, wanted) in call.topics {
            let is_subscribed = group.is_subscribed(&name);
            let mut partitions = Vec::with_capacity(wanted.len());
            for partition in wanted {
                if is_subscribed {
                    partitions.push((partition, Err(GroupError::GroupSubscribedToTopic)));
                    continue;
                }
                partitions.push((partition, Ok(())));
                let topic = self.topic_name(&group.id, &name);
                let key = (group.id.clone(), topic, partition);
                if self.get(&key).and_then(Slot::latest).is_some() {
                    changes.extend(change(key, None, step.wall_ms));
                }
            }
            results.push(TopicResults { name, topic_id: TopicId::ZERO, partitions });
        }
        self.write(changes, step);
        step.answer_durable(token, GroupAnswer::OffsetDelete(Ok(results)));
    }

    /// The changes that forget the offsets of a group that `is_doomed` picks.
    pub(super) fn tombstones(
        &self,
        group_id: &GroupId,
        wall_ms: TimestampMs,
        mut is_doomed: impl FnMut(&str, &StoredOffset) -> bool,
    ) -> Vec<Change> {
        let doomed = self.latest(group_id).filter(|(topic, _, value)| is_doomed(topic, value));
        let keys = doomed.map(|(topic, partition, _)| (group_id.clone(), topic.clone(), partition));
        // The names were written before, so they can be written again.
        keys.filter_map(|key| change(key, None, wall_ms).ok()).collect()
    }

    /// Every topic with offsets, by name and the id that was given with them.
    pub(super) fn topics(&self) -> BTreeSet<(String, TopicId)> {
        let all = self.groups.keys().flat_map(|group_id| self.latest(group_id));
        all.map(|(topic, _, value)| (topic.to_string(), value.topic_id)).collect()
    }

    /// Forgets the offsets of deleted topics.
    pub(super) fn topics_deleted(&mut self, topics: &[(String, TopicId)], step: &mut Step<'_>) {
        let by_name = topics.iter().map(|(name, id)| (name.as_str(), *id));
        let by_name = by_name.collect::<BTreeMap<_, _>>();
        let ids = self.groups.keys();
        let doomed = ids.flat_map(|group_id| {
            self.tombstones(group_id, step.wall_ms, |topic, value| {
                by_name.get(topic).is_some_and(|id| is_same_topic(*id, value.topic_id))
            })
        });
        let changes = doomed.collect();
        self.write(changes, step);
    }

    /// Writes changes, in as few batches as hold them.
    pub(super) fn write(&mut self, mut changes: Vec<Change>, step: &mut Step<'_>) {
        while !changes.is_empty() {
            let count = step.batch_prefix(changes.iter().map(|change| &change.record));
            let rest = changes.split_off(count);
            let number = step.writes.next();
            let mut records = Vec::with_capacity(changes.len());
            let mut after = AfterWrite::default();
            for Change { record, offset } in changes {
                records.push(record);
                if let Some((key, value)) = offset {
                    self.slot(&key).pending.push_back((number, value));
                    after.offsets.push(key);
                }
            }
            step.write(records, after);
            changes = rest;
        }
    }

    /// Write `number` is durable, and so are the offsets of `keys`.
    pub(super) fn on_durable(&mut self, number: WriteNumber, keys: &[OffsetKey]) {
        for key in keys {
            let slot = self.slot(key);
            while slot.pending.front().is_some_and(|(pending, _)| *pending <= number) {
                slot.durable = slot.pending.pop_front().and_then(|(_, value)| value);
            }
            self.drop_vacant(key);
        }
    }

    fn get(&self, (group_id, topic, partition): &OffsetKey) -> Option<&Slot> {
        self.groups.get(group_id)?.get(topic)?.get(partition)
    }

    fn slot(&mut self, (group_id, topic, partition): &OffsetKey) -> &mut Slot {
        let topics = self.groups.entry(group_id.clone()).or_default();
        topics.entry(topic.clone()).or_default().entry(*partition).or_default()
    }

    /// Removes a slot that holds nothing, and what holds only that.
    fn drop_vacant(&mut self, (group_id, topic, partition): &OffsetKey) {
        let Some(topics) = self.groups.get_mut(group_id) else { return };
        let Some(partitions) = topics.get_mut(topic) else { return };
        let slot = partitions.get(partition);
        if slot.is_some_and(|slot| slot.durable.is_none() && slot.pending.is_empty()) {
            partitions.remove(partition);
        }
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.groups.remove(group_id);
        }
    }

    /// The shared id of a group, if it has offsets, else a new one.
    fn group_id(&self, group_id: &str) -> GroupId {
        let known = self.groups.get_key_value(group_id);
        known.map_or_else(|| GroupId::from(group_id), |(id, _)| id.clone())
    }

    /// The shared name of a topic, if the group has offsets of it, else a new one.
    fn topic_name(&self, group_id: &str, topic: &str) -> Arc<str> {
        let known = self.groups.get(group_id).and_then(|topics| topics.get_key_value(topic));
        known.map_or_else(|| Arc::from(topic), |(name, _)| name.clone())
    }
}

/// Reads offsets, and notes which write must be durable before they are shown.
struct OffsetReader {
    require_stable: bool,
    wait_for: Option<WriteNumber>,
}

impl OffsetReader {
    /// The partitions that a topic is asked for.
    fn named(&mut self, topics: &Topics, wanted: &FetchTopic) -> TopicOffsets {
        let slots = topics.get(wanted.name.as_str());
        let partitions = wanted.partitions.iter().map(|partition| {
            let slot = slots.and_then(|slots| slots.get(partition));
            let value = slot.and_then(|slot| self.see(slot));
            shown(*partition, value.filter(|value| is_same_topic(wanted.topic_id, value.topic_id)))
        });
        let partitions = partitions.collect();
        TopicOffsets { name: wanted.name.clone(), topic_id: wanted.topic_id, partitions }
    }

    /// All partitions of a name that have an offset, by the topic that it was given for.
    fn all(&mut self, name: &str, slots: &Partitions) -> Vec<TopicOffsets> {
        let mut by_id = BTreeMap::<TopicId, Vec<PartitionOffset>>::new();
        for (partition, slot) in slots {
            if let Some(value) = self.see(slot) {
                by_id.entry(value.topic_id).or_default().push(shown(*partition, Some(value)));
            }
        }
        let name = name.to_owned();
        let found = by_id.into_iter();
        found
            .map(|(topic_id, partitions)| TopicOffsets { name: name.clone(), topic_id, partitions })
            .collect()
    }

    fn see<'a>(&mut self, slot: &'a Slot) -> Option<&'a StoredOffset> {
        if !self.require_stable {
            return slot.durable.as_ref();
        }
        self.wait_for = self.wait_for.max(slot.pending.back().map(|(number, _)| *number));
        slot.latest()
    }
}

fn shown(partition: i32, value: Option<&StoredOffset>) -> PartitionOffset {
    PartitionOffset {
        partition,
        offset: value.map_or(-1, |value| value.offset),
        leader_epoch: value.map_or(-1, |value| value.leader_epoch),
        metadata: value.map(|value| value.metadata.clone()).unwrap_or_default(),
    }
}

/// Whether two ids are of one topic; a zero id may be of any.
fn is_same_topic(one: TopicId, other: TopicId) -> bool {
    one.is_zero() || other.is_zero() || one == other
}

fn stored(
    topic: &CommitTopic,
    partition: &CommitPartition,
    committed_ms: TimestampMs,
    expires_ms: Option<TimestampMs>,
) -> StoredOffset {
    StoredOffset {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: partition.metadata.clone().unwrap_or_default(),
        committed_ms,
        expires_ms,
        topic_id: topic.topic_id,
    }
}

/// Whether the text of a commit is longer than allowed, counted in UTF-16 code units as Kafka does.
fn is_text_long(partition: &CommitPartition, units_max: usize) -> bool {
    let text = partition.metadata.as_deref().unwrap_or_default();
    text.len() > units_max && text.encode_utf16().count() > units_max
}

fn change(
    key: OffsetKey,
    value: Option<StoredOffset>,
    wall_ms: TimestampMs,
) -> Result<Change, GroupError> {
    let record = offset_record(wall_ms, (&key.0, &key.1, key.2), value.as_ref());
    // The only way to fail is a string that the format cannot hold.
    let record = record.ok().ok_or(GroupError::InvalidCommitOffsetSize)?;
    Ok(Change { record, offset: Some((key, value)) })
}

/// Whether the caller may commit now; a member that does shows that it is there.
fn validate_commit(
    groups: &Groups,
    call: &OffsetCommitCall,
    step: &mut Step<'_>,
) -> Result<(), GroupError> {
    if call.group_id.len() > NAME_BYTES_MAX {
        return Err(GroupError::InvalidGroupId);
    }
    let Some(group) = groups.get(call.group_id.as_str()) else {
        // Outside of group management, the first commit makes the group.
        return if call.generation < 0 { Ok(()) } else { Err(GroupError::GroupIdNotFound) };
    };
    let is_empty = group.state() == GroupState::Empty;
    if call.generation < 0 && is_empty {
        return Ok(());
    }
    let is_member =
        call.generation >= 0 || !call.member_id.is_empty() || call.instance_id.is_some();
    if is_member {
        group.validate(&call.member_id, call.instance_id.as_deref())?;
        if call.generation != group.generation() {
            return Err(GroupError::IllegalGeneration);
        }
    } else if !is_empty {
        return Err(GroupError::UnknownMemberId);
    }
    if group.state() == GroupState::CompletingRebalance {
        return Err(GroupError::RebalanceInProgress);
    }
    group.renew_session(&call.member_id, step);
    Ok(())
}

/// The group, if offsets of it may be deleted.
fn deletable<'a>(groups: &'a Groups, group_id: &str) -> Result<&'a ClassicGroup, GroupError> {
    if group_id.is_empty() {
        return Err(GroupError::InvalidGroupId);
    }
    let group = groups.get(group_id).ok_or(GroupError::GroupIdNotFound)?;
    if group.state() != GroupState::Empty && !group.is_consumers() {
        return Err(GroupError::NonEmptyGroup);
    }
    Ok(group)
}
