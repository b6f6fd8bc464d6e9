//! The loop of a run: one thread that paces producers, keeps consumers fetching, and closes each second.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::Duration;

use super::consumer::Consumer;
use super::course::{Course, Turn, awaits_arrivals};
use super::journey::Journeys;
use super::outcome::Outcome;
use super::producer::Producer;
use super::schedule::{Schedule, Step};
use super::setup::Target;
use super::workforce::{self, Hire, Workforce};
use crate::batch::payload::Chance;
use crate::clock::Clock;
use crate::measure::recorder::{Recorder, Second};
use crate::sys::{Poll, Ready};
use crate::wire::ask::AskError;
use crate::workload::{Pace, ReadFrom, Workload};

/// Longest sleep of the loop, so that signals and deadlines are seen.
const NAP_NS: u64 = 100_000_000;
/// Time between attempts to connect again.
const RETRY_NS: u64 = 50_000_000;
/// With reconnecting, answers may still come for this long after the end.
const MENDING_NS: u64 = 10_000_000_000;

/// Why a run broke off.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Asking failed.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// This machine refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The workload and the target do not fit.
    #[error("{0}")]
    Misfit(String),
    /// The other client refused something.
    #[cfg(feature = "librdkafka")]
    #[error("librdkafka: {0}")]
    Librdkafka(#[from] rdkafka::error::KafkaError),
}

/// Drives one workload against one target.
pub struct Driver<'w> {
    workload: &'w Workload,
    clock: Clock,
    poll: Poll,
    force: Workforce,
    schedules: Vec<Option<Schedule>>,
    recorder: Recorder,
    journeys: Journeys,
    broker: Option<u32>,
    begin_ns: u64,
    /// When each producer wants to be pumped next.
    wakes: Vec<u64>,
    /// When the next member wants to be pumped.
    members_ns: u64,
    /// Since when all answers have been in.
    idle_ns: Option<u64>,
    /// Connections that are gone: token, and when to try again.
    down: Vec<(usize, u64)>,
    reconnects: u64,
}

impl<'w> Driver<'w> {
    /// Connects everything; nothing is sent yet.
    pub fn new(
        workload: &'w Workload,
        target: &Target,
        broker: Option<u32>,
    ) -> Result<Self, RunError> {
        let clock = Clock::start();
        let count = workload.producers + 2 * workload.consumers_in_all();
        let poll = Poll::new(count.max(16))
            .map_err(|source| RunError::System { what: "cannot create an epoll set", source })?;
        let run = run_number(workload, clock);
        let hire = Hire { workload, target, clock, run, poll: &poll };
        let force = hire.everyone()?;
        let follows = !force.consumers.is_empty() && workload.producers > 0;
        let stampless = !force.stamped && workload.acks != 0;
        let journeys = if follows && stampless && workload.read_from == ReadFrom::Latest {
            Journeys::new(workload.groups.max(1))
        } else {
            Journeys::default()
        };
        let (begin_ns, recorder) = begin(workload, clock);
        let mut driver = Self {
            workload,
            clock,
            poll,
            force,
            schedules: Vec::new(),
            recorder,
            journeys,
            broker,
            begin_ns,
            wakes: Vec::new(),
            members_ns: 0,
            idle_ns: None,
            down: Vec::new(),
            reconnects: 0,
        };
        driver.plan();
        Ok(driver)
    }

    fn plan(&mut self) {
        let producers = self.force.producers.len();
        for (index, producer) in self.force.producers.iter_mut().enumerate() {
            let schedule = match &self.workload.pace {
                Pace::Closed => None,
                Pace::Open(steps) => Some(Schedule::new(self.begin_ns, steps, index, producers)),
            };
            self.schedules.push(schedule.clone());
            producer.plan(schedule);
        }
        self.wakes = vec![self.begin_ns; producers];
    }

    /// The clock of the run, and the measured window on it.
    pub fn window(&self) -> (Clock, Range<u64>) {
        (self.clock, self.recorder.window.clone())
    }

    /// Runs the whole workload. `second` is told each second as it ends.
    pub fn run(mut self, mut second: impl FnMut(&Second)) -> Outcome {
        let mut ready = Vec::new();
        let mut course = Course::new(self.clock, self.broker, self.begin_ns);
        loop {
            let now_ns = self.clock.now_ns();
            let enough = self.enough();
            match course.at(now_ns, enough, &mut self.recorder, &mut second) {
                Turn::On => {}
                Turn::EndLoad => self.end_load(),
                Turn::Stop => self.force.producers.iter_mut().for_each(Producer::stop),
            }
            if course.end_ns().is_some_and(|end_ns| self.finished(now_ns, end_ns)) {
                break;
            }
            let wake_ns = course.wake_ns(now_ns, &self.recorder.window);
            if let Err(text) = self.turn(now_ns, wake_ns, &mut ready) {
                course.break_off(text, &mut self.recorder);
                break;
            }
        }
        let ended = course.finish(&mut self.recorder);
        let producers = &self.force.producers;
        Outcome {
            used: ended.used,
            cut_short: ended.cut_short,
            unsent: producers.iter().map(|producer| producer.unsent(ended.at_ns)).sum(),
            unanswered: producers.iter().map(Producer::outstanding).sum(),
            start_unix_ns: self.clock.start_unix_ns(),
            untracked: !self.force.stamped && !self.journeys.follows(),
            recorder: self.recorder,
            reconnects: self.reconnects,
            stages: Err(None),
        }
    }

