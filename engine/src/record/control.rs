//! Control records: ends of transactions, and what Raft writes into the metadata log.
//!
//! The key is a version (0) and a type, two bytes each. The value of a transaction's end has a
//! version in front; those of KRaft (KIP-595, KIP-630, KIP-853) begin with a field `Version` and
//! are flexible messages.

use bytes::Bytes;

use super::builder::{BatchBuilder, BatchFull, BatchOptions};
use super::records::Record;
use super::varint::{put_unsigned, take_unsigned};
use crate::types::{NodeId, ProducerEpoch, ProducerId, TimestampMs, Uuid};

/// What a control record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRecord {
    /// Types 0 and 1: a transaction ended.
    EndTransaction(EndTransaction),
    /// Type 2: a new epoch of the metadata log begins.
    LeaderChange(LeaderChange),
    /// Type 3: the first record of a snapshot.
    SnapshotHeader {
        /// Append time of the last record that the snapshot contains.
        last_contained_log_timestamp: TimestampMs,
    },
    /// Type 4: the last record of a snapshot.
    SnapshotFooter,
    /// Type 5: the level of `kraft.version`.
    KraftVersion(i16),
    /// Type 6: the voters, as long as their directories are known.
    KraftVoters(Vec<Voter>),
    /// A type that did not exist yet.
    Unknown(i16),
}

/// The marker that ends a transaction on a partition (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransaction {
    /// Commit, or else abort.
    pub commit: bool,
    /// Leader epoch of the coordinator's partition.
    pub coordinator_epoch: i32,
}

/// Who leads the metadata log now, and by whose votes.
///
/// Version 1 of its value has the voters' directories too, but Kafka (4.3) writes version 0 and
/// reads every value as if it were that, so that is what we write; we read both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderChange {
    /// The new leader.
    pub leader_id: NodeId,
    /// All voters of the epoch.
    pub voters: Vec<VoterKey>,
    /// Those that voted for the leader.
    pub granting_voters: Vec<VoterKey>,
}

/// A voter, by node and directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoterKey {
    /// Its `node.id`.
    pub id: NodeId,
    /// Its metadata directory, zero if unknown.
    pub directory_id: Uuid,
}

/// A voter with the ways to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Node and directory.
    pub key: VoterKey,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Lowest `kraft.version` that it supports.
    pub kraft_version_min: i16,
    /// Highest `kraft.version` that it supports.
    pub kraft_version_max: i16,
}

/// One listener of a voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name.
    pub name: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The record is not a control record that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No key, or too short, or of a negative version.
    #[error("control record has no readable key")]
    Key,
    /// The value is missing, too short or inconsistent.
    #[error("control record of type {0} has no readable value")]
    Value(i16),
}

const TYPE_ABORT: i16 = 0;
const TYPE_COMMIT: i16 = 1;
const TYPE_LEADER_CHANGE: i16 = 2;
const TYPE_SNAPSHOT_HEADER: i16 = 3;
const TYPE_SNAPSHOT_FOOTER: i16 = 4;
const TYPE_KRAFT_VERSION: i16 = 5;
const TYPE_KRAFT_VOTERS: i16 = 6;

impl ControlRecord {
    /// Reads a record of a control batch.
    pub fn parse(record: &Record<'_>) -> Result<Self, ControlError> {
        let mut key = Fields(record.key.ok_or(ControlError::Key)?);
        let version = key.i16().ok_or(ControlError::Key)?;
        let kind = key.i16().ok_or(ControlError::Key)?;
        if version < 0 {
            return Err(ControlError::Key);
        }
        let mut value = Fields(record.value.unwrap_or_default());
        parse_value(kind, &mut value).ok_or(ControlError::Value(kind))
    }

    /// The key and the value of this record. An unknown type has an empty value.
    #[must_use]
    pub fn to_record(&self) -> ([u8; 4], Vec<u8>) {
        let mut value = Vec::new();
        let kind = self.put_value(&mut value);
        let mut key = [0; 4];
        key[2..].copy_from_slice(&kind.to_be_bytes());
        (key, value)
    }

    fn put_value(&self, out: &mut Vec<u8>) -> i16 {
        match self {
            Self::EndTransaction(end) => {
                put_i16(out, 0);
                out.extend_from_slice(&end.coordinator_epoch.to_be_bytes());
                if end.commit { TYPE_COMMIT } else { TYPE_ABORT }
            }
            Self::LeaderChange(change) => {
                change.put(out);
                TYPE_LEADER_CHANGE
            }
            Self::SnapshotHeader { last_contained_log_timestamp } => {
                put_i16(out, 0);
                out.extend_from_slice(&last_contained_log_timestamp.to_be_bytes());
                put_no_tags(out);
                TYPE_SNAPSHOT_HEADER
            }
            Self::SnapshotFooter => {
                put_i16(out, 0);
                put_no_tags(out);
                TYPE_SNAPSHOT_FOOTER
            }
            Self::KraftVersion(version) => {
                put_i16(out, 0);
                put_i16(out, *version);
                put_no_tags(out);
                TYPE_KRAFT_VERSION
            }
            Self::KraftVoters(voters) => {
                put_i16(out, 0);
                put_length(out, voters.len());
                voters.iter().for_each(|voter| voter.put(out));
                put_no_tags(out);
                TYPE_KRAFT_VOTERS
            }
            Self::Unknown(kind) => *kind,
        }
    }
}

