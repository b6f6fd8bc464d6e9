//! The engine on the real kernel: start, create, append, read, stop, start again.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

use bytes::Bytes;
use millrace_engine::boot::lock::{DirLocks, LockError};
use millrace_engine::boot::{EngineSettings, Serve, start};
use millrace_engine::client::Client;
use millrace_engine::io::runtime::RingEnv;
use millrace_engine::metadata::controller::call::NewTopic;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};
use millrace_engine::record::batch::BatchHeader;
use millrace_engine::record::builder::{BatchBuilder, BatchOptions};
use millrace_engine::shard::call::{
    Acks, Answer, Append, AppendItem, Call, Isolation, Read, ReadItem,
};
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{ShardId, TopicPartition};

fn settings(log_dir: &Path, shards: ShardId) -> EngineSettings {
    EngineSettings {
        shards,
        cores: vec![None; usize::from(shards)],
        is_deep: true,
        ..EngineSettings::single_node(1, log_dir.to_owned(), TopicConfig::default())
    }
}

fn batch(text: &str, bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let value = text.repeat(bytes / text.len() + 1);
    builder.push(1_000, Some(b"key"), Some(value.as_bytes()), &[]).expect("it fits");
    builder.finish()
}

async fn create(client: &Client<RingEnv>, name: &str, partitions: i32) {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions,
        replication_factor: 1,
        ..NewTopic::default()
    };
    let call = ControllerCall::CreateTopics { topics: vec![topic], validate_only: false };
    let Answer::Controller(Ok(ControllerAnswer::CreateTopics(results))) =
        client.call(0, Call::Controller(call)).await
    else {
        panic!("the controller does not answer")
    };
    assert!(results.iter().all(|result| result.result.is_ok()), "{results:?}");
}

async fn append(client: &Client<RingEnv>, partition: TopicPartition, records: Bytes) -> i64 {
    let append = Append {
        items: vec![AppendItem { partition, records }],
        acks: Acks::All,
        zstd_allowed: true,
    };
    let answer = client.call(client.owner(partition), Call::Append(append)).await;
    let Answer::Appended { results, .. } = answer else { panic!("{answer:?}") };
    results[0].as_ref().expect("the append is good").base_offset
}

async fn read(client: &Client<RingEnv>, partition: TopicPartition, offset: i64) -> Vec<u8> {
    let item = ReadItem {
        partition,
        offset,
        bytes_max: 1 << 20,
        leader_epoch: -1,
        last_fetched_epoch: -1,
    };
    let read = Read { items: vec![item], bytes_max: 1 << 20, isolation: Isolation::Uncommitted };
    let answer = client.call(client.owner(partition), Call::Read(read)).await;
    let Answer::Read(parts) = answer else { panic!("{answer:?}") };
    parts[0].as_ref().expect("the read is good").records.concat()
}

fn partition(client: &Client<RingEnv>, index: i32) -> TopicPartition {
    let image = client.image();
    let topic = image.topics.by_name("orders").expect("the topic is there");
    TopicPartition { topic_id: topic.id, partition: index }
}

/// Runs `work` on shard 0 of a broker, then stops it cleanly.
fn with_broker<W, F>(dir: &Path, shards: ShardId, work: W)
where
    W: Fn(Client<RingEnv>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    with_settings(settings(dir, shards), work);
}

/// The same with these settings.
fn with_settings<W, F>(settings: EngineSettings, work: W)
where
    W: Fn(Client<RingEnv>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let (done, finished): (Sender<()>, _) = channel();
    let serve = move |shard: ShardId| -> Serve<RingEnv> {
        let (work, done) = (work.clone(), done.clone());
        Box::new(move |client, _identity| {
            Box::pin(async move {
                if shard == 0 {
                    work(client).await;
                    done.send(()).expect("the test waits");
                }
            })
        })
    };
    let (running, stop, _) = start(settings, serve).expect("the broker starts");
    finished.recv().expect("the work ends");
    stop.stop();
    running.join();
}

fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&dir));
    dir
}

#[test]
fn what_is_appended_is_there_after_a_clean_stop() {
    let dir = scratch("clean");
    with_broker(&dir, 2, |client| async move {
        create(&client, "orders", 3).await;
        for i in 0..3 {
            let id = partition(&client, i);
            for n in 0..20_i64 {
                let size = if n % 7 == 0 { 300_000 } else { 100 };
                assert_eq!(append(&client, id, batch(&format!("{i}-{n} "), size)).await, n);
            }
            assert!(read(&client, id, 3).await.len() > 100);
        }
    });
    assert!(dir.join(".kafka_cleanshutdown").exists());
    with_broker(&dir, 1, |client| async move {
        for i in 0..3 {
            let id = partition(&client, i);
            let mut offset = 0;
            while offset < 20 {
                let bytes = read(&client, id, offset).await;
                let header = BatchHeader::parse(&bytes).expect("a batch");
                assert_eq!(header.base_offset, offset);
                offset = header.next_offset();
            }
            assert_eq!(append(&client, id, batch("more", 10)).await, 20);
        }
    });
}

#[test]
fn each_of_two_directories_is_complete_after_a_clean_stop() {
    let dirs = [scratch("first-of-two"), scratch("second-of-two")];
    let both = || EngineSettings { log_dirs: dirs.to_vec(), ..settings(&dirs[0], 2) };
    with_settings(both(), |client| async move {
        create(&client, "orders", 2).await;
        for i in 0..2 {
            assert_eq!(append(&client, partition(&client, i), batch("some", 1_000)).await, 0);
        }
    });
    for (index, dir) in dirs.iter().enumerate() {
        for name in [".kafka_cleanshutdown", "meta.properties", &format!("orders-{index}")] {
            assert!(dir.join(name).exists(), "{name} is in {}", dir.display());
        }
        let points = std::fs::read_to_string(dir.join("recovery-point-offset-checkpoint"));
        assert!(points.expect("it is there").contains(&format!("orders {index} 1")));
    }
    with_settings(both(), |client| async move {
        for i in 0..2 {
            assert!(read(&client, partition(&client, i), 0).await.len() > 1_000);
        }
    });
}

#[test]
fn one_directory_by_two_names_is_refused_and_one_of_no_use_left_out() {
    let (dir, file) = (scratch("locked"), scratch("locked-file"));
    let again = dir.join("..").join("locked");
    let locks = DirLocks::take(&[dir.clone(), again]);
    assert!(matches!(locks, Err(LockError::Twice { .. })), "{locks:?}");
    drop(std::fs::remove_file(&file));
    std::fs::write(&file, "not a directory").expect("it is written");
    let below = file.join("below");
    let locks = DirLocks::take(&[dir, below.clone()]).expect("it goes on with the first");
    assert_eq!(locks.failed, [1]);
    let locks = DirLocks::take(&[below]);
    assert!(matches!(locks, Err(LockError::Io { .. })), "{locks:?}");
}

/// The shards run already when the registration is refused: nobody may wait for them for ever.
#[test]
fn a_refused_registration_ends_the_start() {
    let dir = scratch("refused");
    let settings = EngineSettings { node_id: -1, ..settings(&dir, 2) };
    let serve = |_: ShardId| -> Serve<RingEnv> { Box::new(|_, _| Box::pin(async {})) };
    let Err(error) = start(settings, serve) else { panic!("it starts") };
    assert!(error.to_string().contains("cannot be negative"), "{error}");
}
