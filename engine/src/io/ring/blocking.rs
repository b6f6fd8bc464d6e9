//! A helper thread for the few calls that io_uring has no operation for (listing a directory,
//! removing a tree), so that they never stop the shard.

use std::cell::OnceCell;
use std::io;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::core::Ring;
use super::sys;

type Job = Box<dyn FnOnce() + Send>;

/// The helper of one shard. Its thread starts with the first job and ends with the shard.
#[derive(Debug)]
pub struct Blocking {
    ring: Ring,
    jobs: OnceCell<Sender<Job>>,
}

impl Blocking {
    /// A helper without a thread so far.
    #[must_use]
    pub fn new(ring: Ring) -> Self {
        Self { ring, jobs: OnceCell::new() }
    }

    fn jobs(&self) -> io::Result<&Sender<Job>> {
        if let Some(jobs) = self.jobs.get() {
            return Ok(jobs);
        }
        let (sender, receiver) = mpsc::channel::<Job>();
        thread::Builder::new().name("blocking".into()).spawn(move || {
            for job in receiver {
                job();
            }
        })?;
        Ok(self.jobs.get_or_init(|| sender))
    }

    /// Runs `job` on the helper thread. If the future is dropped the job still runs.
    ///
    /// # Errors
    /// No descriptor or no thread is left, or the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (result_sender, result) = mpsc::channel();
        let done = sys::eventfd()?;
        let mut signal = done.try_clone()?;
        let task = move || {
            let value = job();
            // The waiter may be gone.
            drop(result_sender.send(value));
            if let Err(error) = signal.write_all(&1_u64.to_ne_bytes()) {
                tracing::error!(%error, "the end of a blocking call could not be told");
            }
        };
        let lost = || io::Error::other("the helper thread for blocking calls is gone");
        self.jobs()?.send(Box::new(task)).map_err(|_| lost())?;
        loop {
            let (completion, _) = sys::read(&self.ring, done.as_raw_fd(), vec![0; 8], 0).await;
            if !completion.is_retry() {
                completion.count()?;
                return result.try_recv().map_err(|_| lost());
            }
        }
    }
}
