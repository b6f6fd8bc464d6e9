//! A shard: the partitions of one core, the journal that makes them durable, and the coordinators
//! whose logs live here.
//!
//! Synchronous and pure: [`Shard::on_event`] takes what happened and returns what is to be done. A turn
//! is a number of events and one [`Shard::end_turn`], in which everything that was appended is put
//! into one commit. At most one commit runs; what arrives meanwhile is the next one.

pub mod append;
pub mod call;
pub mod checkpoint;
pub mod commit;
pub mod controller_host;
pub mod event;
pub mod group_host;
pub mod housekeeping;
pub mod memory_budget;
pub mod pending;
pub mod query;
pub mod read;
pub mod reconcile;
pub mod scrub;
pub mod stages;
pub mod stats;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use call::{Answer, Append, Call, ReplyTo};
use checkpoint::Checkpointing;
use commit::RunningCommit;
use controller_host::ControllerHost;
use event::{DiskFailure, Effect, Event};
use group_host::GroupHost;
use housekeeping::Deadlines;
use pending::{PendingAppends, PendingQueries, PendingReads};
use scrub::{ScrubSettings, Scrubbing};
use stages::Stages;
use watch::Watches;

use crate::group::GroupConfig;
use crate::journal::plan::{FileId, Journal};
use crate::journal::replay::RedoByPartition;
use crate::memory::Pool;
use crate::metadata::Image;
use crate::metadata::placement::Directories;
use crate::partition::Partition;
use crate::partition::admit::Now;
use crate::partition::waypoint::Waypoint;
use crate::topic_config::TopicConfig;
use crate::types::{NodeId, Offset, ShardId, TopicPartition};

/// What a shard is told once, at its start.
#[derive(Debug, Clone)]
pub struct ShardSettings {
    /// Which shard it is.
    pub shard: ShardId,
    /// How many there are.
    pub shards: ShardId,
    /// `node.id`.
    pub node_id: NodeId,
    /// The log directory that the shard serves.
    pub log_dir: Arc<Path>,
    /// Whether an acknowledgement waits for the flush (`millrace.durability`).
    pub is_flushed: bool,
    /// Whether compressed batches are looked into (`millrace.validate.records`).
    pub is_deep: bool,
    /// Memory for tails. Bytes.
    pub memory_bytes: usize,
    /// Most journal files.
    pub journal_files_max: usize,
    /// Settings of topics that have no overrides.
    pub topic_defaults: Arc<TopicConfig>,
    /// Settings of group coordinators.
    pub group: GroupConfig,
    /// `log.retention.check.interval.ms`.
    pub retention_check_ms: u64,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub checkpoint_interval_ms: u64,
    /// When and how fast closed segments are checked.
    pub scrub: ScrubSettings,
}

/// Who waits for an append to be durable.
#[derive(Debug)]
pub enum Waiter {
    /// An item of a client's append.
    Append {
        /// The pending append.
        append: u64,
        /// Which item.
        slot: usize,
        /// What it is told.
        appended: call::Appended,
    },
    /// The coordinator whose log this is: its oldest write is durable.
    Group,
    /// The controller: its oldest write is durable.
    Controller,
}

/// A partition as this shard has it.
#[derive(Debug)]
pub enum Slot {
    /// Being created or recovered; calls wait.
    Opening(Vec<(ReplyTo, Call)>),
    /// Serving.
    Open(Box<Partition<Waiter>>),
    /// Could not be opened.
    Failed,
    /// In a log directory that is not here, or not to be used.
    Offline,
}

/// The state of one shard.
#[derive(Debug)]
pub struct Shard {
    settings: ShardSettings,
    pool: Arc<Pool>,
    partitions: BTreeMap<TopicPartition, Slot>,
    /// Partitions with appends that no commit has taken up.
    dirty: BTreeSet<TopicPartition>,
    /// Appends that wait for memory.
    deferred: VecDeque<(ReplyTo, Append)>,
    journal: Journal,
    /// Whether what the last run left has been taken over, so that journal files may take room.
    may_grow_journal: bool,
    commit: Option<RunningCommit>,
    appends: PendingAppends,
    stages: Stages,
    reads: PendingReads,
    queries: PendingQueries,
    watches: Watches,
    image: Arc<Image>,
    directories: Directories,
    /// What journals of the last run hold, until their partitions are opened.
    redo: RedoByPartition,
    /// The last run's waypoints, until then.
    waypoints: BTreeMap<TopicPartition, Arc<Waypoint>>,
    log_starts: BTreeMap<TopicPartition, Offset>,
    groups: BTreeMap<i32, GroupHost>,
    controller: Option<ControllerHost>,
    deadlines: Deadlines,
    checkpointing: Checkpointing,
    scrubbing: Scrubbing,
    tail_bytes: usize,
    is_offline: bool,
    is_closing: bool,
    /// Opens that have not ended.
    opening: usize,
    /// Who waits for them to end.
    settling: Vec<ReplyTo>,
    /// Directories of removed partitions that still have their names.
    removing: usize,
    /// Who waits for those names to be free.
    publishing: Vec<ReplyTo>,
}

