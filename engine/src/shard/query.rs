//! Questions about a partition that are not reads of its records.

use super::Shard;
use super::call::{
    Answer, DeleteRecords, EpochEnd, EpochQuery, FoundOffset, OffsetQuery, PartitionSize,
    ProducerView, ReadError, ReplyTo,
};
use super::event::{DiskFailure, Effect, Job, OffsetsFile};
use crate::partition::admit::Now;
use crate::partition::find::OffsetFound;
use crate::partition::producers::Producer;
use crate::types::{Offset, TopicPartition};

const NOT_FOUND: FoundOffset = FoundOffset { offset: -1, timestamp: -1, leader_epoch: -1 };

impl Shard {
    pub(super) fn on_offsets(
        &mut self,
        reply: ReplyTo,
        queries: &[OffsetQuery],
        effects: &mut Vec<Effect>,
    ) {
        let id = self.queries.next();
        let mut items = Vec::with_capacity(queries.len());
        for (slot, query) in queries.iter().enumerate() {
            let item = match self.find_offset(query) {
                Err(error) => Some(Err(error)),
                Ok(OffsetFound::Here(found)) => Some(Ok(found)),
                Ok(OffsetFound::Search { cold, here, timestamp }) => {
                    if cold.is_empty() && here.is_empty() {
                        Some(Ok(NOT_FOUND))
                    } else if let Some(partition) = self.partition(query.partition) {
                        let dir = partition.dir.clone();
                        let job = Job::Search { query: id, slot, dir, cold, here, timestamp };
                        effects.push(Effect::Run(job));
                        None
                    } else {
                        Some(Err(ReadError::NotLeader))
                    }
                }
            };
            items.push(item);
        }
        if let Some(found) = self.queries.add(reply, (), items) {
            effects.push(Effect::Answer(reply, Answer::Offsets(found)));
        }
    }

    fn find_offset(&self, query: &OffsetQuery) -> Result<OffsetFound, ReadError> {
        let partition = self.partition(query.partition).ok_or(self.absence(query.partition))?;
        partition.check_epoch(query.leader_epoch)?;
        Ok(partition.find_offset(query.wish, query.isolation))
    }

    pub(super) fn on_search_done(
        &mut self,
        query: u64,
        slot: usize,
        result: Result<Option<FoundOffset>, DiskFailure>,
        effects: &mut Vec<Effect>,
    ) {
        let found = match result {
            Ok(found) => Ok(found.unwrap_or(NOT_FOUND)),
            Err(failure) => Err(super::read::read_failed(&failure)),
        };
        if let Some((reply, (), found)) = self.queries.done(query, slot, found) {
            effects.push(Effect::Answer(reply, Answer::Offsets(found)));
        }
    }

    pub(super) fn epoch_end(&self, query: &EpochQuery) -> Result<EpochEnd, ReadError> {
        let partition = self.partition(query.partition).ok_or(self.absence(query.partition))?;
        partition.check_epoch(query.current_epoch)?;
        Ok(partition.epoch_end(query.epoch))
    }

    pub(super) fn size(&self, id: TopicPartition) -> Option<PartitionSize> {
        let partition = self.partition(id)?;
        Some(PartitionSize { bytes: partition.bytes(), log_end_offset: partition.offsets.end() })
    }

    pub(super) fn producer_views(
        &self,
        id: TopicPartition,
    ) -> Result<Vec<ProducerView>, ReadError> {
        let partition = self.partition(id).ok_or(self.absence(id))?;
        let view = |(producer_id, producer): (_, &Producer)| ProducerView {
            producer_id,
            epoch: producer.epoch(),
            last_sequence: producer.last_sequence(),
            last_timestamp: producer.last_timestamp(),
            coordinator_epoch: producer.coordinator_epoch(),
            txn_first_offset: producer.transaction_first_offset().unwrap_or(-1),
        };
        Ok(partition.producers.iter().map(view).collect())
    }

    pub(super) fn on_delete_records(
        &mut self,
        now: Now,
        reply: ReplyTo,
        wishes: &[DeleteRecords],
        effects: &mut Vec<Effect>,
    ) {
        let results = wishes.iter().map(|wish| self.delete_records(now, wish, effects)).collect();
        self.write_log_starts(effects);
        effects.push(Effect::Answer(reply, Answer::LogStarts(results)));
    }

    fn delete_records(
        &mut self,
        now: Now,
        wish: &DeleteRecords,
        effects: &mut Vec<Effect>,
    ) -> Result<Offset, ReadError> {
        let absence = self.absence(wish.partition);
        let partition = self.partition_mut(wish.partition).ok_or(absence)?;
        if partition.config.cleanup_policy.compact && !partition.config.cleanup_policy.delete {
            return Err(ReadError::Policy);
        }
        let high_watermark = partition.offsets.high_watermark();
        let before = if wish.before == -1 { high_watermark } else { wish.before };
        if before < 0 || before > high_watermark {
            return Err(ReadError::OutOfRange {
                log_start_offset: partition.offsets.start(),
                log_end_offset: high_watermark,
            });
        }
        let start = partition.start_at(before);
        self.log_starts.insert(wish.partition, start);
        self.retire_segments(now, wish.partition, effects);
        Ok(start)
    }

    /// Writes the log start offsets that no segment's name tells.
    pub(super) fn write_log_starts(&self, effects: &mut Vec<Effect>) {
        let entries = self.log_starts.clone();
        let file = OffsetsFile::LogStarts;
        effects.push(Effect::Run(Job::WriteOffsets { file, entries, is_awaited: false }));
    }
}
