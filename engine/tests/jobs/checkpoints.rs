//! Files of offsets that each shard has for itself.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use millrace_engine::io::Env;
use millrace_engine::io::sim::Sim;
use millrace_engine::job::checkpoints::{read_by_name, read_offsets};
use millrace_engine::job::{JobSettings, Jobs};
use millrace_engine::shard::event::{Event, Job, OffsetsFile};
use millrace_engine::types::{TopicPartition, Uuid};

use crate::mini::{LOG_DIR, settings};

#[test]
fn log_start_offsets_of_all_shards_come_back() {
    let sim = Sim::new(18);
    let env = sim.env(0);
    let test = async move {
        let log_dir = Path::new(LOG_DIR);
        env.create_dir(log_dir).await.unwrap();
        let shard = |shard| Jobs::new(env.clone(), JobSettings { shard, ..settings(false) });
        let key = |topic, partition| TopicPartition { topic_id: Uuid(topic), partition };
        assert_eq!(read_offsets(&env, log_dir, OffsetsFile::LogStarts).await.unwrap(), None);
        for (shard, entries) in [
            (shard(0), BTreeMap::from([(key(1, 0), 5), (key(2, 1), 50)])),
            (shard(1), BTreeMap::from([(key(1, 0), 9)])),
        ] {
            // Of several versions the newest counts, in whichever order they are written, and is told.
            let write = |entries| Job::WriteOffsets {
                file: OffsetsFile::LogStarts,
                entries,
                is_awaited: true,
            };
            let older = shard.accept(write(BTreeMap::new()));
            let newer = shard.accept(write(entries));
            let (one, two) = (shard.clone(), shard.clone());
            let told = Rc::new(Cell::new(0));
            let tell = Rc::clone(&told);
            env.spawn(async move {
                let emit = |event| {
                    assert!(matches!(event, Event::OffsetsWritten), "{event:?}");
                    tell.set(tell.get() + 1);
                };
                two.run_accepted(newer, &emit).await;
            });
            env.spawn(async move { one.run_accepted(older, &|event| panic!("{event:?}")).await });
            while shard.running() > 0 {
                env.sleep_until(env.now().plus_ms(1)).await;
            }
            assert_eq!(told.get(), 1);
        }
        let starts = read_offsets(&env, log_dir, OffsetsFile::LogStarts).await.unwrap();
        assert_eq!(starts, Some(BTreeMap::from([(key(1, 0), 9), (key(2, 1), 50)])));
        // Apache Kafka's file says it by name.
        let text = "0\n2\na 0 7\nc 3 1\n";
        let path = log_dir.join("log-start-offset-checkpoint");
        env.write_small(&path, Bytes::from_static(text.as_bytes())).await.unwrap();
        let named = read_by_name(&env, log_dir, "log-start-offset-checkpoint").await.unwrap();
        let name = |name: &str, partition| (Arc::from(name), partition);
        assert_eq!(named, Some(BTreeMap::from([(name("a", 0), 7), (name("c", 3), 1)])));
    };
    sim.run(test).expect("ends");
}
