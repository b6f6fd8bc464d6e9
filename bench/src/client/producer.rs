//! One producing connection: sends what is due, matches answers to what was sent, and sends again what has to be.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::connection::Connection;
use super::journey::Journeys;
use super::packer::{Next, Packer, Part};
use super::schedule::Schedule;
use crate::batch::ready::Head;
use crate::batch::stamp::Stamp;
use crate::clock::Clock;
use crate::error;
use crate::measure::recorder::{Acked, Recorder};
use crate::measure::room::Room;
use crate::sys::Poll;
use crate::wire::produce::Format;
use crate::wire::writer::set_length;

/// Batch tails up to this size are copied beside their head: cheaper than two pieces.
const COPY_BYTES: usize = 2048;
/// How long to wait before a batch that was refused for the moment is sent again, nanoseconds.
const AGAIN_NS: u64 = 20_000_000;

/// A producer id with the next sequence of each partition (by slot).
#[derive(Clone, Debug)]
pub struct Identity {
    /// Producer id.
    pub id: i64,
    /// Producer epoch.
    pub epoch: i16,
    /// Next sequences.
    pub sequences: Vec<i32>,
}

/// What all producers of a run share.
#[derive(Clone)]
pub struct Shared {
    /// The clock.
    pub clock: Clock,
    /// Request format.
    pub format: Rc<Format>,
    /// Stamped into the batches.
    pub run: u32,
    /// Requests in flight per producer.
    pub in_flight: usize,
    /// Whether to go on after errors that pass and broken connections.
    pub persistent: bool,
}

/// A request on its way.
struct Sent {
    correlation: i32,
    sent_ns: u64,
    parts: Vec<(Part, i32)>,
}

/// A producing connection.
pub struct Producer {
    shared: Shared,
    index: u32,
    connection: Connection,
    schedule: Option<Schedule>,
    /// The partitions, by slot.
    slots: Rc<[i32]>,
    packer: Packer,
    sent: VecDeque<Sent>,
    /// To be sent again, once everything on its way has been answered.
    again: VecDeque<(Part, i32)>,
    again_ns: u64,
    identity: Option<Identity>,
    correlation: i32,
    /// Room for the next request.
    room: Room,
    stopped: bool,
    down: bool,
}

impl Producer {
    /// A producer over the partitions `slots`.
    pub fn new(
        shared: Shared,
        index: u32,
        connection: Connection,
        slots: Rc<[i32]>,
        packer: Packer,
        identity: Option<Identity>,
    ) -> Self {
        Self {
            shared,
            index,
            connection,
            schedule: None,
            slots,
            packer,
            sent: VecDeque::new(),
            again: VecDeque::new(),
            again_ns: 0,
            identity,
            correlation: 0,
            room: Room::default(),
            stopped: false,
            down: false,
        }
    }

    /// Sets when records are due; without a schedule it sends as fast as it can.
    pub fn plan(&mut self, schedule: Option<Schedule>) {
        self.schedule = schedule;
    }

    /// Stops sending; answers are still awaited.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether nothing is on its way, nor was due by `now_ns` and may still be sent.
    pub fn idle(&self, now_ns: u64) -> bool {
        let quiet = self.sent.is_empty() && self.again.is_empty() && self.connection.drained();
        quiet && (self.stopped || self.unsent(now_ns) == 0)
    }

    /// Records on their way.
    pub fn outstanding(&self) -> u64 {
        let parts = self.sent.iter().flat_map(|sent| &sent.parts).chain(&self.again);
        parts.map(|(part, _)| part.batch.count as u64).sum()
    }

    /// When the oldest unanswered request was sent.
    pub fn oldest_sent_ns(&self) -> Option<u64> {
        self.sent.front().map(|sent| sent.sent_ns)
    }

    /// Records that were due by `now_ns` and never sent.
    pub fn unsent(&self, now_ns: u64) -> u64 {
        let due = self.schedule.as_ref().map_or(0, |schedule| schedule.due_count(now_ns));
        due.saturating_sub(self.packer.given())
    }

