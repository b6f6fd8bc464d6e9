//! The records of `__consumer_offsets` that classic groups and offsets are kept in.
//!
//! A key is its type as i16 and its fields, never flexible; a value is its version as i16 and its
//! fields. Read: key types 0 to 2 and value versions 0 to 4. Written, as by Kafka 4.3: key types 1 and 2;
//! value version 4 for an offset, which names the topic's id, so that a new topic never finds the offsets
//! of a deleted one of its name; 1 for an offset that expires at a set time; 3 for a group.

use bytes::Bytes;

use crate::codec::{DecodeError, EncodeError, Message, Reader, Str, Writer};
use crate::machine::MachineRecord;
use crate::types::{LeaderEpoch, Offset, TimestampMs, TopicId, Uuid};

/// Key types of committed offsets: the old one, and the one that is written.
const OFFSET_KEYS: [i16; 2] = [0, 1];
const OFFSET_KEY: i16 = 1;
/// Key type of a classic group.
const GROUP_KEY: i16 = 2;
/// The version of an offset that is written.
const OFFSET_VERSION: i16 = 4;
/// The one version of an offset with a time at which it expires.
const EXPIRING_OFFSET_VERSION: i16 = 1;
/// The version of a group that is written.
const GROUP_VERSION: i16 = 3;

crate::message! {
    /// `OffsetCommitKey`.
    pub struct OffsetKeyFields(0..=1) {
        group: Str,
        topic: Str,
        partition: i32,
    }

    /// `OffsetCommitValue`.
    pub struct OffsetValueFields(0..=4, flexible 4..) {
        offset: i64,
        leader_epoch: i32 [3..] = -1,
        metadata: Str,
        commit_timestamp: i64,
        expire_timestamp: i64 [1..=1] = -1,
        topic_id: Uuid [4.., tag 0],
    }

    /// `GroupMetadataKey`.
    pub struct GroupKeyFields(2..=2) {
        group: Str,
    }

    /// `GroupMetadataValue`.
    pub struct GroupValueFields(0..=4, flexible 4..) {
        protocol_type: Str,
        generation: i32,
        protocol: Option<Str> [.., null ..],
        leader: Option<Str> [.., null ..],
        current_state_timestamp: i64 [2..] = -1,
        members: Vec<GroupMemberFields>,
    }

    /// A member in `GroupMetadataValue`.
    pub struct GroupMemberFields {
        member_id: Str,
        group_instance_id: Option<Str> [3.., null 3..],
        client_id: Str,
        client_host: Str,
        rebalance_timeout: i32 [1..] = -1,
        session_timeout: i32,
        subscription: Bytes,
        assignment: Bytes,
    }
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: LeaderEpoch,
    /// The text given with it.
    pub metadata: String,
    /// When it was committed.
    pub committed_ms: TimestampMs,
    /// When it expires, if a time was set.
    pub expires_ms: Option<TimestampMs>,
    /// The topic's id, or zero where it is not known.
    pub topic_id: TopicId,
}

/// What a record of `__consumer_offsets` says.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupRecord {
    /// An offset is stored, or forgotten.
    Offset {
        /// Whose.
        group_id: String,
        /// Of which topic.
        topic: String,
        /// Of which partition.
        partition: i32,
        /// What is stored; none forgets it.
        value: Option<StoredOffset>,
    },
    /// A classic group is stored, or deleted.
    Group {
        /// Which.
        group_id: String,
        /// What is stored; none deletes it.
        value: Option<GroupValueFields>,
    },
    /// A record of this type, which is not known here.
    Unknown(i16),
}

/// A record that should be known and is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is no key.
    #[error("a record of the group log has no key")]
    NoKey,
    /// The key's bytes are not of its type.
    #[error("the key of a group record is malformed: {0}")]
    Key(DecodeError),
    /// The value's bytes are not of its version.
    #[error("the value of a group record is malformed: {0}")]
    Value(DecodeError),
}

