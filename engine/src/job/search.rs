//! Finds the first record that is not older than a time. Batches are read as streams: what comes out of
//! a compressed one is looked at piece by piece and never held whole.

use bytes::Bytes;
use futures_lite::future::yield_now;

use super::bounds::COLD_STEP_BYTES_MIN;
use super::dirs::{Dir, DirUse};
use super::files::log_path;
use super::segment_reader::SegmentReader;
use super::{Jobs, damage};
use crate::io::Env;
use crate::limits::DECOMPRESSED_BYTES_MAX;
use crate::partition::find::ColdSearch;
use crate::record::batch::{self, BatchHeader, TimestampType};
use crate::record::codec::{Codec, CodecError, Decompressor};
use crate::record::layout::HEADER_BYTES;
use crate::record::stream::{RecordStream, StreamError};
use crate::shard::call::FoundOffset;
use crate::shard::event::DiskFailure;
use crate::types::TimestampMs;

/// Records that are looked at before others get their turn.
const RECORDS_AT_ONCE: u32 = 4_096;

/// Searches segment files, then batches in memory; the first match counts.
pub(super) async fn search<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    cold: &[ColdSearch],
    here: &[Bytes],
    timestamp: TimestampMs,
) -> Result<Option<FoundOffset>, DiskFailure> {
    let permit = jobs.0.reads.enter().await;
    for segment in cold {
        match search_segment(jobs, dir, segment).await {
            Ok(None) => {}
            Err(_) if dir.is_gone() => return Ok(None),
            found => return found,
        }
    }
    drop(permit);
    for batch in here {
        let header = BatchHeader::parse(batch)
            .map_err(|error| damage("search", &dir.path, error.to_string()))?;
        let found = search_batch(&header, batch, timestamp)
            .await
            .map_err(|reason| damage("search", &dir.path, reason))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

async fn search_segment<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    search: &ColdSearch,
) -> Result<Option<FoundOffset>, DiskFailure> {
    let path = log_path(dir, search.segment);
    let Some(file) = jobs.0.files.segment(dir, search.segment).await? else {
        return Err(damage("open", &path, "the file is missing"));
    };
    let mut at = match search.from {
        Some(position) => position,
        None => {
            let index = jobs.sealed_index(dir, search.segment, search.to).await?;
            index.map_or(0, |index| {
                let offset = index.times().lookup(search.timestamp);
                u64::from(index.offsets().lookup(offset).position)
            })
        }
    };
    let mut reader = SegmentReader::new(file, path.clone(), search.to, COLD_STEP_BYTES_MIN * 4);
    let mut expected = search.segment;
    while let Some(header) = reader.header(at).await? {
        if header.base_offset < expected {
            return Err(reader.disorder(at, expected, header.base_offset));
        }
        expected = header.next_offset();
        if header.base_offset >= search.limit {
            return Ok(None);
        }
        let end = at + header.size_bytes() as u64;
        if header.max_timestamp >= search.timestamp {
            reader.fill(at, end).await?;
            if !reader.is_intact(at, &header) {
                return Err(reader.bad_checksum(at));
            }
            let batch = reader.piece(at, end);
            let found = search_batch(&header, &batch, search.timestamp).await;
            let found = found.map_err(|reason| {
                damage("search", &path, format!("the batch at position {at}: {reason}"))
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        at = end;
        reader.forget_before(at);
    }
    Ok(None)
}

/// The first record of a batch that is not older than `timestamp`.
async fn search_batch(
    header: &BatchHeader,
    batch: &[u8],
    timestamp: TimestampMs,
) -> Result<Option<FoundOffset>, String> {
    if header.max_timestamp < timestamp || header.record_count == 0 {
        return Ok(None);
    }
    let found = |offset_delta: i32, timestamp| FoundOffset {
        offset: header.base_offset.saturating_add(i64::from(offset_delta)),
        timestamp,
        leader_epoch: header.partition_leader_epoch,
    };
    match first_record(header, batch, timestamp).await {
        Ok(first) => Ok(first.map(|(offset_delta, time)| found(offset_delta, time))),
        // What a client compressed may have been taken without a look inside. If these are its bytes,
        // the batch counts as a whole: whoever reads from its first offset misses nothing.
        Err(_) if header.codec() != Some(Codec::None) && is_as_sent(header, batch) => {
            Ok(Some(found(0, header.max_timestamp)))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Offset delta and time of the first record that is not older than `timestamp`.
async fn first_record(
    header: &BatchHeader,
    batch: &[u8],
    timestamp: TimestampMs,
) -> Result<Option<(i32, TimestampMs)>, StreamError> {
    let codec = header.codec().ok_or(CodecError::Malformed)?;
    let packed = batch.get(HEADER_BYTES..header.size_bytes()).ok_or(CodecError::Malformed)?;
    let plain = Decompressor::new(codec, packed, DECOMPRESSED_BYTES_MAX)?;
    let mut records = RecordStream::new(plain, header.record_count);
    let mut looked_at = 0;
    while let Some(record) = records.next_outline()? {
        let time = match header.timestamp_type() {
            // The append time of the batch counts for each record.
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => {
                header.base_timestamp.saturating_add(record.timestamp_delta)
            }
        };
        if time >= timestamp {
            return Ok(Some((record.offset_delta, time)));
        }
        looked_at += 1;
        if looked_at % RECORDS_AT_ONCE == 0 {
            yield_now().await;
        }
    }
    Ok(None)
}

/// Whether the checksum says that a batch is what its producer sent.
fn is_as_sent(header: &BatchHeader, batch: &[u8]) -> bool {
    batch
        .get(..header.size_bytes())
        .and_then(|batch| batch.split_first_chunk())
        .is_some_and(|(head, records)| batch::checksum(head, records) == header.crc)
}
