//! A simulated machine with a broker on it: starting it, stopping it, taking its power away.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use millrace_engine::boot::{
    BootError, EngineSettings, Identity, Serve, Stop, Stopped, clean_stop_files, run_shard, wire,
};
use millrace_engine::io::Env;
use millrace_engine::io::sim::{Sim, SimEnv, Stalled};
use millrace_engine::limits::JOURNAL_FILE_BYTES;
use millrace_engine::log::checkpoint::PartitionOffset;
use millrace_engine::metadata::record::Endpoint;
use millrace_engine::shard::scrub::ScrubSettings;
use millrace_engine::topic_config::TopicConfig;
use millrace_engine::types::{Nanos, ShardId};

use super::administer::NODE;
use super::dice::Dice;
use super::verify;
use super::world::World;

/// The log directories, of which a broker has the first, or both.
pub const LOG_DIRS: [&str; 2] = ["/data/millrace", "/second/millrace"];
/// What is in every path of the second one, and in no other.
pub const IN_SECOND: &str = "/second/";

/// How the broker is set up in one of its lives.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Shards.
    pub shards: ShardId,
    /// Log directories, as many as the machine has.
    pub log_dirs: usize,
    /// Memory for tails. Bytes.
    pub memory_bytes: usize,
    /// Most bytes of a journal.
    pub journal_bytes: u64,
}

impl Setup {
    /// Any of a machine with so many log directories; each has a shard at least.
    pub fn draw(dice: &Dice, log_dirs: usize, is_small: bool) -> Self {
        let drawn = dice.between(1, 4);
        let shards = if is_small { 1 } else { drawn };
        let shards = ShardId::try_from(shards.max(log_dirs as u64)).unwrap_or(1);
        let memory_bytes = if dice.percent(30) { 512 << 10 } else { 32 << 20 };
        let journal_bytes = dice.between(2, 5) * JOURNAL_FILE_BYTES;
        Self { shards, log_dirs, memory_bytes, journal_bytes }
    }
}

fn settings(setup: Setup) -> EngineSettings {
    EngineSettings {
        shards: setup.shards,
        memory_bytes: setup.memory_bytes,
        journal_bytes: setup.journal_bytes,
        scrub: ScrubSettings { interval_ms: 60_000, bytes_per_second: 1 << 20 },
        endpoints: vec![Endpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        log_dirs: LOG_DIRS.iter().take(setup.log_dirs).map(PathBuf::from).collect(),
        ..EngineSettings::single_node(NODE, LOG_DIRS[0].into(), TopicConfig::default())
    }
}

/// A broker that was started.
pub struct Broker {
    stop: Stop,
    ended: Rc<RefCell<Vec<Stopped>>>,
    error: Rc<RefCell<Option<BootError>>>,
    reported: Receiver<Result<Identity, BootError>>,
    setup: Setup,
}

impl Broker {
    /// Starts a broker on a machine.
    pub fn start(sim: &Sim, world: &Rc<World>, setup: Setup) -> Self {
        let settings = Arc::new(settings(setup));
        let envs: Vec<SimEnv> = (0..setup.shards).map(|shard| sim.env(shard)).collect();
        let wakes: Vec<_> = envs.iter().map(Env::waker).collect();
        let stop = Stop::new(wakes.clone());
        let (report, reported) = channel();
        let (ended, error) = (Rc::default(), Rc::default());
        for (env, wiring) in envs.into_iter().zip(wire(&wakes)) {
            let of_shard = Rc::clone(world);
            let serve: Serve<SimEnv> = Box::new(move |client, identity| {
                Box::pin(verify::serve(of_shard, client, identity))
            });
            let (settings, stop, report) = (Arc::clone(&settings), stop.clone(), report.clone());
            let ended: Rc<RefCell<Vec<Stopped>>> = Rc::clone(&ended);
            let error: Rc<RefCell<Option<BootError>>> = Rc::clone(&error);
            env.clone().spawn(async move {
                match run_shard(env, wiring, settings, stop.clone(), serve, &report).await {
                    Ok(stopped) => ended.borrow_mut().push(stopped),
                    Err(failed) => {
                        *error.borrow_mut() = Some(failed);
                        stop.stop();
                    }
                }
            });
        }
        Self { stop, ended, error, reported, setup }
    }

    /// Why it could not start, if so.
    pub fn error(&self) -> Option<String> {
        if let Ok(Err(error)) = self.reported.try_recv() {
            self.error.borrow_mut().get_or_insert(error);
        }
        self.error.borrow().as_ref().map(ToString::to_string)
    }

    /// Begins a clean stop.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Whether every shard has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().len() == usize::from(self.setup.shards)
    }

    /// Whether every shard has ended with everything in its segments.
    pub fn is_clean(&self) -> bool {
        self.has_ended() && self.ended.borrow().iter().all(|stopped| stopped.is_clean)
    }

    /// Where every partition ends, after a clean stop.
    pub fn ends(&self) -> Vec<PartitionOffset> {
        let ended = self.ended.borrow();
        let ends = ended.iter().flat_map(|stopped| stopped.ends.iter());
        ends.map(|(topic, id, offset)| PartitionOffset {
            topic: topic.to_string(),
            partition: id.partition,
            offset: *offset,
        })
        .collect()
    }

    /// What the process does when all shards have ended clean: checkpoints and the marker.
    ///
    /// # Errors
    /// It does not come to an end.
    pub fn complete(&self, sim: &Sim) -> Result<(), Stalled> {
        let (env, count) = (sim.env(0), self.setup.log_dirs);
        let mut files = Vec::new();
        for (index, log_dir) in LOG_DIRS.into_iter().enumerate().take(count) {
            let ended = self.ended.borrow();
            let is_of = |stopped: &&Stopped| usize::from(stopped.shard) % count == index;
            let of_dir = clean_stop_files(&ended.iter().filter(is_of).collect::<Vec<_>>());
            let place = |(name, text)| (Path::new(log_dir).join(name), Bytes::from(text));
            files.extend(of_dir.into_iter().map(place));
        }
        sim.run(async move {
            for (path, text) in files {
                if env.write_small(&path, text).await.is_err() {
                    return;
                }
            }
        })
    }
}

/// Simulated time from now on. Nanoseconds.
pub fn later(sim: &Sim, nanos: u64) -> Nanos {
    Nanos(sim.now().0 + nanos)
}
