//! Brings the shard's partitions in line with a new image: opens what is new, drops what is gone.

use std::path::Path;
use std::sync::Arc;

use super::call::Answer;
use super::event::{DiskFailure, Effect, Job, Open};
use super::{Shard, Slot};
use crate::log::files::directory_name;
use crate::metadata::Image;
use crate::metadata::changes::{Changes, PartitionOf};
use crate::metadata::configs::ConfigResource;
use crate::partition::admit::Now;
use crate::partition::{AppendError, Partition, Recovered};
use crate::topic_config::TopicConfig;
use crate::types::{LeaderEpoch, TopicPartition};

impl Shard {
    /// Takes up a new image.
    pub(super) fn adopt(&mut self, now: Now, image: Arc<Image>, effects: &mut Vec<Effect>) {
        let changes = Changes::between(&self.image, &image);
        self.image = Arc::clone(&image);
        effects.push(Effect::Adopt(image));
        for gone in &changes.partitions_removed {
            self.drop_partition(now, gone, effects);
        }
        let offline = changes.partitions_created.iter();
        let offline = offline.filter(|new| !self.open_partition(new, effects)).count();
        if offline > 0 {
            tracing::error!(
                partitions = offline,
                "PARTITIONS ARE OFFLINE: they are in a log directory that \
                cannot be used, or that is not in log.dirs; with the next start that has it they are back"
            );
        }
        for changed in &changes.partitions_changed {
            let epoch = changed.partition.leader_epoch;
            if let Some(partition) = self.partition_mut(changed.at())
                && epoch > partition.leader_epoch
            {
                partition.lead(epoch);
                let dir = Arc::clone(&partition.dir);
                let text = partition.epochs.to_text().into();
                effects.push(Effect::Run(Job::WriteEpochs { dir, text }));
            }
        }
        self.adopt_configs(&changes);
        let removed: Vec<_> =
            changes.topics_removed.iter().map(|topic| (topic.name.to_string(), topic.id)).collect();
        if !removed.is_empty() {
            self.forget_offsets(now, &removed, effects);
        }
    }

    fn is_here(&self, of: &PartitionOf) -> bool {
        self.directories.owner(&self.image, of.at(), self.settings.shards) == self.settings.shard
            && of.partition.leader == self.settings.node_id
    }

    /// Opens a partition that belongs here. False if its log directory is not here.
    fn open_partition(&mut self, new: &PartitionOf, effects: &mut Vec<Effect>) -> bool {
        let id = new.at();
        if !self.is_here(new) || self.partitions.contains_key(&id) {
            return true;
        }
        if self.directories.of(&new.partition).is_none() {
            self.partitions.insert(id, Slot::Offline);
            return false;
        }
        self.begin_opening(id, &new.topic.name, new.partition.leader_epoch, effects);
        true
    }

    /// Tries again to open a partition that had no room on the disk.
    pub(super) fn reopen_partition(&mut self, id: TopicPartition, effects: &mut Vec<Effect>) {
        let Some(topic) = self.image.topics.by_id(id.topic_id).cloned() else { return };
        let Some(partition) = topic.partition(id.partition) else { return };
        self.begin_opening(id, &topic.name, partition.leader_epoch, effects);
    }

    fn begin_opening(
        &mut self,
        id: TopicPartition,
        topic: &Arc<str>,
        leader_epoch: LeaderEpoch,
        effects: &mut Vec<Effect>,
    ) {
        self.opening += 1;
        self.partitions.insert(id, Slot::Opening(Vec::new()));
        let open = Open {
            partition: id,
            dir: self.dir_of(topic, id),
            config: self.config_of(topic),
            leader_epoch,
            // Kept until the partition is open: without room it is tried again.
            redo: self.redo.get(&id).cloned().unwrap_or_default(),
            log_start_offset: self.log_starts.get(&id).copied(),
            waypoint: self.waypoints.get(&id).cloned(),
            topic: Arc::clone(topic),
        };
        effects.push(Effect::Run(Job::Open(Box::new(open))));
    }

    pub(super) fn dir_of(&self, topic: &str, id: TopicPartition) -> Arc<Path> {
        Arc::from(self.settings.log_dir.join(directory_name(topic, id.partition)))
    }