/// Reads a record. Types that are not known are not an error: newer brokers write them.
///
/// # Errors
/// [`RecordError`] if the type is known and the bytes do not follow it.
pub fn decode(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<GroupRecord, RecordError> {
    let mut reader = Reader::of_own(key.ok_or(RecordError::NoKey)?.clone());
    let key_type = reader.i16().map_err(RecordError::Key)?;
    if OFFSET_KEYS.contains(&key_type) {
        let key: OffsetKeyFields = rest(key_type, reader).map_err(RecordError::Key)?;
        let value = value.map(versioned::<OffsetValueFields>).transpose()?;
        Ok(GroupRecord::Offset {
            group_id: key.group.into(),
            topic: key.topic.into(),
            partition: key.partition,
            value: value.map(StoredOffset::from),
        })
    } else if key_type == GROUP_KEY {
        let key: GroupKeyFields = rest(key_type, reader).map_err(RecordError::Key)?;
        let value = value.map(versioned::<GroupValueFields>).transpose()?;
        Ok(GroupRecord::Group { group_id: key.group.into(), value })
    } else {
        Ok(GroupRecord::Unknown(key_type))
    }
}

/// The rest of `reader` as a message.
fn rest<M: Message>(version: i16, mut reader: Reader) -> Result<M, DecodeError> {
    let message = M::decode(version, &mut reader)?;
    reader.finish()?;
    Ok(message)
}

/// A value with its version before it.
fn versioned<M: Message>(value: &Bytes) -> Result<M, RecordError> {
    let mut reader = Reader::of_own(value.clone());
    let version = reader.i16().map_err(RecordError::Value)?;
    rest(version, reader).map_err(RecordError::Value)
}

/// The record that stores `value`, or forgets what is stored.
///
/// # Errors
/// [`EncodeError`] if a string is longer than the format holds.
pub fn offset_record(
    timestamp_ms: TimestampMs,
    (group_id, topic, partition): (&str, &str, i32),
    value: Option<&StoredOffset>,
) -> Result<MachineRecord, EncodeError> {
    let key = OffsetKeyFields { group: group_id.into(), topic: topic.into(), partition };
    let value = value.map(|value| {
        let expiring = value.expires_ms.is_some();
        let version = if expiring { EXPIRING_OFFSET_VERSION } else { OFFSET_VERSION };
        let fields = OffsetValueFields {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.as_str().into(),
            commit_timestamp: value.committed_ms,
            expire_timestamp: value.expires_ms.unwrap_or(-1),
            topic_id: value.topic_id,
        };
        prefixed(version, &fields, version)
    });
    let key = Some(prefixed(OFFSET_KEY, &key, OFFSET_KEY)?);
    Ok(MachineRecord { timestamp_ms, key, value: value.transpose()? })
}

/// The record that stores a group, or deletes it.
///
/// # Errors
/// [`EncodeError`] if a string is longer than the format holds.
pub fn group_record(
    timestamp_ms: TimestampMs,
    group_id: &str,
    value: Option<&GroupValueFields>,
) -> Result<MachineRecord, EncodeError> {
    let key = GroupKeyFields { group: group_id.into() };
    let key = Some(prefixed(GROUP_KEY, &key, GROUP_KEY)?);
    let value = value.map(|fields| prefixed(GROUP_VERSION, fields, GROUP_VERSION));
    Ok(MachineRecord { timestamp_ms, key, value: value.transpose()? })
}

/// A message with a number before it.
fn prefixed<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::flat();
    writer.put_i16(prefix);
    message.encode(version, &mut writer);
    Ok(writer.finish()?.into_bytes())
}

impl From<OffsetValueFields> for StoredOffset {
    fn from(fields: OffsetValueFields) -> Self {
        Self {
            offset: fields.offset,
            leader_epoch: fields.leader_epoch,
            metadata: fields.metadata.into(),
            committed_ms: fields.commit_timestamp,
            expires_ms: (fields.expire_timestamp >= 0).then_some(fields.expire_timestamp),
            topic_id: fields.topic_id,
        }
    }
}
