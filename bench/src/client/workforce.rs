//! Connects the producers, consumers and group members of a run.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::connection::Connection;
use super::consumer::{Consumer, Place};
use super::driver::RunError;
use super::group::{self, Member};
use super::packer::{Packer, Packing};
use super::producer::{Identity, Producer, Shared};
use super::setup::{ASK_TIMEOUT, Target, patiently};
use crate::batch::key::{self, Key, KeyMix};
use crate::batch::payload::Chance;
use crate::batch::stock::{Hand, Recipe, Stock};
use crate::clock::Clock;
use crate::sys::Poll;
use crate::wire::ask::{self, Asker};
use crate::wire::cold::End;
use crate::wire::{fetch, produce};
use crate::workload::{ReadFrom, Workload};

/// Slots drawn from the keys before the draws begin again.
const DRAWS: usize = 1 << 16;

/// Everyone who works in a run. Tokens of the epoll set are places: producers, then consumers, then members.
#[derive(Default)]
pub struct Workforce {
    /// Producers.
    pub producers: Vec<Producer>,
    /// Consumers.
    pub consumers: Vec<Consumer>,
    /// The consumers' memberships, where there are groups: one each, in the same order.
    pub members: Vec<Member>,
    /// Where each producer and consumer is connected to.
    pub addresses: Vec<String>,
    /// The producers' records can be followed to consumers by a stamp in them.
    pub stamped: bool,
}

/// What hiring needs to know.
pub struct Hire<'h> {
    /// The workload.
    pub workload: &'h Workload,
    /// The target.
    pub target: &'h Target,
    /// The run's clock.
    pub clock: Clock,
    /// Stamped into records.
    pub run: u32,
    /// Watches the connections.
    pub poll: &'h Poll,
}

/// What the producers at one broker send.
struct Goods {
    /// Its partitions.
    slots: Rc<[i32]>,
    /// The batches of each.
    stocks: Vec<Rc<Stock>>,
    /// With keys: the slots of records, over and over.
    draws: Rc<[u32]>,
    /// A consumer can tell the records by their stamps.
    stamped: bool,
}

/// Connects to `address` and watches the connection under `token`.
pub fn connect(poll: &Poll, address: &str, token: usize) -> Result<Connection, RunError> {
    let stream = ask::connect(address, ASK_TIMEOUT)?;
    let what = "cannot watch a connection";
    Connection::new(stream, token as u64, poll).map_err(|source| RunError::System { what, source })
}

