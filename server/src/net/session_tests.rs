//! Sessions byte by byte: frames that are split, merged, cut, too long or none at all; the order of answers.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;

use millrace_engine::codec::Frame;
use proptest::prelude::*;

use super::*;
use crate::protocol::ApiKey;

const PRODUCE: ApiKey = ApiKey::Produce;

/// A frame of an API with so many bytes in all after the size, at least 2.
fn frame(api: ApiKey, len: usize) -> Vec<u8> {
    let mut body = api.code().to_be_bytes().to_vec();
    body.resize(len, 7);
    let mut frame = u32::try_from(len).unwrap().to_be_bytes().to_vec();
    frame.append(&mut body);
    frame
}

fn is_begin(next: &Next) -> bool {
    matches!(next, Next::Begin { .. })
}

/// An answer that is complete when its number is set.
struct Clerk {
    done: Rc<RefCell<Vec<bool>>>,
    polls: Rc<Cell<usize>>,
}

impl Clerk {
    fn new(count: usize) -> Self {
        Self { done: Rc::new(RefCell::new(vec![false; count])), polls: Rc::default() }
    }

    fn work(&self, number: usize) -> Work {
        let (done, polls) = (Rc::clone(&self.done), Rc::clone(&self.polls));
        Box::pin(poll_fn(move |_| {
            polls.set(polls.get() + 1);
            if done.borrow()[number] {
                let parts = vec![Bytes::from(vec![u8::try_from(number).unwrap()])];
                Poll::Ready(Outcome::Answer(Frame { parts, len: 1 }))
            } else {
                Poll::Pending
            }
        }))
    }

    fn finish(&self, number: usize) {
        self.done.borrow_mut()[number] = true;
    }
}

fn answers(session: &mut Session) -> Option<Vec<u8>> {
    let mut cx = Context::from_waker(Waker::noop());
    match session.poll_answers(&mut cx, 1000) {
        Poll::Ready(answers) => Some(answers.parts.concat()),
        Poll::Pending => None,
    }
}

#[test]
fn requests_are_framed_however_their_bytes_arrive() {
    let mut sent = Vec::new();
    for len in [2, 100, 3, 50] {
        sent.extend(frame(PRODUCE, len));
    }
    for step in [1, 2, 3, 7, 60, sent.len()] {
        let mut session = Session::new(1000);
        let mut lens = Vec::new();
        for chunk in sent.chunks(step) {
            session.receive(chunk);
            while let Next::Begin { frame, is_pipelined } = session.step().unwrap() {
                assert!(is_pipelined);
                lens.push(frame.len());
            }
        }
        assert_eq!(lens, [2, 100, 3, 50], "in steps of {step}");
        assert!(!session.has_partial_frame());
    }
}

#[test]
fn what_is_no_request_is_recognised_as_soon_as_it_can_be() {
    let too_large = FrameError::TooLarge { size: 1001, size_max: 1000 };
    for (bytes, error) in [
        (&[0xff, 0xff, 0xff, 0xff][..], SessionError::Frame(FrameError::Negative(-1))),
        (&[0, 0, 3, 0xe9], SessionError::Frame(too_large)),
        (&[0x16, 0x03, 0x01, 0x02], SessionError::Tls),
        (b"GET ", SessionError::Http),
        (b"POST", SessionError::Http),
    ] {
        let mut session = Session::new(1000);
        session.receive(&bytes[..3]);
        assert_eq!(session.step(), Ok(Next::Receive));
        session.receive(&bytes[3..]);
        assert_eq!(session.step(), Err(error), "{bytes:?}");
    }
    // Later in a connection the same bytes are a size like any other.
    let mut session = Session::new(usize::MAX);
    session.receive(&frame(PRODUCE, 2));
    assert!(is_begin(&session.step().unwrap()));
    session.receive(b"GET ");
    assert!(matches!(session.step(), Ok(Next::ReceiveDirect { .. })));
}

#[test]
fn memory_for_a_large_frame_grows_with_what_has_come() {
    let whole = 100 << 20;
    let mut session = Session::new(whole);
    session.receive(&u32::try_from(whole).unwrap().to_be_bytes());
    let mut received = 4;
    while let Next::ReceiveDirect { whole } = session.step().unwrap() {
        let capacity = session.capacity_for(whole, 0);
        assert!(capacity <= (received * FRAME_GROWTH).max(FRAME_RESERVE_BYTES), "{received}");
        // What is in the kernel has come, too, whatever of it is of the next frame.
        let with_waiting = session.capacity_for(whole, 100_000);
        assert_eq!(with_waiting, whole.min((received + 100_000) * FRAME_GROWTH), "{received}");
        assert_eq!(session.capacity_for(whole, usize::MAX), whole);
        let (mut memory, count) = session.lend(capacity);
        assert!(memory.capacity() <= capacity.max(received) && count > 0);
        assert!(count <= memory.capacity() - memory.len());
        memory.extend_from_slice(&vec![0; count]);
        received += count;
        session.take_back(memory);
    }
    assert!(received > whole - DIRECT_RECEIVE_BYTES);
    session.receive(&vec![0; whole + 4 - received]);
    assert!(is_begin(&session.step().unwrap()));
}

