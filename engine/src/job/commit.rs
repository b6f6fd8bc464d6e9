//! Makes a turn's appends durable: the journal entry and the writes straight to segments, all at once.

use futures_lite::future;

use super::bounds::DIRECT_AT_ONCE;
use super::dirs::DirUse;
use super::journal_file::journal_path;
use super::write::Depth;
use super::{Jobs, failure, join};
use crate::io::{Env, File};
use crate::shard::event::{Commit, DiskFailure, Event, JournalWrite};

/// Runs a commit; `dirs` are those of its direct writes.
pub(super) async fn commit<E: Env>(jobs: &Jobs<E>, commit: Commit, dirs: Vec<DirUse>) -> Event {
    let Commit { journal, direct, is_flushed } = commit;
    let depth = Depth { is_flushed, is_trimmed: false };
    let journal = async {
        match journal {
            Some(write) => write_journal(jobs, write, is_flushed).await,
            None => Ok(()),
        }
    };
    if direct.is_empty() {
        return Event::Committed { journal: journal.await, direct: Vec::new() };
    }
    let direct = direct.into_iter().zip(&dirs).map(|(direct, dir)| async move {
        (direct.partition, jobs.write_segments(dir, direct.writes, depth).await)
    });
    let (journal, direct) =
        future::zip(journal, join::all(direct.collect(), DIRECT_AT_ONCE)).await;
    Event::Committed { journal, direct }
}

async fn write_journal<E: Env>(
    jobs: &Jobs<E>,
    write: JournalWrite,
    is_flushed: bool,
) -> Result<(), DiskFailure> {
    let path = journal_path(jobs.settings(), write.place.file);
    let file = jobs.0.files.journal(write.place.file, &path).await?;
    let position = write.place.position;
    let written = file.write_at(position, vec![write.piece]).await;
    written.map_err(|error| failure("write", &path, error))?;
    if is_flushed {
        file.sync_data().await.map_err(|error| failure("flush", &path, error))?;
    }
    Ok(())
}
