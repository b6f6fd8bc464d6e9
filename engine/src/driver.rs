//! Drives a shard: takes what has arrived, ends the turn, and has done what the shard wants done.

use std::future::Future;
use std::pin::Pin;

use futures_lite::future;

use crate::boot::Stopped;
use crate::client::{Client, Message};
use crate::io::Env;
use crate::io::lane::LaneReceiver;
use crate::job::Jobs;
use crate::limits::TURN_CALLS_MAX;
use crate::partition::admit::Now;
use crate::shard::Shard;
use crate::shard::call::{Answer, Call};
use crate::shard::event::{Effect, Event};
use crate::types::Nanos;

/// Makes the server's task on a shard.
pub type Serving<E> = Box<dyn FnOnce(Client<E>) -> Pin<Box<dyn Future<Output = ()>>>>;

/// A shard with its surroundings.
pub struct Driver<E: Env> {
    env: E,
    shard: Shard,
    client: Client<E>,
    jobs: Jobs<E>,
    receivers: Vec<LaneReceiver<Message>>,
    effects: Vec<Effect>,
}

impl<E: Env> Driver<E> {
    /// A driver for a shard whose lanes from other shards end in `receivers`.
    #[must_use]
    pub fn new(
        shard: Shard,
        client: Client<E>,
        jobs: Jobs<E>,
        receivers: Vec<LaneReceiver<Message>>,
    ) -> Self {
        let env = client.env().clone();
        Self { env, shard, client, jobs, receivers, effects: Vec::new() }
    }

    /// The shard.
    pub fn shard_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }

    /// Drives the shard until the client is told to stop, then until everything is on disk and every
    /// file is complete.
    /// `serve` is started once the broker is registered.
    pub async fn run(mut self, mut serve: Option<Serving<E>>) -> Stopped {
        while !self.client.is_stopping() {
            let is_more = self.turn();
            if self.client.may_serve()
                && let Some(serve) = serve.take()
            {
                self.env.spawn(serve(self.client.clone()));
            }
            if is_more {
                // Jobs and connections have their turn too, and whoever is to empty a full lane.
                future::yield_now().await;
            } else {
                self.wait(self.shard.next_deadline()).await;
            }
        }
        self.stop().await;
        Stopped {
            shard: self.client.shard(),
            is_clean: self.shard.is_clean(),
            ends: self.shard.ends(),
            starts: self.shard.log_starts(),
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { now: self.env.now(), wall_ms: self.env.wall_ms() }
    }

    /// One turn. Says whether there may be more to do at once.
    pub fn turn(&mut self) -> bool {
        let now = self.now();
        let mut taken = 0;
        while taken < TURN_CALLS_MAX
            && let Some(event) = self.client.pop()
        {
            self.shard.on_event(now, event, &mut self.effects);
            taken += 1;
        }
        for receiver in &self.receivers {
            for message in receiver.drain(TURN_CALLS_MAX) {
                taken += 1;
                if let Some(event) = self.client.receive(message) {
                    self.shard.on_event(now, event, &mut self.effects);
                }
            }
        }
        self.client.listen();
        if let Some(failure) = self.client.failure_elsewhere() {
            self.shard.on_event(now, Event::JobFailed(failure), &mut self.effects);
        }
        self.client.report_failed_directories(self.shard.node_id());
        if let Some(is_own) = self.client.was_disk_full() {
            self.jobs.hurry();
            self.shard.on_event(now, Event::DiskFull { is_own }, &mut self.effects);
        }
        if self.shard.next_deadline() <= now.now {
            self.shard.on_event(now, Event::Tick, &mut self.effects);
            taken += 1;
        }
        // What was taken up took time: the turn ends later than it began.
        let end = if taken > 0 { Now { now: self.env.now(), ..now } } else { now };
        self.shard.end_turn(end, &mut self.effects);
        self.shard.schedule(now);
        for effect in std::mem::take(&mut self.effects) {
            self.carry_out(effect);
        }
        let is_full = self.client.flush_lanes();
        taken >= TURN_CALLS_MAX || is_full
    }

    async fn wait(&self, deadline: Nanos) {
        if deadline == Nanos::NEVER {
            self.env.notified().await;
        } else {
            future::or(self.env.notified(), self.env.sleep_until(deadline)).await;
        }
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Answer(reply, Answer::Stats(mut stats)) => {
                stats.damaged_ranges = self.jobs.damaged_ranges();
                self.client.answer(reply, Answer::Stats(stats));
            }
            Effect::Answer(reply, answer) => self.client.answer(reply, answer),
            Effect::Adopt(image) => self.client.set_image(image),
            Effect::DiskFull => self.client.note_full(),
            Effect::HurryOpen(dir) => self.jobs.hurry_open(&dir),
            Effect::Offline(failure) => {
                let log_dir = self.jobs.log_dir().display();
                tracing::error!(%failure, %log_dir, "THE LOG DIRECTORY IS OFFLINE: nothing is \
                    acknowledged any more for its partitions, or for any if it has the metadata log; find \
                    the cause, then restart the broker");
                self.client.fail(&failure);
            }
            Effect::Run(job) => {
                let (jobs, client) = (self.jobs.clone(), self.client.clone());
                let accepted = jobs.accept(job);
                self.env.spawn(async move {
                    jobs.run_accepted(accepted, &|event| client.push(event)).await;
                });
            }
            Effect::Publish { id, image } => {
                let client = self.client.clone();
                self.env.spawn(async move {
                    let calls: Vec<_> = (0..client.shards())
                        .map(|shard| client.call(shard, Call::Publish(image.clone())))
                        .collect();
                    for call in calls {
                        call.await;
                    }
                    client.push(Event::Published(id));
                });
            }
        }
    }

    /// Everything that was taken up becomes durable, then every partition's files are completed.
    async fn stop(&mut self) {
        // What was under way may end in more to write: a deletion in tombstones of group offsets.
        const ROUNDS_MAX: usize = 8;
        self.shard.close();
        self.settle().await;
        for _ in 0..ROUNDS_MAX {
            let now = self.now();
            self.shard.flush_all(&mut self.effects);
            self.shard.end_turn(now, &mut self.effects);
            self.settle().await;
            self.shard.seal_all(&mut self.effects);
            self.settle().await;
            if self.shard.is_clean() {
                return;
            }
        }
    }

    /// Takes turns until no job that the shard waits for is running. Jobs that wait for a deadline
    /// (deletions) do not count.
    async fn settle(&mut self) {
        loop {
            let is_more = self.turn();
            if self.jobs.running() == 0 && !self.shard.is_busy() {
                return;
            }
            if is_more {
                future::yield_now().await;
            } else {
                self.env.notified().await;
            }
        }
    }
}
