//! Shards as threads: timers, wakes between threads, idleness, ends.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_lite::future::poll_once;

use super::{RingOptions, latch, on_shard, pause, small};
use crate::io::lane::lane;
use crate::io::ring::{Listener, RingWaker, Stream};
use crate::io::runtime::{RingEnv, Runtime, ShardSpec, StartError};
use crate::io::{Env, Wake};
use crate::types::Nanos;

#[test]
fn timers_fire_in_order_and_never_early() {
    on_shard(small(), async |env| {
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        let (arrive, all) = latch(&env, 5);
        for ms in [30_u64, 5, 20, 10, 1] {
            let (env, order, arrive) = (env.clone(), Rc::clone(&order), arrive.clone());
            env.clone().spawn(async move {
                let deadline = env.now().plus_ms(ms);
                env.sleep_until(deadline).await;
                assert!(env.now() >= deadline);
                order.borrow_mut().push(ms);
                arrive();
            });
        }
        all.await;
        assert_eq!(*order.borrow(), [1, 5, 10, 20, 30]);
        assert!(poll_once(env.sleep_until(Nanos::NEVER)).await.is_none());
        assert!(poll_once(env.sleep_until(Nanos::default())).await.is_some());
    });
}

/// Two shards pass numbers to and fro; each parks between them, some of the time.
#[test]
fn no_wake_is_lost_between_shards() {
    const ROUNDS: u64 = 5_000;
    let specs = [ShardSpec::new(0, Some(0)).unwrap(), ShardSpec::new(1, Some(1)).unwrap()];
    let wakers: Vec<Arc<RingWaker>> = specs.iter().map(ShardSpec::waker).collect();
    let (to_one, at_one) = lane::<u64>(16, Arc::clone(&wakers[1]) as Arc<dyn Wake>);
    let (to_zero, at_zero) = lane::<u64>(16, Arc::clone(&wakers[0]) as Arc<dyn Wake>);
    let [zero, one] = specs;
    let sum = Arc::new(AtomicU64::new(0));
    let mains = [(zero, to_one, at_zero, 0_u64), (one, to_zero, at_one, 1)];
    let shards = mains.into_iter().map(|(spec, sender, receiver, number)| {
        let sum = Arc::clone(&sum);
        let main = async move |env: RingEnv| {
            if number == 0 {
                sender.try_send(0).unwrap();
            }
            loop {
                env.notified().await;
                for value in receiver.drain(16) {
                    sum.fetch_add(1, Ordering::Relaxed);
                    if value % 97 == 0 {
                        pause(&env, 1).await;
                    }
                    if value < 2 * ROUNDS {
                        sender.try_send(value + 1).unwrap();
                    }
                    if value + 1 >= 2 * ROUNDS {
                        return;
                    }
                }
            }
        };
        (spec, main)
    });
    Runtime::start(shards.collect()).unwrap().join();
    assert_eq!(sum.load(Ordering::Relaxed), 2 * ROUNDS + 1);
    assert!(wakers.iter().map(|waker| waker.writes()).sum::<u64>() <= 2 * ROUNDS + 2);
}

