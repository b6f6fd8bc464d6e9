//! Waypoints: what is known of an active segment at some offset, so that a start after a crash goes on from
//! there in place of reading the whole segment.
//!
//! All of a waypoint's knowledge is of its own position and offset, which are the log's end at the time.
//! That end need not be durable yet when it is taken, so it counts only if recovery comes to exactly this
//! end of a batch, reading on from a batch that the segment file held durably then.
//!
//! ```text
//! file := magic u64 BE | crc32c u32 BE of what follows | rkyv archive of Vec<(PartitionKey, Waypoint)>
//! ```

use rkyv::rancor::Error;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use super::Partition;
use super::epochs::{EpochStart, Epochs};
use super::producer_snapshot::{self, SnapshotError};
use super::producers::ProducerEntry;
use crate::limits::{WAYPOINT_BYTES_MIN, WAYPOINT_ENTRIES_MAX, WAYPOINT_PRODUCERS_MAX};
use crate::log::index::{IndexRules, OffsetPosition, SegmentIndex, TimestampOffset};
use crate::types::{LeaderEpoch, Offset, TimestampMs, TopicPartition, Uuid};

/// First bytes of a file of waypoints: "millrW01".
const MAGIC: u64 = 0x6d69_6c6c_7257_3031;
const HEADER_BYTES: usize = 12;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Waypoint {
    /// Base offset of the segment.
    pub segment: Offset,
    /// Where in its file the waypoint stands: a batch ends there,
    pub position: u64,
    /// and this offset comes next.
    pub offset: Offset,
    /// Where recovery reads on from: a batch that the file held durably begins there,
    pub from: u32,
    /// and ends with this offset.
    pub from_last_offset: Offset,
    offset_index: Vec<u8>,
    time_index: Vec<u8>,
    since_entry: u64,
    largest: (TimestampMs, Offset),
    /// Timestamp of the segment's first batch.
    pub first_timestamp: Option<TimestampMs>,
    /// Largest timestamp, -1 if there is none.
    pub max_timestamp: TimestampMs,
    epochs: Vec<(LeaderEpoch, Offset)>,
    producers: Vec<u8>,
}

/// Topic id and partition index.
type PartitionKey = ([u8; 16], i32);

impl Waypoint {
    /// About how many bytes it takes in a file.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lists = self.offset_index.len() + self.time_index.len() + self.producers.len();
        size_of::<Self>() + lists + size_of_val(self.epochs.as_slice())
    }

    /// The segment's indexes up to the waypoint.
    #[must_use]
    pub fn index(&self, rules: IndexRules) -> SegmentIndex {
        let files = (self.offset_index.clone(), self.time_index.clone());
        let (timestamp, offset) = self.largest;
        let largest = Some(TimestampOffset { timestamp, offset });
        SegmentIndex::resume(self.segment, rules, files, self.since_entry, largest)
    }

    /// The leader epochs up to the waypoint.
    #[must_use]
    pub fn epochs(&self) -> Epochs {
        let mut epochs = Epochs::default();
        for &(epoch, start_offset) in &self.epochs {
            epochs.assign(epoch, start_offset);
        }
        epochs
    }

    /// The producers at the waypoint.
    ///
    /// # Errors
    /// If they are not what a writer of waypoints writes.
    pub fn producers(&self) -> Result<Vec<ProducerEntry>, SnapshotError> {
        producer_snapshot::decode(&self.producers)
    }
}

