//! What may be asked of a shard, and what it answers: everything that crosses from one shard to
//! another is one of these, [`Bytes`] or an `Arc` of something immutable.

use std::sync::Arc;

use bytes::Bytes;

use super::stages::AppendTimes;
use super::stats::ShardStats;
use crate::group::{GroupAnswer, GroupCall};
use crate::machine::Token;
use crate::metadata::Image;
use crate::metadata::controller::{ControllerAnswer, ControllerCall};
use crate::partition::AppendError;
pub use crate::partition::epochs::EpochEnd;
use crate::types::{
    LeaderEpoch, Nanos, Offset, ProducerEpoch, ProducerId, ShardId, TimestampMs, TopicPartition,
};

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyTo {
    /// The shard that asked.
    pub shard: ShardId,
    /// Its name for the call.
    pub token: Token,
}

/// A question to a shard.
#[derive(Debug)]
pub enum Call {
    /// Append batches; answered with [`Answer::Appended`] when all of them are durable or refused.
    Append(Append),
    /// Read records; never waits for new ones. Answered with [`Answer::Read`].
    Read(Read),
    /// Tell when there is more to read. Answered with [`Answer::Watched`].
    Watch(Watch),
    /// Find offsets. Answered with [`Answer::Offsets`].
    Offsets(Vec<OffsetQuery>),
    /// Find where leader epochs end (KIP-101). Answered with [`Answer::EpochEnds`].
    EpochEnds(Vec<EpochQuery>),
    /// Delete records before an offset. Answered with [`Answer::LogStarts`].
    DeleteRecords(Vec<DeleteRecords>),
    /// Sizes of partitions on disk. Answered with [`Answer::Sizes`].
    Sizes(Vec<TopicPartition>),
    /// Idempotent producers of partitions. Answered with [`Answer::Producers`].
    Producers(Vec<TopicPartition>),
    /// What the shard has and does. Answered with [`Answer::Stats`].
    Stats,
    /// To the group coordinator behind partition `partition` of `__consumer_offsets`.
    /// Answered with [`Answer::Group`].
    Group {
        /// Partition of `__consumer_offsets`.
        partition: i32,
        /// The question.
        call: GroupCall,
    },
    /// To the controller, on shard 0. Answered with [`Answer::Controller`].
    Controller(ControllerCall),
    /// Tell when every partition of the shard is open. Answered with [`Answer::Settled`].
    AwaitSettled,
    /// From shard 0: the journals of the last run are not needed any more, so that new ones may take
    /// room. Answered with [`Answer::Settled`].
    GrowJournal,
    /// From shard 0: the metadata changed. Answered with [`Answer::Published`] when the shard has it.
    Publish(Arc<Image>),
}

/// An answer of a shard.
#[derive(Debug)]
pub enum Answer {
    /// To [`Call::Append`].
    Appended {
        /// In the order of its items.
        results: Vec<Result<Appended, AppendError>>,
        /// When it reached which stage; none if nothing of it had to become durable.
        times: Option<AppendTimes>,
    },
    /// To [`Call::Read`], in the order of its items.
    Read(Vec<Result<ReadPart, ReadError>>),
    /// To [`Call::Watch`].
    Watched,
    /// To [`Call::Offsets`].
    Offsets(Vec<Result<FoundOffset, ReadError>>),
    /// To [`Call::EpochEnds`].
    EpochEnds(Vec<Result<EpochEnd, ReadError>>),
    /// To [`Call::DeleteRecords`]: the new log start offsets.
    LogStarts(Vec<Result<Offset, ReadError>>),
    /// To [`Call::Sizes`].
    Sizes(Vec<Option<PartitionSize>>),
    /// To [`Call::Producers`].
    Producers(Vec<Result<Vec<ProducerView>, ReadError>>),
    /// To [`Call::Stats`].
    Stats(Box<ShardStats>),
    /// To [`Call::Group`]; none while the coordinator is loading or not here.
    Group(Result<GroupAnswer, CoordinatorError>),
    /// To [`Call::Controller`].
    Controller(Result<ControllerAnswer, StorageError>),
    /// To [`Call::AwaitSettled`] and [`Call::GrowJournal`].
    Settled {
        /// Whether none failed to open.
        is_whole: bool,
    },
    /// To [`Call::Publish`].
    Published,
}

/// How long an append waits before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Nobody waits (`acks=0`).
    None,
    /// The leader's disk (`acks=1`): on a single node the same as all.
    Leader,
    /// All in-sync replicas (`acks=-1`).
    All,
}

/// Batches for partitions of one shard.
#[derive(Debug)]
pub struct Append {
    /// The batches.
    pub items: Vec<AppendItem>,
    /// When to answer.
    pub acks: Acks,
    /// Whether the request's version may carry zstd (Produce 7, KIP-110).
    pub zstd_allowed: bool,
}

/// One batch for one partition.
#[derive(Debug)]
pub struct AppendItem {
    /// Where to.
    pub partition: TopicPartition,
    /// Exactly one record batch, as it came over the wire.
    pub records: Bytes,
}

/// A batch is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// The broker's time where the topic uses `LogAppendTime`, else -1.
    pub log_append_time_ms: TimestampMs,
    /// First offset of the partition's log.
    pub log_start_offset: Offset,
}

/// Which records a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    Uncommitted,
    /// Up to the last stable offset (KIP-98).
    Committed,
}

