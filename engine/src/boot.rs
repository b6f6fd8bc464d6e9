//! From an empty process to serving shards, and back: what is read from the log directory, in which
//! order, and what a clean stop leaves behind.
//!
//! Shard 0 reads what the last run left (identity, journals, the metadata log), hands every shard what
//! concerns it, and registers the broker with its own controller. The image that follows from that
//! makes every shard open its partitions; from then on the broker serves.

mod identity;
mod inherit;
mod locate;
pub mod lock;
mod room;
mod start;
mod stop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use inherit::BootError;
pub use start::{Running, Serve, Wiring, run_shard, start, wire};
pub use stop::{Stopped, files as clean_stop_files};

pub use crate::shard::scrub::ScrubSettings;

use crate::group::GroupConfig;
use crate::io::Wake;
use crate::metadata::bootstrap::FEATURES_SUPPORTED;
use crate::metadata::controller::{AnySetting, BrokerRules, ControllerSettings};
use crate::metadata::placement::Directories;
use crate::metadata::record::Endpoint;
use crate::shard::ShardSettings;
use crate::topic_config::TopicConfig;
use crate::types::{NodeId, ShardId};

/// Where the metadata log is, in the first log directory.
const METADATA_DIR: &str = "__cluster_metadata-0";

/// What the engine is told at its start.
#[derive(Clone)]
pub struct EngineSettings {
    /// `node.id`.
    pub node_id: NodeId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The log directories, at least one; the metadata log is in the first.
    pub log_dirs: Vec<PathBuf>,
    /// Indexes of those, but for the first, that are known to be of no use.
    pub log_dirs_failed: Vec<usize>,
    /// How many shards: as many as log directories at least.
    pub shards: ShardId,
    /// The core of each shard; none leaves it to the kernel.
    pub cores: Vec<Option<usize>>,
    /// Memory for tails, over all shards. Bytes.
    pub memory_bytes: usize,
    /// Memory for indexes, and as much again for what is read ahead, over all shards. Bytes.
    pub cache_bytes: usize,
    /// Memory that all shards together keep for reuse, what is in use included. Bytes.
    pub pool_bytes: usize,
    /// Most journal bytes of one shard.
    pub journal_bytes: u64,
    /// Whether an acknowledgement waits for the flush.
    pub is_flushed: bool,
    /// Whether compressed batches are looked into.
    pub is_deep: bool,
    /// Settings of topics that have no overrides.
    pub topic_defaults: Arc<TopicConfig>,
    /// Settings of group coordinators.
    pub group: GroupConfig,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_ms: u64,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub checkpoint_interval_ms: u64,
    /// When and how fast closed segments are checked.
    pub scrub: ScrubSettings,
    /// The controller's settings.
    pub controller: ControllerSettings,
    /// Where the broker can be reached.
    pub endpoints: Vec<Endpoint>,
    /// Makes the rules for the broker's own dynamic configuration.
    pub rules: fn() -> Box<dyn BrokerRules>,
}

/// What the server on a shard needs to know of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `cluster.id`.
    pub cluster_id: String,
    /// The log directories.
    pub directories: Directories,
}

/// What concerns all shards at once, from any thread: the broker's stop, its disks' failures, and
/// questions from outside.
#[derive(Clone)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// Which log directories failed: a bit of each.
    failed: Arc<AtomicU64>,
    /// How often the disk of each log directory was found full.
    full: Arc<[AtomicU64]>,
    wakes: Vec<Arc<dyn Wake>>,
    /// Which shards' bells were rung.
    bells: Arc<[AtomicBool]>,
}

impl Stop {
    /// Stops through these shards' wakers.
    #[must_use]
    pub fn new(wakes: Vec<Arc<dyn Wake>>) -> Self {
        let bells = wakes.iter().map(|_| AtomicBool::new(false)).collect();
        // There are no more log directories than shards.
        let full = wakes.iter().map(|_| AtomicU64::new(0)).collect();
        Self { flag: Arc::default(), failed: Arc::default(), full, wakes, bells }
    }

    /// Makes [`crate::client::Client::rung`] end on every shard, for who has left something there from
    /// another thread.
    pub fn ring(&self) {
        for (bell, wake) in self.bells.iter().zip(&self.wakes) {
            bell.store(true, Ordering::SeqCst);
            wake.wake();
        }
    }

    /// Whether a shard has not taken a turn since its bell was rung last.
    #[must_use]
    pub fn is_unheard(&self, shard: ShardId) -> bool {
        self.bells.get(usize::from(shard)).is_some_and(|bell| bell.load(Ordering::SeqCst))
    }

    /// Whether the bell of a shard was rung since the last time.
    pub(crate) fn take_ring(&self, shard: ShardId) -> bool {
        let bell = self.bells.get(usize::from(shard));
        bell.is_some_and(|b| b.load(Ordering::Relaxed) && b.swap(false, Ordering::SeqCst))
    }