impl<W> Partition<W> {
    /// A waypoint at the log's end; none if a start would gain little by it.
    #[must_use]
    pub fn waypoint(&self) -> Option<Waypoint> {
        let active = self.active();
        if self.lost_end.is_some() || active.written < WAYPOINT_BYTES_MIN {
            return None;
        }
        let entries = self.producers.all_batches(WAYPOINT_PRODUCERS_MAX)?;
        let (offset_index, time_index) = active.index.sampled(WAYPOINT_ENTRIES_MAX);
        let from = active.index.last_sampled_before(&offset_index, active.written)?;
        let OffsetPosition { offset: from_last_offset, position: from } = from;
        let TimestampOffset { timestamp, offset } = active.index.largest();
        let starts = self.epochs.starts().iter();
        Some(Waypoint {
            segment: active.base_offset,
            position: active.bytes(),
            offset: active.next_offset,
            from,
            from_last_offset,
            offset_index,
            time_index,
            since_entry: active.index.since_entry(),
            largest: (timestamp, offset),
            first_timestamp: active.first_timestamp,
            max_timestamp: active.max_timestamp,
            epochs: starts
                .map(|&EpochStart { epoch, start_offset }| (epoch, start_offset))
                .collect(),
            producers: producer_snapshot::encode(&entries),
        })
    }
}

/// The bytes of a file of waypoints.
#[must_use]
pub fn encode(waypoints: impl IntoIterator<Item = (TopicPartition, Waypoint)>) -> Vec<u8> {
    let key = |id: TopicPartition| (id.topic_id.to_bytes(), id.partition);
    let entries: Vec<(PartitionKey, Waypoint)> =
        waypoints.into_iter().map(|(id, waypoint)| (key(id), waypoint)).collect();
    let archive = rkyv::to_bytes::<Error>(&entries).expect("serialising to memory cannot fail");
    let mut out = Vec::with_capacity(HEADER_BYTES + archive.len());
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(&archive).to_be_bytes());
    out.extend_from_slice(&archive);
    out
}

/// Reads a file of waypoints; none if it is not whole, or of another version: then logs are read.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Vec<(TopicPartition, Waypoint)>> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (crc, archive) = rest.split_first_chunk::<4>()?;
    if u64::from_be_bytes(*magic) != MAGIC || u32::from_be_bytes(*crc) != crc32c::crc32c(archive) {
        return None;
    }
    let mut aligned: AlignedVec = AlignedVec::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    let entries = rkyv::from_bytes::<Vec<(PartitionKey, Waypoint)>, Error>(&aligned).ok()?;
    let entry = |((topic_id, partition), waypoint): (PartitionKey, Waypoint)| {
        (TopicPartition { topic_id: Uuid::from_bytes(topic_id), partition }, waypoint)
    };
    Some(entries.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waypoint() -> Waypoint {
        Waypoint {
            segment: 100,
            position: 9_000,
            offset: 190,
            from: 4_000,
            from_last_offset: 150,
            offset_index: vec![0, 0, 0, 50, 0, 0, 15, 160],
            time_index: vec![1; 12],
            since_entry: 5_000,
            largest: (77, 180),
            first_timestamp: Some(5),
            max_timestamp: 77,
            epochs: vec![(1, 0), (3, 120)],
            producers: producer_snapshot::encode(&[]),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let id = TopicPartition { topic_id: Uuid(7), partition: 3 };
        let bytes = encode([(id, waypoint())]);
        let read = decode(&bytes).expect("the bytes are whole");
        assert_eq!(read, [(id, waypoint())]);
        let (_, read) = &read[0];
        assert_eq!(read.epochs().latest(), Some(EpochStart { epoch: 3, start_offset: 120 }));
        assert!(read.producers().expect("they were encoded").is_empty());
        let rules = IndexRules { interval_bytes: 4_096, file_bytes_max: 1 << 20 };
        let entry = OffsetPosition { offset: 150, position: 4_000 };
        assert_eq!(read.index(rules).offsets().entry(0), Some(entry));
    }

    #[test]
    fn a_file_that_is_not_whole_is_none() {
        let id = TopicPartition { topic_id: Uuid(7), partition: 3 };
        let bytes = encode([(id, waypoint())]);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 4;
            assert_eq!(decode(&other), None, "a bit of byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "{at} bytes");
        }
    }
}
