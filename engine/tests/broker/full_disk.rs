//! A full disk, and one that stands still: what goes on, and how it goes on by itself.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use futures_lite::future;
use millrace_engine::group::call::{
    CommitPartition, CommitTopic, GroupAnswer, GroupCall, HeartbeatCall, JoinCall,
    OffsetCommitCall, SyncCall,
};
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Fault, OpKind, Rule, Sim};
use millrace_engine::limits::IDLE_MS;
use millrace_engine::partition::AppendError;
use millrace_engine::shard::call::{Answer, Call, DeleteRecords};
use millrace_engine::types::TopicId;

use crate::harness::{Broker, append, create, delete, partition, read_all, start, with_broker};

const CAPACITY: u64 = 80 << 20;
const RESUMED_MS: u64 = 5_000;
const ANSWERED_MS: u64 = 2_000;

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

/// `FULL_DISK_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("FULL_DISK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// Appends, and gets an answer in time whichever it is.
async fn append_in_time(client: &Broker, topic: &str, bytes: usize) -> Result<i64, AppendError> {
    let end = client.env().now().plus_ms(ANSWERED_MS);
    let late = async {
        client.env().sleep_until(end).await;
        panic!("{topic}: no answer after {ANSWERED_MS} ms")
    };
    future::or(append(client, topic, bytes), late).await
}

/// Fills the disk through these topics at once.
async fn fill_all(client: &Broker, topics: &[String], bytes: usize) {
    let left = Rc::new(Cell::new(topics.len()));
    for topic in topics {
        let (client, topic, left) = (client.clone(), topic.clone(), Rc::clone(&left));
        client.env().clone().spawn(async move {
            while append_in_time(&client, &topic, bytes).await.is_ok() {}
            left.set(left.get() - 1);
        });
    }
    while left.get() > 0 {
        client.env().sleep_until(client.env().now().plus_ms(20)).await;
    }
}

/// Memory of all partitions' tails: at least what waits for room.
async fn tail_bytes(client: &Broker) -> u64 {
    let mut bytes = 0;
    for shard in 0..2 {
        let Answer::Stats(stats) = client.call(shard, Call::Stats).await else {
            panic!("no stats")
        };
        bytes += stats.tail_bytes as u64;
    }
    bytes
}

/// Neither does the journal take it first, nor does anybody reserve more of it than it writes.
#[test]
fn room_for_what_waits_is_enough_for_all() {
    const SLACK: u64 = 256 * 1024;
    for (seed, (count, bytes, capacity)) in (0..seeds()).flat_map(|seed| {
        [(3, 400_000, 80), (8, 30_000, 80), (3, 400_000, 240), (30, 400_000, 120)]
            .map(|case| (seed, case))
    }) {
        let case = format!("seed {seed}: {count} topics, batches of {bytes}, {capacity} MiB");
        let sim = Rc::new(Sim::new(seed));
        sim.set_disk_capacity(Some(capacity << 20));
        let world = Rc::clone(&sim);
        with_broker(&sim, move |client| async move {
            let topics: Vec<_> = (0..count).map(|n| format!("topic-{n}")).collect();
            for topic in &topics {
                create(&client, topic).await;
            }
            fill_all(&client, &topics, bytes).await;
            let ops = world.disk_ops();
            client.env().sleep_until(client.env().now().plus_ms(2_000)).await;
            let ops = world.disk_ops() - ops;
            assert!(ops < 200 + 20 * count, "{case}: {ops} operations in 2 s");
            let more = tail_bytes(&client).await + count * SLACK;
            world.set_disk_capacity(Some((capacity << 20) + more));
            let (began, mut refused) = (client.env().now(), topics);
            while !refused.is_empty() {
                let mut again = Vec::new();
                for topic in refused {
                    if append_in_time(&client, &topic, 1_000).await.is_err() {
                        again.push(topic);
                    }
                }
                refused = again;
                let waited_ms = client.env().now().ms_since(began);
                assert!(
                    waited_ms < RESUMED_MS,
                    "{case}: refused after {waited_ms} ms: {refused:?}"
                );
                client.env().sleep_until(client.env().now().plus_ms(20)).await;
            }
        });
    }
}

#[test]
fn a_file_that_cannot_be_cut_keeps_nobody_waiting() {
    with_broker(&Sim::new(40), |client| async move {
        create(&client, "kept").await;
        append(&client, "kept", 1_000).await.expect("there is room");
        for _ in 0..8 {
            client.env().fail_next(OpKind::Truncate, Fault::NoSpace);
        }
        // The tail is written now, and the room behind it would be given back.
        client.env().sleep_until(client.env().now().plus_ms(3 * IDLE_MS)).await;
        resumed(&client, "kept").await;
        read_all(&client, "kept", 2).await;
    });
}

/// What came before the failure stays in memory for ever: nobody waits for room in it.
#[test]
fn a_failed_disk_refuses_at_once_though_memory_is_full() {
    let sim = Rc::new(Sim::new(41));
    let world = Rc::clone(&sim);
    with_broker(&sim, |client| async move {
        create(&client, "lost").await;
        append(&client, "lost", 1_000).await.expect("there is room");
        client.env().sleep_until(client.env().now().plus_ms(2 * IDLE_MS)).await;
        // While the write lasts memory fills, and then it was in vain.
        let next = |kind, fault| Rule::Next(kind, "lost-0/".to_owned(), fault);
        world.fault(next(OpKind::Write, Fault::Stall(1_000_000_000)));
        world.fault(next(OpKind::Sync, Fault::Io));
        fill_all(&client, &vec!["lost".to_owned(); 200], 400_000).await;
        let refused = append_in_time(&client, "lost", 1_000).await;
        assert!(matches!(refused, Err(AppendError::Storage)), "{refused:?}");
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