    fn config_of(&self, topic: &str) -> Arc<TopicConfig> {
        let Some(overrides) = self.image.configs.of_topic(topic) else {
            return Arc::clone(&self.settings.topic_defaults);
        };
        match TopicConfig::parse(overrides, &self.settings.topic_defaults) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                // The controller checked it; a stricter release may refuse what an older one took.
                tracing::error!(topic, %error, "the topic's settings are not valid: defaults are used");
                Arc::clone(&self.settings.topic_defaults)
            }
        }
    }

    fn adopt_configs(&mut self, changes: &Changes) {
        if changes.configs.is_empty() {
            return;
        }
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids {
            let Some(topic) = self.partition(id).map(|partition| Arc::clone(&partition.topic))
            else {
                continue;
            };
            if changes.configs.contains(&ConfigResource::topic(&topic)) {
                let config = self.config_of(&topic);
                if let Some(partition) = self.partition_mut(id) {
                    partition.config = config;
                }
            }
        }
    }

    pub(super) fn on_opened(
        &mut self,
        now: Now,
        id: TopicPartition,
        result: Result<Box<Recovered>, DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        self.opening -= 1;
        self.settle_opened(now, id, result, effects);
        self.answer_settled(effects);
    }

    fn settle_opened(
        &mut self,
        now: Now,
        id: TopicPartition,
        result: Result<Box<Recovered>, DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        let waiting = match self.partitions.remove(&id) {
            Some(Slot::Opening(waiting)) => waiting,
            // It was deleted while it was being opened.
            _ => return,
        };
        let found = self.image.topics.by_id(id.topic_id).cloned();
        let leader_epoch = found.as_ref().and_then(|topic| topic.partition(id.partition));
        let slot = match (result, found.as_ref(), leader_epoch) {
            (Ok(recovered), Some(topic), Some(partition)) => {
                self.deadlines.unstall(id);
                self.redo.remove(&id);
                if let Some(waypoint) = self.waypoints.remove(&id) {
                    let end = recovered.active.bytes();
                    self.checkpointing.followed(end.saturating_sub(waypoint.position));
                }
                let name = Arc::clone(&topic.name);
                let dir = self.dir_of(&name, id);
                let config = self.config_of(&name);
                let epoch = partition.leader_epoch;
                let mut opened = Partition::new(id, name, dir, config, epoch, *recovered);
                // Clients come back now: room behind its end is not given back at once.
                opened.last_append = now.now;
                self.tail_bytes += opened.memory_bytes();
                Slot::Open(Box::new(opened))
            }
            (Err(failure), Some(topic), _) if failure.is_full => {
                if self.deadlines.stall(now.now, id) {
                    tracing::warn!(%failure, topic = %topic.name, partition = id.partition,
                        "the disk is full: a partition cannot be opened until there is room");
                }
                self.on_failure(&failure, effects);
                Slot::Failed
            }
            (Err(failure), _, _) => {
                self.deadlines.unstall(id);
                self.redo.remove(&id);
                self.waypoints.remove(&id);
                tracing::error!(%failure, "a partition could not be opened: it stays offline");
                Slot::Failed
            }
            _ => return,
        };
        self.partitions.insert(id, slot);
        self.begin_loading(id, effects);
        for (reply, call) in waiting {
            self.on_call(now, reply, call, effects);
        }
    }

    fn drop_partition(&mut self, now: Now, gone: &PartitionOf, effects: &mut Vec<Effect>) {
        let id = gone.at();
        let Some(slot) = self.partitions.remove(&id) else { return };
        self.dirty.remove(&id);
        self.journal.forget(id);
        self.redo.remove(&id);
        self.waypoints.remove(&id);
        self.deadlines.unstall(id);
        self.unload(id, effects);
        let topic = Arc::clone(&gone.topic.name);
        self.log_starts.remove(&id);
        let readers = self.watches.gone(id);
        effects.extend(readers.into_iter().map(|reply| Effect::Answer(reply, Answer::Watched)));
        let mut delay_ms = self.settings.topic_defaults.file_delete_delay_ms;
        match slot {
            Slot::Open(mut partition) => {
                delay_ms = partition.config.file_delete_delay_ms;
                self.tail_bytes -= partition.memory_bytes();
                for waiter in partition.acks.release_all() {
                    self.release(now, id, waiter, Err(AppendError::NotLeader), effects);
                }
            }
            Slot::Opening(waiting) => {
                // The calls find no partition now, and say so.
                for (reply, call) in waiting {
                    self.on_call(now, reply, call, effects);
                }
            }
            Slot::Failed => {}
            // Its directory is put aside by the start that finds it.
            Slot::Offline => return,
        }
        let at = now.now.plus_ms(u64::try_from(delay_ms).unwrap_or_default());
        let dir = self.dir_of(&topic, id);
        self.removing += 1;
        effects.push(Effect::Run(Job::Remove { dir, at }));
    }

    pub(super) fn on_removed(
        &mut self,
        result: Result<(), DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        self.removing -= 1;
        if let Err(failure) = result {
            // The next start puts the directory aside.
            self.on_failure(&failure, effects);
        }
        self.answer_published(effects);
    }

    /// Tells shard 0 that its image is taken up, once the names of removed partitions are free.
    pub(super) fn answer_published(&mut self, effects: &mut Vec<Effect>) {
        if self.removing == 0 {
            let waiting = std::mem::take(&mut self.publishing).into_iter();
            effects.extend(waiting.map(|reply| Effect::Answer(reply, Answer::Published)));
        }
    }
}
