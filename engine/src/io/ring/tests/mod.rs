//! Tests against the real kernel: files in a temporary directory, sockets on the loopback address.

mod files;
mod shards;
mod sockets;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;

use super::RingOptions;
use crate::io::Env;
use crate::io::runtime::{RingEnv, Runtime, ShardSpec};

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
