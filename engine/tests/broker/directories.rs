//! Several log directories: each has shards of its own, and fails alone.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use millrace_engine::boot::EngineSettings;
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Fault, Rule, Sim};
use millrace_engine::log::checkpoint::format_partition_metadata;
use millrace_engine::partition::AppendError;
use millrace_engine::shard::call::ReadError;
use millrace_engine::types::{ShardId, Uuid};

use crate::harness::{
    Broker, LOG_DIR, append, create, delete, partition, read, read_all, settings, start_with,
};

const SECOND: &str = "/second/millrace";

/// Some appends of both kinds: small ones go through the journal, large ones to the segment.
const SIZES: [usize; 6] = [100, 400_000, 20, 3_000, 70_000, 5];

fn dirs(shards: ShardId, log_dirs: &[&str]) -> EngineSettings {
    let log_dirs = log_dirs.iter().map(PathBuf::from).collect();
    EngineSettings { log_dirs, ..settings(shards) }
}

fn two(shards: ShardId) -> EngineSettings {
    dirs(shards, &[LOG_DIR, SECOND])
}

fn run<T: 'static, F>(
    sim: &Sim,
    settings: EngineSettings,
    work: impl FnOnce(Broker) -> F + 'static,
) -> T
where
    F: Future<Output = T> + 'static,
{
    let started = start_with(sim, settings, work);
    started.unwrap_or_else(|error| panic!("the broker does not start: {error}")).0
}

/// Why a start is refused.
fn refusal(sim: &Sim, settings: EngineSettings) -> String {
    let started = start_with(sim, settings, |_| async {});
    started.err().expect("the start is refused")
}

fn second_fails(fault: Fault) -> Rule {
    Rule::Every("/second/".to_owned(), fault)
}

/// In which of the two directories a topic's first partition is.
fn directory(client: &Broker, topic: &str) -> Option<usize> {
    let at = partition(client, topic);
    let image = client.image();
    client.directories().of(image.topics.partition(at).expect("it is there"))
}

async fn fill(client: &Broker, topic: &str) -> i64 {
    for bytes in SIZES {
        append(client, topic, bytes).await.expect("it is acknowledged");
    }
    i64::try_from(SIZES.len()).unwrap()
}

/// A topic in each directory, with records.
async fn populate(client: &Broker) -> i64 {
    create(client, "first").await;
    create(client, "second").await;
    assert_eq!((directory(client, "first"), directory(client, "second")), (Some(0), Some(1)));
    fill(client, "first").await;
    fill(client, "second").await
}

/// Whether there is something of this path.
fn exists(sim: &Sim, path: &str) -> bool {
    let (env, path) = (sim.env(0), PathBuf::from(path));
    sim.run(async move { env.list_dir(&path).await.is_ok() }).unwrap()
}

fn rename(sim: &Sim, from: String, to: String) {
    let env = sim.env(0);
    sim.run(async move {
        env.rename(Path::new(&from), Path::new(&to)).await.unwrap();
        for path in [from, to] {
            env.sync_dir(Path::new(&path).parent().unwrap()).await.unwrap();
        }
    })
    .unwrap();
}

fn write(sim: &Sim, path: String, text: String) {
    let env = sim.env(0);
    sim.run(async move {
        let path = Path::new(&path);
        env.create_dir(path.parent().unwrap()).await.unwrap();
        env.write_small(path, Bytes::from(text)).await.unwrap();
    })
    .unwrap();
}

fn read_text(sim: &Sim, path: &str) -> String {
    let (env, path) = (sim.env(0), PathBuf::from(path));
    sim.run(
        async move { String::from_utf8(env.read_small(&path, 1 << 20).await.unwrap()).unwrap() },
    )
    .unwrap()
}

#[test]
fn one_fails_and_the_other_goes_on() {
    for (seed, before, after) in [(1, 2, 2), (2, 2, 5), (3, 4, 3), (4, 3, 2)] {
        let sim = Rc::new(Sim::new(seed));
        let world = Rc::clone(&sim);
        let (count, more) = run(&sim, two(before), async move |client: Broker| {
            let count = populate(&client).await;
            world.fault(second_fails(Fault::Io));
            for bytes in SIZES {
                let refused = append(&client, "second", bytes).await;
                assert!(matches!(refused, Err(AppendError::Storage)), "{refused:?}");
            }
            assert!(client.has_failed(1) && !client.has_failed(0));
            fill(&client, "first").await;
            read_all(&client, "first", 2 * count).await;
            // The controller is told, and new topics go where they can be.
            client.env().sleep_until(client.env().now().plus_ms(10)).await;
            for name in ["third", "fourth"] {
                create(&client, name).await;
                assert_eq!(directory(&client, name), Some(0));
                fill(&client, name).await;
            }
            delete(&client, "third").await;
            create(&client, "third").await;
            fill(&client, "third").await;
            (count, 2 * count)
        });
        sim.power_cut();
        sim.clear_faults();
        run(&sim, two(after), async move |client: Broker| {
            read_all(&client, "first", more).await;
            read_all(&client, "second", count).await;
            for topic in ["third", "fourth"] {
                read_all(&client, topic, count).await;
            }
            fill(&client, "second").await;
            create(&client, "fifth").await;
            assert_eq!(directory(&client, "fifth"), Some(1), "it takes new partitions again");
        });
    }
}

