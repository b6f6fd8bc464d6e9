//! What all tasks of a simulation share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use millrace_engine::client::Client;
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::shard::call::{Answer, Call};
use millrace_engine::types::{ShardId, TopicPartition};

use super::cuts::Cutter;
use super::dice::Dice;
use super::ledger::{Existence, Ledger, Place};
use super::shrink::{Limits, Part};

/// Every so many seeds have two log directories.
const DIRECTORIES_EVERY: u64 = 3;

/// How far the broker has come since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It does not serve yet.
    Starting,
    /// What it holds is being compared with the ledger.
    Verifying,
    /// Clients are at work.
    Working,
}

/// What is wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing; it may be slow.
    None,
    /// Operations fail.
    Failing,
    /// Every operation on the second log directory fails.
    Directory,
    /// It is full, or was in this life of the broker.
    Full,
}

/// A client's handle.
pub type SimClient = Client<SimEnv>;

/// A question that waits for its answer; noted as answered when it is dropped.
pub struct Asked {
    world: Rc<World>,
    number: u64,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.world.waiting.borrow_mut().remove(&self.number);
        self.world.answers.set(self.world.answers.get() + 1);
    }
}

/// See the module.
pub struct World {
    /// Chance.
    pub dice: Dice,
    /// What is known.
    pub ledger: RefCell<Ledger>,
    /// How far the broker is.
    pub phase: Cell<Phase>,
    /// What is wrong with the disk.
    pub trouble: Cell<Trouble>,
    /// How many log directories the broker has.
    pub log_dirs: usize,
    /// Which shard's clients do what is done once.
    pub lead: Cell<ShardId>,
    /// Questions that wait for their answers, by number.
    waiting: RefCell<BTreeMap<u64, &'static str>>,
    questions: Cell<u64>,
    /// Questions that do not wait any more.
    answers: Cell<u64>,
    failure: RefCell<Option<String>>,
    /// What is left out.
    pub limits: Limits,
    cutter: Option<Rc<Cutter>>,
    is_told: bool,
}

impl World {
    /// A world in which nothing has happened. `is_told`: what happens is written to standard error.
    /// `cutter` looks on.
    pub fn new(seed: u64, is_told: bool, limits: Limits, cutter: Option<Rc<Cutter>>) -> Rc<Self> {
        let ledger = Ledger::default();
        let has_two = limits.has(Part::Directories) && seed.is_multiple_of(DIRECTORIES_EVERY);
        let log_dirs = if has_two { 2 } else { 1 };
        Self::with(seed ^ 0x6d69_6c6c_7261_6365, is_told, (limits, cutter), (ledger, log_dirs))
    }

    /// Another world in which the same has happened, for a twin of the machine whose power goes now.
    /// It tells what happens only if this one does.
    pub fn twin(&self, seed: u64, is_told: bool) -> Rc<Self> {
        let mut ledger = self.ledger.borrow().clone();
        ledger.crashed();
        let known = (ledger, self.log_dirs);
        Self::with(seed, is_told && self.is_told, (self.limits, None), known)
    }

    fn with(
        seed: u64,
        is_told: bool,
        (limits, cutter): (Limits, Option<Rc<Cutter>>),
        (ledger, log_dirs): (Ledger, usize),
    ) -> Rc<Self> {
        Rc::new(Self {
            dice: Dice::new(seed),
            ledger: RefCell::new(ledger),
            phase: Cell::new(Phase::Starting),
            trouble: Cell::new(Trouble::None),
            log_dirs,
            lead: Cell::new(0),
            waiting: RefCell::default(),
            questions: Cell::new(0),
            answers: Cell::new(0),
            failure: RefCell::default(),
            limits,
            cutter,
            is_told,
        })
    }

    /// Lets up to `steps` things happen, fewer if something is wrong; says how many did.
    pub fn steps(&self, sim: &Sim, steps: u64) -> u64 {
        let Some(cutter) = &self.cutter else { return sim.run_steps(steps) };
        (0..steps)
            .take_while(|_| {
                let is_going_on = sim.run_steps(1) > 0 && self.failure.borrow().is_none();
                if is_going_on {
                    self.check(cutter.look(sim, self));
                }
                is_going_on
            })
            .count() as u64
    }

