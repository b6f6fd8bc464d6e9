//! Waypoints: a start after a crash reads what is behind them, and nothing else, and none that does not
//! agree with the log.

use std::path::{Path, PathBuf};

use millrace_engine::io::Env;
use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::io::together::together;
use millrace_engine::job::waypoints::{is_waypoints_name, read_waypoints};
use millrace_engine::log::checkpoint::CLEAN_SHUTDOWN;
use millrace_engine::partition::waypoint::{self, Waypoint};
use millrace_engine::shard::call::{Answer, Call, ReadError};
use millrace_engine::types::TopicPartition;

use crate::checkpoints::{content, flip};
use crate::harness::{
    Broker, LOG_DIR, append, append_value, create, partition, read, start, with_broker,
};

const RECORDS: i64 = 60;
const LATER: i64 = 7;
const RECORD_BYTES: usize = 20_000;
const LARGE: usize = 4;
const LARGE_BYTES: usize = 400_000;

fn log() -> PathBuf {
    Path::new(LOG_DIR).join("orders-0").join("00000000000000000000.log")
}

async fn later(client: &Broker, ms: u64) {
    client.env().sleep_until(client.env().now().plus_ms(ms)).await;
}

/// Records with a waypoint behind them, and then some more. Says how long the segment was at the waypoint.
async fn write(client: &Broker) -> u64 {
    create(client, "orders").await;
    for offset in 0..RECORDS {
        assert_eq!(append(client, "orders", RECORD_BYTES).await, Ok(offset));
    }
    // The tail goes to its segment, and the interval passes.
    later(client, 90_000).await;
    let waypoints = waypoints(client.env()).await;
    let orders = partition(client, "orders");
    let (_, waypoint) = waypoints.iter().find(|(id, _)| *id == orders).expect("it has a waypoint");
    assert_eq!(waypoint.offset, RECORDS);
    for offset in 0..LATER {
        assert_eq!(append(client, "orders", RECORD_BYTES).await, Ok(RECORDS + offset));
    }
    waypoint.position
}

async fn waypoints(env: &SimEnv) -> Vec<(TopicPartition, Waypoint)> {
    let mut all = Vec::new();
    for entry in env.list_dir(Path::new(LOG_DIR)).await.unwrap() {
        if is_waypoints_name(&entry.name) {
            all.extend(read_waypoints(env, &entry.path).await.unwrap());
        }
    }
    all
}

async fn damaged_ranges(client: &Broker) -> u64 {
    let owner = client.owner(partition(client, "orders"));
    match client.call(owner, Call::Stats).await {
        Answer::Stats(stats) => stats.damaged_ranges,
        other => panic!("{other:?}"),
    }
}

/// All records but the damaged one can be read.
async fn read_but(client: &Broker, damaged: Option<i64>, end: i64) {
    for offset in 0..end {
        match read(client, "orders", offset).await {
            Err(error) => {
                assert!(
                    damaged == Some(offset) && error == ReadError::Damaged,
                    "{offset}: {error}"
                );
            }
            Ok(records) => assert!(damaged != Some(offset) && !records.is_empty(), "{offset}"),
        }
    }
}

fn crash(sim: &Sim, is_power_cut: bool) {
    if is_power_cut { sim.power_cut() } else { sim.kill() }
}

#[test]
fn a_start_goes_on_from_the_waypoint() {
    for seed in 80..84 {
        let sim = Sim::new(seed);
        let position = with_broker(&sim, |client| async move { write(&client).await });
        crash(&sim, seed % 2 == 0);
        let env = sim.env(0);
        // Far in front of the waypoint: who reads the whole segment would find it.
        let hit = 2;
        let at = position / RECORDS as u64 * hit as u64 + 5_000;
        let before = sim.run(async move {
            flip(&env, &log(), at).await;
            content(&env, &log()).await
        });
        let before = before.unwrap();
        let after = with_broker(&sim, move |client| async move {
            assert_eq!(append(&client, "orders", 10).await, Ok(RECORDS + LATER));
            assert_eq!(damaged_ranges(&client).await, 0, "the begin was not read");
            read_but(&client, Some(hit), RECORDS + LATER + 1).await;
            assert_eq!(damaged_ranges(&client).await, 1, "readers were told");
            content(client.env(), &log()).await
        });
        assert!(after.starts_with(&before[..position as usize]), "nothing is cut");
        // Once more, from the same waypoint.
        crash(&sim, seed % 2 == 1);
        with_broker(&sim, move |client| async move {
            assert_eq!(append(&client, "orders", 10).await, Ok(RECORDS + LATER + 1));
            assert_eq!(damaged_ranges(&client).await, 0);
            read_but(&client, Some(hit), RECORDS + LATER + 2).await;
        });
    }
}

