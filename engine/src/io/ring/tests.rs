//! Tests against the real kernel: files in a temporary directory, sockets on the loopback address.

use std::cell::Cell;
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use bytes::{Bytes, BytesMut};
use futures_lite::future::{self, poll_once};

use super::disk::DirectIoUnsupported;
use super::*;
use crate::io::lane::lane;
use crate::io::runtime::{RingEnv, Runtime, ShardSpec};
use crate::io::{Env, File, OpenMode, Wake};
use crate::limits::BLOCK_BYTES;
use crate::memory::Pool;
use crate::types::Nanos;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A directory that goes away with the test.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("millrace-io-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Runs one shard with its main task and gives what that returned.
fn on_shard<T, F>(options: RingOptions, main: impl FnOnce(RingEnv) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let mut spec = ShardSpec::new(0, None).unwrap();
    spec.ring = options;
    let (sender, result) = mpsc::channel();
    let main = move |env| async move { sender.send(main(env).await).unwrap() };
    Runtime::start(vec![(spec, main)]).unwrap().join();
    result.recv().unwrap()
}

fn small() -> RingOptions {
    RingOptions { entries: 32, receive_buffers: 4, receive_buffer_bytes: 4096 }
}

/// A buffer of whole blocks, each filled with its number plus `first`.
fn blocks(pool: &Arc<Pool>, count: usize, first: u8) -> crate::memory::Piece {
    let mut buffer = pool.buffer(count * BLOCK_BYTES);
    for (i, block) in buffer.as_mut_slice().chunks_mut(BLOCK_BYTES).enumerate() {
        block.fill(first.wrapping_add(i as u8));
    }
    buffer.into_piece()
}

async fn pause(env: &RingEnv, ms: u64) {
    env.sleep_until(env.now().plus_ms(ms)).await;
}

/// Waits for `count` tasks that each call the returned function at their end.
fn latch(env: &RingEnv, count: usize) -> (impl Fn() + Clone + 'static, impl Future<Output = ()>) {
    let left = Rc::new(Cell::new(count));
    let (done, env) = (Rc::clone(&left), env.clone());
    let arrive = move || done.set(done.get() - 1);
    let wait = async move {
        let give_up = env.now().plus_ms(20_000);
        while left.get() > 0 {
            assert!(env.now() < give_up, "{} tasks are still running", left.get());
            pause(&env, 1).await;
        }
    };
    (arrive, wait)
}

#[test]
fn a_file_keeps_what_is_written() {
    let dir = TempDir::new("file");
    let path = dir.path("a");
    on_shard(RingOptions::default(), async move |env| {
        let file = env.open(&path, OpenMode::CreateNew).await.unwrap();
        file.allocate(16 * BLOCK).await.unwrap();
        assert_eq!(file.size().await.unwrap(), 16 * BLOCK);
        let pieces = vec![blocks(env.pool(), 2, 1), blocks(env.pool(), 1, 9)];
        file.write_at(BLOCK, pieces).await.unwrap();
        file.sync_data().await.unwrap();
        let bytes = file.read_at(0, 5 * BLOCK_BYTES).await.unwrap();
        let firsts: Vec<u8> = bytes.chunks(BLOCK_BYTES).map(|block| block[0]).collect();
        assert_eq!(firsts, [0, 1, 2, 9, 0]);
        // More pieces than one operation takes.
        let many = (0..1030).map(|i| blocks(env.pool(), 1, i as u8)).collect();
        file.write_at(0, many).await.unwrap();
        let bytes = file.read_at(1024 * BLOCK, 4 * BLOCK_BYTES).await.unwrap();
        let firsts: Vec<u8> =
            bytes.chunks(BLOCK_BYTES).map(|block| block[BLOCK_BYTES - 1]).collect();
        assert_eq!(firsts, [0, 1, 2, 3]);
        // A read across the end, also where it is within a block.
        file.truncate(3 * BLOCK + 100).await.unwrap();
        assert_eq!(
            file.read_at(2 * BLOCK, 4 * BLOCK_BYTES).await.unwrap().len(),
            BLOCK_BYTES + 100
        );
        assert!(file.read_at(8 * BLOCK, BLOCK_BYTES).await.unwrap().is_empty());
        let again = env.open(&path, OpenMode::CreateNew).await.unwrap_err();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        let read_only = env.open(&path, OpenMode::ReadOnly).await.unwrap();
        assert!(read_only.write_at(0, vec![blocks(env.pool(), 1, 0)]).await.is_err());
    });
}

#[test]
fn directories_and_small_files() {
    let dir = TempDir::new("dirs");
    let root = dir.0.clone();
    on_shard(small(), async move |env| {
        let deep = root.join("x/y/z");
        env.create_dir(&deep).await.unwrap();
        env.create_dir(&deep).await.unwrap();
        let path = deep.join("small");
        let missing = env.read_small(&path, 10).await.unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
        let content = Bytes::from(vec![7; 3 << 20]);
        env.write_small(&path, Bytes::from_static(b"first")).await.unwrap();
        env.write_small(&path, content.clone()).await.unwrap();
        assert_eq!(env.read_small(&path, 4 << 20).await.unwrap(), content);
        let large = env.read_small(&path, 1000).await.unwrap_err();
        assert_eq!(large.kind(), std::io::ErrorKind::InvalidData);
        env.rename(&path, &deep.join("moved")).await.unwrap();
        env.sync_dir(&deep).await.unwrap();
        env.create_dir(&deep.join("a")).await.unwrap();
        let not_a_dir = env.create_dir(&deep.join("moved")).await.unwrap_err();
        assert_eq!(not_a_dir.kind(), std::io::ErrorKind::AlreadyExists);
        let names: Vec<_> = env.list_dir(&deep).await.unwrap();
        let names: Vec<_> = names.iter().map(|e| (e.name.as_str(), e.is_dir)).collect();
        assert_eq!(names, [("a", true), ("moved", false)]);
        env.remove_file(&deep.join("moved")).await.unwrap();
        env.remove_dir(&root.join("x")).await.unwrap();
        assert!(env.list_dir(&root).await.unwrap().is_empty());
        assert!(env.remove_file(&path).await.is_err());
    });
}

#[test]
fn a_file_system_without_direct_io_is_named_as_such() {
    on_shard(small(), async |env| {
        let path = PathBuf::from("/proc/version");
        let error = env.open(&path, OpenMode::ReadOnly).await.unwrap_err();
        assert!(DirectIoUnsupported::is_cause(&error), "{error}");
        assert!(error.to_string().contains("ext4"));
        let error = env.open(&path.join("none"), OpenMode::ReadOnly).await.unwrap_err();
        assert!(!DirectIoUnsupported::is_cause(&error));
    });
}

#[test]
fn many_more_operations_than_the_queue_has_room_for() {
    let dir = TempDir::new("many");
    let path = dir.path("a");
    on_shard(small(), async move |env| {
        let file = env.open(&path, OpenMode::CreateNew).await.unwrap();
        file.allocate(1000 * BLOCK).await.unwrap();
        let (arrive, all) = latch(&env, 1000);
        for i in 0..1000_u64 {
            let (env, file, arrive) = (env.clone(), file.clone(), arrive.clone());
            env.clone().spawn(async move {
                let at = i * BLOCK;
                file.write_at(at, vec![blocks(env.pool(), 1, i as u8)]).await.unwrap();
                let read = file.read_at(at, BLOCK_BYTES).await.unwrap();
                assert!(read.iter().all(|&byte| byte == i as u8));
                arrive();
            });
        }
        all.await;
        assert_eq!(env.ring().in_flight(), 1, "the eventfd's read");
    });
}

#[test]
fn a_dropped_future_leaves_its_memory_with_the_kernel() {
    let dir = TempDir::new("drop");
    let path = dir.path("a");
    on_shard(small(), async move |env| {
        let file = env.open(&path, OpenMode::CreateNew).await.unwrap();
        file.write_at(0, vec![blocks(env.pool(), 64, 1)]).await.unwrap();
        for round in 0..50_u8 {
            let taken = env.pool().taken_bytes();
            let write = file.write_at(0, vec![blocks(env.pool(), 64, round)]);
            assert!(poll_once(write).await.is_none());
            assert!(env.pool().taken_bytes() > taken, "the write is in flight");
            // What the kernel must not get: memory used for something else meanwhile.
            let other = blocks(env.pool(), 64, 200);
            assert!(poll_once(file.read_at(0, 64 * BLOCK_BYTES)).await.is_none());
            while env.ring().in_flight() > 1 {
                pause(&env, 1).await;
            }
            assert_eq!(other.to_vec()[0], 200);
            drop(other);
            assert_eq!(env.pool().taken_bytes(), 0);
            let bytes = file.read_at(0, 64 * BLOCK_BYTES).await.unwrap();
            assert_eq!(bytes[0], round);
        }
        // Descriptors of files nobody waited for are closed.
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        drop(file);
        pause(&env, 20).await;
        let before = open();
        for _ in 0..200 {
            assert!(poll_once(env.open(&path, OpenMode::ReadOnly)).await.is_none());
        }
        while env.ring().in_flight() > 1 {
            pause(&env, 1).await;
        }
        pause(&env, 50).await;
        // Other tests open files too.
        assert!(open() < before + 100, "{} descriptors before, {} now", before, open());
    });
}

async fn echo(stream: Stream) {
    loop {
        let received = match stream.recv().await {
            Ok(received) if !received.is_empty() => received,
            _ => return,
        };
        let bytes = Bytes::copy_from_slice(&received);
        drop(received);
        if stream.send(vec![bytes]).await.is_err() {
            return;
        }
    }
}

async fn echo_server(env: &RingEnv) -> SocketAddr {
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(env.ring(), any, 128).await.unwrap();
    let address = listener.local_addr().unwrap();
    let owner = env.clone();
    env.spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap();
            owner.spawn(echo(stream));
        }
    });
    address
}

