//! A broker on a simulated disk that is full or stands still: what goes on, and how it goes on by itself.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use millrace_engine::boot::{EngineSettings, Serve, Stop, run_shard, wire};
use millrace_engine::client::Client;
use millrace_engine::group::GroupConfig;
use millrace_engine::group::call::{
    CommitPartition, CommitTopic, GroupAnswer, GroupCall, HeartbeatCall, JoinCall,
    OffsetCommitCall, SyncCall,
};
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Fault, OpKind, Sim, SimEnv};
use millrace_engine::metadata::bootstrap::FEATURES_SUPPORTED;
use millrace_engine::metadata::configs::ConfigMap;
use millrace_engine::metadata::controller::call::{NewTopic, TopicName};
use millrace_engine::metadata::controller::{
    BrokerRules, ControllerAnswer, ControllerCall, ControllerSettings,
};
use millrace_engine::partition::AppendError;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::shard::call::{
    Acks, Answer, Append, AppendItem, Call, DeleteRecords, Isolation, Read, ReadItem,
};
use millrace_engine::shard::scrub::ScrubSettings;
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{ShardId, TopicId, TopicPartition};

const CAPACITY: u64 = 80 << 20;
const RESUMED_MS: u64 = 5_000;

struct NoRules;

impl BrokerRules for NoRules {
    fn check(&self, _: &ConfigMap, _: bool) -> Result<(), String> {
        Ok(())
    }

    fn list_default(&self, _: &str) -> Option<String> {
        None
    }
}

fn settings(shards: ShardId) -> EngineSettings {
    let topic_defaults = TopicConfig { segment_bytes: 4 << 20, ..TopicConfig::default() };
    EngineSettings {
        node_id: 1,
        rack: None,
        log_dir: "/data/millrace".into(),
        shards,
        cores: Vec::new(),
        memory_bytes: 32 << 20,
        journal_bytes: 16 << 20,
        is_flushed: true,
        is_deep: false,
        topic_defaults: Arc::new(topic_defaults.clone()),
        group: GroupConfig::default(),
        retention_check_ms: 300_000,
        scrub: ScrubSettings { interval_ms: 0, bytes_per_second: 1 << 20 },
        producer_expiration_ms: 86_400_000,
        controller: ControllerSettings {
            node_id: 1,
            partitions_default: 1,
            replication_factor_default: 1,
            delete_topic_enable: true,
            topic_defaults,
            features_supported: FEATURES_SUPPORTED.to_vec(),
        },
        endpoints: Vec::new(),
        rules: || Box::new(NoRules),
    }
}

type Broker = Client<SimEnv>;

/// Runs `work` on shard 0 of a broker of two shards. The broker is not stopped afterwards.
fn with_broker<T: 'static, F>(sim: &Sim, work: impl FnOnce(Broker) -> F + 'static) -> T
where
    F: Future<Output = T> + 'static,
{
    start(sim, work).0
}

/// The same, and hands out what stops the broker and how many shards have ended.
fn start<T: 'static, F>(
    sim: &Sim,
    work: impl FnOnce(Broker) -> F + 'static,
) -> (T, Stop, Rc<Cell<u16>>)
where
    F: Future<Output = T> + 'static,
{
    let shards = 2;
    let settings = Arc::new(settings(shards));
    let envs: Vec<SimEnv> = (0..shards).map(|shard| sim.env(shard)).collect();
    let wakes: Vec<_> = envs.iter().map(Env::waker).collect();
    let stop = Stop::new(wakes.clone());
    let (report, _reported) = channel();
    let result: Rc<RefCell<Option<T>>> = Rc::default();
    let failed: Rc<RefCell<Option<String>>> = Rc::default();
    let ended = Rc::new(Cell::new(0));
    let mut work = Some(work);
    for (env, wiring) in envs.into_iter().zip(wire(&wakes)) {
        let (work, result) = (work.take(), Rc::clone(&result));
        let serve: Serve<SimEnv> = Box::new(move |client, _| {
            Box::pin(async move {
                if let Some(work) = work {
                    let done = work(client).await;
                    *result.borrow_mut() = Some(done);
                }
            })
        });
        let (settings, stop, report) = (Arc::clone(&settings), stop.clone(), report.clone());
        let (failed, ended) = (Rc::clone(&failed), Rc::clone(&ended));
        env.clone().spawn(async move {
            if let Err(error) = run_shard(env, wiring, settings, stop, serve, &report).await {
                *failed.borrow_mut() = Some(error.to_string());
            }
            ended.set(ended.get() + 1);
        });
    }
    loop {
        assert!(sim.run_steps(100) > 0, "nothing happens any more");
        if let Some(error) = failed.borrow().as_ref() {
            panic!("the broker does not start: {error}");
        }
        if let Some(result) = result.borrow_mut().take() {
            return (result, stop, ended);
        }
    }
}

