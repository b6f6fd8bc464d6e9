//! Several operations under way at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A future, until it has ended in its output.
enum State<F: Future> {
    Running(Pin<Box<F>>),
    Ended(F::Output),
}

/// Waits for all of them. The outputs stand in the order of the futures.
pub async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut states: Vec<State<F>> =
        futures.into_iter().map(|future| State::Running(Box::pin(future))).collect();
    poll_fn(|cx| {
        let mut is_running = false;
        for state in &mut states {
            if let State::Running(future) = state {
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => *state = State::Ended(output),
                    Poll::Pending => is_running = true,
                }
            }
        }
        if is_running { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let ended = states.into_iter().filter_map(|state| match state {
        State::Ended(output) => Some(output),
        State::Running(_) => None,
    });
    ended.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, yield_now};
    use std::cell::RefCell;

    #[test]
    fn all_are_under_way_and_come_back_in_order() {
        let begun = RefCell::new(Vec::new());
        let one = async |n: usize| {
            begun.borrow_mut().push(n);
            for _ in 0..3 - n {
                yield_now().await;
            }
            // Nobody has ended before everybody has begun.
            assert_eq!(begun.borrow().len(), 3);
            n
        };
        assert_eq!(block_on(together((0..3).map(one))), [0, 1, 2]);
        assert_eq!(block_on(together(Vec::<std::future::Ready<()>>::new())).len(), 0);
    }
}