/// Sends `total` bytes in parts and expects the same back.
async fn check_echo(env: &RingEnv, address: SocketAddr, seed: usize, total: usize) {
    let stream = Stream::connect(env.ring(), address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let data: Bytes = (0..total).map(|i| ((i * 31 + seed) >> 3) as u8).collect::<Vec<_>>().into();
    let parts: Vec<Bytes> = data.chunks(total / 5 + 1).map(|part| data.slice_ref(part)).collect();
    let sender = stream.clone();
    env.spawn(async move { sender.send(parts).await.unwrap() });
    let mut back = BytesMut::with_capacity(total);
    while back.len() < total {
        // Both ways of receiving, in turn.
        if back.len().is_multiple_of(2) {
            let received = stream.recv().await.unwrap();
            assert!(!received.is_empty());
            back.extend_from_slice(&received);
        } else {
            let want = (total - back.len()).min(10_001);
            let (bytes, count) = stream.recv_into(back, want).await.unwrap();
            assert!(count >= want);
            back = bytes;
        }
    }
    assert_eq!(back, data);
}

#[test]
fn sixty_four_connections_echo() {
    for options in [RingOptions::default(), small()] {
        on_shard(options, async |env| {
            let address = echo_server(&env).await;
            let (arrive, all) = latch(&env, 64);
            for i in 0..64 {
                let (env, arrive) = (env.clone(), arrive.clone());
                env.clone().spawn(async move {
                    check_echo(&env, address, i, 100 + i * 4001).await;
                    arrive();
                });
            }
            all.await;
            check_echo(&env, address, 1, 16 << 20).await;
            assert_eq!(env.ring().buffers().held(), 0);
        });
    }
}

#[test]
fn a_send_of_very_many_parts_arrives_whole() {
    on_shard(RingOptions::default(), async |env| {
        let address = echo_server(&env).await;
        let stream = Stream::connect(env.ring(), address).await.unwrap();
        let parts: Vec<Bytes> = (0..5000).map(|i| Bytes::from(vec![i as u8; i % 7])).collect();
        let all: Vec<u8> = parts.iter().flatten().copied().collect();
        stream.send(parts).await.unwrap();
        let bytes = BytesMut::with_capacity(all.len() + 10);
        let (bytes, count) = stream.recv_into(bytes, all.len()).await.unwrap();
        assert_eq!(count, all.len());
        assert_eq!(bytes, all);
        stream.send(Vec::new()).await.unwrap();
    });
}

#[test]
fn a_dropped_receive_loses_nothing_and_a_dropped_send_ends_sending() {
    on_shard(small(), async |env| {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(env.ring(), any, 16).await.unwrap();
        assert!(poll_once(listener.accept()).await.is_none());
        let address = listener.local_addr().unwrap();
        let client = Stream::connect(env.ring(), address).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert_eq!(server.peer_addr(), Some(client.socket_address()));

        assert!(poll_once(server.recv()).await.is_none());
        client.send(vec![Bytes::from_static(b"hello")]).await.unwrap();
        pause(&env, 10).await;
        // The data is in the receive that nobody waits for.
        assert_eq!(env.ring().buffers().held(), 1);
        assert_eq!(&*server.recv().await.unwrap(), b"hello");

        assert!(poll_once(server.recv()).await.is_none());
        client.send(vec![Bytes::from_static(b"more"), Bytes::from_static(b"data")]).await.unwrap();
        pause(&env, 10).await;
        let (bytes, count) = server.recv_into(BytesMut::with_capacity(100), 8).await.unwrap();
        assert_eq!((&bytes[..], count), (&b"moredata"[..], 8));

        // Two receivers are a mistake that is told.
        let mut first = Box::pin(server.recv());
        assert!(poll_once(&mut first).await.is_none());
        assert!(server.recv().await.is_err());
        drop(first);

        let huge = vec![Bytes::from(vec![0; 32 << 20])];
        assert!(poll_once(server.send(huge)).await.is_none());
        assert!(server.send(vec![Bytes::from_static(b"x")]).await.is_err());

        // A connection dropped with data in a pending receive gives the buffer back.
        drop(client);
        drop(server);
        let client = Stream::connect(env.ring(), address).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert!(poll_once(server.recv()).await.is_none());
        client.send(vec![Bytes::from_static(b"unread")]).await.unwrap();
        pause(&env, 10).await;
        drop(server);
        pause(&env, 10).await;
        assert_eq!(env.ring().buffers().held(), 0);
        // And its peer sees the end.
        assert!(
            client.recv().await.is_ok_and(|rest| rest.is_empty()) || client.recv().await.is_err()
        );
    });
}

#[test]
fn a_full_set_of_receive_buffers_stops_nobody() {
    on_shard(small(), async |env| {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(env.ring(), any, 16).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = Vec::new();
        for _ in 0..8 {
            let client = Stream::connect(env.ring(), address).await.unwrap();
            let server = listener.accept().await.unwrap();
            client.send(vec![Bytes::from_static(b"hello")]).await.unwrap();
            let received = server.recv().await.unwrap();
            assert_eq!(&*received, b"hello");
            kept.push((client, server, received));
        }
        assert_eq!(env.ring().buffers().held(), 4);
        drop(kept);
        assert_eq!(env.ring().buffers().held(), 0);
    });
}

#[test]
fn shutting_down_ends_a_waiting_receive() {
    on_shard(small(), async |env| {
        let address = echo_server(&env).await;
        let stream = Stream::connect(env.ring(), address).await.unwrap();
        let closer = stream.clone();
        let waiting = async { stream.recv().await.map(|rest| rest.len()) };
        let closing = async {
            pause(&env, 10).await;
            closer.shutdown(Shutdown::Both).unwrap();
        };
        let (received, ()) = future::zip(waiting, closing).await;
        assert_eq!(received.unwrap(), 0);
    });
}

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
        let address = echo_server(&env).await;
        let stream = Stream::connect(env.ring(), address).await.unwrap();
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