    /// Notes the first thing that is wrong.
    pub fn check(&self, result: Result<(), String>) {
        if let Err(what) = result {
            self.tell(|| format!("WRONG: {what}"));
            self.failure.borrow_mut().get_or_insert(what);
        }
    }

    /// Notes that something is wrong.
    pub fn wrong(&self, what: impl Into<String>) {
        self.check(Err(what.into()));
    }

    /// What is wrong, if anything is.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Tells what happens, if somebody wants to know.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{}", what());
        }
    }

    /// Notes that something is wrong unless the disk is.
    pub fn wrong_unless_trouble(&self, what: impl FnOnce() -> String) {
        if self.trouble.get() == Trouble::None {
            self.wrong(what());
        }
    }

    /// Whether what is wrong with the disk is wrong where a partition is.
    pub fn is_in_trouble(&self, client: &SimClient, partition: TopicPartition) -> bool {
        match self.trouble.get() {
            Trouble::None => false,
            Trouble::Failing | Trouble::Full => true,
            Trouble::Directory => {
                let image = client.image();
                let directory = |partition| client.directories().of(partition);
                image.topics.partition(partition).and_then(|it| directory(it)) != Some(0)
            }
        }
    }

    /// Notes that something is wrong with a partition, unless the disk that it is on explains it.
    pub fn wrong_unless_in_trouble(
        &self,
        client: &SimClient,
        place: Place,
        what: impl FnOnce() -> String,
    ) {
        if !self.partition(place).is_some_and(|partition| self.is_in_trouble(client, partition)) {
            self.wrong(what());
        }
    }

    /// The identity of a partition whose topic has one.
    pub fn partition(&self, place: Place) -> Option<TopicPartition> {
        let topic_id = self.ledger.borrow().topic(place.topic).id?;
        Some(TopicPartition { topic_id, partition: place.partition })
    }

    /// Whether a topic certainly exists and is not being deleted.
    pub fn is_live(&self, place: Place) -> bool {
        self.ledger.borrow().topic(place.topic).existence == Existence::Live
    }

    /// Notes that somebody asks.
    pub fn asking(self: &Rc<Self>, what: &'static str) -> Asked {
        let number = self.questions.get();
        self.questions.set(number + 1);
        self.waiting.borrow_mut().insert(number, what);
        Asked { world: Rc::clone(self), number }
    }

    /// How many questions there were.
    pub fn questions(&self) -> u64 {
        self.questions.get()
    }

    /// A number that is another as soon as more has been promised: by an answer, or by a broker that serves.
    pub fn promises(&self) -> u64 {
        self.answers.get() * (Phase::Working as u64 + 1) + self.phase.get() as u64
    }

    /// The oldest question that waits for its answer, if it is one of the first `count`.
    pub fn unanswered(&self, count: u64) -> Option<&'static str> {
        let waiting = self.waiting.borrow();
        waiting.first_key_value().filter(|(number, _)| **number < count).map(|(_, what)| *what)
    }

    /// Decides which shard's clients do what is done once.
    pub fn draw_lead(&self, shards: ShardId) {
        self.lead.set(ShardId::try_from(self.dice.below(u64::from(shards))).unwrap_or_default());
    }

    /// Any partition that certainly exists.
    pub fn any_place(&self) -> Option<Place> {
        let places = self.ledger.borrow().places();
        self.dice.pick(&places).copied()
    }

    /// The broker is gone.
    pub fn crashed(&self) {
        self.phase.set(Phase::Starting);
        self.trouble.set(Trouble::None);
        self.ledger.borrow_mut().crashed();
    }
}

/// Waits for a while.
pub async fn pause(client: &SimClient, nanos: u64) {
    let now = client.env().now();
    client.env().sleep_until(millrace_engine::types::Nanos(now.0 + nanos)).await;
}

/// Asks the shard that has a partition.
pub async fn ask(
    world: &Rc<World>,
    client: &SimClient,
    partition: TopicPartition,
    call: Call,
) -> Answer {
    let _asked = world.asking("a question about a partition");
    client.call(client.owner(partition), call).await
}
