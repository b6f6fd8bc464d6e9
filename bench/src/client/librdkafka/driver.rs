//! The loop of a run through librdkafka: paces the producers, and records what the instances tell.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

use super::consumer::{Reader, Task, begin_group};
use super::event::{self, Event, Teller};
use super::producer::{Producer, Shared, Values};
use super::requests::Requests;
use crate::batch::stamp::STAMP_BYTES;
use crate::client::course::{Course, Turn, awaits_arrivals};
use crate::client::driver::{RunError, begin, run_number};
use crate::client::journey::Journeys;
use crate::client::outcome::Outcome;
use crate::client::schedule::Schedule;
use crate::client::setup::Target;
use crate::client::workforce::places;
use crate::clock::Clock;
use crate::measure::recorder::{Acked, Recorder, Second};
use crate::sys::Poll;
use crate::workload::{Pace, ReadFrom, Workload};

/// Longest sleep of the loop, so that signals are seen.
const NAP_NS: u64 = 100_000_000;
/// Longest time that an open loop lets events lie: they carry their times.
const EVENTS_NS: u64 = 5_000_000;
/// How long groups may take to come together.
const FORM_NS: u64 = 60_000_000_000;

/// Drives one workload against one target.
pub struct Driver<'w> {
    workload: &'w Workload,
    clock: Clock,
    broker: Option<u32>,
    begin_ns: u64,
    events: Receiver<Event>,
    producers: Vec<Producer>,
    readers: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    /// Totals of each instance: producers, then consumers.
    requests: Vec<Requests>,
    recorder: Recorder,
    journeys: Journeys,
    stamped: bool,
    poll: Poll,
    idle_ns: Option<u64>,
    /// Why the run cannot go on.
    broken: Option<String>,
}

/// Starts the instances of a run.
struct Start<'s> {
    workload: &'s Workload,
    target: &'s Target,
    clock: Clock,
    run: u32,
    events: Sender<Event>,
    over: Arc<AtomicBool>,
}

impl Start<'_> {
    fn teller(&self, instance: usize, counted: &'static str) -> Teller {
        Teller { clock: self.clock, events: self.events.clone(), instance, counted }
    }

    /// Consumers without a group divide the partitions; groups let the broker do it.
    fn readers(&self) -> Result<Vec<JoinHandle<()>>, RunError> {
        let Self { workload, target, run, .. } = self;
        let mut readers = Vec::new();
        if workload.consumers == 0 {
            return Ok(readers);
        }
        let places = places(workload, target)?;
        for index in 0..workload.consumers_in_all() {
            let group = format!("{}-{run:08x}-{}", workload.topic, index / workload.consumers);
            if workload.groups > 0 && index % workload.consumers == 0 {
                begin_group(workload, target, &group, &places)?;
            }
            let mine = places.iter().skip(index).step_by(workload.consumers);
            let mine: BTreeMap<_, _> = if workload.groups > 0 {
                places.clone()
            } else {
                mine.map(|(partition, place)| (*partition, *place)).collect()
            };
            let task = Task { places: mine, group, run: *run, over: Arc::clone(&self.over) };
            let teller = self.teller(workload.producers + index, "Fetch");
            readers.push(Reader::start(workload, target, teller, task)?);
        }
        Ok(readers)
    }
}

/// Waits until each group's members have divided its partitions evenly.
fn await_groups(
    workload: &Workload,
    partitions: usize,
    clock: Clock,
    events: &Receiver<Event>,
) -> Result<(), RunError> {
    let until_ns = clock.now_ns() + FORM_NS;
    let mut given = vec![None; workload.consumers * workload.groups];
    let (least, most) = (partitions / workload.consumers, partitions.div_ceil(workload.consumers));
    let whole = |group: &[Option<usize>]| {
        let given: Vec<usize> = group.iter().flatten().copied().collect();
        given.len() == group.len()
            && given.iter().sum::<usize>() == partitions
            && given.iter().all(|given| (least..=most).contains(given))
    };
    while !given.chunks(workload.consumers).all(whole) {
        let left_ns = until_ns.saturating_sub(clock.now_ns());
        match events.recv_timeout(Duration::from_nanos(left_ns)) {
            Ok(Event::Assigned { consumer, partitions }) => {
                given[consumer - workload.producers] = Some(partitions);
            }
            Ok(Event::FetchFailed(code)) => {
                let text = format!("a group did not come together: {}", event::name(code));
                return Err(RunError::Misfit(text));
            }
            Ok(_) => {}
            Err(_) => {
                let text = "the groups did not come together within a minute";
                return Err(RunError::Misfit(text.into()));
            }
        }
    }
    Ok(())
}