/// Several plain threads send bursts to one shard, which often sleeps.
#[test]
fn no_wake_from_plain_threads_is_lost() {
    const SENDERS: u64 = 3;
    const MESSAGES: u64 = 4_000;
    let spec = ShardSpec::new(0, None).unwrap();
    let (sender, receiver) = lane::<u64>(64, spec.waker() as Arc<dyn Wake>);
    let threads: Vec<_> = (0..SENDERS)
        .map(|_| {
            let sender = sender.clone();
            std::thread::Builder::new().spawn(move || {
                for i in 0..MESSAGES {
                    let mut message = i;
                    while let Err(refused) = sender.try_send(message) {
                        message = refused;
                        std::thread::yield_now();
                    }
                    if i % 50 == 0 {
                        std::thread::park_timeout(std::time::Duration::from_micros(200));
                    }
                }
            })
        })
        .map(Result::unwrap)
        .collect();
    let main = async move |env: RingEnv| {
        let mut count = 0;
        while count < SENDERS * MESSAGES {
            env.notified().await;
            count += receiver.drain(1000).count() as u64;
        }
    };
    Runtime::start(vec![(spec, main)]).unwrap().join();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_notification_before_the_wait_is_kept() {
    on_shard(small(), async |env| {
        env.notify();
        env.notify();
        env.notified().await;
        assert!(poll_once(env.notified()).await.is_none());
        env.waker().wake();
        env.notified().await;
        assert!(poll_once(env.notified()).await.is_none());
    });
}

/// Processor time of the calling thread so far. Nanoseconds.
fn thread_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn an_idle_shard_costs_nothing() {
    let (spent, sleeps) = on_shard(RingOptions::default(), async |env| {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(env.ring(), any, 16).await.unwrap();
        let stream = Stream::connect(env.ring(), listener.local_addr().unwrap()).await.unwrap();
        assert!(poll_once(listener.accept()).await.is_none());
        let other = env.clone();
        env.spawn(async move { other.sleep_until(other.now().plus_ms(3_600_000)).await });
        assert!(poll_once(stream.recv()).await.is_none());
        pause(&env, 20).await;
        let (cpu, sleeps) = (thread_cpu(), env.ring().stats().sleeps);
        pause(&env, 1000).await;
        (thread_cpu() - cpu, env.ring().stats().sleeps - sleeps)
    });
    assert!(spent < 5_000_000, "an idle second cost {spent} ns");
    assert!(sleeps <= 3, "slept {sleeps} times in an idle second");
}

#[test]
fn a_panic_in_a_task_ends_the_process() {
    const CHILD: &str = "MILLRACE_TEST_PANIC";
    if std::env::var_os(CHILD).is_some() {
        on_shard(small(), async |env| {
            env.spawn(async { panic!("on purpose") });
            env.sleep_until(Nanos::NEVER).await;
        });
        return;
    }
    let name = "a_panic_in_a_task_ends_the_process";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert!(text.contains("on purpose"), "{text}");
    assert!(text.contains("the broker stops"), "{text}");
}

#[test]
fn a_core_that_is_not_there_is_named() {
    let spec = ShardSpec::new(3, Some(9999)).unwrap();
    let started = Runtime::start(vec![(spec, async |_: RingEnv| ())]);
    let error = started.unwrap_err();
    assert!(matches!(error, StartError::Core { shard: 3, core: Some(9999), .. }), "{error}");
}

#[test]
fn a_shard_ends_with_its_main_task_whatever_others_wait_for() {
    for _ in 0..5 {
        on_shard(small(), async |env| {
            let any = "127.0.0.1:0".parse().unwrap();
            let listener = Listener::bind(env.ring(), any, 16).await.unwrap();
            let address = listener.local_addr().unwrap();
            env.spawn(async move {
                // A task that tries again and again must not keep the shard alive.
                loop {
                    drop(listener.accept().await);
                }
            });
            let stream = Stream::connect(env.ring(), address).await.unwrap();
            let huge = vec![Bytes::from(vec![0; 8 << 20])];
            env.spawn(async move { drop(stream.send(huge).await) });
            let other = env.clone();
            env.spawn(async move { other.sleep_until(other.now().plus_ms(60_000)).await });
            pause(&env, 5).await;
        });
    }
}

#[test]
fn the_pool_can_be_touched_at_the_start() {
    let mut spec = ShardSpec::new(0, None).unwrap();
    spec.touch_bytes = 4 << 20;
    let (sender, result) = std::sync::mpsc::channel();
    let main = async move |env: RingEnv| {
        let chunk = env.pool().chunk();
        sender.send((env.shard(), env.pool().taken_bytes())).unwrap();
        drop(chunk);
    };
    Runtime::start(vec![(spec, main)]).unwrap().join();
    assert_eq!(result.recv().unwrap(), (0, crate::limits::CHUNK_BYTES));
}
