//! One consuming connection: keeps one fetch in flight over its partitions and times what arrives.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::connection::Connection;
use super::journey::Journeys;
use super::schedule::Schedule;
use crate::batch::record::Records;
use crate::batch::stamp::Stamp;
use crate::batch::walk::{Batch, Batches};
use crate::clock::Clock;
use crate::error;
use crate::measure::recorder::Recorder;
use crate::sys::Poll;
use crate::wire::fetch::{Format, Session};

/// Where a consumer is in one partition.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Next offset to ask for.
    pub offset: i64,
    /// Where to go back to at `rewind_at`.
    pub rewind_to: i64,
    /// Offset at which reading starts over; `i64::MAX` for never.
    pub rewind_at: i64,
}

/// A consuming connection.
pub struct Consumer {
    clock: Clock,
    format: Rc<Format>,
    connection: Connection,
    run: u32,
    places: BTreeMap<i32, Place>,
    session: Session,
    /// Partitions whose offset the session does not know yet.
    changed: Vec<(i32, i64)>,
    waiting: bool,
    correlation: i32,
    /// When the outstanding fetch was sent.
    asked_ns: u64,
    /// Most bytes per second it reads; `None`: as fast as they come.
    rate: Option<f64>,
    /// When the next fetch may go out.
    free_ns: u64,
    down: bool,
}

impl Consumer {
    /// A consumer of the given places.
    pub fn new(
        clock: Clock,
        format: Rc<Format>,
        connection: Connection,
        run: u32,
        places: BTreeMap<i32, Place>,
        rate: Option<f64>,
    ) -> Self {
        Self {
            clock,
            format,
            connection,
            run,
            places,
            session: Session { id: 0, epoch: 0 },
            changed: Vec::new(),
            waiting: false,
            correlation: 0,
            asked_ns: 0,
            rate,
            free_ns: 0,
            down: false,
        }
    }

    /// When the unanswered fetch was sent.
    pub fn oldest_sent_ns(&self) -> Option<u64> {
        self.waiting.then_some(self.asked_ns)
    }

    /// Its partitions and the next offset of each.
    pub fn offsets(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.places.iter().map(|(partition, place)| (*partition, place.offset))
    }

    /// When it may fetch again (`u64::MAX`: an answer must come first).
    pub fn wake_ns(&self) -> u64 {
        if self.waiting || self.down { u64::MAX } else { self.free_ns }
    }

    /// The connection is gone.
    pub fn lose(&mut self) {
        self.down = true;
        self.waiting = false;
        self.session = Session { id: 0, epoch: 0 };
    }

    /// A new connection in place of the lost one.
    pub fn mend(&mut self, connection: Connection) {
        self.connection = connection;
        self.down = false;
    }

    /// Sends the next fetch if none is out.
    pub fn pump(&mut self, poll: &Poll) -> io::Result<()> {
        if self.down {
            return Ok(());
        }
        let free = self.rate.is_none() || self.clock.now_ns() >= self.free_ns;
        if !self.waiting && free && !self.places.is_empty() {
            let full = self.session.id == 0 || self.session.epoch == 0;
            if full {
                self.changed.clear();
                self.changed.extend(self.places.iter().map(|(id, place)| (*id, place.offset)));
            }
            self.correlation = self.correlation.wrapping_add(1);
            let mut request = self.connection.request();
            self.format.put_request(
                self.correlation,
                self.session,
                &self.changed,
                &mut request.own,
            );
            self.changed.clear();
            self.connection.queue(request);
            self.waiting = true;
            self.asked_ns = self.clock.now_ns();
            self.connection.flush(poll)?;
        } else if !self.connection.drained() {
            self.connection.flush(poll)?;
        }
        Ok(())
    }