impl Hire<'_> {
    /// Connects everyone.
    pub fn everyone(&self) -> Result<Workforce, RunError> {
        let mut force = Workforce::default();
        self.producers(&mut force)?;
        if self.workload.groups > 0 {
            self.groups(&mut force)?;
        } else {
            self.consumers(&mut force)?;
        }
        Ok(force)
    }

    /// What the producers over `partitions` send.
    fn goods(&self, partitions: &[i32]) -> Goods {
        let workload = self.workload;
        let recipe = Recipe {
            sizes: workload.sizes.clone(),
            payload: workload.payload,
            batch_bytes: workload.batch_bytes,
            batch_records: workload.batch_records,
            codec: workload.codec,
            seed: workload.seed,
        };
        let slots = partitions.into();
        if workload.keys == KeyMix::None {
            let (stocks, stamped) = (vec![recipe.stock(); partitions.len()], recipe.stamped());
            return Goods { slots, stocks, draws: Rc::from([]), stamped };
        }
        let (draws, keys) = self.draws(partitions);
        Goods { slots, stocks: recipe.keyed(keys), draws, stamped: false }
    }

    /// Which slots the keys of records fall into, one after the other, and the keys of each slot.
    fn draws(&self, partitions: &[i32]) -> (Rc<[u32]>, Vec<Vec<Key>>) {
        let mut chance = Chance::new(self.workload.seed ^ 0x6b65_7973);
        let places: BTreeMap<i32, u32> =
            partitions.iter().enumerate().map(|(at, partition)| (*partition, at as u32)).collect();
        let all = self.target.partitions();
        let mut draws = Vec::with_capacity(DRAWS);
        let mut keys = vec![Vec::new(); partitions.len()];
        for _ in 0..DRAWS * partitions.len().max(1) {
            let key = key::bytes(self.workload.keys.draw(&mut chance));
            let Some(place) = places.get(&key::partition(&key, all)) else { continue };
            draws.push(*place);
            keys[*place as usize].push(key);
            if draws.len() == DRAWS {
                break;
            }
        }
        if draws.is_empty() {
            // No key belongs to any of its partitions.
            draws.push(0);
            keys[0].push(key::bytes(self.workload.keys.draw(&mut chance)));
        }
        (draws.into(), keys)
    }

    fn producers(&self, force: &mut Workforce) -> Result<(), RunError> {
        let workload = self.workload;
        let format = produce::Format {
            version: self.target.produce_version,
            acks: workload.acks,
            timeout_ms: (workload.timeout_ns / 1_000_000) as i32,
            topic: workload.topic.clone(),
        };
        let shared = Shared {
            clock: self.clock,
            format: Rc::new(format),
            run: self.run,
            in_flight: workload.in_flight,
            persistent: workload.reconnect,
        };
        let mut asker = self.target.asker()?;
        let mut known: BTreeMap<&str, Goods> = BTreeMap::new();
        for index in 0..workload.producers {
            let (address, partitions) = share(self.target, index)?;
            let goods = known.entry(address).or_insert_with(|| self.goods(partitions));
            force.stamped = goods.stamped;
            let slots = goods.slots.len();
            let mut chance = Chance::new(workload.seed ^ index as u64);
            let hand = |stock| Hand::new(stock, Chance::new(chance.next()));
            let packing = Packing {
                hands: goods.stocks.iter().map(hand).collect(),
                parts_max: workload.request_partitions.clamp(1, slots),
                linger_ns: workload.linger_ns,
            };
            let packer = if workload.keys == KeyMix::None {
                Packer::spread(packing, index * slots / workload.producers)
            } else {
                Packer::keyed(packing, Rc::clone(&goods.draws), &mut chance)
            };
            let identity = if workload.idempotent {
                let (id, epoch) = patiently(|| asker.init_producer_id())?;
                Some(Identity { id, epoch, sequences: vec![0; slots] })
            } else {
                None
            };
            let connection = connect(self.poll, address, index)?;
            let (shared, slots) = (shared.clone(), Rc::clone(&goods.slots));
            let producer = Producer::new(shared, index as u32, connection, slots, packer, identity);
            force.producers.push(producer);
            force.addresses.push(address.to_owned());
        }
        Ok(())
    }

    fn format(&self) -> Rc<fetch::Format> {
        let workload = self.workload;
        Rc::new(fetch::Format {
            version: self.target.fetch_version,
            max_wait_ms: workload.fetch_wait_ms,
            min_bytes: workload.fetch_min_bytes,
            max_bytes: workload.fetch_bytes,
            partition_max_bytes: workload.fetch_bytes,
            topic: workload.topic.clone(),
        })
    }

    fn consumer(
        &self,
        force: &mut Workforce,
        format: &Rc<fetch::Format>,
        address: &str,
        places: BTreeMap<i32, Place>,
    ) -> Result<(), RunError> {
        let token = self.workload.producers + force.consumers.len();
        let connection = connect(self.poll, address, token)?;
        let rate = self.workload.consume_rate;
        let format = Rc::clone(format);
        let consumer = Consumer::new(self.clock, format, connection, self.run, places, rate);
        force.consumers.push(consumer);
        force.addresses.push(address.to_owned());
        Ok(())
    }

    fn consumers(&self, force: &mut Workforce) -> Result<(), RunError> {
        let workload = self.workload;
        if workload.consumers == 0 {
            return Ok(());
        }
        let places = places(workload, self.target)?;
        let format = self.format();
        for index in 0..workload.consumers {
            let (address, partitions) = share(self.target, index)?;
            // The consumers at one broker divide its partitions among themselves.
            let brokers = self.target.led.len();
            let (rank, among) = (index / brokers, workload.consumers.div_ceil(brokers));
            let mine = partitions.iter().skip(rank).step_by(among);
            let mine = mine.filter_map(|id| Some((*id, *places.get(id)?))).collect();
            self.consumer(force, &format, address, mine)?;
        }
        Ok(())
    }

    fn groups(&self, force: &mut Workforce) -> Result<(), RunError> {
        let (workload, target) = (self.workload, self.target);
        let Some((address, partitions)) = target.led.first_key_value() else { return Ok(()) };
        if target.led.len() > 1 {
            let text = "--groups needs a target whose partitions are all led by one broker";
            return Err(RunError::Misfit(text.into()));
        }
        let places = places(workload, target)?;
        let format = self.format();
        let mut joined = Vec::new();
        for index in 0..workload.groups {
            let name = format!("{}-{:08x}-{index}", workload.topic, self.run);
            let (bootstrap, topic) = (&target.bootstrap, &workload.topic);
            let members = group::form(bootstrap, &name, topic, partitions, workload.consumers)?;
            for (member, share) in members {
                let mine = share.iter().filter_map(|id| Some((*id, *places.get(id)?)));
                self.consumer(force, &format, address, mine.collect())?;
                joined.push((name.clone(), member));
            }
        }
        let first = workload.producers + force.consumers.len();
        for (index, (name, member)) in joined.into_iter().enumerate() {
            let member = member
                .start(&name, &workload.topic, (first + index) as u64, self.poll)
                .map_err(|source| RunError::System { what: "cannot watch a member", source })?;
            force.members.push(member);
        }
        Ok(())
    }
}

