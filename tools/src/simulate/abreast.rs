//! Several runs at a time, each in a thread of its own, as a simulated world is in one thread. What comes of
//! them is taken in their order, so that it does not depend on which is the faster.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, available_parallelism, scope};

/// As many threads as there are processors for.
pub fn threads() -> NonZero<usize> {
    available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Sets everything that is planted here in another thread.
#[cfg(feature = "plants")]
fn planting() -> impl FnOnce() + Send {
    let planted = millrace_engine::plants::planted();
    move || millrace_engine::plants::plant(planted)
}

/// Nothing is planted.
#[cfg(not(feature = "plants"))]
fn planting() -> impl FnOnce() + Send {
    || {}
}

/// What a thread has done: whose, which job, and what came of it.
struct Done<T> {
    thread: usize,
    job: usize,
    result: std::thread::Result<T>,
}

/// Does `jobs` with `work`, so many at a time, and hands what comes of each to `take`, in the order of the
/// jobs, until it does not want any more.
///
/// # Errors
/// Those of `take`.
pub fn abreast<J: Send, T: Send, E>(
    threads: NonZero<usize>,
    jobs: impl IntoIterator<Item = J>,
    work: impl Fn(J) -> T + Sync,
    mut take: impl FnMut(T) -> Result<bool, E>,
) -> Result<(), E> {
    let mut jobs = jobs.into_iter().enumerate();
    scope(|scope| {
        let (sender, results) = channel();
        let start = |thread| begin(scope, thread, &work, sender.clone());
        let askers: Vec<Sender<(usize, J)>> = (0..threads.get()).map(start).collect();
        let mut running = 0;
        let mut ask = |thread: usize, running: &mut usize| {
            if let Some(job) = jobs.next() {
                askers[thread].send(job).expect("a thread waits as long as it may be asked");
                *running += 1;
            }
        };
        (0..threads.get()).for_each(|thread| ask(thread, &mut running));
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        while running > 0 {
            let done: Done<T> = results.recv().expect("this end has a sender too");
            running -= 1;
            waiting.insert(done.job, done.result);
            while let Some(result) = waiting.remove(&next) {
                next += 1;
                if !take(result.unwrap_or_else(|panic| resume_unwind(panic)))? {
                    return Ok(());
                }
            }
            ask(done.thread, &mut running);
        }
        Ok(())
    })
}

/// Starts a thread that does one job after the other, as long as anybody may ask it to.
fn begin<'scope, J: Send + 'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    thread: usize,
    work: &'scope (impl Fn(J) -> T + Sync),
    results: Sender<Done<T>>,
) -> Sender<(usize, J)> {
    let (asker, asked): (_, Receiver<(usize, J)>) = channel();
    let plant = planting();
    scope.spawn(move || {
        plant();
        for (job, what) in asked {
            let result = catch_unwind(AssertUnwindSafe(|| work(what)));
            // Nobody listens any more if enough has been taken.
            if results.send(Done { thread, job, result }).is_err() {
                return;
            }
        }
    });
    asker
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_is_done_abreast_is_taken_in_order_until_it_is_enough() {
        for threads in [1, 2, 5].map(|threads| NonZero::new(threads).unwrap()) {
            let mut taken = Vec::new();
            let slow_one =
                |job: u64| (0..(job % 7) * 10_000).fold(job, |sum, _| std::hint::black_box(sum));
            abreast(threads, 0.., slow_one, |job| {
                taken.push(job);
                Ok::<_, Infallible>(taken.len() < 100)
            })
            .unwrap();
            assert_eq!(taken, (0..100).collect::<Vec<_>>());
            let mut all = Vec::new();
            abreast(threads, 0..3, slow_one, |job| {
                all.push(job);
                Ok::<_, Infallible>(true)
            })
            .unwrap();
            assert_eq!(all, [0, 1, 2]);
        }
    }

    #[test]
    fn a_panic_and_an_error_end_it() {
        let work = |job: u64| assert!(job < 5, "it is {job}");
        let all = || abreast(threads(), 0.., work, |()| Ok::<_, Infallible>(true));
        assert!(catch_unwind(AssertUnwindSafe(all)).is_err());
        assert_eq!(
            abreast(threads(), 0.., |job| job, |job| if job < 3 { Ok(true) } else { Err(job) }),
            Err(3)
        );
    }
}
