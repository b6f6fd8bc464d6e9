//! Reads: what is in memory is answered at once, the rest is read from segment files beside the shard.

use bytes::Bytes;

use super::Shard;
use super::call::{Answer, Isolation, Read, ReadError, ReadItem, ReadPart, ReplyTo, Watch};
use super::event::{DiskFailure, Effect, Job};
use crate::partition::admit::Now;
use crate::partition::find::Found;
use crate::types::TopicPartition;

impl Shard {
    pub(super) fn on_read(&mut self, reply: ReplyTo, read: Read, effects: &mut Vec<Effect>) {
        let id = self.reads.next();
        let mut left = read.bytes_max;
        let mut needs_one = true;
        let mut prepared = Vec::with_capacity(read.items.len());
        let mut items = Vec::with_capacity(read.items.len());
        for (slot, item) in read.items.iter().enumerate() {
            match self.read_item(item, left, needs_one, read.isolation) {
                Ok((mut part, Some(Found::Cold(mut plan)))) => {
                    plan.bytes_max = plan.bytes_max.min(left);
                    let dir = self.partition(item.partition).map(|partition| partition.dir.clone());
                    if let Some(dir) = dir {
                        left = left.saturating_sub(plan.bytes_max.max(1));
                        needs_one = false;
                        part.is_cold = true;
                        prepared.push((slot, part));
                        effects.push(Effect::Run(Job::Read { read: id, slot, dir, plan }));
                        items.push(None);
                    } else {
                        items.push(Some(Err(ReadError::NotLeader)));
                    }
                }
                Ok((part, _)) => {
                    left = left.saturating_sub(part.bytes);
                    needs_one &= part.bytes == 0;
                    items.push(Some(Ok(part)));
                }
                Err(error) => items.push(Some(Err(error))),
            }
        }
        if let Some(parts) = self.reads.add(reply, prepared, items) {
            effects.push(Effect::Answer(reply, Answer::Read(parts)));
        }
    }

    /// Reads one partition as far as it is in memory; a cold part comes back as a plan.
    fn read_item(
        &self,
        item: &ReadItem,
        left: usize,
        needs_one: bool,
        isolation: Isolation,
    ) -> Result<(ReadPart, Option<Found>), ReadError> {
        let partition = self.partition(item.partition).ok_or(self.absence(item.partition))?;
        partition.check_epoch(item.leader_epoch)?;
        let mut part = ReadPart {
            high_watermark: partition.offsets.high_watermark(),
            last_stable_offset: partition.offsets.stable(),
            log_start_offset: partition.offsets.start(),
            diverging: partition.diverging(item.last_fetched_epoch, item.offset),
            ..ReadPart::default()
        };
        if part.diverging.is_some() {
            return Ok((part, None));
        }
        let bytes_max = item.bytes_max.min(left);
        match partition.find(item.offset, bytes_max, needs_one, isolation)? {
            Found::Here(records) => {
                part.bytes = records.iter().map(Bytes::len).sum();
                part.records = records;
                Ok((part, None))
            }
            Found::End => Ok((part, None)),
            cold @ Found::Cold(_) => Ok((part, Some(cold))),
        }
    }

    pub(super) fn on_read_done(
        &mut self,
        read: u64,
        slot: usize,
        result: Result<Vec<Bytes>, DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        let part = match result {
            Ok(records) => self.reads.context_mut(read).map(|prepared| {
                let at = prepared.iter().position(|(prepared, _)| *prepared == slot);
                let mut part = at.map(|at| prepared.swap_remove(at).1).unwrap_or_default();
                part.bytes = records.iter().map(Bytes::len).sum();
                part.records = records;
                Ok(part)
            }),
            Err(failure) => Some(Err(read_failed(&failure))),
        };
        let Some(part) = part else { return };
        if let Some((reply, _, parts)) = self.reads.done(read, slot, part) {
            effects.push(Effect::Answer(reply, Answer::Read(parts)));
        }
    }

    /// Why a partition is not open here.
    pub(super) fn absence(&self, id: TopicPartition) -> ReadError {
        match self.partitions.get(&id) {
            Some(super::Slot::Failed | super::Slot::Offline) => ReadError::Storage,
            _ => ReadError::NotLeader,
        }
    }

    pub(super) fn on_watch(
        &mut self,
        now: Now,
        reply: ReplyTo,
        watch: Watch,
        effects: &mut Vec<Effect>,
    ) {
        let is_moved = watch.items.iter().any(|(id, seen)| {
            self.partition(*id).is_none_or(|p| p.visible_end(watch.isolation) > *seen)
        });
        if is_moved || watch.deadline <= now.now {
            effects.push(Effect::Answer(reply, Answer::Watched));
        } else {
            self.watches.add(reply, watch);
        }
    }

    /// Answers the readers who wait for more of a partition.
    pub(super) fn wake_watchers(&mut self, id: TopicPartition, effects: &mut Vec<Effect>) {
        if !self.watches.is_watched(id) {
            return;
        }
        let Some(super::Slot::Open(partition)) = self.partitions.get(&id) else { return };
        let moved = self.watches.moved(id, |isolation| partition.visible_end(isolation));
        effects.extend(moved.into_iter().map(|reply| Effect::Answer(reply, Answer::Watched)));
    }
}

/// What a reader is told of a failure. Damage was told in the log when it was found.
pub(super) fn read_failed(failure: &DiskFailure) -> ReadError {
    if failure.is_damage {
        tracing::debug!(%failure, "a read met damage");
        return ReadError::Damaged;
    }
    tracing::error!(%failure, "a read from a segment file failed");
    ReadError::Storage
}