/// A control batch with `records`, all with one timestamp as Raft's reader wants it.
pub fn control_batch(
    options: BatchOptions,
    timestamp: TimestampMs,
    records: &[ControlRecord],
) -> Result<Bytes, BatchFull> {
    let mut builder = BatchBuilder::new(BatchOptions { control: true, ..options });
    for record in records {
        let (key, value) = record.to_record();
        builder.push(timestamp, Some(&key), Some(&value), &[])?;
    }
    Ok(builder.finish())
}

/// The batch that ends a producer's transaction; it has no sequence number.
pub fn end_transaction_batch(
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    timestamp: TimestampMs,
    end: EndTransaction,
) -> Result<Bytes, BatchFull> {
    let options = BatchOptions {
        producer_id,
        producer_epoch,
        transactional: true,
        ..BatchOptions::default()
    };
    control_batch(options, timestamp, &[ControlRecord::EndTransaction(end)])
}

impl LeaderChange {
    fn put(&self, out: &mut Vec<u8>) {
        put_i16(out, 0);
        out.extend_from_slice(&self.leader_id.to_be_bytes());
        for list in [&self.voters, &self.granting_voters] {
            put_length(out, list.len());
            for key in list {
                out.extend_from_slice(&key.id.to_be_bytes());
                put_no_tags(out);
            }
        }
        put_no_tags(out);
    }
}

impl Voter {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.id.to_be_bytes());
        out.extend_from_slice(&self.key.directory_id.to_bytes());
        put_length(out, self.endpoints.len());
        for endpoint in &self.endpoints {
            put_string(out, &endpoint.name);
            put_string(out, &endpoint.host);
            out.extend_from_slice(&endpoint.port.to_be_bytes());
            put_no_tags(out);
        }
        put_i16(out, self.kraft_version_min);
        put_i16(out, self.kraft_version_max);
        put_no_tags(out);
        put_no_tags(out);
    }
}

fn put_i16(out: &mut Vec<u8>, value: i16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_no_tags(out: &mut Vec<u8>) {
    out.push(0);
}

/// A compact length: one more than the number.
fn put_length(out: &mut Vec<u8>, length: usize) {
    put_unsigned(out, length as u64 + 1);
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn parse_value(kind: i16, value: &mut Fields<'_>) -> Option<ControlRecord> {
    if !(TYPE_ABORT..=TYPE_KRAFT_VOTERS).contains(&kind) {
        return Some(ControlRecord::Unknown(kind));
    }
    let version = value.i16().filter(|&v| v >= 0)?;
    Some(match kind {
        TYPE_ABORT | TYPE_COMMIT => ControlRecord::EndTransaction(EndTransaction {
            commit: kind == TYPE_COMMIT,
            coordinator_epoch: value.i32()?,
        }),
        TYPE_LEADER_CHANGE => ControlRecord::LeaderChange(LeaderChange {
            leader_id: value.i32()?,
            voters: value.list(|f| f.voter_key(version > 0))?,
            granting_voters: value.list(|f| f.voter_key(version > 0))?,
        }),
        TYPE_SNAPSHOT_HEADER => {
            ControlRecord::SnapshotHeader { last_contained_log_timestamp: value.i64()? }
        }
        TYPE_SNAPSHOT_FOOTER => ControlRecord::SnapshotFooter,
        TYPE_KRAFT_VERSION => ControlRecord::KraftVersion(value.i16()?),
        _ => ControlRecord::KraftVoters(value.list(Fields::voter)?),
    })
}

/// Reads fields one after the other; none once the bytes do not suffice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn unsigned(&mut self) -> Option<usize> {
        usize::try_from(take_unsigned(&mut self.0, 5)?).ok()
    }

    /// A compact list; room is made as elements are read, not as the length claims.
    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.unsigned()?.checked_sub(1)?;
        let mut out = Vec::new();
        for _ in 0..count {
            out.push(read(self)?);
        }
        Some(out)
    }

    fn string(&mut self) -> Option<String> {
        let length = self.unsigned()?.checked_sub(1)?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(taken).ok().map(str::to_owned)
    }

    fn skip_tags(&mut self) -> Option<()> {
        for _ in 0..self.unsigned()? {
            self.unsigned()?;
            let size = self.unsigned()?;
            self.0 = self.0.get(size..)?;
        }
        Some(())
    }

    fn voter_key(&mut self, with_directory: bool) -> Option<VoterKey> {
        let id = self.i32()?;
        let directory_id =
            if with_directory { Uuid::from_bytes(self.array()?) } else { Uuid::ZERO };
        self.skip_tags()?;
        Some(VoterKey { id, directory_id })
    }

    fn voter(&mut self) -> Option<Voter> {
        let key = VoterKey { id: self.i32()?, directory_id: Uuid::from_bytes(self.array()?) };
        let endpoints = self.list(|fields| {
            let name = fields.string()?;
            let host = fields.string()?;
            let port = fields.array().map(u16::from_be_bytes)?;
            fields.skip_tags()?;
            Some(Endpoint { name, host, port })
        })?;
        let (kraft_version_min, kraft_version_max) = (self.i16()?, self.i16()?);
        self.skip_tags()?;
        self.skip_tags()?;
        Some(Voter { key, endpoints, kraft_version_min, kraft_version_max })
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
