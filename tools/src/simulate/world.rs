//! What all tasks of a simulation share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use millrace_engine::client::Client;
use millrace_engine::io::Env;
use millrace_engine::io::sim::SimEnv;
use millrace_engine::shard::call::{Answer, Call};
use millrace_engine::types::{ShardId, TopicPartition};

use super::dice::Dice;
use super::ledger::{Existence, Ledger, Place};

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
    /// It is full, or was in this life of the broker.
    Full,
}

/// A client's handle.
pub type SimClient = Client<SimEnv>;

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
    /// Which shard's clients do what is done once.
    pub lead: Cell<ShardId>,
    /// Shards that refused an append as the disk had failed.
    pub offline: RefCell<BTreeSet<ShardId>>,
    failure: RefCell<Option<String>>,
    is_told: bool,
}

impl World {
    /// A world in which nothing has happened. `is_told`: what happens is written to standard error.
    pub fn new(seed: u64, is_told: bool) -> Rc<Self> {
        Rc::new(Self {
            dice: Dice::new(seed),
            ledger: RefCell::default(),
            phase: Cell::new(Phase::Starting),
            trouble: Cell::new(Trouble::None),
            lead: Cell::new(0),
            offline: RefCell::default(),
            failure: RefCell::default(),
            is_told,
        })
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

    /// The identity of a partition whose topic has one.
    pub fn partition(&self, place: Place) -> Option<TopicPartition> {
        let topic_id = self.ledger.borrow().topic(place.topic).id?;
        Some(TopicPartition { topic_id, partition: place.partition })
    }

    /// Whether a topic certainly exists and is not being deleted.
    pub fn is_live(&self, place: Place) -> bool {
        self.ledger.borrow().topic(place.topic).existence == Existence::Live
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
        self.offline.borrow_mut().clear();
        let mut ledger = self.ledger.borrow_mut();
        ledger.streams.crashed();
        ledger.commits.crashed();
    }
}

/// Waits for a while.
pub async fn pause(client: &SimClient, nanos: u64) {
    let now = client.env().now();
    client.env().sleep_until(millrace_engine::types::Nanos(now.0 + nanos)).await;
}

/// Asks the shard that has a partition.
pub async fn ask(client: &SimClient, partition: TopicPartition, call: Call) -> Answer {
    client.call(client.owner(partition), call).await
}
