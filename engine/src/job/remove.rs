//! Deleting segments and partitions: renamed at once, removed a while later, as readers may still be
//! in them.

use std::path::{Path, PathBuf};

use super::accept::Running;
use super::dirs::{DirEnd, DirUse};
use super::gate::Entering;
use super::{Jobs, failure, found, is_full};
use crate::io::Env;
use crate::log::files::renamed_directory;
use crate::log::files::{DirectoryUse, FileKind, FileState, LogFile, PartitionDirectory};
use crate::log::segment::SealedSegment;
use crate::shard::event::{DiskFailure, Event};
use crate::types::{Nanos, Uuid};

/// Deletes the files of segments.
pub(super) async fn retire<E: Env>(
    jobs: &Jobs<E>,
    (dir, entering): (DirUse, Entering),
    segments: &[SealedSegment],
    at: Nanos,
    running: Running,
) -> Result<(), DiskFailure> {
    let permit = entering.await;
    // If an older one does not come to its end, no newer segment may go.
    if dir.is_retiring.replace(true) {
        return Ok(());
    }
    let mut renamed = Vec::new();
    // Oldest first, the log before what stands beside it: what a crash leaves begins later, and has
    // no hole.
    for segment in segments {
        for kind in FileKind::ALL {
            let live = LogFile::live(segment.base_offset, kind);
            let deleted = LogFile { state: FileState::Deleted, ..live };
            let from = dir.path.join(live.to_string());
            let to = dir.path.join(deleted.to_string());
            match found(jobs.env().rename(&from, &to).await) {
                Ok(Some(())) => renamed.push(to),
                Ok(None) => {}
                // A longer name may need a block of its own in the directory.
                Err(error) if is_full(&error) => {
                    let removed = found(jobs.env().remove_file(&from).await);
                    removed.map_err(|error| failure("remove", &from, error))?;
                }
                Err(_) if dir.is_gone() => return Ok(()),
                Err(error) => return Err(failure("rename", &from, error)),
            }
        }
        jobs.0.indexes.forget(&dir, segment.base_offset);
        jobs.0.damages.forget(&dir, segment.base_offset);
        // Each before the next, so that a crash cannot leave an older one and take a newer one away.
        match jobs.env().sync_dir(&dir.path).await {
            Err(_) if dir.is_gone() => return Ok(()),
            synced => synced.map_err(|error| failure("flush directory", &dir.path, error))?,
        }
    }
    dir.is_retiring.set(false);
    drop(permit);
    // Who only waits keeps neither the broker nor a removal of the directory from going on.
    let path = std::sync::Arc::clone(&dir.path);
    let id = dir.id;
    drop(dir);
    drop(running);
    jobs.0.haste.wait(jobs.env(), at).await;
    let dir = jobs.0.dirs.enter(&path);
    if dir.id != id {
        return Ok(());
    }
    for segment in segments {
        jobs.0.files.forget(&dir, segment.base_offset);
    }
    for path in renamed {
        if let Err(error) = found(jobs.env().remove_file(&path).await) {
            tracing::warn!(path = %path.display(), %error, "a deleted segment's file stays");
        }
    }
    Ok(())
}

/// Deletes a partition's directory. Tells when its name is free.
pub(super) async fn remove<E: Env>(
    jobs: &Jobs<E>,
    end: DirEnd,
    at: Nanos,
    running: Running,
    emit: &dyn Fn(Event),
) {
    let renamed = put_aside(jobs, &end).await;
    drop(end);
    let (target, result) = match renamed {
        Ok(target) => (target, Ok(())),
        Err(failure) => (None, Err(failure)),
    };
    emit(Event::Removed(result));
    drop(running);
    let Some(target) = target else { return };
    jobs.0.haste.wait(jobs.env(), at).await;
    if let Err(error) = found(jobs.env().remove_dir(&target).await) {
        tracing::warn!(path = %target.display(), %error, "a deleted partition's directory stays");
    }
}

/// Gives a directory another name, durably; none if there is no directory.
async fn put_aside<E: Env>(jobs: &Jobs<E>, end: &DirEnd) -> Result<Option<PathBuf>, DiskFailure> {
    end.drained().await;
    let dir = end.dir();
    jobs.0.files.forget_dir(dir);
    jobs.0.indexes.forget_dir(dir);
    jobs.0.damages.forget_dir(dir);
    jobs.0.ahead.forget_dir(dir);
    let target = deleted_path(jobs, &dir.path);
    let mut renamed = found(jobs.env().rename(&dir.path, &target).await);
    if renamed.as_ref().is_err_and(is_full) {
        // Another name may need a block of its own; to remove things needs none.
        renamed = found(jobs.env().remove_dir(&dir.path).await).map(|_| None);
    }
    // Even after a failure: the next partition of this name finds out itself.
    end.free();
    if renamed.map_err(|error| failure("rename", &dir.path, error))?.is_none() {
        return Ok(None);
    }
    let parent = target.parent().unwrap_or(&target);
    let synced = jobs.env().sync_dir(parent).await;
    synced.map_err(|error| failure("flush directory", parent, error))?;
    Ok(Some(target))
}

/// What a directory is called until it is removed.
fn deleted_path<E: Env>(jobs: &Jobs<E>, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = u128::from(jobs.env().random()) << 64 | u128::from(jobs.env().random());
    let (topic, partition) = PartitionDirectory::parse(&name)
        .map_or_else(|| (name.to_string(), 0), |parsed| (parsed.topic, parsed.partition));
    let renamed = renamed_directory(&topic, partition, DirectoryUse::Delete, Uuid(unique));
    path.with_file_name(renamed)
}
