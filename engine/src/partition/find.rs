//! Finding what a reader wants: in memory, or as a plan for a read from segment files.

use bytes::Bytes;

use super::Partition;
use super::epochs::EpochEnd;
use crate::log::index::OffsetPosition;
use crate::log::segment::OpenSegment;
use crate::shard::call::{FoundOffset, Isolation, OffsetWish, ReadError};
use crate::types::{LeaderEpoch, Offset, TimestampMs};

/// Where records are.
#[derive(Debug)]
pub enum Found {
    /// In memory.
    Here(Vec<Bytes>),
    /// In a segment file.
    Cold(ColdRead),
    /// Nowhere: the reader is at the end.
    End,
}

/// What every batch of a read agrees with, beside its checksum, which covers neither offset nor epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Offsets may be missing between batches, as after compaction.
    pub gaps: bool,
    /// The leader epoch, where it is known.
    pub epoch: Option<LeaderEpoch>,
}

/// A read from one segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdRead {
    /// Base offset of the segment.
    pub segment: Offset,
    /// A batch at or before the offset, where the index is in memory; else the reader looks into the
    /// index file.
    pub from: Option<OffsetPosition>,
    /// The content that may be read ends here.
    pub to: u64,
    /// First offset wanted.
    pub offset: Offset,
    /// Batches that begin at or behind this offset are not wanted.
    pub limit: Offset,
    /// Most bytes, but always one batch.
    pub bytes_max: usize,
    /// What the batches must be like.
    pub expected: Expected,
}

/// A search through one segment file for the first record that is not older than a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdSearch {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Where to begin, where the index is in memory.
    pub from: Option<u64>,
    /// The content ends here.
    pub to: u64,
    /// The wanted time.
    pub timestamp: TimestampMs,
    /// Batches that begin at or behind this offset are not wanted.
    pub limit: Offset,
}

/// An answer to an offset query, or the searches that find it: the first that succeeds counts.
#[derive(Debug)]
pub enum OffsetFound {
    /// Known without reading.
    Here(FoundOffset),
    /// In one of these segment files, or else in one of these batches in memory.
    Search {
        /// Segment files to search, in order.
        cold: Vec<ColdSearch>,
        /// Batches to search after that.
        here: Vec<Bytes>,
        /// The wanted time.
        timestamp: TimestampMs,
    },
}

impl<W> Partition<W> {
    /// Checks the leader epoch of a reader (KIP-320).
    ///
    /// # Errors
    /// If it is not the partition's.
    pub fn check_epoch(&self, epoch: LeaderEpoch) -> Result<(), ReadError> {
        if epoch == -1 || epoch == self.leader_epoch || plant!(DeliverAcrossLeaderEpochChange) {
            return Ok(());
        }
        Err(if epoch < self.leader_epoch {
            ReadError::FencedEpoch
        } else {
            ReadError::UnknownEpoch
        })
    }