/// A read of several partitions of one shard.
#[derive(Debug)]
pub struct Read {
    /// What to read, in order of preference.
    pub items: Vec<ReadItem>,
    /// Most bytes in all; the first batch found is returned whole even if it is larger. Bytes.
    pub bytes_max: usize,
    /// Which records may be seen.
    pub isolation: Isolation,
}

/// A read of one partition.
#[derive(Debug, Clone)]
pub struct ReadItem {
    /// Where from.
    pub partition: TopicPartition,
    /// First offset wanted.
    pub offset: Offset,
    /// Most bytes of this partition.
    pub bytes_max: usize,
    /// The leader epoch that the reader believes in, or -1.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the last record that the reader has, or -1 (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
}

/// What was read of one partition.
#[derive(Debug, Clone, Default)]
pub struct ReadPart {
    /// Whole batches (the last may be cut), in order; empty at the end of the log.
    pub records: Vec<Bytes>,
    /// Sum of their lengths.
    pub bytes: usize,
    /// They came from the disk.
    pub is_cold: bool,
    /// High watermark.
    pub high_watermark: Offset,
    /// Last stable offset.
    pub last_stable_offset: Offset,
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// Aborted transactions that the records touch: producer id and first offset (read committed).
    pub aborted: Vec<(ProducerId, Offset)>,
    /// Where the reader's log stops agreeing with this one (KIP-595).
    pub diverging: Option<EpochEnd>,
}

/// A partition cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The shard does not have the partition (any more, or not yet).
    #[error("this shard does not lead the partition")]
    NotLeader,
    /// The offset is before the start or behind the end.
    #[error("the offset is outside the log ({log_start_offset} to {log_end_offset})")]
    OutOfRange {
        /// First offset.
        log_start_offset: Offset,
        /// Offset behind the last record.
        log_end_offset: Offset,
    },
    /// The reader's leader epoch is older than the partition's.
    #[error("the leader epoch is older than the partition's")]
    FencedEpoch,
    /// The reader's leader epoch is newer than the partition's.
    #[error("the leader epoch is newer than the partition's")]
    UnknownEpoch,
    /// The disk failed, or what is on it is damaged.
    #[error("the log directory failed")]
    Storage,
    /// The records are damaged on the disk; others of the partition can be read.
    #[error("the records are damaged on the disk")]
    Damaged,
    /// The policy of the topic does not allow it.
    #[error("the topic's cleanup.policy does not allow it")]
    Policy,
}

/// A wish to be told when there is more to read.
#[derive(Debug)]
pub struct Watch {
    /// Partition, and the end (high watermark or last stable offset) that the reader has seen.
    pub items: Vec<(TopicPartition, Offset)>,
    /// Which end counts.
    pub isolation: Isolation,
    /// When to answer at the latest.
    pub deadline: Nanos,
}

/// Which offset is wanted (ListOffsets).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetWish {
    /// The first one (-2).
    Earliest,
    /// The one behind the last visible one (-1).
    Latest,
    /// That of the record with the largest timestamp (-3, KIP-734).
    MaxTimestamp,
    /// The first one whose timestamp is at least this.
    AtTime(TimestampMs),
}

/// A search for one offset.
#[derive(Debug, Clone, Copy)]
pub struct OffsetQuery {
    /// Where.
    pub partition: TopicPartition,
    /// Which.
    pub wish: OffsetWish,
    /// The leader epoch that the asker believes in, or -1.
    pub leader_epoch: LeaderEpoch,
    /// Which end is the latest.
    pub isolation: Isolation,
}

/// An offset with the time and epoch of its record; -1 where unknown or not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset, or -1.
    pub offset: Offset,
    /// Timestamp of its record, or -1.
    pub timestamp: TimestampMs,
    /// Leader epoch of its record, or -1.
    pub leader_epoch: LeaderEpoch,
}

/// A search for the end of a leader epoch.
#[derive(Debug, Clone, Copy)]
pub struct EpochQuery {
    /// Where.
    pub partition: TopicPartition,
    /// The epoch that the asker believes to be current, or -1.
    pub current_epoch: LeaderEpoch,
    /// The epoch whose end is wanted.
    pub epoch: LeaderEpoch,
}

/// A wish to delete what is before an offset; -1 means the high watermark.
#[derive(Debug, Clone, Copy)]
pub struct DeleteRecords {
    /// Where.
    pub partition: TopicPartition,
    /// The new log start offset.
    pub before: Offset,
}

/// Size of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSize {
    /// Bytes of its segments.
    pub bytes: u64,
    /// Offset behind its last record.
    pub log_end_offset: Offset,
}

/// One idempotent producer of a partition (DescribeProducers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerView {
    /// Its number.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Time of its last batch.
    pub last_timestamp: TimestampMs,
    /// Epoch of the coordinator that wrote its last marker, or -1.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction, or -1.
    pub txn_first_offset: Offset,
}

/// A coordinator cannot answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoordinatorError {
    /// Its partition is not here.
    #[error("the coordinator is not on this shard")]
    NotHere,
    /// It is reading its log.
    #[error("the coordinator is loading")]
    Loading,
    /// Its log failed.
    #[error("the coordinator's log failed")]
    Storage,
}

/// A log directory is offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log directory is offline")]
pub struct StorageError;
