//! Many clients, lost answers, slow disks and crashes, from one seed; and what must hold throughout.
//!
//! - Every call is answered exactly once, and at last.
//! - All members of a generation are told the same protocol, and one assignment is ever shown for it,
//!   also over crashes.
//! - What was acknowledged, or was once seen, of an offset is never lost.
//! - The fold of the log is what the machine says is stored.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::host::*;
use crate::group::call::*;
use crate::group::{GroupAnswer, GroupCall, GroupConfig};
use crate::machine::Token;
use crate::types::Nanos;

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Debug, Clone, Default)]
enum Doing {
    #[default]
    Nothing,
    Joining(Token),
    Syncing(Token),
    Working,
    Beating(Token),
    Committing(Token, i64),
}

/// A client as a library would be: it joins, syncs, heartbeats and joins again on errors.
#[derive(Debug, Default)]
struct Client {
    group_id: String,
    instance_id: Option<String>,
    name: String,
    member_id: String,
    generation: i32,
    doing: Doing,
}

struct Simulation {
    host: Host,
    chance: Chance,
    clients: Vec<Client>,
    crashes: u64,
    /// By crash count, group and generation: the protocol.
    protocols: BTreeMap<(u64, String, i32), Option<String>>,
    /// By group and generation: the assignment that was shown.
    assignments: BTreeMap<(String, i32), Bytes>,
    /// By group: the offset that no reader may see less of.
    seen: BTreeMap<String, i64>,
    next_offset: i64,
    completed: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let config = GroupConfig {
            initial_rebalance_delay_ms: chance.below(3) * 1_500,
            members_max: if chance.one_in(4) { 3 } else { 1_000 },
            offsets_retention_check_ms: 5_000,
            ..GroupConfig::default()
        };
        let statics = chance.one_in(2);
        let clients = (0..2 + chance.below(8)).map(|i| Client {
            group_id: format!("g{}", i % (1 + seed % 3)),
            instance_id: (statics && i % 2 == 0).then(|| format!("i{i}")),
            name: format!("c{i}"),
            ..Client::default()
        });
        let clients = clients.collect();
        let mut host = Host::with(config);
        // An offset keeps a group, so that its generations never begin again.
        for index in 0..3 {
            let group_id = format!("g{index}");
            host.commit(OffsetCommitCall { group_id, ..commit("", -1, 0) }).unwrap();
        }
        host.is_fast = false;
        Self {
            host,
            chance,
            clients,
            crashes: 0,
            protocols: BTreeMap::new(),
            assignments: BTreeMap::new(),
            seen: BTreeMap::new(),
            next_offset: 1,
            completed: 0,
        }
    }

    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.chance.below(100) {
                0..20 => {
                    let ms = self.chance.below(2_000);
                    self.host.advance(ms);
                }
                20..45 => self.host.write_one(),
                45..47 => self.read_offsets(),
                47 => self.check_fold(),
                48 if self.chance.one_in(3) => self.crash(),
                _ => {
                    let count = u64::try_from(self.clients.len()).unwrap();
                    let index = usize::try_from(self.chance.below(count)).unwrap();
                    let mut client = std::mem::take(&mut self.clients[index]);
                    self.act(&mut client);
                    self.clients[index] = client;
                }
            }
            self.check();
        }
        // Now nobody says anything any more: all that is held is answered in the end.
        for _ in 0..50 {
            self.host.advance(60_000);
            while !self.host.in_flight.is_empty() {
                self.host.write_one();
            }
            self.check();
        }
        assert!(self.host.waiting.is_empty(), "never answered: {:?}", self.host.waiting);
        self.check_fold();
    }

    fn check(&self) {
        let machine = &self.host.machine;
        machine.groups.values().for_each(|group| group.check(&machine.timers));
        let is_waiting = !self.host.waiting.is_empty() && self.host.in_flight.is_empty();
        assert!(!is_waiting || machine.next_deadline() != Nanos::NEVER);
        if machine.groups.is_empty() {
            assert_eq!(machine.next_deadline(), Nanos::NEVER);
        }
    }

    fn act(&mut self, client: &mut Client) {
        if self.chance.one_in(60) {
            // The process dies; its answers go nowhere.
            client.member_id.clear();
            client.doing = Doing::Nothing;
        }
        match client.doing.clone() {
            Doing::Nothing => self.join(client),
            Doing::Joining(token) => {
                if let Some(answer) = self.host.take(token) {
                    self.on_joined(client, joined(answer));
                } else if self.chance.one_in(20) || self.is_lost(token) {
                    self.join(client);
                }
            }
            Doing::Syncing(token) => match self.host.take(token) {
                Some(GroupAnswer::Sync(Ok(synced))) => self.on_synced(client, synced),
                Some(GroupAnswer::Sync(Err(error))) => Self::on_error(client, &error),
                None if self.is_lost(token) => client.doing = Doing::Nothing,
                None => {}
                other => panic!("{other:?}"),
            },
            Doing::Working => self.work(client),
            Doing::Beating(token) => match self.host.take(token) {
                Some(GroupAnswer::Heartbeat(Ok(()))) => client.doing = Doing::Working,
                Some(GroupAnswer::Heartbeat(Err(error))) => Self::on_error(client, &error),
                None if self.is_lost(token) => client.doing = Doing::Working,
                other => panic!("{other:?}"),
            },
            Doing::Committing(token, offset) => match self.host.take(token) {
                Some(GroupAnswer::OffsetCommit(Ok(_))) => {
                    let seen = self.seen.entry(client.group_id.clone()).or_default();
                    *seen = offset.max(*seen);
                    client.doing = Doing::Working;
                }
                Some(GroupAnswer::OffsetCommit(Err(error))) => Self::on_error(client, &error),
                None if self.is_lost(token) => client.doing = Doing::Working,
                None => {}
                other => panic!("{other:?}"),
            },
        }
    }

    /// Whether a crash made an end of a call.
    fn is_lost(&self, token: Token) -> bool {
        !self.host.waiting.contains(&token) && !self.host.answers.contains_key(&token)
    }

    fn join(&mut self, client: &mut Client) {
        let mut names = vec!["range".to_owned(), "sticky".to_owned()];
        if self.chance.one_in(3) {
            names.reverse();
        }
        names.truncate(usize::try_from(1 + self.chance.below(2)).unwrap());
        if !names.contains(&"range".to_owned()) {
            names.push("range".into());
        }
        let protocols = names.into_iter().map(|name| (name, subscription(&["orders"])));
        let call = JoinCall {
            group_id: client.group_id.clone(),
            member_id: client.member_id.clone(),
            instance_id: client.instance_id.clone(),
            client_id: client.name.clone(),
            protocols: protocols.collect(),
            require_known_member_id: self.chance.one_in(2),
            supports_skip_assignment: self.chance.one_in(2),
            random: (u128::from(self.chance.next()) << 64) | u128::from(self.chance.next()),
            ..dynamic(&client.name)
        };
        client.doing = Doing::Joining(self.host.send(GroupCall::Join(call)));
    }

    fn on_joined(&mut self, client: &mut Client, result: Result<Joined, GroupError>) {
        let joined = match result {
            Ok(joined) => joined,
            Err(GroupError::MemberIdRequired { member_id }) => {
                client.member_id = member_id;
                return self.join(client);
            }
            Err(error) => return Self::on_error(client, &error),
        };
        let key = (self.crashes, client.group_id.clone(), joined.generation);
        let protocol = self.protocols.entry(key).or_insert_with(|| joined.protocol.clone());
        assert_eq!(*protocol, joined.protocol, "one protocol in a generation");
        client.member_id = joined.member_id.clone();
        client.generation = joined.generation;
        let leads = joined.leader == joined.member_id;
        assert!(!joined.skip_assignment || leads);
        let one_given = Bytes::from(self.chance.next().to_string());
        let members = joined.members.iter().filter(|_| leads && !joined.skip_assignment);
        let call = SyncCall {
            group_id: client.group_id.clone(),
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            instance_id: client.instance_id.clone(),
            protocol_type: joined.protocol_type.clone(),
            protocol: joined.protocol.clone(),
            assignments: members.map(|m| (m.member_id.clone(), one_given.clone())).collect(),
        };
        client.doing = Doing::Syncing(self.host.send(GroupCall::Sync(call)));
    }

    fn on_synced(&mut self, client: &mut Client, synced: Synced) {
        let key = (client.group_id.clone(), client.generation);
        let shown = self.assignments.entry(key.clone()).or_insert(synced.assignment.clone());
        assert_eq!(*shown, synced.assignment, "{key:?} has one assignment");
        assert!(!synced.assignment.is_empty());
        client.doing = Doing::Working;
        self.completed += 1;
    }

    fn on_error(client: &mut Client, error: &GroupError) {
        client.doing = Doing::Nothing;
        let keeps_id = [GroupError::RebalanceInProgress, GroupError::IllegalGeneration];
        if !keeps_id.contains(error) {
            client.member_id.clear();
        }
    }

    fn work(&mut self, client: &mut Client) {
        match self.chance.below(20) {
            0 => {
                let leaving = Leaving {
                    member_id: client.member_id.clone(),
                    instance_id: client.instance_id.clone(),
                };
                let (group_id, members) = (client.group_id.clone(), vec![leaving]);
                self.host.send(GroupCall::Leave(LeaveCall { group_id, members }));
                client.member_id.clear();
                client.doing = Doing::Nothing;
            }
            1 => self.join(client),
            2..8 => {
                let mut call = commit(&client.member_id, client.generation, self.next_offset);
                call.group_id = client.group_id.clone();
                call.instance_id = client.instance_id.clone();
                let token = self.host.send(GroupCall::OffsetCommit(call));
                client.doing = Doing::Committing(token, self.next_offset);
                self.next_offset += 1;
            }
            _ => {
                let call = HeartbeatCall {
                    group_id: client.group_id.clone(),
                    generation: client.generation,
                    member_id: client.member_id.clone(),
                    instance_id: client.instance_id.clone(),
                };
                client.doing = Doing::Beating(self.host.send(GroupCall::Heartbeat(call)));
            }
        }
    }

    fn read_offsets(&mut self) {
        for index in 0..3 {
            let group_id = format!("g{index}");
            let call = OffsetFetchCall { group_id: group_id.clone(), ..OffsetFetchCall::default() };
            let Some(GroupAnswer::OffsetFetch(Ok(topics))) =
                self.host.ask(GroupCall::OffsetFetch(call))
            else {
                panic!("answered at once")
            };
            let offset = topics.first().map_or(0, |topic| topic.partitions[0].offset);
            let seen = self.seen.entry(group_id).or_default();
            assert!(offset >= *seen, "{offset} after {seen}");
            *seen = offset;
        }
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.host.restart();
        self.read_offsets();
    }

    /// What the log holds is what the machine is, where the machine says that it is stored.
    fn check_fold(&mut self) {
        while !self.host.in_flight.is_empty() {
            self.host.write_one();
        }
        let live = &self.host.machine;
        let folded = replayed(&self.host.config, &self.host.log);
        for (id, group) in &live.groups {
            let is_stored = group.state() == GroupState::Stable
                || (group.state() == GroupState::Empty && group.generation() > 0);
            if is_stored {
                let other = folded.groups.get(id).expect("a stored group");
                assert_eq!(other.describe(), group.describe());
                assert_eq!(other.generation(), group.generation());
            }
            let offsets = live.offsets.latest(id).collect::<Vec<_>>();
            assert_eq!(folded.offsets.latest(id).collect::<Vec<_>>(), offsets);
        }
        for id in folded.groups.keys() {
            assert!(live.groups.contains_key(id), "{id} was deleted");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_of_restless_clients(seed in any::<u64>()) {
        Simulation::new(seed).run(1_500);
    }
}

#[test]
fn the_simulation_gets_somewhere() {
    let mut simulation = Simulation::new(7);
    simulation.run(5_000);
    assert!(simulation.completed > 100, "{} syncs", simulation.completed);
    assert!(simulation.crashes > 3);
    assert!(simulation.next_offset > 50);
}
