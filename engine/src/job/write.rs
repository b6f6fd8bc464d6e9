//! Writing to segment files.

use std::io;

use super::dirs::{Dir, DirUse};
use super::files::log_path;
use super::{Jobs, failure, is_full};
use crate::io::{Env, File};
use crate::limits::{CHUNK_BYTES, SEGMENT_WRITE_BYTES};
use crate::memory::Piece;
use crate::partition::commit::SegmentWrite;
use crate::shard::event::DiskFailure;

/// How far the writes of a partition go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Each write is flushed before it counts.
    pub is_flushed: bool,
    /// Files are cut to the end of the write.
    pub is_trimmed: bool,
}

impl<E: Env> Jobs<E> {
    /// Writes to segments of one partition, one after the other: a segment is wholly on disk before
    /// anything is written to its successor, so that what a crash leaves has no holes.
    pub(super) async fn write_segments(
        &self,
        dir: &DirUse,
        writes: Vec<SegmentWrite>,
        depth: Depth,
    ) -> Result<(), DiskFailure> {
        let count = writes.len();
        for (i, write) in writes.into_iter().enumerate() {
            if dir.is_gone() {
                // Nobody waits for this partition any more.
                return Ok(());
            }
            let is_flushed = depth.is_flushed || i + 1 < count;
            let written = self.write_segment(dir, write, Depth { is_flushed, ..depth }).await;
            written.or_else(|failure| if dir.is_gone() { Ok(()) } else { Err(failure) })?;
        }
        Ok(())
    }

    async fn write_segment(
        &self,
        dir: &Dir,
        write: SegmentWrite,
        depth: Depth,
    ) -> Result<(), DiskFailure> {
        let SegmentWrite { segment, position, pieces, allocate, end, .. } = write;
        let path = log_path(dir, segment);
        let tell = |action| {
            let path = path.clone();
            move |error| failure(action, &path, error)
        };
        let file = if pieces.is_empty() {
            // Only to be trimmed: an empty segment may have no file yet.
            let Some(file) = self.0.files.segment(dir, segment).await? else { return Ok(()) };
            file
        } else {
            self.0.files.segment_or_new(dir, segment).await?
        };
        let is_empty = pieces.is_empty();
        if let Some(len) = allocate {
            let bytes: usize = pieces.iter().map(Piece::len).sum();
            let needed = position + bytes as u64;
            // Where others wait for room nobody reserves more than it writes.
            let wanted = if self.0.haste.is_on(self.env().now()) { needed } else { len };
            let reserved = reserve(&file, wanted, needed).await;
            reserved.map_err(tell("reserve space in"))?;
        }
        write_in_parts(&file, position, pieces).await.map_err(tell("write"))?;
        if depth.is_trimmed && (!is_empty || file.size().await.map_err(tell("look at"))? != end) {
            file.truncate(end).await.map_err(tell("cut"))?;
        }
        if depth.is_flushed {
            file.sync_data().await.map_err(tell("flush"))?;
        }
        Ok(())
    }
}

/// Writes pieces, each of at most a chunk, one behind the other.
async fn write_in_parts<F: File>(
    file: &F,
    mut position: u64,
    pieces: Vec<Piece>,
) -> io::Result<()> {
    let mut pieces = pieces.into_iter().peekable();
    while pieces.peek().is_some() {
        let part: Vec<_> = pieces.by_ref().take(SEGMENT_WRITE_BYTES / CHUNK_BYTES).collect();
        let bytes: usize = part.iter().map(Piece::len).sum();
        file.write_at(position, part).await?;
        position += bytes as u64;
    }
    Ok(())
}

/// Reserves space up to `wanted`, or where there is no room for that, up to `needed`.
async fn reserve<F: File>(file: &F, wanted: u64, needed: u64) -> io::Result<()> {
    match file.allocate(wanted).await {
        // Some file systems cannot; then space is found when it is written to.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(error) if is_full(&error) && needed < wanted => {
            if file.size().await? >= needed {
                Ok(())
            } else {
                file.allocate(needed).await
            }
        }
        allocated => allocated,
    }
}