/// What shard 0 found on disk before the shards began.
#[derive(Debug, Clone, Default)]
pub struct Inheritance {
    /// What journals hold for partitions of this shard.
    pub redo: RedoByPartition,
    /// What active segments of this shard need not be read before.
    pub waypoints: BTreeMap<TopicPartition, Arc<Waypoint>>,
    /// Log start offsets from the checkpoint.
    pub log_starts: BTreeMap<TopicPartition, Offset>,
    /// First sequence number for new journal files.
    pub next_file_sequence: u64,
    /// First number that no journal file of this shard has.
    pub next_file: FileId,
    /// Journal files of this shard that are whole and hold nothing that is needed.
    pub reusable: Vec<FileId>,
    /// Whether the last run stopped cleanly.
    pub was_clean: bool,
    /// Whether that left journals that are needed until points say what they do.
    pub has_old_journals: bool,
    /// Offsets below which everything is in segments, from the checkpoint.
    pub recovery_points: Arc<BTreeMap<TopicPartition, Offset>>,
    /// The log directories.
    pub directories: Directories,
}

impl Shard {
    /// A shard without partitions: it opens them when it is given an image.
    #[must_use]
    pub fn new(settings: ShardSettings, pool: Arc<Pool>, inherited: Inheritance) -> Self {
        let Inheritance {
            redo,
            waypoints,
            log_starts,
            next_file_sequence,
            next_file,
            reusable,
            was_clean,
            has_old_journals,
            recovery_points,
            directories,
        } = inherited;
        let files_max = settings.journal_files_max;
        let mut journal = Journal::new(settings.shard, files_max, next_file_sequence, next_file);
        for file in reusable {
            journal.add_file(file);
        }
        Self {
            settings,
            pool,
            partitions: BTreeMap::new(),
            dirty: BTreeSet::new(),
            deferred: VecDeque::new(),
            journal,
            may_grow_journal: was_clean,
            commit: None,
            appends: PendingAppends::default(),
            stages: Stages::default(),
            reads: PendingReads::default(),
            queries: PendingQueries::default(),
            watches: Watches::default(),
            image: Arc::default(),
            directories,
            redo,
            waypoints,
            log_starts,
            groups: BTreeMap::new(),
            controller: None,
            deadlines: Deadlines::default(),
            checkpointing: Checkpointing::new(recovery_points, has_old_journals),
            scrubbing: Scrubbing::default(),
            tail_bytes: 0,
            is_offline: false,
            is_closing: false,
            opening: 0,
            settling: Vec::new(),
            removing: 0,
            publishing: Vec::new(),
        }
    }

