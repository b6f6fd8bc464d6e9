//! Streams a coordinator's log, whole batches at a time.

use bytes::Bytes;

use super::dirs::{Dir, DirUse};
use super::files::log_path;
use super::segment_reader::SegmentReader;
use super::{Jobs, damage};
use crate::io::Env;
use crate::limits::READ_BYTES_MAX;
use crate::record::layout::HEADER_BYTES;
use crate::shard::event::{DiskFailure, Event};
use crate::types::{Offset, TopicPartition};

/// Emits every part, then the end; or the failure.
pub(super) async fn read_log<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    partition: TopicPartition,
    segments: &[(Offset, u64)],
    emit: &dyn Fn(Event),
) {
    let permit = jobs.0.reads.enter().await;
    for &(segment, bytes) in segments {
        let tell = |part| emit(Event::LogPart { partition, result: Ok(Some(part)) });
        if let Err(failure) = read_segment(jobs, dir, segment, bytes, &tell).await {
            return emit(Event::LogPart { partition, result: Err(failure) });
        }
    }
    drop(permit);
    emit(Event::LogPart { partition, result: Ok(None) });
}

async fn read_segment<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    segment: Offset,
    bytes: u64,
    tell: &dyn Fn(Bytes),
) -> Result<(), DiskFailure> {
    if bytes == 0 {
        return Ok(());
    }
    let path = log_path(dir, segment);
    let Some(file) = jobs.0.files.segment(dir, segment).await? else {
        return Err(damage("open", &path, "the file is missing"));
    };
    let mut reader = SegmentReader::new(file, path, bytes, READ_BYTES_MAX);
    let (mut begin, mut end) = (0, 0);
    let mut expected = segment;
    loop {
        // A part is told before the reader has to read on for the next batch.
        if end > begin && end + HEADER_BYTES as u64 > reader.available() {
            tell(reader.piece(begin, end));
            begin = end;
            reader.forget_before(begin);
        }
        let Some(header) = reader.header(end).await? else { break };
        if header.base_offset < expected {
            return Err(reader.disorder(end, expected, header.base_offset));
        }
        expected = header.next_offset();
        let next = end + header.size_bytes() as u64;
        if end > begin && next > reader.available() {
            tell(reader.piece(begin, end));
            begin = end;
            reader.forget_before(begin);
        }
        reader.fill(begin, next).await?;
        // A coordinator's state would carry a wrong bit on for ever.
        if !reader.is_intact(end, &header) {
            return Err(reader.bad_checksum(end));
        }
        end = next;
    }
    if end > begin {
        tell(reader.piece(begin, end));
    }
    Ok(())
}
