//! Recovery points: what is damaged before them was acknowledged, whatever the crash was like, and is told
//! and never cut.

use std::path::{Path, PathBuf};

use millrace_engine::io::sim::{Sim, SimEnv};
use millrace_engine::io::{Env, File, OpenMode};
use millrace_engine::job::journal_file::list_journals;
use millrace_engine::limits::BLOCK_BYTES;
use millrace_engine::memory::{align_down, align_up};
use millrace_engine::partition::AppendError;
use millrace_engine::shard::call::{Answer, Call, ReadError};
use millrace_engine::shard::stats::ShardStats;

use crate::harness::{Broker, LOG_DIR, append, append_value, create, partition, read, with_broker};

const RECORDS: i64 = 12;
const RECORD_BYTES: usize = 20_000;

fn log() -> PathBuf {
    Path::new(LOG_DIR).join("orders-0").join("00000000000000000000.log")
}

/// A file as it is.
pub async fn content(env: &SimEnv, path: &Path) -> Vec<u8> {
    let file = env.open(path, OpenMode::ReadOnly).await.unwrap();
    let size = file.size().await.unwrap();
    file.read_at(0, align_up(size) as usize).await.unwrap().to_vec()
}

/// Flips a bit of the byte at a position, durably.
pub async fn flip(env: &SimEnv, path: &Path, at: u64) {
    let file = env.open(path, OpenMode::ReadWrite).await.unwrap();
    let size = file.size().await.unwrap();
    let block = align_down(at);
    let bytes = file.read_at(block, BLOCK_BYTES).await.unwrap();
    let mut buffer = env.pool().buffer(BLOCK_BYTES);
    buffer.as_mut_slice().fill(0);
    buffer.as_mut_slice()[..bytes.len()].copy_from_slice(&bytes);
    buffer.as_mut_slice()[(at - block) as usize] ^= 0x10;
    file.write_at(block, vec![buffer.into_piece()]).await.unwrap();
    file.truncate(size).await.unwrap();
    file.sync_data().await.unwrap();
}

/// Creates the topic, and another one on its shard, whose name it says.
async fn create_two(client: &Broker) -> String {
    create(client, "orders").await;
    let owner = client.owner(partition(client, "orders"));
    let mut names = (0..).map(|n| format!("others-{n}"));
    loop {
        let name = names.next().unwrap();
        create(client, &name).await;
        if client.owner(partition(client, &name)) == owner {
            return name;
        }
    }
}

/// Records that are acknowledged; then so many others that the journal holds them no more. Says which
/// topic those are in.
async fn write(client: &Broker) -> String {
    let others = create_two(client).await;
    for offset in 0..RECORDS {
        assert_eq!(append(client, "orders", RECORD_BYTES).await, Ok(offset));
    }
    // The tail goes to its segment.
    client.env().sleep_until(client.env().now().plus_ms(15_000)).await;
    for _ in 0..60 {
        append(client, &others, 400_000).await.unwrap();
    }
    others
}

/// The numbers of the shard that the records are on.
async fn stats(client: &Broker) -> ShardStats {
    let owner = client.owner(partition(client, "orders"));
    match client.call(owner, Call::Stats).await {
        Answer::Stats(stats) => *stats,
        other => panic!("{other:?}"),
    }
}

/// Flips a bit of the `hit`th record after a crash, and says what the segment's file is then.
fn crash_and_flip(sim: &Sim, is_power_cut: bool, hit: i64) -> Vec<u8> {
    if is_power_cut {
        sim.power_cut()
    } else {
        sim.kill()
    }
    let env = sim.env(0);
    let flipped = sim.run(async move {
        let whole = content(&env, &log()).await.len() as u64;
        assert!(whole > RECORDS as u64 * RECORD_BYTES as u64);
        flip(&env, &log(), whole / RECORDS as u64 * hit as u64 + 5_000).await;
        content(&env, &log()).await
    });
    flipped.unwrap()
}

#[test]
fn damage_before_a_recovery_point_is_told_and_nothing_is_cut() {
    for (seed, hit) in (40..).zip([0, 1, RECORDS / 2, RECORDS - 2]) {
        let sim = Sim::new(seed);
        // Sooner than the interval: the point is written because the journal goes round.
        with_broker(&sim, |client| async move {
            write(&client).await;
            client.env().sleep_until(client.env().now().plus_ms(2_000)).await;
        });
        let before = crash_and_flip(&sim, seed % 2 == 0, hit);
        let after = with_broker(&sim, move |client| async move {
            for offset in 0..RECORDS {
                match read(&client, "orders", offset).await {
                    Err(error) => assert!(offset == hit && error == ReadError::Damaged, "{offset}"),
                    Ok(records) => assert!(offset != hit && !records.is_empty(), "{offset}"),
                }
            }
            assert_eq!(append(&client, "orders", 10).await, Ok(RECORDS), "appends go on");
            let stats = stats(&client).await;
            assert_eq!((stats.damaged_ranges, stats.lost_ends), (1, 0));
            assert!(!read(&client, "orders", RECORDS).await.unwrap().is_empty());
            content(client.env(), &log()).await
        });
        assert!(after.starts_with(&before), "hit {hit}: nothing is cut");
    }
}