async fn control(client: &Broker, call: ControllerCall) -> ControllerAnswer {
    match client.call(0, Call::Controller(call)).await {
        Answer::Controller(Ok(answer)) => answer,
        other => panic!("the controller refuses: {other:?}"),
    }
}

async fn create(client: &Broker, name: &str) {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: 1,
        replication_factor: 1,
        ..NewTopic::default()
    };
    let call = ControllerCall::CreateTopics { topics: vec![topic], validate_only: false };
    control(client, call).await;
}

async fn delete(client: &Broker, name: &str) {
    let topics = vec![TopicName { name: Some(name.to_owned()), topic_id: Default::default() }];
    control(client, ControllerCall::DeleteTopics { topics }).await;
}

fn partition(client: &Broker, topic: &str) -> TopicPartition {
    let image = client.image();
    let topic_id = image.topics.id_of(topic).expect("the topic is there");
    TopicPartition { topic_id, partition: 0 }
}

async fn append(client: &Broker, topic: &str, bytes: usize) -> Result<i64, AppendError> {
    let partition = partition(client, topic);
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(client.env().wall_ms(), None, Some(&vec![7; bytes]), &[]).expect("it fits");
    let records: Bytes = builder.finish();
    let items = vec![AppendItem { partition, records }];
    let append = Append { items, acks: Acks::All, zstd_allowed: true };
    match client.call(client.owner(partition), Call::Append(append)).await {
        Answer::Appended { mut results, .. } => {
            results.remove(0).map(|appended| appended.base_offset)
        }
        other => panic!("{other:?}"),
    }
}

/// Appends until there is no room; says how much was acknowledged. The refusal comes in time.
async fn fill(client: &Broker, topic: &str) -> i64 {
    for count in 0..10_000 {
        let began = client.env().now();
        if let Err(error) = append(client, topic, 400_000).await {
            assert!(matches!(error, AppendError::Storage), "{error}");
            assert!(client.env().now().ms_since(began) <= 1_000);
            return count;
        }
    }
    panic!("the disk does not get full")
}

async fn read_all(client: &Broker, topic: &str, end: i64) {
    let partition = partition(client, topic);
    for offset in 0..end {
        let (leader_epoch, last_fetched_epoch) = (-1, -1);
        let bytes_max = 1;
        let item = ReadItem { partition, offset, bytes_max, leader_epoch, last_fetched_epoch };
        let read = Read { items: vec![item], bytes_max, isolation: Isolation::Uncommitted };
        let answer = client.call(client.owner(partition), Call::Read(read)).await;
        let Answer::Read(parts) = answer else { panic!("{answer:?}") };
        let part = parts[0].as_ref().unwrap_or_else(|error| panic!("{topic}@{offset}: {error}"));
        assert!(!part.records.is_empty(), "{topic}@{offset} is there");
    }
}

/// Waits until an append is taken again.
async fn resumed(client: &Broker, topic: &str) -> i64 {
    let began = client.env().now();
    loop {
        if let Ok(offset) = append(client, topic, 400_000).await {
            return offset;
        }
        assert!(client.env().now().ms_since(began) < RESUMED_MS, "appends do not go on");
        client.env().sleep_until(client.env().now().plus_ms(100)).await;
    }
}

async fn delete_records(client: &Broker, topic: &str, before: i64) {
    let partition = partition(client, topic);
    let wish = DeleteRecords { partition, before };
    let answer = client.call(client.owner(partition), Call::DeleteRecords(vec![wish])).await;
    let Answer::LogStarts(results) = answer else { panic!("{answer:?}") };
    assert_eq!(results[0].as_ref().expect("they are deleted"), &before);
}

fn full_disk(seed: u64) -> Sim {
    let sim = Sim::new(seed);
    sim.set_disk_capacity(Some(CAPACITY));
    sim
}

#[test]
fn reads_and_deletions_go_on_and_then_appends() {
    with_broker(&full_disk(1), |client| async move {
        create(&client, "kept").await;
        assert_eq!(append(&client, "kept", 1_000).await, Ok(0));
        create(&client, "fill").await;
        let count = fill(&client, "fill").await;
        assert!(count > 50, "only {count} appends");
        read_all(&client, "fill", count).await;
        read_all(&client, "kept", 1).await;
        delete_records(&client, "fill", count - 2).await;
        resumed(&client, "fill").await;
        fill(&client, "fill").await;
        delete(&client, "fill").await;
        resumed(&client, "kept").await;
        read_all(&client, "kept", 2).await;
    });
}

#[test]
fn a_full_disk_does_not_keep_a_broker_from_stopping() {
    let sim = full_disk(3);
    let (count, stop, ended) = start(&sim, |client| async move {
        create(&client, "fill").await;
        fill(&client, "fill").await
    });
    stop.stop();
    while ended.get() < 2 {
        assert!(sim.run_steps(100) > 0, "nothing happens any more, and the broker has not stopped");
    }
    with_broker(&sim, move |client| async move { read_all(&client, "fill", count).await });
}