    /// The schedule, to tell when a record of this producer was due.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    /// Sends what is due and fits. Returns when to come again (`u64::MAX`: an answer must come first).
    pub fn pump(&mut self, poll: &Poll, recorder: &mut Recorder) -> io::Result<u64> {
        if self.down {
            return Ok(u64::MAX);
        }
        let mut wake_ns = self.send_again();
        let mut queued = wake_ns == 0;
        while !self.stopped && self.again.is_empty() && self.sent.len() < self.shared.in_flight {
            let now_ns = self.shared.clock.now_ns();
            let (parts, ready_ns) = match self.packer.next(now_ns, self.schedule.as_ref()) {
                Next::Send(parts, ready_ns) => (parts, ready_ns),
                Next::At(at_ns) => {
                    wake_ns = at_ns;
                    break;
                }
            };
            let records: usize = parts.iter().map(|part| part.batch.count).sum();
            let parts = parts.into_iter().map(|part| self.number(part)).collect();
            self.enqueue(parts, now_ns);
            queued = true;
            if self.schedule.is_some() {
                recorder.sent(records as u64, ready_ns, &mut self.room, now_ns);
            }
            if self.shared.format.acks == 0 {
                break; // the write below is the acknowledgement
            }
        }
        if queued || !self.connection.drained() {
            self.connection.flush(poll)?;
        }
        if self.shared.format.acks == 0 && self.connection.drained() {
            let now_ns = self.shared.clock.now_ns();
            while let Some(sent) = self.sent.pop_front() {
                for (part, _) in &sent.parts {
                    self.answered(part, sent.sent_ns, now_ns, recorder);
                }
                recorder.produced(now_ns);
                wake_ns = 0;
            }
        }
        Ok(wake_ns)
    }

    /// Sends again what has to be, batch by batch, once nothing else is on its way. 0: something went out.
    fn send_again(&mut self) -> u64 {
        if self.again.is_empty() || !self.sent.is_empty() {
            return u64::MAX;
        }
        let now_ns = self.shared.clock.now_ns();
        if now_ns < self.again_ns {
            return self.again_ns;
        }
        while self.sent.len() < self.shared.in_flight
            && let Some(part) = self.again.pop_front()
        {
            self.enqueue(vec![part], now_ns);
        }
        0
    }

    /// Gives a batch its sequence.
    fn number(&mut self, part: Part) -> (Part, i32) {
        let Some(identity) = &mut self.identity else { return (part, -1) };
        let sequence = identity.sequences[part.slot];
        // Sequences wrap from the largest 32-bit number to zero.
        identity.sequences[part.slot] = sequence.wrapping_add(part.batch.count as i32) & i32::MAX;
        (part, sequence)
    }

    fn enqueue(&mut self, parts: Vec<(Part, i32)>, now_ns: u64) {
        let format = &self.shared.format;
        self.correlation = self.correlation.wrapping_add(1);
        let (producer_id, producer_epoch) =
            self.identity.as_ref().map_or((-1, -1), |identity| (identity.id, identity.epoch));
        let mut request = self.connection.request();
        format.put_head(self.correlation, parts.len(), &mut request.own);
        for (part, base_sequence) in &parts {
            let batch = &part.batch;
            let first = part.first();
            let due_ns = self.schedule.as_ref().map_or(now_ns, |schedule| schedule.due_ns(first));
            let head = Head {
                timestamp_ms: self.shared.clock.unix_ms(now_ns),
                producer_id,
                producer_epoch,
                base_sequence: *base_sequence,
                stamp: Stamp { run: self.shared.run, producer: self.index, first, due_ns },
            };
            format.put_partition(self.slots[part.slot], batch.batch_bytes(), &mut request.own);
            batch.put_front(&head, &mut request.own);
            let tail = batch.tail();
            if tail.len() <= COPY_BYTES {
                request.own.extend_from_slice(&batch.bytes[tail]);
            } else {
                request.share(&batch.bytes, tail);
            }
            format.end_partition(&mut request.own);
        }
        format.end(&mut request.own);
        let shared_bytes = request.shared_bytes();
        set_length(&mut request.own, 0, shared_bytes);
        self.connection.queue(request);
        self.sent.push_back(Sent { correlation: self.correlation, sent_ns: now_ns, parts });
    }

