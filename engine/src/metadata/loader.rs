//! Loading the metadata log at start: a snapshot, then every batch behind it, folded into an image.

use super::apply::{ApplyError, Delta};
use super::batches::{self, BatchError, Content};
use super::image::{Image, Provenance};
use super::snapshot::{Snapshot, SnapshotId};
use crate::record::control::{ControlRecord, Voter};
use crate::types::{LeaderEpoch, Offset, TimestampMs};

/// Why the metadata log cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A batch cannot be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A record does not fit those before it.
    #[error("record at offset {offset}: {error}")]
    Apply {
        /// Where.
        offset: Offset,
        /// Why.
        error: ApplyError,
    },
    /// Records are missing.
    #[error("batch at offset {found} where {expected} is next")]
    Gap {
        /// The offset that is next.
        expected: Offset,
        /// The offset that is there.
        found: Offset,
    },
    /// A leader of an older epoch has written behind a newer one.
    #[error("batch at offset {offset} is of epoch {epoch} behind one of {last}")]
    Epoch {
        /// Where.
        offset: Offset,
        /// Its epoch.
        epoch: LeaderEpoch,
        /// The epoch before.
        last: LeaderEpoch,
    },
}

/// Folds the metadata log from its beginning or from a snapshot.
#[derive(Debug)]
pub struct Loader {
    delta: Delta,
    next_offset: Offset,
    epoch: LeaderEpoch,
    timestamp_ms: TimestampMs,
    kraft_version: i16,
    voters: Vec<Voter>,
    has_records: bool,
}

/// What the log says.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The state; without the records of a metadata transaction that was left open.
    pub image: Image,
    /// The offset behind the last batch.
    pub next_offset: Offset,
    /// The epoch of the last batch; 0 if there is none.
    pub epoch: LeaderEpoch,
    /// Whether a metadata transaction was left open and must be aborted.
    pub in_transaction: bool,
    /// Whether the log itself, snapshots aside, has had a record.
    pub has_records: bool,
    /// The level of `kraft.version`.
    pub kraft_version: i16,
    /// The voters; empty while `kraft.version` is 0.
    pub voters: Vec<Voter>,
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl Loader {
    /// Loads from offset 0.
    #[must_use]
    pub fn new() -> Self {
        Self {
            delta: Delta::new(&Image::default()),
            next_offset: 0,
            epoch: 0,
            timestamp_ms: -1,
            kraft_version: 0,
            voters: Vec::new(),
            has_records: false,
        }
    }

    /// Loads what is behind a snapshot.
    #[must_use]
    pub fn after(id: SnapshotId, snapshot: Snapshot) -> Self {
        Self {
            delta: Delta::new(&snapshot.image),
            next_offset: id.end_offset,
            epoch: id.epoch,
            timestamp_ms: snapshot.image.provenance.timestamp_ms,
            kraft_version: snapshot.kraft_version,
            voters: snapshot.voters,
            has_records: id.end_offset > 0,
        }
    }

    /// The offset that is next: reading the log may begin with the batch that holds it, or any
    /// before.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Folds in the whole batches at the front of `bytes` and returns how many bytes they were:
    /// what is left is to be given again with more behind it, or is a batch that was not written to
    /// its end. Batches within the snapshot are passed over.
    ///
    /// # Errors
    /// [`LoadError`]; the loader is then of no more use.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, LoadError> {
        let mut rest = bytes;
        while let Some((header, batch)) = batches::take_batch(&mut rest)? {
            if header.next_offset() <= self.next_offset {
                continue;
            }
            let (offset, epoch) = (header.base_offset, header.partition_leader_epoch);
            if offset != self.next_offset {
                return Err(LoadError::Gap { expected: self.next_offset, found: offset });
            }
            if epoch < self.epoch {
                return Err(LoadError::Epoch { offset, epoch, last: self.epoch });
            }
            match batches::content(&header, batch)? {
                Content::Control(records) => records.into_iter().for_each(|r| self.control(r)),
                Content::Data(records) => {
                    self.has_records = true;
                    for (offset, record) in (offset..).zip(records) {
                        let applied = self.delta.apply(record);
                        applied.map_err(|error| LoadError::Apply { offset, error })?;
                    }
                }
            }
            self.next_offset = header.next_offset();
            self.epoch = epoch;
            self.timestamp_ms = header.max_timestamp;
        }
        Ok(bytes.len() - rest.len())
    }

    fn control(&mut self, record: ControlRecord) {
        match record {
            ControlRecord::KraftVersion(level) => self.kraft_version = level,
            ControlRecord::KraftVoters(voters) => self.voters = voters,
            _ => {}
        }
    }

    /// What the log says up to here.
    #[must_use]
    pub fn finish(mut self) -> Loaded {
        let in_transaction = self.delta.in_transaction();
        if in_transaction {
            self.delta.abort_transaction();
        }
        let provenance = Provenance {
            offset: self.next_offset - 1,
            epoch: if self.next_offset == 0 { -1 } else { self.epoch },
            timestamp_ms: self.timestamp_ms,
        };
        let (image, _changes) = self.delta.finish(provenance);
        Loaded {
            image,
            next_offset: self.next_offset,
            epoch: self.epoch,
            in_transaction,
            has_records: self.has_records,
            kraft_version: self.kraft_version,
            voters: self.voters,
        }
    }
}
