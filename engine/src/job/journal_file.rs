//! Journal files on disk: their names, how they are made, how they are read at the start.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{JobSettings, Jobs, damage, failure, found};
use crate::io::{DirEntry, Env, File, OpenMode};
use crate::journal::plan::FileId;
use crate::limits::{JOURNAL_FILE_BYTES, READ_BYTES_MAX};
use crate::memory::align_up;
use crate::shard::event::DiskFailure;
use crate::types::ShardId;

const PREFIX: &str = "millrace-journal-";
const RESERVE_PREFIX: &str = "millrace-reserve-";
/// No journal file is larger, whatever its length was in the past. Bytes.
const JOURNAL_FILE_BYTES_MAX: u64 = 1 << 30;

const _: () = assert!(JOURNAL_FILE_BYTES <= JOURNAL_FILE_BYTES_MAX);
const _: () = assert!(JOURNAL_FILE_BYTES.is_multiple_of(READ_BYTES_MAX as u64));

/// The name of a journal file. It stands in the log directory itself: Kafka tolerates files there,
/// but no directories.
#[must_use]
pub fn journal_name(shard: ShardId, file: FileId) -> String {
    format!("{PREFIX}{shard}-{file}")
}

/// Takes the name of a journal file apart; none if it is another file.
#[must_use]
pub fn parse_journal_name(name: &str) -> Option<(ShardId, FileId)> {
    let (shard, file) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let parsed = (shard.parse().ok()?, file.parse().ok()?);
    // "+1" and "01" would also parse.
    (journal_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// The path of one of a shard's journal files.
pub(super) fn journal_path(settings: &JobSettings, file: FileId) -> PathBuf {
    settings.log_dir.join(journal_name(settings.shard, file))
}

/// All journal files in a log directory, of all shards.
///
/// # Errors
/// If the directory cannot be read.
pub async fn list_journals<E: Env>(
    env: &E,
    log_dir: &Path,
) -> io::Result<Vec<(ShardId, FileId, PathBuf)>> {
    let of_entry = |entry: DirEntry| {
        let (shard, file) = parse_journal_name(&entry.name).filter(|_| !entry.is_dir)?;
        Some((shard, file, entry.path))
    };
    Ok(env.list_dir(log_dir).await?.into_iter().filter_map(of_entry).collect())
}

/// Reads a journal file whole.
///
/// # Errors
/// If it cannot be read; `InvalidData` if it is far larger than journal files are.
pub async fn read_journal<E: Env>(env: &E, path: &Path) -> io::Result<Bytes> {
    let file = env.open(path, OpenMode::ReadOnly).await?;
    let size = file.size().await?;
    if size > JOURNAL_FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the journal file is too large"));
    }
    // A file of the usual length in one read, without a copy: a start waits for it.
    let mut parts = Vec::new();
    let mut at = 0;
    while at < size {
        let len = align_up(size - at).min(JOURNAL_FILE_BYTES);
        let part = file.read_at(at, usize::try_from(len).unwrap_or(READ_BYTES_MAX)).await?;
        if part.is_empty() {
            break;
        }
        at += part.len() as u64;
        parts.push(part);
    }
    Ok(match parts.len() {
        1 => parts.swap_remove(0),
        _ => Bytes::from(parts.concat()),
    })
}

/// The file whose room is given back at a start that has to write what journals hold into segments: as
/// much as the shard's journal files together.
fn reserve_name(shard: ShardId) -> String {
    format!("{RESERVE_PREFIX}{shard}")
}

/// Whether this is the name of a file that only keeps room.
#[must_use]
pub fn is_reserve_name(name: &str) -> bool {
    name.strip_prefix(RESERVE_PREFIX).is_some_and(|shard| shard.parse::<ShardId>().is_ok())
}

/// Reserves as much room again as a shard's journal files have, so that a start from a full disk can
/// write what they hold into segments. Says how much was reserved before.
///
/// # Errors
/// If there is no room.
pub async fn reserve_room<E: Env>(
    env: &E,
    log_dir: &Path,
    shard: ShardId,
    more: u64,
) -> Result<u64, DiskFailure> {
    let path = log_dir.join(reserve_name(shard));
    let tell = |error| failure("reserve space in", &path, error);
    let file = match found(env.open(&path, OpenMode::ReadWrite).await).map_err(tell)? {
        Some(file) => file,
        None => {
            let file = env.open(&path, OpenMode::CreateNew).await.map_err(tell)?;
            env.sync_dir(log_dir).await.map_err(tell)?;
            file
        }
    };
    let before = file.size().await.map_err(tell)?;
    match file.allocate(before + more).await {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(before),
        Err(error) => {
            // What was reserved in part is of no use.
            file.truncate(before).await.map_err(tell)?;
            return Err(tell(error));
        }
        Ok(()) => {}
    }
    file.sync_data().await.map_err(tell)?;
    Ok(before)
}

/// Makes a journal file, with room for what it will hold in segments.
pub(super) async fn create<E: Env>(jobs: &Jobs<E>, file: FileId) -> Result<(), DiskFailure> {
    let (shard, log_dir) = (jobs.settings().shard, &jobs.settings().log_dir);
    let before = reserve_room(jobs.env(), log_dir, shard, JOURNAL_FILE_BYTES).await?;
    let created = create_file(jobs, file).await;
    if created.is_err() {
        let path = log_dir.join(reserve_name(shard));
        if let Ok(reserve) = jobs.env().open(&path, OpenMode::ReadWrite).await {
            let cut = reserve.truncate(before).await;
            cut.map_err(|error| failure("cut", &path, error))?;
        }
    }
    created
}

/// Makes a journal file: written in full under another name, so that a file with a journal's name is
/// always whole. Refuses to replace one, as it may be needed.
async fn create_file<E: Env>(jobs: &Jobs<E>, file: FileId) -> Result<(), DiskFailure> {
    let (env, path) = (jobs.env(), journal_path(jobs.settings(), file));
    match found(env.open(&path, OpenMode::ReadOnly).await) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(damage("create", &path, "there is a journal file of this name")),
        Err(error) => return Err(failure("create", &path, error)),
    }
    let temporary =
        jobs.settings().log_dir.join(format!("{}.tmp", journal_name(jobs.settings().shard, file)));
    let filled = fill(env, &temporary).await;
    if let Err(error) = filled {
        drop(env.remove_file(&temporary).await);
        return Err(failure("create", &temporary, error));
    }
    env.rename(&temporary, &path).await.map_err(|error| failure("create", &path, error))?;
    let log_dir = &jobs.settings().log_dir;
    env.sync_dir(log_dir).await.map_err(|error| failure("flush directory", log_dir, error))
}

/// Writes a file in full: a flush of blocks that were written before costs less than half of one that
/// also has to note where they are.
async fn fill<E: Env>(env: &E, path: &Path) -> io::Result<()> {
    found(env.remove_file(path).await)?;
    let file = env.open(path, OpenMode::CreateNew).await?;
    match file.allocate(JOURNAL_FILE_BYTES).await {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
        allocated => allocated?,
    }
    let mut at = 0;
    while at < JOURNAL_FILE_BYTES {
        let mut zeros = env.pool().buffer(READ_BYTES_MAX);
        zeros.as_mut_slice().fill(0);
        file.write_at(at, vec![zeros.into_piece()]).await?;
        at += READ_BYTES_MAX as u64;
    }
    file.sync_data().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(journal_name(3, 17), "millrace-journal-3-17");
        assert_eq!(parse_journal_name("millrace-journal-3-17"), Some((3, 17)));
        for bad in [
            "millrace-journal-3",
            "millrace-journal-3-17.tmp",
            "millrace-journal-+3-1",
            "millrace-journal-03-1",
            "millrace-journal--1",
            "millrace-journal-99999-1",
            "orders-0",
        ] {
            assert_eq!(parse_journal_name(bad), None, "{bad}");
        }
    }
}