#[test]
fn the_first_takes_all_with_it() {
    let sim = Rc::new(Sim::new(10));
    let world = Rc::clone(&sim);
    let count = run(&sim, two(3), async move |client: Broker| {
        let count = populate(&client).await;
        world.fault(Rule::Every("/data/".to_owned(), Fault::Io));
        for topic in ["first", "second"] {
            let refused = append(&client, topic, 10).await;
            assert!(matches!(refused, Err(AppendError::Storage)), "{topic}: {refused:?}");
        }
        assert!(client.has_failed(0) && !client.has_failed(1));
        count
    });
    sim.power_cut();
    sim.clear_faults();
    run(&sim, two(3), async move |client: Broker| {
        read_all(&client, "first", count).await;
        read_all(&client, "second", count).await;
    });
}

#[test]
fn one_that_is_not_there_at_the_start_comes_back_with_everything() {
    let sim = Sim::new(20);
    let count = run(&sim, two(2), async move |client: Broker| populate(&client).await);
    sim.kill();
    // Unreadable, known to be of no use, or not in the list: its partitions are offline.
    let absences: [fn() -> EngineSettings; 3] = [
        || two(4),
        || EngineSettings { log_dirs_failed: vec![1], ..two(2) },
        || dirs(2, &[LOG_DIR]),
    ];
    for (round, absence) in absences.into_iter().enumerate() {
        if round == 0 {
            sim.fault(second_fails(Fault::Io));
        }
        let (_, stop, ended) = start_with(&sim, absence(), async move |client: Broker| {
            assert_eq!(directory(&client, "second"), None);
            let refused = append(&client, "second", 10).await;
            assert!(matches!(refused, Err(AppendError::Storage)), "{refused:?}");
            let refused = read(&client, "second", 0).await;
            assert!(matches!(refused, Err(ReadError::Storage)), "{refused:?}");
            let name = format!("while-away-{round}");
            create(&client, &name).await;
            assert_eq!(directory(&client, &name), Some(0));
            fill(&client, &name).await;
            read_all(&client, "first", count).await;
        })
        .expect("it starts");
        stop.stop();
        while ended.get() < absence().shards {
            assert!(sim.run_steps(100) > 0, "it does not stop");
        }
        sim.kill();
        sim.clear_faults();
        assert!(!exists(&sim, &format!("{LOG_DIR}/second-0")), "it is not begun anew");
    }
    run(&sim, two(2), async move |client: Broker| {
        read_all(&client, "second", count).await;
        fill(&client, "second").await;
        read_all(&client, "second", 2 * count).await;
        read_all(&client, "while-away-0", count).await;
    });
}

#[test]
fn one_that_is_added_takes_new_partitions() {
    let sim = Sim::new(30);
    let count = run(&sim, dirs(2, &[LOG_DIR]), async move |client: Broker| {
        for name in ["old", "older"] {
            create(&client, name).await;
            fill(&client, name).await;
        }
        i64::try_from(SIZES.len()).unwrap()
    });
    sim.power_cut();
    run(&sim, two(2), async move |client: Broker| {
        for name in ["old", "older"] {
            assert_eq!(directory(&client, name), Some(0));
            read_all(&client, name, count).await;
        }
        for name in ["new", "newer"] {
            create(&client, name).await;
            assert_eq!(directory(&client, name), Some(1));
            fill(&client, name).await;
        }
    });
    assert!(exists(&sim, &format!("{SECOND}/new-0")) && !exists(&sim, &format!("{LOG_DIR}/new-0")));
}

/// Also after a crash, when journals of the directory that it was in hold some of it.
#[test]
fn a_partition_that_was_moved_is_where_it_was_found() {
    for (seed, topic, from, to, index) in
        [(40, "second", SECOND, LOG_DIR, 0), (41, "first", LOG_DIR, SECOND, 1)]
    {
        let sim = Sim::new(seed);
        let count = run(&sim, two(2), async move |client: Broker| populate(&client).await);
        sim.power_cut();
        rename(&sim, format!("{from}/{topic}-0"), format!("{to}/{topic}-0"));
        for round in 1..3 {
            run(&sim, two(4), async move |client: Broker| {
                assert_eq!(directory(&client, topic), Some(index));
                read_all(&client, topic, round * count).await;
                fill(&client, topic).await;
            });
            sim.power_cut();
            assert!(!exists(&sim, &format!("{from}/{topic}-0")), "it is in one directory");
        }
    }
}

