//! Makes a turn's appends durable through the journal.

use super::journal_file::journal_path;
use super::{Jobs, failure};
use crate::io::{Env, File};
use crate::shard::event::{Commit, DiskFailure, JournalWrite};

/// Writes the entry, and flushes it if acknowledgements wait for that.
pub(super) async fn commit<E: Env>(jobs: &Jobs<E>, commit: Commit) -> Result<(), DiskFailure> {
    let Commit { journal: JournalWrite { place, pieces }, is_flushed } = commit;
    let path = journal_path(jobs.settings(), place.file);
    let file = jobs.0.files.journal(place.file, &path).await?;
    if !is_flushed || plant!(AckBeforeFlush) {
        let written = file.write_at(place.position, pieces).await;
        return written.map_err(|error| failure("write", &path, error));
    }
    if plant!(IgnoreFailedFlush) {
        let written = file.write_at(place.position, pieces).await;
        drop(file.sync_data().await);
        return written.map_err(|error| failure("write", &path, error));
    }
    let durable = file.write_durably(place.position, pieces).await;
    durable.map_err(|error| failure("write or flush", &path, error))
}