    /// The end of the load. An open loop still sends what was due before it, for a while.
    fn end_load(&mut self) {
        if self.workload.pace == Pace::Closed {
            self.force.producers.iter_mut().for_each(Producer::stop);
        } else {
            self.wakes.fill(0);
        }
    }

    /// Whether as much has been acknowledged as the workload wants.
    fn enough(&self) -> bool {
        let limit = self.workload.limit_bytes;
        limit.is_some_and(|limit| self.recorder.counters.acked_bytes >= limit)
    }

    /// Whether all answers are in, and all records have reached a consumer or had their time to.
    fn finished(&mut self, now_ns: u64, end_ns: u64) -> bool {
        if !self.force.producers.iter().all(|producer| producer.idle(now_ns)) {
            // A broker that stays away does not keep the run from ending.
            return self.workload.reconnect && now_ns > end_ns + MENDING_NS;
        }
        let idle_ns = *self.idle_ns.get_or_insert(now_ns);
        let tracked = self.force.stamped || self.journeys.follows();
        !awaits_arrivals(self.workload, &self.recorder, tracked, (idle_ns, now_ns))
    }

    /// One turn: whoever is due sends, then what has come is read.
    fn turn(&mut self, now_ns: u64, wake_ns: u64, ready: &mut Vec<Ready>) -> Result<(), String> {
        let mut wake_ns = wake_ns;
        if now_ns >= self.begin_ns {
            for index in 0..self.force.producers.len() {
                if self.wakes[index] <= now_ns {
                    self.pump_producer(index, now_ns)?;
                }
            }
        }
        for index in 0..self.force.consumers.len() {
            if let Err(error) = self.force.consumers[index].pump(&self.poll) {
                self.broke(self.force.producers.len() + index, &failure("fetching", &error))?;
            }
            wake_ns = wake_ns.min(self.force.consumers[index].wake_ns().max(now_ns + 1));
        }
        self.pump_members(now_ns)?;
        self.reconnect(now_ns);
        self.check_deadlines(now_ns)?;
        let down_ns = self.down.iter().map(|down| down.1).min().unwrap_or(u64::MAX);
        let due_ns = self.wakes.iter().copied().min().unwrap_or(u64::MAX);
        let wake_ns = wake_ns.min(due_ns).min(self.members_ns).min(down_ns);
        let sleep_ns = if self.workload.spin {
            0
        } else {
            wake_ns.saturating_sub(self.clock.now_ns()).min(NAP_NS)
        };
        ready.clear();
        self.poll.wait(sleep_ns, ready).map_err(|error| format!("waiting: {error}"))?;
        for event in ready.iter() {
            self.handle(*event)?;
        }
        Ok(())
    }

    fn pump_producer(&mut self, index: usize, now_ns: u64) -> Result<(), String> {
        let wanted_ns = self.wakes[index];
        let producer = &mut self.force.producers[index];
        if wanted_ns > 0 && producer.schedule().is_some() {
            self.recorder.woke(wanted_ns, now_ns);
        }
        match producer.pump(&self.poll, &mut self.recorder) {
            Ok(wake_ns) => {
                self.wakes[index] = wake_ns;
                Ok(())
            }
            Err(error) => self.broke(index, &failure("sending", &error)),
        }
    }

    fn pump_members(&mut self, now_ns: u64) -> Result<(), String> {
        if self.force.members.is_empty() {
            self.members_ns = u64::MAX;
        }
        if now_ns < self.members_ns {
            return Ok(());
        }
        self.members_ns = u64::MAX;
        for (member, consumer) in self.force.members.iter_mut().zip(&self.force.consumers) {
            let next_ns = member
                .pump(now_ns, consumer.offsets(), &self.poll)
                .map_err(|error| format!("the group's coordinator: {error}"))?;
            self.members_ns = self.members_ns.min(next_ns);
        }
        Ok(())
    }

