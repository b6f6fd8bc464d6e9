//! Makes a turn's appends durable through the journal.

use super::journal_file::journal_path;
use super::{Jobs, failure};
use crate::io::{Env, File};
use crate::shard::event::{Commit, DiskFailure};

/// Writes the entry, and flushes it if acknowledgements wait for that.
pub(super) async fn commit<E: Env>(jobs: &Jobs<E>, commit: Commit) -> Result<(), DiskFailure> {
    let Commit { journal, is_flushed } = commit;
    let path = journal_path(jobs.settings(), journal.place.file);
    let file = jobs.0.files.journal(journal.place.file, &path).await?;
    let written = file.write_at(journal.place.position, journal.pieces).await;
    written.map_err(|error| failure("write", &path, error))?;
    if is_flushed && !plant!(AckBeforeFlush) {
        let flushed = file.sync_data().await;
        if !plant!(IgnoreFailedFlush) {
            flushed.map_err(|error| failure("flush", &path, error))?;
        }
    }
    Ok(())
}
