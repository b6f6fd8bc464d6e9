//! Taking jobs up in the order in which the shard asks for them, and doing them.

use super::dirs::{DirEnd, DirUse};
use super::gate::Entering;
use super::newest::Wish;
use super::write::Depth;
use super::{
    Jobs, checkpoints, commit, flush, journal_file, open, read, read_log, remove, scrub, seal,
    search, waypoints,
};
use crate::io::Env;
use crate::shard::event::{DiskFailure, Event, Job};

/// A job that has its place in all orders that matter.
pub struct Accepted {
    job: Job,
    place: Place,
    _running: Running,
}

/// What a job holds from the moment in which it was accepted.
enum Place {
    None,
    Dir(DirUse),
    End(DirEnd),
    Epochs(DirUse, Wish),
    Offsets(Wish),
    /// The lives of directories.
    Lives(Vec<u64>),
    Retirement(DirUse, Entering),
}

/// Counts a job as running.
pub(super) struct Running(Box<dyn Fn()>);

impl Drop for Running {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<E: Env> Jobs<E> {
    fn begin(&self) -> Running {
        self.0.running.set(self.0.running.get() + 1);
        let jobs = self.clone();
        Running(Box::new(move || {
            jobs.0.running.set(jobs.0.running.get() - 1);
            jobs.env().notify();
        }))
    }

    /// Takes a job up. To be called at once and in order; does no I/O.
    #[must_use]
    pub fn accept(&self, job: Job) -> Accepted {
        let dirs = &self.0.dirs;
        let place = match &job {
            Job::Seal { dir, seal } => {
                let dir = dirs.enter(dir);
                self.0.indexes.sealed(&dir, seal);
                Place::Dir(dir)
            }
            Job::Flush { dir, .. }
            | Job::Read { dir, .. }
            | Job::Search { dir, .. }
            | Job::ReadLog { dir, .. } => Place::Dir(dirs.enter(dir)),
            Job::Retire { dir, .. } => {
                let dir = dirs.enter(dir);
                let entering = dir.retirements.enter();
                Place::Retirement(dir, entering)
            }
            Job::Open(open) => Place::Dir(dirs.enter(&open.dir)),
            Job::Remove { dir, .. } => Place::End(dirs.end(dir)),
            Job::Commit(_) | Job::CreateJournalFile(_) => Place::None,
            Job::WriteEpochs { dir, .. } => {
                let dir = dirs.enter(dir);
                let wish = dir.epochs.wish();
                Place::Epochs(dir, wish)
            }
            Job::Scrub { logs, .. } => {
                Place::Lives(logs.iter().map(|log| dirs.enter(&log.dir).id).collect())
            }
            Job::WriteWaypoints(_) => Place::Offsets(self.0.offsets.waypoints.wish()),
            Job::WriteOffsets { file, .. } => Place::Offsets(self.0.offsets.of(*file).wish()),
        };
        Accepted { job, place, _running: self.begin() }
    }

    /// Does a job. Most end in one event; a log that is read ends in several, and jobs with nothing
    /// to tell in none, unless they fail.
    pub async fn run_accepted(&self, accepted: Accepted, emit: &dyn Fn(Event)) {
        let Accepted { job, place, _running: running } = accepted;
        let event = match (job, place) {
            (Job::Commit(commit), _) => Some(Event::Committed(commit::commit(self, commit).await)),
            (Job::Flush { partition, writes, is_trimmed, is_flushed, .. }, Place::Dir(dir)) => {
                let depth = Depth { is_flushed, is_trimmed };
                Some(flush::flush(self, &dir, partition, writes, depth).await)
            }
            (Job::Seal { seal, .. }, Place::Dir(dir)) => {
                unless_gone(&dir, seal::seal(self, &dir, seal).await)
            }
            (Job::Open(request), Place::Dir(dir)) => {
                let partition = request.partition;
                let result = open::open(self, &dir, *request).await.map(Box::new);
                Some(Event::Opened { partition, result })
            }
            (Job::Read { read, slot, plan, .. }, Place::Dir(dir)) => {
                let result = read::read(self, &dir, plan).await;
                Some(Event::ReadDone { read, slot, result })
            }
            (Job::Search { query, slot, cold, here, timestamp, .. }, Place::Dir(dir)) => {
                let result = search::search(self, &dir, &cold, &here, timestamp).await;
                Some(Event::SearchDone { query, slot, result })
            }
            (Job::Retire { segments, at, .. }, Place::Retirement(dir, entering)) => {
                let result = remove::retire(self, (dir, entering), &segments, at, running).await;
                result.err().map(Event::JobFailed)
            }
            (Job::Remove { at, .. }, Place::End(end)) => {
                remove::remove(self, end, at, running, emit).await;
                None
            }
            (Job::CreateJournalFile(file), _) => {
                let result = journal_file::create(self, file).await;
                Some(Event::JournalFile { file, result })
            }
            (Job::ReadLog { partition, segments, .. }, Place::Dir(dir)) => {
                read_log::read_log(self, &dir, partition, &segments, emit).await;
                None
            }
            (Job::WriteEpochs { text, .. }, Place::Epochs(dir, wish)) => {
                let result = checkpoints::write_epochs(self, &dir, wish, text).await;
                unless_gone(&dir, result)
            }
            (Job::Scrub { logs, bytes_per_second }, Place::Lives(lives)) => {
                // It takes its time: neither the broker nor anybody else waits for it.
                drop(running);
                let done = scrub::Scrub::new(self, bytes_per_second).run(logs, &lives).await;
                Some(Event::Scrubbed(done))
            }
            (Job::WriteOffsets { file, entries, is_awaited }, Place::Offsets(wish)) => {
                match checkpoints::write_offsets(self, file, wish, entries).await {
                    Ok(is_written) => (is_written && is_awaited).then_some(Event::OffsetsWritten),
                    Err(failure) => Some(Event::JobFailed(failure)),
                }
            }
            (Job::WriteWaypoints(content), Place::Offsets(wish)) => {
                let result = waypoints::write_waypoints(self, wish, content).await;
                result.err().map(Event::JobFailed)
            }
            // `accept` gives every job the place it needs.
            _ => None,
        };
        if let Some(event) = event {
            emit(event);
        }
    }
}

/// What is told of a job without an event of its own.
fn unless_gone(dir: &DirUse, result: Result<(), DiskFailure>) -> Option<Event> {
    result.err().filter(|_| !dir.is_gone()).map(Event::JobFailed)
}
