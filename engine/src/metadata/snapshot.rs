//! Snapshots (KIP-630): an image as a file, and back.
//!
//! A snapshot `<end offset>-<epoch>.checkpoint` holds batches like those of the log, with offsets
//! of their own from 0: first a control batch with a header, then the records of the image, last a
//! control batch with a footer, whose absence shows that writing was cut short.

use bytes::{Bytes, BytesMut};

use super::apply::{ApplyError, Delta};
use super::batches::{self, BatchError, Content};
use super::changes::Changes;
use super::image::{Image, Provenance};
use super::record::MetadataRecord;
use crate::codec::EncodeError;
use crate::record::builder::{BatchBuilder, BatchFull, BatchOptions};
use crate::record::control::{self, ControlRecord, Voter};
use crate::types::{LeaderEpoch, Offset, TimestampMs};

/// A data batch ends when it is as large as this. Bytes.
const BATCH_BYTES: usize = 1024 * 1024;

/// Which snapshot: everything before an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The first offset that is not in it.
    pub end_offset: Offset,
    /// The leader epoch of the last record in it.
    pub epoch: LeaderEpoch,
}

impl SnapshotId {
    /// What a formatted but never started node has.
    pub const BOOTSTRAP: Self = Self { end_offset: 0, epoch: 0 };

    /// The snapshot of an image.
    #[must_use]
    pub const fn of(image: &Image) -> Self {
        let Provenance { offset, epoch, .. } = image.provenance;
        Self { end_offset: offset + 1, epoch: if epoch < 0 { 0 } else { epoch } }
    }

    /// The file's name.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end_offset, self.epoch)
    }

    /// The snapshot of a file's name; none if it is not one, or one that is still being written or
    /// deleted.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (end_offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        let is_number =
            |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(end_offset, 20) || !is_number(epoch, 10) {
            return None;
        }
        Some(Self { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

/// Why a snapshot cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A record cannot be encoded.
    #[error("metadata record cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// A record does not fit into a batch.
    #[error(transparent)]
    Full(#[from] BatchFull),
}

/// Why a snapshot cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A batch cannot be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A record does not fit those before it.
    #[error("record at offset {offset} of the snapshot: {error}")]
    Apply {
        /// Where in the snapshot.
        offset: Offset,
        /// Why.
        error: ApplyError,
    },
    /// Offsets are not counted from 0, or control records do not stand where they should.
    #[error("snapshot is not well-formed")]
    Shape,
    /// The file ends before its footer.
    #[error("snapshot is cut short")]
    Short,
}

/// A snapshot that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The state.
    pub image: Image,
    /// How it differs from the image before.
    pub changes: Changes,
    /// The level of `kraft.version`; 0 if it has none.
    pub kraft_version: i16,
    /// The voters; empty while `kraft.version` is 0.
    pub voters: Vec<Voter>,
}

/// The snapshot of `image` as the bytes of a file. `now_ms` is the wall clock.
///
/// # Errors
/// [`WriteError`] only if a record has grown beyond its format.
pub fn write(image: &Image, now_ms: TimestampMs) -> Result<Bytes, WriteError> {
    let level = image.features.metadata_version();
    let last = image.provenance.timestamp_ms.max(0);
    write_records(SnapshotId::of(image), &image.to_records(), level, (last, now_ms))
}

/// A snapshot of records, written in the versions of `metadata.version` `level`. The times are that
/// of the last record contained and that of writing.
///
/// # Errors
/// As [`write`].
pub(super) fn write_records(
    id: SnapshotId,
    records: &[MetadataRecord],
    level: i16,
    (last_contained_log_timestamp, now_ms): (TimestampMs, TimestampMs),
) -> Result<Bytes, WriteError> {
    let options = |base_offset| BatchOptions {
        base_offset,
        partition_leader_epoch: id.epoch,
        ..BatchOptions::default()
    };
    let mut out = BytesMut::new();
    let header = ControlRecord::SnapshotHeader { last_contained_log_timestamp };
    out.extend_from_slice(&control::control_batch(options(0), now_ms, &[header])?);
    let mut next_offset = 1;
    let mut builder = BatchBuilder::new(options(next_offset));
    for record in records {
        let value = record.encode(record.version_at(level))?;
        builder.push(now_ms, None, Some(&value), &[])?;
        if builder.size_bytes() >= BATCH_BYTES {
            next_offset += i64::from(builder.record_count());
            let full = std::mem::replace(&mut builder, BatchBuilder::new(options(next_offset)));
            out.extend_from_slice(&full.finish());
        }
    }
    if !builder.is_empty() {
        next_offset += i64::from(builder.record_count());
        out.extend_from_slice(&builder.finish());
    }
    let footer = [ControlRecord::SnapshotFooter];
    out.extend_from_slice(&control::control_batch(options(next_offset), now_ms, &footer)?);
    Ok(out.freeze())
}

/// Reads the snapshot `id` from the bytes of its file; `before` is the image that it replaces.
///
/// # Errors
/// [`SnapshotError`] if it is damaged, incomplete, or written by a newer release.
pub fn read(id: SnapshotId, bytes: &[u8], before: &Image) -> Result<Snapshot, SnapshotError> {
    let mut rest = bytes;
    let mut delta = Delta::from_nothing(before);
    let mut next_offset = 0;
    let mut frame = Frame::default();
    while let Some((header, batch)) = batches::take_batch(&mut rest)? {
        if header.base_offset != next_offset || frame.ended {
            return Err(SnapshotError::Shape);
        }
        match batches::content(&header, batch)? {
            Content::Control(records) => {
                for record in records {
                    frame.take(record)?;
                }
            }
            Content::Data(_) if frame.timestamp_ms.is_none() => return Err(SnapshotError::Shape),
            Content::Data(records) => {
                for (offset, record) in (next_offset..).zip(records) {
                    let applied = delta.apply(record);
                    applied.map_err(|error| SnapshotError::Apply { offset, error })?;
                }
            }
        }
        next_offset = header.next_offset();
    }
    if !frame.ended || !rest.is_empty() || delta.in_transaction() {
        return Err(SnapshotError::Short);
    }
    let timestamp_ms = frame.timestamp_ms.unwrap_or(-1);
    let provenance = Provenance { offset: id.end_offset - 1, epoch: id.epoch, timestamp_ms };
    let (image, changes) = delta.finish(provenance);
    Ok(Snapshot { image, changes, kraft_version: frame.kraft_version, voters: frame.voters })
}

/// What a snapshot's control records say.
#[derive(Default)]
struct Frame {
    timestamp_ms: Option<TimestampMs>,
    kraft_version: i16,
    voters: Vec<Voter>,
    ended: bool,
}

impl Frame {
    fn take(&mut self, record: ControlRecord) -> Result<(), SnapshotError> {
        match (record, self.timestamp_ms) {
            (ControlRecord::SnapshotHeader { last_contained_log_timestamp }, None) => {
                self.timestamp_ms = Some(last_contained_log_timestamp);
            }
            (ControlRecord::KraftVersion(level), Some(_)) => self.kraft_version = level,
            (ControlRecord::KraftVoters(voters), Some(_)) => self.voters = voters,
            (ControlRecord::SnapshotFooter, Some(_)) => self.ended = true,
            _ => return Err(SnapshotError::Shape),
        }
        Ok(())
    }
}
