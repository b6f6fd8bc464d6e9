//! Files and directories, operations beyond the queue's room, futures dropped half-way.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_lite::future::poll_once;

use super::{RingOptions, TempDir, latch, on_shard, pause, small};
use crate::io::ring::disk::DirectIoUnsupported;
use crate::io::{Env, File, OpenMode};
use crate::limits::BLOCK_BYTES;
use crate::memory::Pool;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A buffer of whole blocks, each filled with its number plus `first`.
fn blocks(pool: &Arc<Pool>, count: usize, first: u8) -> crate::memory::Piece {
    let mut buffer = pool.buffer(count * BLOCK_BYTES);
    for (i, block) in buffer.as_mut_slice().chunks_mut(BLOCK_BYTES).enumerate() {
        block.fill(first.wrapping_add(i as u8));
    }
    buffer.into_piece()
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
        file.write_durably(0, many).await.unwrap();
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