#[test]
fn a_start_on_a_full_disk_comes_up() {
    for seed in 10..14 {
        let sim = full_disk(seed);
        let (kept, count) = with_broker(&sim, |client| async move {
            create(&client, "fill").await;
            create(&client, "kept").await;
            let mut count = 0;
            let mut kept = 0;
            // Small appends go through the journal, and are not in their segment yet at the end.
            while append(&client, "fill", 400_000).await.is_ok() {
                count += 1;
                kept += i64::from(append(&client, "kept", 30_000).await.is_ok());
            }
            (kept, count)
        });
        sim.power_cut();
        with_broker(&sim, move |client| async move {
            read_all(&client, "fill", count).await;
            read_all(&client, "kept", kept).await;
            fill(&client, "fill").await;
            delete(&client, "fill").await;
            resumed(&client, "kept").await;
        });
    }
}

#[test]
fn a_topic_that_had_no_room_is_there_when_there_is() {
    with_broker(&full_disk(20), |client| async move {
        create(&client, "fill").await;
        fill(&client, "fill").await;
        while append(&client, "fill", 10).await.is_ok() {}
        create(&client, "late").await;
        delete(&client, "fill").await;
        resumed(&client, "late").await;
    });
}

async fn group(client: &Broker, call: GroupCall) -> GroupAnswer {
    let owner = client.owner(partition(client, "__consumer_offsets"));
    match client.call(owner, Call::Group { partition: 0, call }).await {
        Answer::Group(Ok(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn join() -> GroupCall {
    GroupCall::Join(JoinCall {
        group_id: "readers".to_owned(),
        member_id: String::new(),
        instance_id: None,
        client_id: "reader".to_owned(),
        client_host: "here".to_owned(),
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: 6_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::new())],
        reason: None,
        require_known_member_id: false,
        supports_skip_assignment: false,
        random: 1,
    })
}

fn commit(member_id: &str, generation: i32) -> GroupCall {
    let partition = CommitPartition { partition: 0, offset: 7, leader_epoch: -1, metadata: None };
    GroupCall::OffsetCommit(OffsetCommitCall {
        group_id: "readers".to_owned(),
        generation,
        member_id: member_id.to_owned(),
        instance_id: None,
        retention_ms: None,
        topics: vec![CommitTopic {
            name: "kept".to_owned(),
            topic_id: TopicId::default(),
            partitions: vec![partition],
        }],
    })
}

/// A client that waits for its commit may send no heartbeat behind it.
#[test]
fn no_session_ends_while_the_disk_stands_still() {
    with_broker(&Sim::new(30), |client| async move {
        create(&client, "kept").await;
        create(&client, "__consumer_offsets").await;
        let joined = group(&client, join()).await;
        let GroupAnswer::Join(Ok(joined)) = joined else { panic!("{joined:?}") };
        let (member_id, generation) = (joined.member_id, joined.generation);
        let synced = group(
            &client,
            GroupCall::Sync(SyncCall {
                group_id: "readers".to_owned(),
                generation,
                member_id: member_id.clone(),
                instance_id: None,
                protocol_type: None,
                protocol: None,
                assignments: vec![(member_id.clone(), Bytes::new())],
            }),
        )
        .await;
        assert!(matches!(synced, GroupAnswer::Sync(Ok(_))), "{synced:?}");
        const STALL_MS: u64 = 20_000;
        let began = client.env().now();
        // Tails and journal files are flushed beside the commit: they stand still as well.
        for _ in 0..16 {
            client.env().fail_next(OpKind::Sync, Fault::Stall(STALL_MS * 1_000_000));
        }
        let committed = group(&client, commit(&member_id, generation)).await;
        assert!(client.env().now().ms_since(began) >= STALL_MS, "the commit met the stall");
        assert!(matches!(committed, GroupAnswer::OffsetCommit(Ok(_))), "{committed:?}");
        let heartbeat = HeartbeatCall {
            group_id: "readers".to_owned(),
            generation,
            member_id,
            instance_id: None,
        };
        // Later than a session, from the stall's begin, and sooner than that from its end.
        client.env().sleep_until(client.env().now().plus_ms(3_000)).await;
        let alive = group(&client, GroupCall::Heartbeat(heartbeat.clone())).await;
        assert_eq!(alive, GroupAnswer::Heartbeat(Ok(())));
        client.env().sleep_until(client.env().now().plus_ms(7_000)).await;
        let gone = group(&client, GroupCall::Heartbeat(heartbeat)).await;
        assert!(matches!(gone, GroupAnswer::Heartbeat(Err(_))), "its own silence ends it");
    });
}
