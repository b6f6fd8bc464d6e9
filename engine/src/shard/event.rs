//! What happens to a shard, and what it wants done: the closed lists.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::call::{Answer, Call, ReplyTo};
use crate::journal::plan::{FileId, Place};
use crate::journal::replay::Redo;
use crate::log::segment::SealedSegment;
use crate::memory::Piece;
use crate::metadata::Image;
use crate::partition::Recovered;
use crate::partition::commit::{Seal, SegmentWrite};
use crate::partition::epochs::Epochs;
use crate::partition::find::{ColdRead, ColdSearch};
use crate::partition::waypoint::Waypoint;
use crate::shard::call::FoundOffset;
use crate::topic_config::TopicConfig;
use crate::types::{LeaderEpoch, Nanos, Offset, TopicPartition};

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// Somebody asks.
    Call(ReplyTo, Call),
    /// The running commit ended: the journal entry is durable, or failed.
    Committed(Result<(), DiskFailure>),
    /// A write to segment files ended.
    Flushed {
        /// Whose.
        partition: TopicPartition,
        /// What was written.
        written: Vec<Written>,
        /// How it ended.
        result: Result<(), DiskFailure>,
    },
    /// A partition was opened, or could not be.
    Opened {
        /// Which.
        partition: TopicPartition,
        /// What is on disk.
        result: Result<Box<Recovered>, DiskFailure>,
    },
    /// A read from a segment file ended.
    ReadDone {
        /// Which read.
        read: u64,
        /// Which of its items.
        slot: usize,
        /// The batches.
        result: Result<Vec<Bytes>, DiskFailure>,
    },
    /// A search through segment files ended.
    SearchDone {
        /// Which query.
        query: u64,
        /// Which of its items.
        slot: usize,
        /// The first match, if there is one.
        result: Result<Option<FoundOffset>, DiskFailure>,
    },
    /// A journal file is ready for use, or could not be made.
    JournalFile {
        /// Which.
        file: FileId,
        /// How it ended.
        result: Result<(), DiskFailure>,
    },
    /// Part of a coordinator's log.
    LogPart {
        /// Which partition's.
        partition: TopicPartition,
        /// Whole batches, or none behind the last ones.
        result: Result<Option<Bytes>, DiskFailure>,
    },
    /// Offsets that somebody waits for are on disk.
    OffsetsWritten,
    /// Every shard has an image.
    Published(u64),
    /// A removed partition's directory has another name, or could not be renamed.
    Removed(Result<(), DiskFailure>),
    /// A scrub has read every closed segment.
    Scrubbed(Scrubbed),
    /// A job with nothing to tell but its failure failed.
    JobFailed(DiskFailure),
    /// A disk was found full, on this shard or another.
    DiskFull {
        /// Whether it is that of the shard's log directory.
        is_own: bool,
    },
    /// A deadline passed.
    Tick,
}

/// A disk operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} {path}: {reason}")]
pub struct DiskFailure {
    /// What was tried.
    pub action: &'static str,
    /// On what.
    pub path: String,
    /// What the kernel said.
    pub reason: String,
    /// Whether the disk is full: reads and deletions go on.
    pub is_full: bool,
    /// Whether the operation went well, but what stands on the disk cannot be right.
    pub is_damage: bool,
}

/// A finished write to a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Content that is durable now ends here.
    pub end: u64,
    /// Offset behind it.
    pub end_offset: Offset,
}

impl From<&SegmentWrite> for Written {
    fn from(write: &SegmentWrite) -> Self {
        Self { segment: write.segment, end: write.end, end_offset: write.end_offset }
    }
}

/// What the shard wants done.
#[derive(Debug)]
pub enum Effect {
    /// Answer a call.
    Answer(ReplyTo, Answer),
    /// Do something slow.
    Run(Job),
    /// Hand the image to every shard and tell when all have it.
    Publish {
        /// Names this publication.
        id: u64,
        /// The image.
        image: Arc<Image>,
    },
    /// This shard has a new image: the server on it sees it from now on.
    Adopt(Arc<Image>),
    /// The disk is full: tell all shards.
    DiskFull,
    /// The log directory failed: say so loudly.
    Offline(DiskFailure),
    /// Somebody waits for the partition of this directory to be open.
    HurryOpen(Arc<Path>),
}