    /// The offset that a reader may not pass.
    #[must_use]
    pub fn visible_end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::Uncommitted => self.offsets.high_watermark(),
            Isolation::Committed => self.offsets.stable(),
        }
    }

    /// Finds records from `offset` on: whole batches, at most `bytes_max` bytes but at least one batch
    /// where `needs_one`.
    ///
    /// # Errors
    /// If the offset is outside the log.
    pub fn find(
        &self,
        offset: Offset,
        bytes_max: usize,
        needs_one: bool,
        isolation: Isolation,
    ) -> Result<Found, ReadError> {
        if self.lost_end.is_some_and(|lost| (self.offsets.end()..lost).contains(&offset)) {
            return Err(ReadError::Damaged);
        }
        if offset < self.offsets.start() || offset > self.offsets.end() {
            return Err(ReadError::OutOfRange {
                log_start_offset: self.offsets.start(),
                log_end_offset: self.offsets.end(),
            });
        }
        let limit = self.visible_end(isolation);
        if offset >= limit || (bytes_max == 0 && !needs_one) {
            return Ok(Found::End);
        }
        let at = self.open.partition_point(|segment| segment.base_offset <= offset);
        let Some(open) = at.checked_sub(1).and_then(|i| self.open.get(i)) else {
            return Ok(self.find_sealed(offset, limit, bytes_max));
        };
        Ok(match open.tail.first() {
            Some(first) if first.base_offset <= offset => {
                find_in_tail(open, offset, limit, bytes_max, needs_one)
            }
            // What is before the tail's first batch is in the file.
            _ => Found::Cold(ColdRead {
                segment: open.base_offset,
                from: Some(open.index.offsets().lookup(offset)),
                to: open.tail.start(),
                offset,
                bytes_max,
                ..self.in_epoch(offset, limit)
            }),
        })
    }

    fn find_sealed(&self, offset: Offset, limit: Offset, bytes_max: usize) -> Found {
        let at = self.sealed.partition_point(|segment| segment.next_offset <= offset);
        let Some(sealed) = self.sealed.get(at) else { return Found::End };
        Found::Cold(ColdRead {
            segment: sealed.base_offset,
            from: None,
            to: sealed.bytes,
            offset,
            bytes_max,
            ..self.in_epoch(offset, limit)
        })
    }

    /// A read of nothing yet that ends where the leader epoch of `offset` ends: its batches are
    /// compared with that.
    fn in_epoch(&self, offset: Offset, limit: Offset) -> ColdRead {
        let epoch = self.epochs.epoch_of(offset);
        let end = epoch.map_or(limit, |epoch| self.epochs.end_offset(epoch, limit).end_offset);
        ColdRead {
            segment: 0,
            from: None,
            to: 0,
            offset,
            limit: limit.min(end),
            bytes_max: 0,
            expected: Expected { gaps: self.config.cleanup_policy.compact, epoch },
        }
    }

    /// Answers an offset query, or says what must be searched for it.
    #[must_use]
    pub fn find_offset(&self, wish: OffsetWish, isolation: Isolation) -> OffsetFound {
        let known = |offset| {
            OffsetFound::Here(FoundOffset {
                offset,
                timestamp: -1,
                leader_epoch: self.epochs.epoch_of(offset).unwrap_or(self.leader_epoch),
            })
        };
        match wish {
            OffsetWish::Earliest => known(self.offsets.start()),
            OffsetWish::Latest => known(self.visible_end(isolation)),
            OffsetWish::AtTime(timestamp) => self.search(timestamp, isolation),
            OffsetWish::MaxTimestamp => {
                let sealed = self.sealed.iter().map(|segment| segment.max_timestamp);
                let open = self.open.iter().map(|segment| segment.max_timestamp);
                match sealed.chain(open).max() {
                    Some(newest) if newest >= 0 => self.search(newest, isolation),
                    _ => OffsetFound::Here(FoundOffset {
                        offset: -1,
                        timestamp: -1,
                        leader_epoch: -1,
                    }),
                }
            }
        }
    }

    fn search(&self, timestamp: TimestampMs, isolation: Isolation) -> OffsetFound {
        let limit = self.visible_end(isolation);
        let sealed = self.sealed.iter().filter(|segment| segment.max_timestamp >= timestamp).map(
            |segment| ColdSearch {
                segment: segment.base_offset,
                from: None,
                to: segment.bytes,
                timestamp,
                limit,
            },
        );
        let cold_open = self
            .open
            .iter()
            .filter(|open| open.tail.start() > 0 && open.cold_max_timestamp >= timestamp)
            .map(|open| ColdSearch {
                segment: open.base_offset,
                from: Some(cold_position(open, timestamp)),
                to: open.tail.start(),
                timestamp,
                limit,
            });
        let here = self.open.iter().filter_map(|open| {
            let mark = open.tail.find_timestamp(timestamp)?;
            let index = open.tail.find(mark.base_offset)?;
            let slices = open.tail.slices(mark.position, open.tail.batch_end(index));
            (mark.base_offset < limit).then(|| Bytes::from(slices.concat()))
        });
        OffsetFound::Search {
            cold: sealed.chain(cold_open).collect(),
            here: here.collect(),
            timestamp,
        }
    }

    /// The end of the largest epoch that is not above `epoch` (KIP-101).
    #[must_use]
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> EpochEnd {
        self.epochs.end_offset(epoch, self.offsets.end())
    }

    /// Where a reader whose last record has `epoch` and who wants `offset` next stops agreeing with
    /// this log (KIP-595), if it does.
    #[must_use]
    pub fn diverging(&self, epoch: LeaderEpoch, offset: Offset) -> Option<EpochEnd> {
        if epoch < 0 || plant!(DeliverAcrossLeaderEpochChange) {
            return None;
        }
        let end = self.epoch_end(epoch);
        (end.epoch != epoch || end.end_offset < offset).then_some(end)
    }
}

/// Where a search for a time may begin in a segment.
fn cold_position(open: &OpenSegment, timestamp: TimestampMs) -> u64 {
    let offset = open.index.times().lookup(timestamp);
    u64::from(open.index.offsets().lookup(offset).position)
}

/// Whole batches from memory.
fn find_in_tail(
    open: &OpenSegment,
    offset: Offset,
    limit: Offset,
    bytes_max: usize,
    needs_one: bool,
) -> Found {
    let Some(index) = open.tail.find(offset) else { return Found::End };
    let Some(first) = open.tail.mark(index) else { return Found::End };
    let from = first.position;
    let visible = open.tail.position_of(limit);
    let wanted = from.saturating_add(bytes_max as u64);
    let to = if wanted >= visible {
        visible
    } else {
        let first_end = open.tail.batch_end(index).min(visible);
        let whole = open.tail.boundary_before(wanted);
        if whole > from {
            whole
        } else if needs_one {
            first_end
        } else {
            return Found::End;
        }
    };
    Found::Here(open.tail.slices(from, to))
}
