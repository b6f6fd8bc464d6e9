//! Completes the files of a closed segment: the exact length, the indexes, the producer snapshot.

use std::path::Path;

use bytes::Bytes;

use super::dirs::{Dir, DirUse};
use super::files::{log_path, path_of};
use super::{Jobs, failure};
use crate::io::{Env, File};
use crate::log::files::FileKind;
use crate::partition::commit::Seal;
use crate::shard::event::DiskFailure;

/// Seals a segment whose content is on disk.
pub(super) async fn seal<E: Env>(
    jobs: &Jobs<E>,
    dir: &DirUse,
    seal: Seal,
) -> Result<(), DiskFailure> {
    let permit = jobs.0.writes.enter().await;
    // An empty segment may have no file: then there is nothing to index either.
    if let Some(file) = jobs.0.files.segment(dir, seal.segment).await? {
        let path = log_path(dir, seal.segment);
        if file.size().await.map_err(|error| failure("look at", &path, error))? != seal.bytes {
            file.truncate(seal.bytes).await.map_err(|error| failure("cut", &path, error))?;
            file.sync_data().await.map_err(|error| failure("flush", &path, error))?;
        }
        write_companions(jobs, dir, seal).await?;
    } else if let Some((offset, content)) = seal.snapshot {
        replace(jobs, &path_of(dir, offset, FileKind::ProducerSnapshot), content).await?;
    }
    drop(permit);
    Ok(())
}

/// Writes what stands beside a segment's `.log` file. The time index is the last of what makes a
/// segment trusted.
pub(super) async fn write_companions<E: Env>(
    jobs: &Jobs<E>,
    dir: &Dir,
    seal: Seal,
) -> Result<(), DiskFailure> {
    if let Some((offset, content)) = seal.snapshot {
        replace(jobs, &path_of(dir, offset, FileKind::ProducerSnapshot), content).await?;
    }
    let path = path_of(dir, seal.segment, FileKind::OffsetIndex);
    replace(jobs, &path, seal.offset_index).await?;
    let path = path_of(dir, seal.segment, FileKind::TimeIndex);
    replace(jobs, &path, seal.time_index).await
}

/// Replaces a small file durably.
pub(super) async fn replace<E: Env>(
    jobs: &Jobs<E>,
    path: &Path,
    content: Bytes,
) -> Result<(), DiskFailure> {
    jobs.env().write_small(path, content).await.map_err(|error| failure("write", path, error))
}