    /// `node.id`.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.settings.node_id
    }

    /// The broker stops: nothing is taken up any more.
    pub fn close(&mut self) {
        self.is_closing = true;
    }

    /// Answers those who wait for all partitions to be open, and for all that journals of the last run say
    /// to stand elsewhere too.
    fn answer_settled(&mut self, effects: &mut Vec<Effect>) {
        if self.opening > 0 || self.settling.is_empty() {
            return;
        }
        let is_handed_over = !self.settings.is_flushed || self.checkpointing.hand_over();
        if !is_handed_over && !self.is_offline {
            return;
        }
        // What journals hold for a directory that is not here is still needed.
        let is_missing = |(id, slot): (&TopicPartition, &Slot)| match slot {
            Slot::Failed => true,
            Slot::Offline => self.redo.contains_key(id),
            Slot::Open(_) | Slot::Opening(_) => false,
        };
        let is_whole = is_handed_over && !self.partitions.iter().any(is_missing);
        let waiting = std::mem::take(&mut self.settling).into_iter();
        effects.extend(waiting.map(|reply| Effect::Answer(reply, Answer::Settled { is_whole })));
    }

    /// Takes up one event.
    pub fn on_event(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        self.stages.end(&event);
        match event {
            Event::Call(reply, call) => self.on_call(now, reply, call, effects),
            Event::Committed(result) => self.on_committed(now, result, effects),
            Event::Flushed { partition, written, result } => {
                self.on_flushed(now, partition, &written, result, effects);
            }
            Event::Opened { partition, result } => self.on_opened(now, partition, result, effects),
            Event::ReadDone { read, slot, result } => {
                self.on_read_done(read, slot, result, effects);
            }
            Event::SearchDone { query, slot, result } => {
                self.on_search_done(query, slot, result, effects);
            }
            Event::JournalFile { file, result } => self.on_journal_file(file, result, effects),
            Event::LogPart { partition, result } => {
                self.on_log_part(now, partition, result, effects);
            }
            Event::OffsetsWritten => {
                self.checkpointing.handed_over();
                self.answer_settled(effects);
            }
            Event::Published(id) => self.on_published(id, effects),
            Event::Removed(result) => self.on_removed(result, effects),
            Event::Scrubbed(done) => self.on_scrubbed(now, done),
            Event::JobFailed(failure) => self.on_failure(&failure, effects),
            Event::DiskFull { is_own } => self.on_disk_full(now, is_own),
            Event::Tick => self.on_tick(now, effects),
        }
    }

    fn on_call(&mut self, now: Now, reply: ReplyTo, call: Call, effects: &mut Vec<Effect>) {
        if let Some(partition) = self.opening_partition(&call) {
            if let Some(Slot::Opening(waiting)) = self.partitions.get_mut(&partition) {
                waiting.push((reply, call));
            }
            if let Some(topic) = self.image.topics.by_id(partition.topic_id) {
                effects.push(Effect::HurryOpen(self.dir_of(&topic.name, partition)));
            }
            return;
        }
        match call {
            Call::Append(append) => self.on_append(now, reply, append, effects),
            Call::Read(read) => self.on_read(reply, read, effects),
            Call::Watch(watch) => self.on_watch(now, reply, watch, effects),
            Call::Offsets(queries) => self.on_offsets(reply, &queries, effects),
            Call::EpochEnds(queries) => {
                let ends = queries.iter().map(|query| self.epoch_end(query)).collect();
                effects.push(Effect::Answer(reply, Answer::EpochEnds(ends)));
            }
            Call::DeleteRecords(wishes) => self.on_delete_records(now, reply, &wishes, effects),
            Call::Sizes(ids) => {
                let sizes = ids.iter().map(|id| self.size(*id)).collect();
                effects.push(Effect::Answer(reply, Answer::Sizes(sizes)));
            }
            Call::Producers(ids) => {
                let producers = ids.iter().map(|id| self.producer_views(*id)).collect();
                effects.push(Effect::Answer(reply, Answer::Producers(producers)));
            }
            Call::Stats => {
                effects.push(Effect::Answer(reply, Answer::Stats(Box::new(self.stats()))));
            }
            Call::Group { partition, call } => self.on_group(now, reply, partition, call, effects),
            Call::Controller(call) => self.on_controller(now, reply, call, effects),
            Call::AwaitSettled => {
                self.settling.push(reply);
                self.answer_settled(effects);
            }
            Call::GrowJournal => {
                self.may_grow_journal = true;
                self.settling.push(reply);
                self.answer_settled(effects);
            }
            Call::Publish(image) => {
                self.adopt(now, image, effects);
                self.publishing.push(reply);
                self.answer_published(effects);
            }
        }
    }

    /// A partition that the call needs and that is still being opened.
    fn opening_partition(&self, call: &Call) -> Option<TopicPartition> {
        let is_opening =
            |id: &TopicPartition| matches!(self.partitions.get(id), Some(Slot::Opening(_)));
        match call {
            Call::Append(append) => append.items.iter().map(|i| i.partition).find(is_opening),
            Call::Read(read) => read.items.iter().map(|i| i.partition).find(is_opening),
            Call::Offsets(queries) => queries.iter().map(|q| q.partition).find(is_opening),
            Call::EpochEnds(queries) => queries.iter().map(|q| q.partition).find(is_opening),
            Call::DeleteRecords(wishes) => wishes.iter().map(|w| w.partition).find(is_opening),
            Call::Sizes(ids) | Call::Producers(ids) => ids.iter().copied().find(is_opening),
            Call::Group { partition, .. } => self.coordinator_log(*partition).filter(is_opening),
            Call::Watch(_)
            | Call::Controller(_)
            | Call::AwaitSettled
            | Call::GrowJournal
            | Call::Stats
            | Call::Publish(_) => None,
        }
    }

    fn partition(&self, id: TopicPartition) -> Option<&Partition<Waiter>> {
        match self.partitions.get(&id) {
            Some(Slot::Open(partition)) => Some(partition),
            _ => None,
        }
    }

    fn partition_mut(&mut self, id: TopicPartition) -> Option<&mut Partition<Waiter>> {
        match self.partitions.get_mut(&id) {
            Some(Slot::Open(partition)) => Some(partition),
            _ => None,
        }
    }

    /// The log directory failed: nothing of it is acknowledged from now on. A full one is no failure.
    fn on_failure(&mut self, failure: &DiskFailure, effects: &mut Vec<Effect>) {
        if self.is_offline {
            return;
        }
        self.checkpointing.failed(failure);
        if failure.is_full {
            effects.push(Effect::DiskFull);
            return;
        }
        self.is_offline = true;
        effects.push(Effect::Offline(failure.clone()));
        self.fail_everyone(effects);
        self.answer_settled(effects);
    }
}