#[test]
fn a_partition_in_two_directories_refuses_the_start() {
    let sim = Sim::new(50);
    let count = run(&sim, two(2), async move |client: Broker| populate(&client).await);
    sim.kill();
    let metadata = format!("{LOG_DIR}/second-0/partition.metadata");
    let id = read_text(&sim, &format!("{SECOND}/second-0/partition.metadata"));
    write(&sim, metadata.clone(), id);
    let error = refusal(&sim, two(2));
    assert!(error.contains(&format!("{LOG_DIR}/second-0")), "{error}");
    assert!(error.contains(&format!("{SECOND}/second-0")), "{error}");
    sim.kill();
    // What an earlier topic of that name has left is not the partition.
    write(&sim, metadata, format_partition_metadata(Uuid(77 << 64)));
    run(&sim, two(2), async move |client: Broker| {
        assert_eq!(directory(&client, "second"), Some(1));
        read_all(&client, "second", count).await;
    });
    assert!(!exists(&sim, &format!("{LOG_DIR}/second-0")), "it was put aside");
}

/// A directory that fails while a partition is made in it keeps one that does not say of which topic it is.
#[test]
fn what_was_never_finished_is_no_partition() {
    let sim = Sim::new(55);
    let count = run(&sim, two(2), async move |client: Broker| populate(&client).await);
    sim.kill();
    let (here, there) = (format!("{LOG_DIR}/second-0"), format!("{SECOND}/second-0"));
    let unfinished = || write(&sim, format!("{here}/leader-epoch-checkpoint"), "0\n0\n".to_owned());
    unfinished();
    run(&sim, two(2), async move |client: Broker| read_all(&client, "second", count).await);
    sim.kill();
    assert!(!exists(&sim, &here), "it was put aside");
    // Of two that do not say so, the one counts that stands where the partition must be.
    unfinished();
    rename(&sim, format!("{there}/partition.metadata"), format!("{there}/partition.metadata.tmp"));
    run(&sim, two(2), async move |client: Broker| read_all(&client, "second", count).await);
    sim.kill();
    assert!(!exists(&sim, &here), "it was put aside");
    // It does not stand in for what is in a directory that cannot be read.
    unfinished();
    sim.fault(second_fails(Fault::Io));
    run(&sim, two(2), async move |client: Broker| {
        assert_eq!(directory(&client, "second"), None);
        let refused = append(&client, "second", 10).await;
        assert!(matches!(refused, Err(AppendError::Storage)), "{refused:?}");
    });
    sim.kill();
    sim.clear_faults();
    run(&sim, two(2), async move |client: Broker| read_all(&client, "second", count).await);
}

#[test]
fn directories_that_do_not_belong_together_are_refused() {
    let sim = Sim::new(60);
    let count = run(&sim, two(2), async move |client: Broker| populate(&client).await);
    sim.kill();
    let error = refusal(&sim, dirs(2, &[SECOND, LOG_DIR]));
    assert!(error.contains("the metadata log is in /data/millrace"), "{error}");
    sim.kill();
    let error = refusal(&sim, dirs(2, &["/third/new", SECOND]));
    assert!(error.contains("it was never used"), "{error}");
    sim.kill();
    let error = refusal(&sim, EngineSettings { node_id: 2, ..two(2) });
    assert!(error.contains("node.id 1"), "{error}");
    sim.kill();
    let meta = read_text(&sim, &format!("{SECOND}/meta.properties"));
    write(&sim, "/third/copy/meta.properties".to_owned(), meta.clone());
    let error = refusal(&sim, dirs(3, &[LOG_DIR, SECOND, "/third/copy"]));
    assert!(error.contains("the same directory.id"), "{error}");
    sim.kill();
    let other = meta.replace("cluster.id=", "cluster.id=x");
    write(&sim, "/third/copy/meta.properties".to_owned(), other);
    let error = refusal(&sim, dirs(3, &[LOG_DIR, SECOND, "/third/copy"]));
    assert!(error.contains("belongs to the cluster x"), "{error}");
    sim.kill();
    run(&sim, two(2), async move |client: Broker| read_all(&client, "second", count).await);
}

#[test]
fn a_full_one_refuses_only_its_own() {
    let sim = Rc::new(Sim::new(70));
    let world = Rc::clone(&sim);
    run(&sim, two(2), async move |client: Broker| {
        let count = populate(&client).await;
        world.fault(second_fails(Fault::NoSpace));
        let mut more = 0;
        let refused = loop {
            assert!(more < 100, "it does not get full");
            match append(&client, "second", 400_000).await {
                Ok(_) => more += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, AppendError::Storage), "{refused:?}");
        fill(&client, "first").await;
        assert!(!client.has_failed(1), "a full directory has not failed");
        world.clear_faults();
        let began = client.env().now();
        while append(&client, "second", 100).await.is_err() {
            assert!(client.env().now().ms_since(began) < 5_000, "appends do not go on");
            client.env().sleep_until(client.env().now().plus_ms(100)).await;
        }
        read_all(&client, "first", 2 * count).await;
        read_all(&client, "second", count + more + 1).await;
    });
}
