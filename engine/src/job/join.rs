//! Runs many futures of one kind at once, not more than a bound, and keeps their order.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Runs all of them, at most `at_once` at a time. The results are in the order of the futures.
pub async fn all<F: Future>(futures: Vec<F>, at_once: usize) -> Vec<F::Output> {
    let count = futures.len();
    let queue = RefCell::new(futures.into_iter().enumerate());
    let mut results: Vec<Option<F::Output>> = (0..count).map(|_| None).collect();
    let mut running: Vec<Option<(usize, Pin<Box<F>>)>> = Vec::new();
    for next in queue.borrow_mut().by_ref().take(at_once) {
        running.push(Some((next.0, Box::pin(next.1))));
    }
    poll_fn(|cx| {
        let mut is_done = true;
        for place in &mut running {
            while let Some((index, future)) = place {
                let Poll::Ready(result) = future.as_mut().poll(cx) else {
                    is_done = false;
                    break;
                };
                if let Some(slot) = results.get_mut(*index) {
                    *slot = Some(result);
                }
                *place = queue.borrow_mut().next().map(|(index, next)| (index, Box::pin(next)));
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, yield_now};
    use std::cell::Cell;

    #[test]
    fn order_is_kept_and_the_bound_holds() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let (running, most) = (&running, &most);
        let work = |i: usize| async move {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            for _ in 0..(i * 7 % 5) {
                yield_now().await;
            }
            running.set(running.get() - 1);
            i
        };
        let results = block_on(all((0..50).map(work).collect(), 4));
        assert_eq!(results, (0..50).collect::<Vec<_>>());
        assert!(most.get() <= 4);
        assert!(block_on(all(Vec::<std::future::Ready<()>>::new(), 4)).is_empty());
    }
}
