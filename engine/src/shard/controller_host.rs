//! Hosts the controller, on shard 0: appends what it plans to the metadata log, publishes the image to
//! every shard when that is durable, and only then answers.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::call::{Answer, ReplyTo, StorageError};
use super::event::Effect;
use super::{Shard, Slot, Waiter};
use crate::metadata::Image;
use crate::metadata::controller::{Controller, ControllerAnswer, ControllerCall};
use crate::partition::Partition;
use crate::partition::admit::Now;
use crate::types::{TopicPartition, Uuid};

/// The metadata log's identity.
pub const METADATA_PARTITION: TopicPartition =
    TopicPartition { topic_id: Uuid::METADATA_TOPIC, partition: 0 };

/// A plan on its way: to the disk, then to all shards, then to who asked.
#[derive(Debug)]
struct Planned {
    /// Who asked; none when they were told that the disk is full.
    reply: Option<ReplyTo>,
    answer: ControllerAnswer,
    image: Option<Arc<Image>>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Writing,
    Durable,
    Publishing(u64),
    Done,
}

/// The controller with what it has under way.
pub struct ControllerHost {
    controller: Controller,
    planned: VecDeque<Planned>,
    publications: u64,
    random: SplitMix,
}

impl std::fmt::Debug for ControllerHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControllerHost").field("planned", &self.planned).finish_non_exhaustive()
    }
}

/// A small generator for topic ids, seeded by the world (SplitMix64).
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn next_u128(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

impl ControllerHost {
    /// A controller that has nothing under way. `seed` is chance from the world.
    #[must_use]
    pub fn new(controller: Controller, seed: u64) -> Self {
        let random = SplitMix(seed);
        Self { controller, planned: VecDeque::new(), publications: 0, random }
    }
}

impl Shard {
    /// Makes this shard, which is shard 0, the home of the metadata log and its controller.
    pub fn lead_metadata(&mut self, log: Partition<Waiter>, host: ControllerHost) {
        assert_eq!(self.settings.shard, 0, "the metadata log lives on shard 0");
        assert_eq!(log.id, METADATA_PARTITION);
        self.partitions.insert(METADATA_PARTITION, Slot::Open(Box::new(log)));
        self.controller = Some(host);
    }

    /// Appends the batches that begin the controller's epoch.
    pub fn begin_metadata(&mut self, now: Now, batches: &[Bytes]) {
        for batch in batches {
            let Some(Slot::Open(log)) = self.partitions.get_mut(&METADATA_PARTITION) else {
                return;
            };
            let before = log.memory_bytes();
            log.append_own(&self.pool, now, batch);
            self.tail_bytes = self.tail_bytes + log.memory_bytes() - before;
            self.dirty.insert(METADATA_PARTITION);
        }
    }

    pub(super) fn on_controller(
        &mut self,
        now: Now,
        reply: ReplyTo,
        call: ControllerCall,
        effects: &mut Vec<Effect>,
    ) {
        let is_full = self.deadlines.is_stalled(METADATA_PARTITION);
        let is_refusing = self.is_offline || self.is_closing || is_full;
        let Some(host) = self.controller.as_mut().filter(|_| !is_refusing) else {
            effects.push(Effect::Answer(reply, Answer::Controller(Err(StorageError))));
            return;
        };
        let ControllerHost { controller, planned, random, .. } = host;
        let plan = controller.call(now.wall_ms, call, &mut || random.next_u128());
        let is_writing = !plan.records.is_empty();
        planned.push_back(Planned {
            reply: Some(reply),
            answer: plan.answer,
            image: plan.publication.map(|publication| publication.image),
            stage: if is_writing { Stage::Writing } else { Stage::Done },
        });
        if is_writing {
            let end = self.partition(METADATA_PARTITION).map(|log| log.offsets.end());
            assert_eq!(end, Some(plan.base_offset), "the controller knows its log's end");
            self.append_own(now, METADATA_PARTITION, &plan.records, Waiter::Controller);
        } else {
            self.answer_planned(effects);
        }
    }

    /// The oldest write of the controller is durable, or failed.
    pub(super) fn on_controller_written(
        &mut self,
        _now: Now,
        is_durable: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(host) = self.controller.as_mut() else { return };
        if !is_durable {
            // The controller is ahead of its log: it ends here.
            let failed = std::mem::take(&mut host.planned);
            self.controller = None;
            effects.extend(failed.into_iter().filter_map(|planned| refusal(planned.reply)));
            return;
        }
        let writing = host.planned.iter_mut().find(|planned| planned.stage == Stage::Writing);
        let Some(planned) = writing else { return };
        planned.stage = Stage::Durable;
        self.publish_next(effects);
    }

    /// Publishes the oldest durable plan, unless one is being published: every shard takes up one
    /// image after the other, and a topic's directories are out of the way everywhere before another
    /// topic gets its name.
    fn publish_next(&mut self, effects: &mut Vec<Effect>) {
        let Some(host) = self.controller.as_mut() else { return };
        let next = host.planned.iter_mut().find(|planned| planned.stage != Stage::Done);
        let Some(planned) = next.filter(|planned| planned.stage == Stage::Durable) else { return };
        host.publications += 1;
        let id = host.publications;
        planned.stage = Stage::Publishing(id);
        if let Some(image) = planned.image.take() {
            effects.push(Effect::Publish { id, image });
        }
    }

    pub(super) fn on_published(&mut self, id: u64, effects: &mut Vec<Effect>) {
        let Some(host) = self.controller.as_mut() else { return };
        for planned in &mut host.planned {
            if planned.stage == Stage::Publishing(id) {
                planned.stage = Stage::Done;
            }
        }
        self.publish_next(effects);
        self.answer_planned(effects);
    }

    /// Gives answers in the order of the calls.
    fn answer_planned(&mut self, effects: &mut Vec<Effect>) {
        let Some(host) = self.controller.as_mut() else { return };
        while host.planned.front().is_some_and(|planned| planned.stage == Stage::Done)
            && let Some(planned) = host.planned.pop_front()
        {
            let answer = Answer::Controller(Ok(planned.answer));
            effects.extend(planned.reply.map(|reply| Effect::Answer(reply, answer)));
        }
    }

    /// The metadata log has no room: who waits for it is told. What was planned stays planned, and is
    /// published when it is durable.
    pub(super) fn refuse_planned(&mut self, id: TopicPartition, effects: &mut Vec<Effect>) {
        let Some(host) = self.controller.as_mut().filter(|_| id == METADATA_PARTITION) else {
            return;
        };
        let writing = host.planned.iter_mut().filter(|planned| planned.stage == Stage::Writing);
        effects.extend(writing.filter_map(|planned| refusal(planned.reply.take())));
    }
}

/// What is told to who waits for a plan that failed.
fn refusal(reply: Option<ReplyTo>) -> Option<Effect> {
    Some(Effect::Answer(reply?, Answer::Controller(Err(StorageError))))
}