/// Something slow, done beside the shard. Each ends in an [`Event`].
#[derive(Debug)]
pub enum Job {
    /// Make a turn's appends durable through the journal.
    Commit(Commit),
    /// Write a tail to its segments, be it appends that become durable by that, or such as the
    /// journal holds.
    Flush {
        /// Whose.
        partition: TopicPartition,
        /// Its directory.
        dir: Arc<Path>,
        /// What.
        writes: Vec<SegmentWrite>,
        /// Whether to cut the files to their exact contents afterwards.
        is_trimmed: bool,
        /// Whether to flush; always so where the journal is to be relieved.
        is_flushed: bool,
    },
    /// Complete the files of a closed segment.
    Seal {
        /// The partition's directory.
        dir: Arc<Path>,
        /// What.
        seal: Seal,
    },
    /// Create or recover a partition.
    Open(Box<Open>),
    /// Read batches from a segment file.
    Read {
        /// Which read.
        read: u64,
        /// Which of its items.
        slot: usize,
        /// The partition's directory.
        dir: Arc<Path>,
        /// What.
        plan: ColdRead,
    },
    /// Search for a timestamp.
    Search {
        /// Which query.
        query: u64,
        /// Which of its items.
        slot: usize,
        /// The partition's directory.
        dir: Arc<Path>,
        /// In these segment files, in order.
        cold: Vec<ColdSearch>,
        /// Then in these batches.
        here: Vec<Bytes>,
        /// The wanted time.
        timestamp: crate::types::TimestampMs,
    },
    /// Delete files of segments after a while.
    Retire {
        /// The partition's directory.
        dir: Arc<Path>,
        /// Which.
        segments: Vec<SealedSegment>,
        /// When.
        at: Nanos,
    },
    /// Delete a partition's directory: rename it at once, remove it after a while.
    Remove {
        /// The directory.
        dir: Arc<Path>,
        /// When to remove.
        at: Nanos,
    },
    /// Create a journal file and write it in full.
    CreateJournalFile(FileId),
    /// Read a coordinator's log from its start.
    ReadLog {
        /// Which partition.
        partition: TopicPartition,
        /// Its directory.
        dir: Arc<Path>,
        /// Segments and the lengths of their contents, in order.
        segments: Vec<(Offset, u64)>,
    },
    /// Write the leader epochs of a partition.
    WriteEpochs {
        /// Its directory.
        dir: Arc<Path>,
        /// Content of `leader-epoch-checkpoint`.
        text: Bytes,
    },
    /// Check closed segments, slowly.
    Scrub {
        /// Which.
        logs: Vec<ScrubLog>,
        /// No faster than this.
        bytes_per_second: u64,
    },
    /// Write offsets of the shard's partitions.
    WriteOffsets {
        /// Into which of its files.
        file: OffsetsFile,
        /// All that the shard knows of.
        entries: BTreeMap<TopicPartition, Offset>,
        /// Whether to tell it with [`Event::OffsetsWritten`].
        is_awaited: bool,
    },
    /// Write the file of the shard's waypoints, whose content this is.
    WriteWaypoints(Bytes),
}

/// Files of offsets that each shard has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetsFile {
    /// Log start offsets that are not those of first segments.
    LogStarts,
    /// Offsets before which everything is durable.
    RecoveryPoints,
}

/// A partition whose closed segments are to be checked.
#[derive(Debug)]
pub struct ScrubLog {
    /// Its directory.
    pub dir: Arc<Path>,
    /// Its closed segments.
    pub segments: Vec<SealedSegment>,
    /// Its leader epochs.
    pub epochs: Epochs,
    /// Offsets may be missing between batches.
    pub gaps: bool,
}

/// What a scrub has read, and what it found beside damaged ranges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Segments read.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Indexes that did not agree with their segments.
    pub indexes: u64,
    /// Producer snapshots that are damaged.
    pub snapshots: u64,
    /// Segments that could not be read.
    pub failures: u64,
}

/// The write that makes a turn's appends durable.
#[derive(Debug)]
pub struct Commit {
    /// The journal entry.
    pub journal: JournalWrite,
    /// Whether to flush (`millrace.durability=fsync`).
    pub is_flushed: bool,
}

/// An entry on its way to the journal.
#[derive(Debug)]
pub struct JournalWrite {
    /// Where.
    pub place: Place,
    /// Superblock, if any, and entry.
    pub pieces: Vec<Piece>,
}

/// A partition to be created or recovered.
#[derive(Debug)]
pub struct Open {
    /// Which.
    pub partition: TopicPartition,
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its directory.
    pub dir: Arc<Path>,
    /// The topic's settings.
    pub config: Arc<TopicConfig>,
    /// Its leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// What the journal still holds of it.
    pub redo: Vec<Redo>,
    /// Log start offset from the checkpoint.
    pub log_start_offset: Option<Offset>,
    /// What the last run has left for this.
    pub waypoint: Option<Arc<Waypoint>>,
}
