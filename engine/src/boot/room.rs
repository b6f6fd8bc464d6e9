//! Room on the disk that is kept for a start: given back first, so that a full disk does not stand in
//! the way of it, and reserved again as soon as that can be.

use std::path::Path;

use super::inherit::Inherited;
use super::{BootError, EngineSettings};
use crate::io::{DirEntry, Env, File, OpenMode};
use crate::job::journal_file::{is_reserve_name, journal_name, reserve_room};
use crate::limits::{JOURNAL_FILE_BYTES, METADATA_ROOM_BYTES};
use crate::log::files::{FileKind, LogFile};
use crate::log::segment::OpenSegment;
use crate::memory::align_up;
use crate::shard::Inheritance;
use crate::types::ShardId;

/// Gives back what the last run kept.
pub(super) async fn give_back<E: Env>(
    env: &E,
    log_dir: &Path,
    entries: &[DirEntry],
) -> Result<(), BootError> {
    for entry in entries.iter().filter(|entry| is_reserve_name(&entry.name)) {
        let path = entry.path.clone();
        env.remove_file(&path).await.map_err(|source| BootError::Io { path, source })?;
    }
    let path = log_dir.to_owned();
    env.sync_dir(log_dir).await.map_err(|source| BootError::Io { path, source })
}

/// Reserves room for the journal files that are used again; those for which there is none go.
pub(super) async fn reserve_again<E: Env>(
    env: &E,
    settings: &EngineSettings,
    shards: &mut [Inheritance],
    inherited: &mut Inherited,
) -> Result<(), BootError> {
    for (shard, inheritance) in (0 as ShardId..).zip(shards) {
        let log_dir = settings.log_dir_of(shard);
        let bytes = inheritance.reusable.len() as u64 * JOURNAL_FILE_BYTES;
        if bytes == 0 {
            continue;
        }
        match reserve_room(env, log_dir, shard, bytes).await {
            Ok(_) => {}
            Err(failure) if failure.is_full => {
                tracing::warn!(%failure, shard, "the disk is full: the journal begins anew");
                let files = std::mem::take(&mut inheritance.reusable);
                let paths = files.iter().map(|file| log_dir.join(journal_name(shard, *file)));
                inherited.old_journals.extend(paths);
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

/// Reserves room behind the end of the metadata log, if it has a file.
pub(super) async fn reserve_behind<E: Env>(
    env: &E,
    dir: &Path,
    active: &mut OpenSegment,
) -> Result<(), BootError> {
    let path = dir.join(LogFile::live(active.base_offset, FileKind::Log).to_string());
    let tell = |source| BootError::Io { path: path.clone(), source };
    let file = match env.open(&path, OpenMode::ReadWrite).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(tell)?,
    };
    let len = align_up(active.bytes()) + METADATA_ROOM_BYTES;
    match file.allocate(len).await {
        Ok(()) => active.allocated = len,
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            tracing::warn!(path = %path.display(), %error,
                "there is no room to keep behind the metadata log: deletions may fail");
        }
        Err(error) => return Err(tell(error)),
    }
    Ok(())
}