#[test]
fn produce_is_pipelined_and_nothing_else() {
    let clerk = Clerk::new(4);
    let mut session = Session::new(1000);
    for api in [PRODUCE, PRODUCE, ApiKey::Metadata, PRODUCE] {
        session.receive(&frame(api, 10));
    }
    for number in 0..2 {
        let next = session.step().unwrap();
        assert!(is_begin(&next), "{next:?}");
        session.push(clerk.work(number), 10, true);
    }
    assert_eq!(session.step(), Ok(Next::Wait), "metadata waits for the produces");
    clerk.finish(1);
    assert_eq!(answers(&mut session), None, "the first must be answered first");
    clerk.finish(0);
    assert_eq!(answers(&mut session), Some(vec![0, 1]), "both in one send");
    assert!(is_begin(&session.step().unwrap()));
    session.push(clerk.work(2), 10, false);
    assert_eq!(session.step(), Ok(Next::Wait), "a produce waits for the metadata");
    clerk.finish(2);
    assert_eq!(answers(&mut session), Some(vec![2]));
    assert!(is_begin(&session.step().unwrap()));
    assert!(session.is_quiet());
}

#[test]
fn requests_in_flight_are_bounded() {
    let clerk = Clerk::new(PIPELINED_REQUESTS_MAX + 1);
    let mut session = Session::new(usize::MAX);
    for number in 0..=PIPELINED_REQUESTS_MAX {
        session.receive(&frame(PRODUCE, 10));
        let is_room = number < PIPELINED_REQUESTS_MAX;
        let next = session.step().unwrap();
        assert_eq!(is_begin(&next), is_room, "{number}");
        if is_room {
            session.push(clerk.work(number), 10, true);
        }
    }
    clerk.finish(0);
    assert_eq!(answers(&mut session), Some(vec![0]));
    assert!(is_begin(&session.step().unwrap()));
    session.push(clerk.work(1), PIPELINED_BYTES_MAX, true);
    clerk.finish(1);
    assert!(answers(&mut session).is_some());
    session.receive(&frame(PRODUCE, 10));
    assert_eq!(session.step(), Ok(Next::Wait), "bytes are bounded too");
}

#[test]
fn silence_and_closing_keep_their_place() {
    let clerk = Clerk::new(2);
    let mut session = Session::new(1000);
    session.push(clerk.work(0), 1, true);
    session.push(Box::pin(std::future::ready(Outcome::Silence)), 1, true);
    let refusal = Refusal::Unacknowledged("x".to_owned());
    session.push(Box::pin(std::future::ready(Outcome::Close(refusal.clone()))), 1, true);
    session.push(clerk.work(1), 1, true);
    clerk.finish(0);
    clerk.finish(1);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(answers) = session.poll_answers(&mut cx, 1000) else { panic!("ready") };
    assert_eq!((answers.parts.concat(), answers.released), (vec![0], 3));
    assert_eq!(answers.refusal, Some(refusal));
}

proptest! {
    #[test]
    fn answers_come_in_the_order_of_requests(
        finished in proptest::sample::subsequence((0..20_usize).collect::<Vec<_>>(), 20),
        order in Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let clerk = Clerk::new(20);
        let mut session = Session::new(1000);
        for number in 0..20 {
            session.push(clerk.work(number), 1, true);
        }
        let mut got = Vec::new();
        for number in order {
            if finished.contains(&number) {
                clerk.finish(number);
            }
            got.extend(answers(&mut session).unwrap_or_default());
        }
        let expected: Vec<_> = (0..20).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn garbage_never_panics(bytes: Vec<u8>, steps in proptest::collection::vec(1..50_usize, 1..20)) {
        let mut session = Session::new(100_000);
        let mut at = 0;
        for step in steps {
            let end = (at + step).min(bytes.len());
            session.receive(&bytes[at..end]);
            at = end;
            while let Ok(Next::Begin { .. }) = session.step() {}
        }
    }
}