/// The broker that connection `index` goes to, and the partitions it leads.
fn share(target: &Target, index: usize) -> Result<(&str, &[i32]), RunError> {
    target
        .led
        .iter()
        .nth(index % target.led.len().max(1))
        .map(|(address, partitions)| (address.as_str(), partitions.as_slice()))
        .ok_or_else(|| RunError::Misfit("no partition has a leader".into()))
}

/// Where consumers begin in each partition.
pub fn places(workload: &Workload, target: &Target) -> Result<BTreeMap<i32, Place>, RunError> {
    let mut places = BTreeMap::new();
    for (address, partitions) in &target.led {
        let mut asker = Asker::connect(address, ASK_TIMEOUT)?;
        let ends = asker.list_offsets(&workload.topic, partitions, End::Latest)?;
        let starts = match workload.read_from {
            ReadFrom::Latest => ends.clone(),
            _ => asker.list_offsets(&workload.topic, partitions, End::Earliest)?,
        };
        for (partition, end) in ends {
            let start = starts.get(&partition).copied().unwrap_or(end);
            let place = match workload.read_from {
                ReadFrom::Latest | ReadFrom::Earliest => {
                    Place { offset: start, rewind_to: 0, rewind_at: i64::MAX }
                }
                ReadFrom::Window(bytes) => {
                    let size = workload.sizes.mean().max(1.0);
                    let records = (bytes as f64 / size) as u64 / target.partitions().max(1) as u64;
                    let from = start.max(end - records.max(1) as i64);
                    Place { offset: from, rewind_to: from, rewind_at: end }
                }
            };
            if matches!(workload.read_from, ReadFrom::Window(_)) && place.offset >= end {
                continue; // an empty partition would be asked for in vain
            }
            places.insert(partition, place);
        }
    }
    if places.is_empty() {
        return Err(RunError::Misfit(format!(
            "topic `{}` is empty: there is no window of records to read",
            workload.topic
        )));
    }
    Ok(places)
}

/// A broken connection's new socket, if the broker takes it now.
pub fn try_again(poll: &Poll, address: &str, token: usize) -> io::Result<Connection> {
    let stream =
        ask::connect(address, std::time::Duration::from_millis(200)).map_err(io::Error::other)?;
    Connection::new(stream, token as u64, poll)
}