    /// Reads what has come. `false`: the broker closed the connection.
    pub fn receive(
        &mut self,
        recorder: &mut Recorder,
        journeys: &mut Journeys,
    ) -> io::Result<bool> {
        if !self.connection.fill()? {
            return Ok(false);
        }
        let now_ns = self.shared.clock.now_ns();
        let mut outcomes: Vec<(i32, i16, i64)> = Vec::new();
        while let Some(range) = self.connection.next_frame()? {
            outcomes.clear();
            let frame = self.connection.frame(range);
            let (correlation, _throttle_ms) = self
                .shared
                .format
                .read_answer(frame, |partition, code, offset| {
                    outcomes.push((partition, code, offset));
                })
                .map_err(io::Error::other)?;
            let full = self.sent.len() >= self.shared.in_flight;
            let sent = self.sent.pop_front().filter(|sent| sent.correlation == correlation);
            let Some(sent) = sent else {
                let text = format!("it answered request {correlation} out of turn");
                return Err(io::Error::other(text));
            };
            if full {
                self.room.opened(now_ns);
            }
            recorder.produced(now_ns);
            self.settle(sent, &outcomes, now_ns, (recorder, journeys));
        }
        Ok(true)
    }

    fn settle(
        &mut self,
        sent: Sent,
        outcomes: &[(i32, i16, i64)],
        now_ns: u64,
        (recorder, journeys): (&mut Recorder, &mut Journeys),
    ) {
        for (part, sequence) in sent.parts {
            let partition = self.slots[part.slot];
            let outcome = outcomes.iter().find(|outcome| outcome.0 == partition);
            let (code, offset) = outcome.map_or((-1, -1), |outcome| (outcome.1, outcome.2));
            if code == 0 || code == error::DUPLICATE_SEQUENCE_NUMBER {
                self.answered(&part, sent.sent_ns, now_ns, recorder);
                if journeys.follows() && offset >= 0 {
                    let dues = self.dues(&part, sent.sent_ns);
                    journeys.acknowledged(partition, offset, dues.into_iter(), recorder);
                }
                continue;
            }
            recorder.error(format!("produce: {}", error::name(code)));
            // What was sent behind a refused batch is out of sequence until that one is in.
            let behind = !self.again.is_empty() && error::sequence_unknown(code);
            if self.shared.persistent && (error::passing(code) || behind) {
                self.again.push_back((part, sequence));
                self.again_ns = now_ns + AGAIN_NS;
            }
        }
    }

    fn dues(&self, part: &Part, sent_ns: u64) -> Vec<(u64, u64)> {
        match &self.schedule {
            Some(schedule) => part.dues(schedule).map(|due_ns| (due_ns, 1)).collect(),
            None => vec![(sent_ns, part.batch.count as u64)],
        }
    }

    fn answered(&self, part: &Part, sent_ns: u64, acked_ns: u64, recorder: &mut Recorder) {
        let acked = Acked {
            records: part.batch.count as u64,
            bytes: part.batch.value_bytes,
            batch_bytes: part.batch.batch_bytes() as u64,
            sent_ns,
            acked_ns,
        };
        match &self.schedule {
            Some(schedule) => recorder.acked(&acked, part.dues(schedule).map(|due_ns| (due_ns, 1))),
            None => recorder.acked(&acked, std::iter::once((sent_ns, acked.records))),
        }
    }

    /// The connection is gone: what was on its way waits to be sent again.
    pub fn lose(&mut self) {
        self.down = true;
        let mut parts: VecDeque<_> = self.sent.drain(..).flat_map(|sent| sent.parts).collect();
        parts.append(&mut self.again);
        self.again = parts;
    }

    /// A new connection in place of the lost one.
    pub fn mend(&mut self, connection: Connection) {
        self.connection = connection;
        self.down = false;
        self.again_ns = 0;
    }
}