impl<'w> Driver<'w> {
    /// Starts all instances; nothing is sent yet.
    pub fn new(
        workload: &'w Workload,
        target: &Target,
        broker: Option<u32>,
    ) -> Result<Self, RunError> {
        let clock = Clock::start();
        let (sender, events) = channel();
        let run = run_number(workload, clock);
        let over = Arc::new(AtomicBool::new(false));
        let start = Start { workload, target, clock, run, events: sender, over: Arc::clone(&over) };
        let stamped = workload.sizes.smallest() >= STAMP_BYTES;
        let shared = Shared {
            clock,
            run,
            topic: workload.topic.as_str().into(),
            values: Rc::new(Values::new(workload)),
        };
        let mut producers = Vec::new();
        for index in 0..workload.producers {
            let teller = start.teller(index, "Produce");
            producers.push(Producer::start(shared.clone(), workload, target, teller)?);
        }
        let readers = start.readers()?;
        if workload.groups > 0 {
            await_groups(workload, target.partitions(), clock, &events)?;
        }
        let follows = workload.consumers > 0 && workload.producers > 0;
        let journeys = if follows
            && !stamped
            && workload.acks != 0
            && workload.read_from == ReadFrom::Latest
        {
            Journeys::new(workload.groups.max(1))
        } else {
            Journeys::default()
        };
        let (begin_ns, recorder) = begin(workload, clock);
        for (index, producer) in producers.iter_mut().enumerate() {
            if let Pace::Open(steps) = &workload.pace {
                producer.plan(Schedule::new(begin_ns, steps, index, workload.producers));
            }
        }
        let instances = workload.producers + workload.consumers_in_all();
        let poll = Poll::new(1)
            .map_err(|source| RunError::System { what: "cannot create an epoll set", source })?;
        Ok(Self {
            workload,
            clock,
            broker,
            begin_ns,
            events,
            producers,
            readers,
            over,
            requests: vec![Requests::none_by(begin_ns); instances],
            recorder,
            journeys,
            stamped,
            poll,
            idle_ns: None,
            broken: None,
        })
    }

    /// The clock of the run, and the measured window on it.
    pub fn window(&self) -> (Clock, Range<u64>) {
        (self.clock, self.recorder.window.clone())
    }