/// Nobody knows which offsets the lost ones were: appends are refused until somebody decides.
#[test]
fn the_lost_end_of_a_log_stays_as_it_is() {
    let sim = Sim::new(50);
    let others = with_broker(&sim, |client| async move {
        let others = write(&client).await;
        client.env().sleep_until(client.env().now().plus_ms(2_000)).await;
        others
    });
    let before = crash_and_flip(&sim, false, RECORDS - 1);
    for _ in 0..2 {
        let others = others.clone();
        let after = with_broker(&sim, move |client| async move {
            assert_eq!(read(&client, "orders", RECORDS - 1).await, Err(ReadError::Damaged));
            assert!(!read(&client, "orders", RECORDS - 2).await.unwrap().is_empty());
            let refused = append(&client, "orders", 10).await;
            assert!(matches!(refused, Err(AppendError::Storage)), "{refused:?}");
            append(&client, &others, 10).await.unwrap();
            assert_eq!(stats(&client).await.lost_ends, 1);
            // Until the points are written again: they still say where the log ended.
            client.env().sleep_until(client.env().now().plus_ms(70_000)).await;
            content(client.env(), &log()).await
        });
        assert!(after == before, "nothing is cut");
        sim.kill();
    }
}

/// Only the header of a damaged journal entry says that there were records: the journals of that run are gone
/// after the next start, and what they said has to be known still after the one that follows.
#[test]
fn what_only_a_damaged_journal_entry_says_is_known_after_another_crash() {
    const LOST: &[u8] = b"the value of the record that is lost";
    for (seed, is_begun, is_last) in
        [(70, false, true), (71, true, true), (72, false, false), (73, true, false)]
    {
        let sim = Sim::new(seed);
        with_broker(&sim, move |client| async move {
            let others = create_two(&client).await;
            if is_begun {
                append(&client, "orders", 10).await.unwrap();
            }
            // The tail goes to its segment; a journal file is begun, and points are written for that.
            let until = |ms| client.env().sleep_until(client.env().now().plus_ms(ms));
            until(15_000).await;
            append(&client, &others, 10).await.unwrap();
            until(2_000).await;
            // Time passes slowly from now on, so that tails stay where they are.
            let env = client.env().clone();
            client.env().spawn(async move {
                loop {
                    env.sleep_until(env.now().plus_ms(1)).await;
                }
            });
            append_value(&client, "orders", LOST).await.unwrap();
            // What follows says that it was acknowledged.
            append(&client, if is_last { &others } else { "orders" }, 10).await.unwrap();
        });
        sim.power_cut();
        let env = sim.env(0);
        let flipped = sim.run(async move {
            for (_, _, path) in list_journals(&env, Path::new(LOG_DIR)).await.unwrap() {
                let bytes = content(&env, &path).await;
                if let Some(at) = bytes.windows(LOST.len()).position(|window| window == LOST) {
                    flip(&env, &path, at as u64).await;
                    return true;
                }
            }
            false
        });
        assert!(flipped.unwrap(), "the record is in a journal");
        let lost = i64::from(is_begun);
        for start in 0..3 {
            with_broker(&sim, move |client| async move {
                // The journals of the run before go.
                client.env().sleep_until(client.env().now().plus_ms(3_000)).await;
                let what = format!("seed {seed}, start {start}");
                assert_eq!(read(&client, "orders", lost).await, Err(ReadError::Damaged), "{what}");
                let stats = stats(&client).await;
                let damaged = (stats.damaged_ranges, stats.lost_ends);
                assert_eq!(damaged, (1, usize::from(is_last)), "{what}");
                if start == 2 {
                    let appended = append(&client, "orders", 10).await;
                    match is_last {
                        true => assert!(matches!(appended, Err(AppendError::Storage)), "{what}"),
                        false => assert_eq!(appended, Ok(lost + 2), "{what}"),
                    }
                }
            });
            sim.kill();
        }
    }
}

/// By the clock, where the journal does not go round.
#[test]
fn recovery_points_are_written_every_so_often() {
    let sim = Sim::new(60);
    let path = |shard: u16| Path::new(LOG_DIR).join(format!("millrace-recovery-points-{shard}"));
    let points = with_broker(&sim, move |client| async move {
        create(&client, "orders").await;
        let until = |ms| client.env().sleep_until(client.env().now().plus_ms(ms));
        until(61_000).await;
        append(&client, "orders", 10).await.unwrap();
        until(70_000).await;
        let mut text = String::new();
        for shard in 0..2 {
            let read = client.env().read_small(&path(shard), 1 << 20).await.unwrap_or_default();
            text += &String::from_utf8(read).unwrap();
        }
        let id = partition(&client, "orders");
        text.lines().filter(|line| *line == format!("{} 0 1", id.topic_id)).count()
    });
    assert_eq!(points, 1);
}