#[test]
fn a_waypoint_that_does_not_agree_is_removed_and_the_log_is_read() {
    let sim = Sim::new(90);
    let position = with_broker(&sim, |client| async move { write(&client).await });
    crash(&sim, false);
    let env = sim.env(0);
    let changed = sim.run(async move {
        let mut all = Vec::new();
        for entry in env.list_dir(Path::new(LOG_DIR)).await.unwrap() {
            if is_waypoints_name(&entry.name) {
                let mut waypoints = read_waypoints(&env, &entry.path).await.unwrap();
                waypoints.iter_mut().for_each(|(_, waypoint)| waypoint.from_last_offset += 1);
                let content = waypoint::encode(waypoints.clone()).into();
                env.write_small(&entry.path, content).await.unwrap();
                all.extend(waypoints);
            }
        }
        flip(&env, &log(), position / RECORDS as u64 * 2 + 5_000).await;
        all
    });
    let changed = changed.unwrap();
    assert!(!changed.is_empty());
    with_broker(&sim, move |client| async move {
        assert_eq!(append(&client, "orders", 10).await, Ok(RECORDS + LATER));
        // There may be new ones: the journals of the last run go soon.
        let waypoints = waypoints(client.env()).await;
        assert!(waypoints.iter().all(|waypoint| !changed.contains(waypoint)), "{waypoints:?}");
        // The journal still holds the damaged record: whoever reads the whole log mends it.
        assert_eq!(damaged_ranges(&client).await, 0);
        read_but(&client, None, RECORDS + LATER + 1).await;
    });
}

/// Whoever had the directory after a clean stop may have changed it.
#[test]
fn waypoints_do_not_outlive_a_clean_stop() {
    let sim = Sim::new(91);
    let (_, stop, ended) = start(&sim, |client| async move {
        write(&client).await;
        assert!(!waypoints(client.env()).await.is_empty());
    });
    stop.stop();
    while ended.get() < 2 {
        assert!(sim.run_steps(100) > 0, "the broker does not end");
    }
    let env = sim.env(0);
    let marked = sim.run(async move {
        let marker = Path::new(LOG_DIR).join(CLEAN_SHUTDOWN);
        env.write_small(&marker, "{\"version\":0,\"brokerEpoch\":-1}".into()).await
    });
    marked.unwrap().unwrap();
    with_broker(&sim, move |client| async move {
        assert_eq!(waypoints(client.env()).await, []);
        assert_eq!(append(&client, "orders", 10).await, Ok(RECORDS + LATER));
    });
}

#[test]
fn what_a_start_has_read_the_next_one_need_not() {
    let sim = Sim::new(92);
    with_broker(&sim, |client| async move { write(&client).await });
    crash(&sim, false);
    with_broker(&sim, |client| async move {
        // Nothing is written; the interval passes.
        later(&client, 90_000).await;
        let waypoints = waypoints(client.env()).await;
        let orders = partition(&client, "orders");
        let (_, waypoint) = waypoints.iter().find(|(id, _)| *id == orders).expect("it has one");
        assert_eq!(waypoint.offset, RECORDS + LATER);
    });
}

/// Appends that are large together go straight to their segment, behind which room is reserved. Says how
/// long the file is then.
async fn write_at_once(client: &Broker, value: u8) -> usize {
    create(client, "orders").await;
    let value = vec![value; LARGE_BYTES];
    let appended = together((0..LARGE).map(|_| append_value(client, "orders", &value))).await;
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    let file_bytes = content(client.env(), &log()).await.len();
    assert!(file_bytes > (LARGE + 1) * LARGE_BYTES, "there is room in {file_bytes} bytes");
    // Until the broker is killed time passes slowly: at rest it would give the room back.
    let clock = client.clone();
    client.env().spawn(async move {
        loop {
            later(&clock, 1).await;
        }
    });
    file_bytes
}

/// To cut it off at a start costs as much as to reserve it again.
#[test]
fn room_behind_the_content_stays() {
    let sim = Sim::new(93);
    let before = with_broker(&sim, |client| async move { write_at_once(&client, 7).await });
    crash(&sim, false);
    with_broker(&sim, move |client| async move {
        assert_eq!(append(&client, "orders", 10).await, Ok(LARGE as i64));
        assert_eq!(content(client.env(), &log()).await.len(), before);
        // At rest it is given back.
        later(&client, 90_000).await;
        assert!(content(client.env(), &log()).await.len() < before);
    });
}

/// The simulated disk does not know zeros that were written from space that was not.
#[test]
fn the_end_of_a_batch_that_is_zeros_is_no_room() {
    let sim = Sim::new(94);
    with_broker(&sim, |client| async move { write_at_once(&client, 0).await });
    crash(&sim, false);
    with_broker(&sim, |client| async move {
        assert_eq!(append(&client, "orders", 10).await, Ok(LARGE as i64));
        read_but(&client, None, LARGE as i64 + 1).await;
    });
}