    /// Begins a clean stop.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::SeqCst);
        for wake in &self.wakes {
            wake.wake();
        }
    }

    /// Whether a stop has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// The log directory at an index failed: none of its shards may acknowledge anything from now on,
    /// and if it is the first, which has the metadata log, no shard at all.
    pub fn fail(&self, directory: usize) {
        self.failed.fetch_or(bit(directory), Ordering::SeqCst);
        for wake in &self.wakes {
            wake.wake();
        }
    }

    /// One shard found the disk of a log directory full: all of them let go of what they can.
    pub fn note_full(&self, directory: usize) {
        if let Some(count) = self.full.get(directory) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        for wake in &self.wakes {
            wake.wake();
        }
    }

    /// How often the disk of a log directory was found full, and how often any was.
    #[must_use]
    pub fn full_counts(&self, directory: usize) -> (u64, u64) {
        let counts = self.full.iter().map(|count| count.load(Ordering::SeqCst));
        let own = self.full.get(directory).map_or(0, |count| count.load(Ordering::SeqCst));
        (own, counts.sum())
    }

    /// Whether the log directory at an index failed.
    #[must_use]
    pub fn has_failed(&self, directory: usize) -> bool {
        self.failed.load(Ordering::SeqCst) & bit(directory) != 0
    }

    /// How many log directories failed.
    #[must_use]
    pub fn failure_count(&self) -> u32 {
        self.failed.load(Ordering::Relaxed).count_ones()
    }

    /// Which of the first `count` log directories failed.
    #[must_use]
    pub fn failed_directories(&self, count: usize) -> Vec<usize> {
        (0..count).filter(|directory| self.has_failed(*directory)).collect()
    }
}

/// That of a log directory. There are no more of them than shards.
const fn bit(directory: usize) -> u64 {
    1 << (directory % 64)
}

impl EngineSettings {
    /// One node with Kafka's defaults, that takes every setting and checks no closed segments: what
    /// brokers in simulations and tests begin with.
    #[must_use]
    pub fn single_node(node_id: NodeId, log_dir: PathBuf, topic_defaults: TopicConfig) -> Self {
        Self {
            node_id,
            rack: None,
            log_dirs: vec![log_dir],
            log_dirs_failed: Vec::new(),
            shards: 1,
            cores: Vec::new(),
            memory_bytes: 64 << 20,
            cache_bytes: 16 << 20,
            pool_bytes: 64 << 20,
            journal_bytes: 64 << 20,
            is_flushed: true,
            is_deep: false,
            topic_defaults: Arc::new(topic_defaults.clone()),
            group: GroupConfig::default(),
            producer_expiration_ms: 86_400_000,
            retention_check_ms: 300_000,
            checkpoint_interval_ms: 60_000,
            scrub: ScrubSettings { interval_ms: 0, bytes_per_second: 1 << 20 },
            controller: ControllerSettings {
                node_id,
                partitions_default: 1,
                replication_factor_default: 1,
                delete_topic_enable: true,
                topic_defaults,
                features_supported: FEATURES_SUPPORTED.to_vec(),
            },
            endpoints: Vec::new(),
            rules: || Box::new(AnySetting),
        }
    }

    fn shard_settings(&self, shard: ShardId) -> ShardSettings {
        let files = self.journal_bytes / crate::limits::JOURNAL_FILE_BYTES;
        ShardSettings {
            shard,
            shards: self.shards,
            node_id: self.node_id,
            log_dir: Arc::from(self.log_dir_of(shard)),
            is_flushed: self.is_flushed,
            is_deep: self.is_deep,
            memory_bytes: self.per_shard(self.memory_bytes),
            journal_files_max: usize::try_from(files).unwrap_or(usize::MAX),
            topic_defaults: Arc::clone(&self.topic_defaults),
            group: self.group.clone(),
            retention_check_ms: self.retention_check_ms,
            checkpoint_interval_ms: self.checkpoint_interval_ms,
            scrub: self.scrub,
        }
    }

    /// One shard's part of what all of them have together.
    fn per_shard(&self, bytes: usize) -> usize {
        bytes / usize::from(self.shards.max(1))
    }

    fn metadata_dir(&self) -> PathBuf {
        self.log_dir(0).join(METADATA_DIR)
    }

    /// The log directory at an index.
    fn log_dir(&self, index: usize) -> &Path {
        self.log_dirs.get(index).map(PathBuf::as_path).unwrap_or(Path::new(""))
    }

    /// The log directory that a shard serves.
    fn log_dir_of(&self, shard: ShardId) -> &Path {
        self.log_dir(usize::from(shard) % self.log_dirs.len().max(1))
    }
}
