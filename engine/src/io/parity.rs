//! One scenario that both backends must play alike, so that what the simulator proves is about the
//! real thing.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use bytes::Bytes;

use super::runtime::{Runtime, ShardSpec};
use super::sim::Sim;
use super::{Env, File, OpenMode};
use crate::limits::BLOCK_BYTES;
use crate::memory::Piece;

const BLOCK: u64 = BLOCK_BYTES as u64;

fn piece(env: &impl Env, value: u8) -> Piece {
    let mut buffer = env.pool().buffer(BLOCK_BYTES);
    buffer.as_mut_slice().fill(value);
    buffer.into_piece()
}

fn outcome<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

async fn names(env: &impl Env, dir: &Path) -> String {
    let entries = env.list_dir(dir).await.unwrap();
    let name = |e: &super::DirEntry| format!("{}{}", e.name, if e.is_dir { "/" } else { "" });
    entries.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// Does much in `root` and writes down what was seen.
async fn scenario(env: impl Env, root: PathBuf) -> String {
    let mut seen = String::new();
    let mut see = |what: &str, text: String| writeln!(seen, "{what}: {text}").unwrap();
    let at = |name: &str| root.join(name);

    see("create dir", outcome(env.create_dir(&at("a/b")).await));
    see("create dir again", outcome(env.create_dir(&at("a/b")).await));
    see("open missing", outcome(env.open(&at("a/f"), OpenMode::ReadWrite).await));
    see("create in missing", outcome(env.open(&at("x/f"), OpenMode::CreateNew).await));
    let file = env.open(&at("a/f"), OpenMode::CreateNew).await.unwrap();
    see("create twice", outcome(env.open(&at("a/f"), OpenMode::CreateNew).await));
    see("open a directory", outcome(env.open(&at("a"), OpenMode::ReadWrite).await));
    see("directory on a file", outcome(env.create_dir(&at("a/f")).await));
    see("list a file", outcome(env.list_dir(&at("a/f")).await));

    see("nothing to write", outcome(file.write_at(0, Vec::new()).await));
    file.write_at(2 * BLOCK, vec![piece(&env, 2), piece(&env, 3)]).await.unwrap();
    see("size", format!("{:?}", file.size().await));
    see("write durably", outcome(file.write_durably(3 * BLOCK, vec![piece(&env, 4)]).await));
    see("nothing durably", outcome(file.write_durably(0, Vec::new()).await));
    file.allocate(2 * BLOCK).await.unwrap();
    see("size after less", format!("{:?}", file.size().await));
    file.allocate(6 * BLOCK).await.unwrap();
    see("size after more", format!("{:?}", file.size().await));
    see("written end", format!("{:?}", file.written_end().await));
    let bytes = file.read_at(BLOCK, 9 * BLOCK_BYTES).await.unwrap();
    see("read", format!("{} {:08x}", bytes.len(), crc32c::crc32c(&bytes)));
    file.truncate(2 * BLOCK + 5).await.unwrap();
    file.truncate(4 * BLOCK).await.unwrap();
    let bytes = file.read_at(2 * BLOCK, BLOCK_BYTES).await.unwrap();
    see("read after truncation", format!("{:?} {}", &bytes[..8], bytes.len()));
    let empty = file.read_at(40 * BLOCK, BLOCK_BYTES).await.unwrap();
    see("read behind the end", format!("{}", empty.len()));
    see("flush", outcome(file.sync_data().await));
    let read_only = env.open(&at("a/f"), OpenMode::ReadOnly).await.unwrap();
    see(
        "write read-only",
        format!("{}", read_only.write_at(0, vec![piece(&env, 1)]).await.is_err()),
    );

    see("read small missing", outcome(env.read_small(&at("a/s"), 10).await));
    for len in [0, 1, 5000, 70_000] {
        let content = Bytes::from(vec![len as u8; len]);
        env.write_small(&at("a/s"), content.clone()).await.unwrap();
        see("read small", format!("{}", env.read_small(&at("a/s"), len).await.unwrap() == content));
    }
    see("read small too large", outcome(env.read_small(&at("a/s"), 69_999).await));
    see("names", names(&env, &at("a")).await);

    see("rename missing", outcome(env.rename(&at("a/none"), &at("a/g")).await));
    see("rename", outcome(env.rename(&at("a/f"), &at("a/g")).await));
    see("rename over", outcome(env.rename(&at("a/s"), &at("a/g")).await));
    see("open handle of what was replaced", format!("{:?}", file.size().await));
    see("rename onto a directory", outcome(env.rename(&at("a/g"), &at("a/b")).await));
    see("rename a directory", outcome(env.rename(&at("a"), &at("c")).await));
    see("rename into itself", outcome(env.rename(&at("c"), &at("c/b/d")).await));
    see("rename onto a full directory", {
        env.create_dir(&at("e")).await.unwrap();
        outcome(env.rename(&at("e"), &at("c")).await)
    });
    see("names", names(&env, &at("c")).await);
    see("sync dir", outcome(env.sync_dir(&at("c")).await));
    see("sync dir missing", outcome(env.sync_dir(&at("a")).await));
    see("remove a directory as a file", outcome(env.remove_file(&at("c/b")).await));
    see("remove", outcome(env.remove_file(&at("c/g")).await));
    see("remove again", outcome(env.remove_file(&at("c/g")).await));
    see("remove dir", outcome(env.remove_dir(&at("c")).await));
    see("remove dir again", outcome(env.remove_dir(&at("c")).await));
    see("names", names(&env, &root).await);
    seen
}

#[test]
fn both_backends_play_the_same_scenario() {
    let simulated = {
        let sim = Sim::new(11);
        let env = sim.env(0);
        sim.run(async move {
            env.create_dir(Path::new("/data")).await.unwrap();
            scenario(env, PathBuf::from("/data")).await
        })
        .unwrap()
    };
    let root = std::env::temp_dir().join(format!("millrace-io-parity-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let (sender, result) = mpsc::channel();
    let dir = root.clone();
    let main = async move |env| sender.send(scenario(env, dir).await).unwrap();
    Runtime::start(vec![(ShardSpec::new(0, None).unwrap(), main)]).unwrap().join();
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(simulated, result.recv().unwrap());
    assert_eq!(simulated.lines().count(), 44);
}
