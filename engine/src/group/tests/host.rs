//! A host in a few lines: time, a log, and every answer exactly once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::group::call::*;
use crate::group::{GroupConfig, GroupMachine};
use crate::machine::{MachineRecord, Order, Token};
use crate::types::Nanos;

/// Wall time at the start. Milliseconds.
pub(super) const WALL_MS: i64 = 1_700_000_000_000;

/// A write that is ordered: its records, and the answers that wait for it.
type Write = (Vec<MachineRecord>, Vec<(Token, GroupAnswer)>);

/// A machine and what is around it.
pub(super) struct Host {
    pub(super) machine: GroupMachine,
    pub(super) config: GroupConfig,
    pub(super) now_ms: u64,
    /// Durable records.
    pub(super) log: Vec<MachineRecord>,
    /// Writes that are ordered and not durable.
    pub(super) in_flight: VecDeque<Write>,
    /// Whether writes are durable at once.
    pub(super) is_fast: bool,
    pub(super) waiting: BTreeSet<Token>,
    pub(super) answers: BTreeMap<Token, GroupAnswer>,
    next_token: u64,
}

impl Host {
    /// A host whose initial rebalance has no delay.
    pub(super) fn new() -> Self {
        Self::with(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() })
    }

    pub(super) fn with(config: GroupConfig) -> Self {
        Self {
            machine: GroupMachine::new(config.clone()),
            config,
            now_ms: 0,
            log: Vec::new(),
            in_flight: VecDeque::new(),
            is_fast: true,
            waiting: BTreeSet::new(),
            answers: BTreeMap::new(),
            next_token: 1,
        }
    }

    pub(super) fn now(&self) -> Nanos {
        Nanos::default().plus_ms(self.now_ms)
    }

    pub(super) fn wall_ms(&self) -> i64 {
        WALL_MS + i64::try_from(self.now_ms).unwrap()
    }

    /// Calls the machine and does what it orders.
    pub(super) fn send(&mut self, call: GroupCall) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.waiting.insert(token);
        let mut orders = Vec::new();
        self.machine.call(self.now(), self.wall_ms(), token, call, &mut orders);
        self.obey(orders);
        token
    }

    /// Calls the machine and lets no time pass until what is due is done.
    pub(super) fn ask(&mut self, call: GroupCall) -> Option<GroupAnswer> {
        let token = self.send(call);
        self.advance(0);
        self.take(token)
    }

    pub(super) fn take(&mut self, token: Token) -> Option<GroupAnswer> {
        self.answers.remove(&token)
    }

    pub(super) fn obey(&mut self, orders: Vec<Order<GroupAnswer>>) {
        for order in orders {
            match order {
                Order::Answer(token, answer) => self.give(token, answer),
                Order::Write { records, answers } => {
                    assert!(!records.is_empty(), "a write holds a record");
                    self.in_flight.push_back((records, answers));
                }
            }
        }
        assert_eq!(self.machine.writes_in_flight(), self.in_flight.len());
        while self.is_fast && !self.in_flight.is_empty() {
            self.write_one();
        }
    }

    /// The oldest write becomes durable.
    pub(super) fn write_one(&mut self) {
        let Some((records, answers)) = self.in_flight.pop_front() else { return };
        self.log.extend(records);
        let mut orders = Vec::new();
        self.machine.written(self.now(), self.wall_ms(), &mut orders);
        for (token, answer) in answers {
            self.give(token, answer);
        }
        self.obey(orders);
    }

    fn give(&mut self, token: Token, answer: GroupAnswer) {
        assert!(self.waiting.remove(&token), "{token:?} has one answer, not also {answer:?}");
        self.answers.insert(token, answer);
    }

    /// Time goes on, deadline by deadline.
    pub(super) fn advance(&mut self, ms: u64) {
        let end = self.now().plus_ms(ms);
        for _ in 0..100_000 {
            let next = self.machine.next_deadline();
            if next > end {
                self.now_ms = end.ms_since(Nanos::default());
                return;
            }
            self.now_ms = self.now_ms.max(next.ms_since(Nanos::default()));
            let mut orders = Vec::new();
            self.machine.tick(self.now(), self.wall_ms(), &mut orders);
            self.obey(orders);
        }
        panic!("the machine does not come to rest");
    }

    /// A crash: what is not durable is lost, and who waits hears nothing.
    pub(super) fn restart(&mut self) {
        self.in_flight.clear();
        self.waiting.clear();
        self.answers.clear();
        self.machine = replayed(&self.config, &self.log);
        let mut orders = Vec::new();
        self.machine.on_loaded(self.now(), self.wall_ms(), &mut orders);
        self.obey(orders);
    }

    // What clients say.

    pub(super) fn join(&mut self, call: JoinCall) -> Result<Joined, GroupError> {
        let answer = self.ask(GroupCall::Join(call)).expect("the join is answered");
        joined(answer)
    }

    pub(super) fn sync(&mut self, call: SyncCall) -> Result<Synced, GroupError> {
        match self.ask(GroupCall::Sync(call)) {
            Some(GroupAnswer::Sync(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn heartbeat(&mut self, member_id: &str, generation: i32) -> Result<(), GroupError> {
        let call = HeartbeatCall {
            group_id: "g".into(),
            generation,
            member_id: member_id.into(),
            instance_id: None,
        };
        match self.ask(GroupCall::Heartbeat(call)) {
            Some(GroupAnswer::Heartbeat(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leave(
        &mut self,
        members: &[(&str, Option<&str>)],
    ) -> Vec<Result<(), GroupError>> {
        let members = members.iter().map(|(id, instance)| Leaving {
            member_id: (*id).into(),
            instance_id: instance.map(Into::into),
        });
        let call = LeaveCall { group_id: "g".into(), members: members.collect() };
        match self.ask(GroupCall::Leave(call)) {
            Some(GroupAnswer::Leave(Ok(left))) => left.into_iter().map(|l| l.result).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn commit(&mut self, call: OffsetCommitCall) -> Result<(), GroupError> {
        match self.ask(GroupCall::OffsetCommit(call)) {
            Some(GroupAnswer::OffsetCommit(result)) => {
                result.and_then(|topics| topics[0].partitions[0].1.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    /// All offsets of group `g`: topic, partition, offset.
    pub(super) fn offsets(&mut self) -> Vec<(String, i32, i64)> {
        let call = OffsetFetchCall { group_id: "g".into(), ..OffsetFetchCall::default() };
        let Some(GroupAnswer::OffsetFetch(Ok(topics))) = self.ask(GroupCall::OffsetFetch(call))
        else {
            panic!("a fetch is answered at once");
        };
        let flat = topics.into_iter().flat_map(|topic| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |p| (name.clone(), p.partition, p.offset))
        });
        flat.collect()
    }

    pub(super) fn describe(&mut self) -> DescribedGroup {
        match self.ask(GroupCall::Describe { group_id: "g".into() }) {
            Some(GroupAnswer::Describe(described)) => described,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&mut self) -> GroupState {
        self.describe().state
    }

    /// A stable group `g` of one dynamic member; its id.
    pub(super) fn stable_one(&mut self) -> String {
        let joined = self.join(dynamic("a")).unwrap();
        self.sync(sync(&joined, &[(&joined.member_id, "A")])).unwrap();
        joined.member_id
    }

    /// A stable group `g` of two dynamic members, the leader first, in generation 2.
    pub(super) fn stable_two(&mut self) -> (String, String) {
        let leader = self.stable_one();
        let second = self.send(GroupCall::Join(dynamic("b")));
        assert_eq!(self.heartbeat(&leader, 1), Err(GroupError::RebalanceInProgress));
        let lead = self.join(JoinCall { member_id: leader.clone(), ..dynamic("a") }).unwrap();
        let follow = joined(self.take(second).expect("both have joined")).unwrap();
        let waiting = self.send(GroupCall::Sync(sync(&follow, &[])));
        assert_eq!(self.take(waiting), None);
        let assignments = [(lead.member_id.as_str(), "A"), (follow.member_id.as_str(), "B")];
        assert_eq!(self.sync(sync(&lead, &assignments)).unwrap().assignment, "A");
        let Some(GroupAnswer::Sync(Ok(synced))) = self.take(waiting) else { panic!() };
        assert_eq!(synced.assignment, "B");
        (leader, follow.member_id)
    }
}

/// A machine that has replayed a log.
pub(super) fn replayed(config: &GroupConfig, log: &[MachineRecord]) -> GroupMachine {
    let mut machine = GroupMachine::new(config.clone());
    for record in log {
        machine.replay(record.key.as_ref(), record.value.as_ref()).unwrap();
    }
    machine
}

pub(super) fn joined(answer: GroupAnswer) -> Result<Joined, GroupError> {
    match answer {
        GroupAnswer::Join(result) => result,
        other => panic!("{other:?}"),
    }
}

/// A consumer subscription to `topics`.
pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend(u32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([0xff; 4]);
    bytes.into()
}

/// A dynamic member of group `g` that needs no id beforehand. The name is its client's and gives its
/// randomness.
pub(super) fn dynamic(name: &str) -> JoinCall {
    JoinCall {
        group_id: "g".into(),
        client_id: name.into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), subscription(&["orders"]))],
        random: name.bytes().map(u128::from).sum(),
        ..JoinCall::default()
    }
}

/// A static member of group `g`; `random` makes its next id.
pub(super) fn fixed(instance_id: &str, random: u128) -> JoinCall {
    JoinCall { instance_id: Some(instance_id.into()), random, ..dynamic(instance_id) }
}

/// The sync that follows a join.
pub(super) fn sync(joined: &Joined, assignments: &[(&str, &'static str)]) -> SyncCall {
    let assignments = assignments.iter().map(|(id, given)| ((*id).into(), Bytes::from(*given)));
    SyncCall {
        group_id: "g".into(),
        generation: joined.generation,
        member_id: joined.member_id.clone(),
        instance_id: None,
        protocol_type: joined.protocol_type.clone(),
        protocol: joined.protocol.clone(),
        assignments: assignments.collect(),
    }
}

/// A commit of one offset of topic `orders` by a member of group `g`.
pub(super) fn commit(member_id: &str, generation: i32, offset: i64) -> OffsetCommitCall {
    commit_of("orders", 0, (member_id, generation), offset)
}

/// A commit of one offset.
pub(super) fn commit_of(
    topic: &str,
    partition: i32,
    (member_id, generation): (&str, i32),
    offset: i64,
) -> OffsetCommitCall {
    let partition = CommitPartition { partition, offset, leader_epoch: 3, metadata: None };
    OffsetCommitCall {
        group_id: "g".into(),
        generation,
        member_id: member_id.into(),
        instance_id: None,
        retention_ms: None,
        topics: vec![CommitTopic {
            name: topic.into(),
            topic_id: crate::types::TopicId::ZERO,
            partitions: vec![partition],
        }],
    }
}