    /// Runs the whole workload. `second` is told each second as it ends.
    pub fn run(mut self, mut second: impl FnMut(&Second)) -> Outcome {
        let mut course = Course::new(self.clock, self.broker, self.begin_ns);
        loop {
            let now_ns = self.clock.now_ns();
            match course.at(now_ns, false, &mut self.recorder, &mut second) {
                Turn::On => {}
                Turn::EndLoad => self.producers.iter_mut().for_each(Producer::end_load),
                Turn::Stop => self.producers.iter_mut().for_each(Producer::stop),
            }
            if course.end_ns().is_some() && self.finished(now_ns) {
                break;
            }
            let wake_ns = course.wake_ns(now_ns, &self.recorder.window);
            self.turn(now_ns, wake_ns);
            if let Some(why) = self.broken.take() {
                course.break_off(why, &mut self.recorder);
                break;
            }
        }
        self.over.store(true, Ordering::Relaxed);
        let ended = course.finish(&mut self.recorder);
        let unanswered = self.producers.iter().map(|producer| producer.outstanding).sum();
        let unsent = self.producers.iter().map(|producer| producer.unsent(ended.at_ns)).sum();
        drop(self.producers);
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                self.recorder.error("a consumer's thread broke");
            }
        }
        let window = self.recorder.window.clone();
        let (producing, consuming) = self.requests.split_at(self.workload.producers);
        let count = |instances: &[Requests]| {
            instances.iter().map(|requests| requests.within(&window)).sum()
        };
        self.recorder.counters.produce_requests = count(producing);
        self.recorder.counters.fetch_requests = count(consuming);
        Outcome {
            used: ended.used,
            cut_short: ended.cut_short,
            unsent,
            unanswered,
            start_unix_ns: self.clock.start_unix_ns(),
            untracked: !self.stamped && !self.journeys.follows(),
            recorder: self.recorder,
            reconnects: 0,
            stages: Err(None),
        }
    }

    fn finished(&mut self, now_ns: u64) -> bool {
        if !self.producers.iter().all(|producer| producer.idle(now_ns)) {
            return false; // librdkafka gives every record up in time
        }
        let idle_ns = *self.idle_ns.get_or_insert(now_ns);
        let tracked = self.stamped || self.journeys.follows();
        !awaits_arrivals(self.workload, &self.recorder, tracked, (idle_ns, now_ns))
    }

    /// One turn: what is due is handed over, then what has been told is recorded.
    fn turn(&mut self, now_ns: u64, wake_ns: u64) {
        let mut wake_ns = wake_ns.min(now_ns + NAP_NS);
        if now_ns < self.begin_ns {
            wake_ns = wake_ns.min(self.begin_ns);
        } else {
            for producer in &mut self.producers {
                match producer.pump(&mut self.recorder) {
                    Ok(at_ns) => wake_ns = wake_ns.min(at_ns),
                    Err(code) => {
                        self.broken = Some(format!("sending: {}", event::name(Some(code))));
                        return;
                    }
                }
            }
        }
        if self.workload.pace == Pace::Closed {
            // An answer makes room: it is waited for.
            let left_ns = wake_ns.saturating_sub(self.clock.now_ns());
            match self.events.recv_timeout(Duration::from_nanos(left_ns)) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        } else {
            let due_ns = wake_ns.min(now_ns + EVENTS_NS);
            let left_ns = due_ns.saturating_sub(self.clock.now_ns());
            if let Err(error) = self.poll.wait(left_ns, &mut Vec::new()) {
                self.broken = Some(format!("waiting: {error}"));
            }
            if wake_ns <= due_ns {
                self.recorder.woke(wake_ns, self.clock.now_ns());
            }
        }
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Acked { producer, mark, at_ns, partition, offset } => {
                self.producers[producer].outstanding -= 1;
                let acked = Acked {
                    records: 1,
                    bytes: mark.bytes,
                    batch_bytes: 0,
                    sent_ns: mark.sent_ns,
                    acked_ns: at_ns,
                };
                let due = std::iter::once((mark.due_ns, 1));
                self.recorder.acked(&acked, due.clone());
                if self.journeys.follows() && offset >= 0 {
                    self.journeys.acknowledged(partition, offset, due, &mut self.recorder);
                }
            }
            Event::Failed { producer, code } => {
                self.producers[producer].outstanding -= 1;
                let name = format!("produce: {}", event::name(code));
                self.recorder.error(&name);
                let gave_up = code == Some(RDKafkaErrorCode::MessageTimedOut);
                if gave_up && !self.workload.reconnect {
                    let seconds = Duration::from_nanos(self.workload.timeout_ns).as_secs_f64();
                    self.broken = Some(format!("a record got no answer within {seconds} s"));
                }
            }
            Event::Arrived(arrivals) => {
                for arrival in arrivals {
                    self.arrived(&arrival);
                }
            }
            Event::FetchFailed(code) => {
                self.recorder.error(format!("fetch: {}", event::name(code)))
            }
            Event::Assigned { .. } => {}
            Event::Requests { instance, at_ns, count } => self.requests[instance].by(at_ns, count),
            Event::Down(reason) => {
                self.recorder.error("connection lost");
                if !self.workload.reconnect {
                    self.broken = Some(format!("the broker: {reason}"));
                }
            }
        }
    }

    fn arrived(&mut self, arrival: &event::Arrival) {
        let event::Arrival { at_ns, partition, offset, bytes, due_ns, old } = *arrival;
        self.recorder.consumed(1, bytes, 0, at_ns);
        if old {
            return;
        }
        if self.journeys.follows() {
            self.journeys.arrived(partition, offset, at_ns, &mut self.recorder);
        } else if let Some(due_ns) = due_ns {
            self.recorder.arrived(due_ns, 1, at_ns);
        }
    }
}
