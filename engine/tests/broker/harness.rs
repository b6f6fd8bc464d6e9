//! Brokers in a simulated world, of two shards unless said otherwise, and calls on them.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use millrace_engine::boot::{EngineSettings, Serve, Stop, run_shard, wire};
use millrace_engine::client::Client;
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::metadata::controller::call::{NewTopic, TopicName};
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};
use millrace_engine::partition::AppendError;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::shard::call::{
    Acks, Answer, Append, AppendItem, Call, Isolation, Read, ReadError, ReadItem,
};
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{ShardId, TopicPartition};

pub const LOG_DIR: &str = "/data/millrace";

pub fn settings(shards: ShardId) -> EngineSettings {
    let topic_defaults = TopicConfig { segment_bytes: 4 << 20, ..TopicConfig::default() };
    EngineSettings {
        shards,
        memory_bytes: 32 << 20,
        journal_bytes: 16 << 20,
        ..EngineSettings::single_node(1, LOG_DIR.into(), topic_defaults)
    }
}

pub type Broker = Client<SimEnv>;

/// Runs `work` on shard 0 of a broker of two shards. The broker is not stopped afterwards.
pub fn with_broker<T: 'static, F>(sim: &Sim, work: impl FnOnce(Broker) -> F + 'static) -> T
where
    F: Future<Output = T> + 'static,
{
    start(sim, work).0
}

/// The same, and hands out what stops the broker and how many shards have ended.
pub fn start<T: 'static, F>(
    sim: &Sim,
    work: impl FnOnce(Broker) -> F + 'static,
) -> (T, Stop, Rc<Cell<u16>>)
where
    F: Future<Output = T> + 'static,
{
    start_with(sim, settings(2), work)
        .unwrap_or_else(|error| panic!("the broker does not start: {error}"))
}

/// The same with these settings. The text says why it does not start.
pub fn start_with<T: 'static, F>(
    sim: &Sim,
    settings: EngineSettings,
    work: impl FnOnce(Broker) -> F + 'static,
) -> Result<(T, Stop, Rc<Cell<u16>>), String>
where
    F: Future<Output = T> + 'static,
{
    let shards = settings.shards;
    let settings = Arc::new(settings);
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
            return Err(error.clone());
        }
        if let Some(result) = result.borrow_mut().take() {
            return Ok((result, stop, ended));
        }
    }
}

pub async fn control(client: &Broker, call: ControllerCall) -> ControllerAnswer {
    match client.call(0, Call::Controller(call)).await {
        Answer::Controller(Ok(answer)) => answer,
        other => panic!("the controller refuses: {other:?}"),
    }
}

pub async fn create(client: &Broker, name: &str) {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: 1,
        replication_factor: 1,
        ..NewTopic::default()
    };
    let call = ControllerCall::CreateTopics { topics: vec![topic], validate_only: false };
    control(client, call).await;
}

pub async fn delete(client: &Broker, name: &str) {
    let topics = vec![TopicName { name: Some(name.to_owned()), topic_id: Default::default() }];
    control(client, ControllerCall::DeleteTopics { topics }).await;
}

pub fn partition(client: &Broker, topic: &str) -> TopicPartition {
    let image = client.image();
    let topic_id = image.topics.id_of(topic).expect("the topic is there");
    TopicPartition { topic_id, partition: 0 }
}

pub async fn append(client: &Broker, topic: &str, bytes: usize) -> Result<i64, AppendError> {
    append_value(client, topic, &vec![7; bytes]).await
}

/// As [`append`], with this value.
pub async fn append_value(client: &Broker, topic: &str, value: &[u8]) -> Result<i64, AppendError> {
    let partition = partition(client, topic);
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(client.env().wall_ms(), None, Some(value), &[]).expect("it fits");
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

/// Reads the batch with an offset.
pub async fn read(client: &Broker, topic: &str, offset: i64) -> Result<Bytes, ReadError> {
    let partition = partition(client, topic);
    let (leader_epoch, last_fetched_epoch, bytes_max) = (-1, -1, 1);
    let item = ReadItem { partition, offset, bytes_max, leader_epoch, last_fetched_epoch };
    let read = Read { items: vec![item], bytes_max, isolation: Isolation::Uncommitted };
    let answer = client.call(client.owner(partition), Call::Read(read)).await;
    let Answer::Read(mut parts) = answer else { panic!("{answer:?}") };
    parts.remove(0).map(|part| Bytes::from(part.records.concat()))
}

pub async fn read_all(client: &Broker, topic: &str, end: i64) {
    for offset in 0..end {
        let records = read(client, topic, offset).await;
        let records = records.unwrap_or_else(|error| panic!("{topic}@{offset}: {error}"));
        assert!(!records.is_empty(), "{topic}@{offset} is there");
    }
}