    /// Reads what has come. `false`: the broker closed the connection. `due` tells when a producer's record was due.
    pub fn receive<'s>(
        &mut self,
        (recorder, journeys): (&mut Recorder, &mut Journeys),
        due: impl Fn(u32) -> Option<&'s Schedule>,
    ) -> io::Result<bool> {
        if !self.connection.fill()? {
            return Ok(false);
        }
        while let Some(range) = self.connection.next_frame()? {
            let now_ns = self.clock.now_ns();
            let Self { format, connection, places, changed, run, .. } = self;
            let mut errors = Vec::new();
            let mut bytes = 0;
            let summary = format
                .read_answer(connection.frame(range), |fetched| {
                    let Some(place) = places.get_mut(&fetched.partition) else { return };
                    if fetched.error != 0 {
                        errors.push(fetched.error);
                        if fetched.error == error::OFFSET_OUT_OF_RANGE {
                            place.offset = fetched.log_start_offset.max(place.rewind_to).max(0);
                            changed.push((fetched.partition, place.offset));
                        }
                        return;
                    }
                    let before = place.offset;
                    bytes += fetched.records.len();
                    let arrival = Arrival { run: *run, now_ns, partition: fetched.partition };
                    arrival.read(fetched.records, place, (recorder, journeys), &due);
                    if place.offset >= place.rewind_at {
                        place.offset = place.rewind_to;
                    }
                    if place.offset != before {
                        changed.push((fetched.partition, place.offset));
                    }
                })
                .map_err(io::Error::other)?;
            if !self.waiting || summary.correlation != self.correlation {
                let text = format!("it answered request {} out of turn", summary.correlation);
                return Err(io::Error::other(text));
            }
            self.waiting = false;
            if let Some(rate) = self.rate {
                self.free_ns = self.free_ns.max(self.asked_ns) + (bytes as f64 / rate * 1e9) as u64;
            }
            recorder.fetched(now_ns);
            self.session = match (summary.error, summary.session) {
                (0, 0) => Session { id: 0, epoch: 0 },
                (0, id) => Session { id, epoch: (self.session.epoch % i32::MAX) + 1 },
                (code, _) => {
                    errors.push(code);
                    Session { id: 0, epoch: 0 }
                }
            };
            for code in errors {
                recorder.error(format!("fetch: {}", error::name(code)));
            }
        }
        Ok(true)
    }
}

/// One moment of arrival.
struct Arrival {
    run: u32,
    now_ns: u64,
    partition: i32,
}

impl Arrival {
    fn read<'s>(
        &self,
        records: &[u8],
        place: &mut Place,
        (recorder, journeys): (&mut Recorder, &mut Journeys),
        due: &impl Fn(u32) -> Option<&'s Schedule>,
    ) {
        for batch in Batches::new(records) {
            if batch.next_offset() <= place.offset {
                continue; // stands before the offset asked for
            }
            place.offset = batch.next_offset();
            let count = u64::from(batch.count().unsigned_abs());
            let batch_bytes = batch.bytes().len() as u64;
            recorder.consumed(count, value_bytes(&batch), batch_bytes, self.now_ns);
            if place.rewind_at != i64::MAX {
                continue; // old records have no arrival time worth knowing
            }
            if journeys.follows() {
                journeys.arrived(self.partition, batch.base_offset(), self.now_ns, recorder);
                continue;
            }
            let stamp = batch.first_value().and_then(Stamp::decode);
            let Some(stamp) = stamp.filter(|stamp| stamp.run == self.run) else { continue };
            match due(stamp.producer) {
                Some(schedule) => {
                    for number in stamp.first..stamp.first + count {
                        recorder.arrived(schedule.due_ns(number), 1, self.now_ns);
                    }
                }
                None => recorder.arrived(stamp.due_ns, count, self.now_ns),
            }
        }
    }
}

/// Value bytes of a batch; of a compressed one, its bytes as they came.
fn value_bytes(batch: &Batch<'_>) -> u64 {
    if batch.compressed() {
        return batch.bytes().len() as u64;
    }
    Records::new(batch.body()).map(|record| record.value.map_or(0, <[u8]>::len) as u64).sum()
}