    fn handle(&mut self, event: Ready) -> Result<(), String> {
        let index = event.token as usize;
        let (producers, consumers) = (self.force.producers.len(), self.force.consumers.len());
        if self.down.iter().any(|down| down.0 == index) {
            return Ok(());
        }
        let Self { force, recorder, journeys, poll, schedules, .. } = self;
        let outcome = if let Some(producer) = force.producers.get_mut(index) {
            let open = if event.readable { producer.receive(recorder, journeys) } else { Ok(true) };
            open.and_then(|open| {
                if open {
                    self.wakes[index] = producer.pump(poll, recorder)?;
                }
                Ok(open)
            })
        } else if let Some(consumer) = force.consumers.get_mut(index - producers) {
            let due = |producer: u32| schedules.get(producer as usize).and_then(Option::as_ref);
            let open =
                if event.readable { consumer.receive((recorder, journeys), due) } else { Ok(true) };
            open.and_then(|open| {
                if open {
                    consumer.pump(poll)?;
                }
                Ok(open)
            })
        } else if let Some(member) = force.members.get_mut(index - producers - consumers) {
            member.receive(recorder)
        } else {
            Ok(true)
        };
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => self.broke(index, CLOSED),
            Err(error) => self.broke(index, &failure("the broker", &error)),
        }
    }

    /// A connection is gone: the end of the run, unless it is to be made again.
    fn broke(&mut self, index: usize, text: &str) -> Result<(), String> {
        let producers = self.force.producers.len();
        if !self.workload.reconnect || index >= producers + self.force.consumers.len() {
            return Err(text.to_owned());
        }
        self.recorder.error("connection lost");
        if let Some(producer) = self.force.producers.get_mut(index) {
            producer.lose();
            self.wakes[index] = u64::MAX;
        } else if let Some(consumer) = self.force.consumers.get_mut(index - producers) {
            consumer.lose();
        }
        self.down.push((index, self.clock.now_ns() + RETRY_NS));
        Ok(())
    }

    fn reconnect(&mut self, now_ns: u64) {
        let producers = self.force.producers.len();
        for at in (0..self.down.len()).rev() {
            let (index, try_ns) = self.down[at];
            if try_ns > now_ns {
                continue;
            }
            match workforce::try_again(&self.poll, &self.force.addresses[index], index) {
                Ok(connection) => {
                    self.down.swap_remove(at);
                    self.reconnects += 1;
                    if let Some(producer) = self.force.producers.get_mut(index) {
                        producer.mend(connection);
                        self.wakes[index] = 0;
                    } else if let Some(consumer) = self.force.consumers.get_mut(index - producers) {
                        consumer.mend(connection);
                    }
                }
                Err(_) => self.down[at].1 = now_ns + RETRY_NS,
            }
        }
    }

    fn check_deadlines(&mut self, now_ns: u64) -> Result<(), String> {
        let slack_ns = u64::from(self.workload.fetch_wait_ms.unsigned_abs()) * 1_000_000;
        let timeout_ns = self.workload.timeout_ns;
        let late = |sent: Option<u64>, slack: u64| {
            sent.is_some_and(|sent| now_ns > sent + timeout_ns + slack)
        };
        let seconds = Duration::from_nanos(timeout_ns).as_secs_f64();
        let producers = self.force.producers.len();
        for index in 0..producers {
            if late(self.force.producers[index].oldest_sent_ns(), 0) {
                let text = format!("a produce request got no answer within {seconds} s");
                self.broke(index, &text)?;
            }
        }
        for index in 0..self.force.consumers.len() {
            if late(Consumer::oldest_sent_ns(&self.force.consumers[index]), slack_ns) {
                let text = format!("a fetch request got no answer within {seconds} s");
                self.broke(producers + index, &text)?;
            }
        }
        Ok(())
    }
}

/// A number that tells this run's records from those of others.
pub fn run_number(workload: &Workload, clock: Clock) -> u32 {
    Chance::new(workload.seed ^ clock.start_unix_ns()).next() as u32
}

/// When the load begins, and a recorder for it: connecting took its time, so a moment from now.
pub fn begin(workload: &Workload, clock: Clock) -> (u64, Recorder) {
    let begin_ns = clock.now_ns() + 20_000_000;
    let measured = begin_ns + workload.warmup_ns;
    let window = measured..measured.saturating_add(workload.duration_ns);
    (begin_ns, Recorder::new(window, &phases(workload, begin_ns)))
}

/// What is said where the broker ended a connection.
const CLOSED: &str = "the broker closed a connection";

/// In words, why a connection failed at what `doing` names. A close while requests are on their
/// way is seen as a reset, or as a broken pipe by the next send.
fn failure(doing: &str, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => format!("{CLOSED} ({error})"),
        _ => format!("{doing}: {error}"),
    }
}

/// The phases of a workload with more than one rate, behind its warm-up.
fn phases(workload: &Workload, begin_ns: u64) -> Vec<Range<u64>> {
    let Pace::Open(steps) = &workload.pace else { return Vec::new() };
    if steps.len() < 2 {
        return Vec::new();
    }
    let mut at = begin_ns;
    let span = |step: &Step| {
        let from = at.max(begin_ns + workload.warmup_ns);
        at += step.duration_ns;
        from..at
    };
    steps.iter().map(span).collect()
}

/// The steps of an open loop: warm-up at the first rate, then the rest.
pub fn steps(warmup_ns: u64, rates: &[Step]) -> Vec<Step> {
    let mut steps = rates.to_vec();
    if let Some(first) = steps.first_mut() {
        first.duration_ns += warmup_ns;
    }
    steps
}
