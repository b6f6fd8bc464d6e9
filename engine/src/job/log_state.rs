//! What follows from a log's batches, one after the other: its end, its producers, its leader epochs.

use crate::log::scan::ScannedBatch;
use crate::partition::epochs::Epochs;
use crate::partition::producers::Producers;
use crate::record::batch::BatchHeader;
use crate::record::control::{ControlRecord, EndTransaction};
use crate::record::records::{Records, plain_records};
use crate::types::{LeaderEpoch, Offset};

/// Most bytes of a control batch's records.
const CONTROL_BYTES_MAX: u64 = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub struct LogState {
    /// Offset behind the last batch.
    pub next_offset: Offset,
    /// Idempotent producers.
    pub producers: Producers,
    /// Batches before this are already in what the producers were loaded from.
    pub producers_from: Offset,
    /// Leader epochs.
    pub epochs: Epochs,
    /// No batch can have a higher epoch.
    pub epoch_max: LeaderEpoch,
    /// The last batch, where it has begun an epoch.
    pub began: Option<Offset>,
    /// What `leader-epoch-checkpoint` says.
    pub told: Epochs,
    /// The epoch of the last batch, where something else is told of it.
    pub doubted: Option<LeaderEpoch>,
    /// Two batches agree on an epoch that is not what is told of them: the file is wrong.
    pub is_contradicted: bool,
}

impl LogState {
    /// For a log of which only the offsets matter.
    pub fn offsets_only(next_offset: Offset) -> Self {
        Self {
            next_offset,
            producers: Producers::default(),
            producers_from: Offset::MAX,
            epochs: Epochs::default(),
            epoch_max: -1,
            began: None,
            told: Epochs::default(),
            doubted: None,
            is_contradicted: false,
        }
    }

    /// Follows a batch.
    pub fn follow(&mut self, batch: &ScannedBatch<'_>) {
        let header = batch.header;
        self.next_offset = header.next_offset();
        self.compare_epoch(header.partition_leader_epoch, header.base_offset);
        self.follow_epoch(header.partition_leader_epoch, header.base_offset);
        if header.base_offset >= self.producers_from {
            self.producers.replay(header, end_of_transaction(header, batch.bytes));
        }
    }
}

impl LogState {
    fn compare_epoch(&mut self, found: LeaderEpoch, base_offset: Offset) {
        // One above all that is told is new.
        let is_known = self.told.latest().is_some_and(|latest| found >= 0 && found <= latest.epoch);
        let is_other = is_known && self.told.epoch_of(base_offset) != Some(found);
        self.is_contradicted |= is_other && self.doubted == Some(found);
        self.doubted = is_other.then_some(found);
    }

    /// The checksum does not cover the epoch: one that no later batch agrees with is none.
    fn follow_epoch(&mut self, epoch: LeaderEpoch, base_offset: Offset) {
        let latest = self.epochs.latest().map_or(-1, |latest| latest.epoch);
        if let Some(began) = self.began.take()
            && epoch < latest
        {
            self.epochs.truncate_end(began);
        }
        let latest = self.epochs.latest().map_or(-1, |latest| latest.epoch);
        if epoch > latest && epoch <= self.epoch_max {
            self.epochs.assign(epoch, base_offset);
            self.began = Some(base_offset);
        }
    }
}

/// The end of a transaction that a control batch notes.
fn end_of_transaction(header: &BatchHeader, batch: &[u8]) -> Option<EndTransaction> {
    if !header.is_control() {
        return None;
    }
    let plain = plain_records(header, batch, CONTROL_BYTES_MAX).ok()?;
    let record = Records::new(&plain, header.record_count).next()?.ok()?;
    match ControlRecord::parse(&record).ok()? {
        ControlRecord::EndTransaction(end) => Some(end),
        _ => None,
    }
}
