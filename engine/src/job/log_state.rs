//! What follows from a log's batches, one after the other: its end, its producers, its leader epochs.

use crate::log::scan::ScannedBatch;
use crate::partition::epochs::Epochs;
use crate::partition::producers::Producers;
use crate::record::batch::BatchHeader;
use crate::record::control::{ControlRecord, EndTransaction};
use crate::record::records::{Records, plain_records};
use crate::types::Offset;

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
}

impl LogState {
    /// Follows a batch.
    pub fn follow(&mut self, batch: &ScannedBatch<'_>) {
        let header = batch.header;
        self.next_offset = header.next_offset();
        let latest = self.epochs.latest().map_or(-1, |latest| latest.epoch);
        if header.partition_leader_epoch > latest {
            self.epochs.assign(header.partition_leader_epoch, header.base_offset);
        }
        if header.base_offset >= self.producers_from {
            self.producers.replay(header, end_of_transaction(header, batch.bytes));
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
