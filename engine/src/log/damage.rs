//! Ranges of a log that cannot be read, while what lies around them can.

use std::fmt;

use crate::record::batch::BatchHeader;
use crate::types::{LeaderEpoch, Offset};

/// Records of a segment that are lost until somebody restores them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRange {
    /// Where it begins in the segment's file, a batch boundary.
    pub position: u64,
    /// Where it ends, a batch boundary again or the end of the content.
    pub end_position: u64,
    /// First offset that is lost.
    pub first_offset: Offset,
    /// First offset behind it.
    pub next_offset: Offset,
    /// What is wrong at `position`.
    pub reason: String,
}

impl DamagedRange {
    /// A batch that is whole, but not of the leader epoch that the log knows for its offset.
    #[must_use]
    pub fn of_epoch(position: u64, header: &BatchHeader, known: LeaderEpoch) -> Self {
        let found = header.partition_leader_epoch;
        Self {
            position,
            end_position: position + header.size_bytes() as u64,
            first_offset: header.base_offset,
            next_offset: header.next_offset(),
            reason: format!(
                "the batch has leader epoch {found}, leader-epoch-checkpoint says {known}"
            ),
        }
    }

    /// Whether a record is in it.
    #[must_use]
    pub fn has(&self, offset: Offset) -> bool {
        (self.first_offset..self.next_offset).contains(&offset)
    }
}

impl fmt::Display for DamagedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, end_position, first_offset, next_offset, reason } = self;
        write!(f, "offsets {first_offset} ")?;
        match *next_offset {
            Offset::MAX => write!(f, "and up")?,
            next_offset => write!(f, "to {}", next_offset - 1)?,
        }
        write!(f, " at positions {position} to {end_position} are damaged: {reason}")
    }
}
