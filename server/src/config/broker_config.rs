//! The broker's settings with types, after everything has been checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use millrace_engine::topic_config::value::ConfigValueError;
use millrace_engine::topic_config::{TopicConfig, TopicConfigError};

use super::admin::{self, AdminConfig};
use super::listeners::{self, Listener};
use super::settings::Settings;
use super::{Notice, Problem, Surroundings};

/// Everything the broker is told. Cheap to share by `Arc`; it does not change while the broker runs.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `log.dirs` or `log.dir`: where all data lies; the metadata log is in the first.
    pub log_dirs: Vec<PathBuf>,
    /// `listeners` and `advertised.listeners`, the controller's left out; never empty.
    pub listeners: Vec<Listener>,
    /// What a topic's settings are unless the topic says otherwise.
    pub topic_defaults: Arc<TopicConfig>,
    /// Connections and requests.
    pub network: NetworkConfig,
    /// Creation and deletion of topics.
    pub topics: TopicsConfig,
    /// Fetches.
    pub fetch: FetchConfig,
    /// Consumer groups.
    pub groups: GroupsConfig,
    /// Committed offsets and their topic.
    pub offsets: OffsetsConfig,
    /// The metadata log.
    pub metadata: MetadataConfig,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: u64,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub checkpoint_interval_ms: u64,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: u64,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_id_expiration_check_interval_ms: u64,
    /// `millrace.admin.listener`; none opens no admin port.
    pub admin: Option<AdminConfig>,
    /// millrace's own settings.
    pub millrace: MillraceConfig,
    /// Every setting as `DescribeConfigs` shows it.
    pub settings: Settings,
}

/// Connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// `socket.send.buffer.bytes`; none leaves it to the operating system.
    pub send_buffer_bytes: Option<u32>,
    /// `socket.receive.buffer.bytes`; none leaves it to the operating system.
    pub receive_buffer_bytes: Option<u32>,
    /// `socket.listen.backlog.size`.
    pub backlog: u32,
    /// `connections.max.idle.ms`; none keeps silent connections forever.
    pub idle_ms_max: Option<u64>,
    /// `max.connections`.
    pub connections_max: u32,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: u32,
    /// `max.connections.per.ip.overrides`, by address or host name.
    pub connections_per_ip_overrides: BTreeMap<String, u32>,
    /// `max.connection.creation.rate`, connections per second.
    pub connection_rate_max: u32,
    /// `queued.max.request.bytes`; none takes a share of [`MillraceConfig::memory_bytes`].
    pub queued_bytes_max: Option<u64>,
}

/// Creation and deletion of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicsConfig {
    /// `num.partitions`.
    pub partitions: u32,
    /// `default.replication.factor`.
    pub replication_factor: u32,
    /// `auto.create.topics.enable`.
    pub auto_create: bool,
    /// `delete.topic.enable`.
    pub delete: bool,
    /// `max.request.partition.size.limit`: of one `DescribeTopicPartitions` response.
    pub described_partitions_max: u32,
}

/// Fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchConfig {
    /// `fetch.max.bytes`.
    pub bytes_max: u32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub sessions_max: u32,
}

/// Consumer groups of the classic protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupsConfig {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: u32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: u32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: u32,
    /// `group.max.size`.
    pub members_max: u32,
}

/// Committed offsets and `__consumer_offsets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetsConfig {
    /// `offsets.topic.num.partitions`.
    pub topic_partitions: u32,
    /// `offsets.topic.replication.factor`, before [`BrokerConfig::replication_factor_for`] caps it.
    pub topic_replication_factor: u32,
    /// `offsets.topic.segment.bytes`.
    pub topic_segment_bytes: u32,
    /// `offset.metadata.max.bytes`.
    pub metadata_bytes_max: u32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub retention_ms: u64,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval_ms: u64,
}

/// The metadata log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataConfig {
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: u64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub bytes_between_snapshots_max: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 is never by time.
    pub snapshot_interval_ms_max: u64,
    /// `metadata.max.retention.bytes`; none is no limit.
    pub retention_bytes_max: Option<u64>,
    /// `metadata.max.retention.ms`; none is no limit.
    pub retention_ms_max: Option<u64>,
}

/// What an acknowledgement means (`millrace.durability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The device has flushed the record.
    Fsync,
    /// The operating system has the record; a power cut may lose it.
    Written,
}

/// How far produced batches are checked (`millrace.validate.records`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordValidation {
    /// Batch header and checksum.
    Headers,
    /// Every record, decompressed.
    Deep,
}

/// What happens when a shard is stuck (`millrace.watchdog.action`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StuckAction {
    /// It is logged.
    Log,
    /// The process ends by SIGABRT, so that it is started again.
    Abort,
}

/// millrace's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MillraceConfig {
    /// How many shards run, from 1 to 64, and at least one for each log directory.
    pub shards: u16,
    /// The core of each shard; empty leaves the choice to the start.
    pub pin_cores: Vec<usize>,
    /// Memory of all shards together for tails, caches and requests.
    pub memory_bytes: u64,
    /// The size of each shard's journal.
    pub journal_bytes: u64,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// How far produced batches are checked.
    pub validation: RecordValidation,
    /// From one check of closed segments to the next; 0 for never.
    pub scrub_interval_ms: u64,
    /// How much a shard reads in a second for it.
    pub scrub_bytes_per_second: u64,
    /// After how long without a turn a shard is stuck; 0 is never.
    pub watchdog_ms: u64,
    /// What happens then.
    pub watchdog_action: StuckAction,
}

/// As many shards as `millrace.shards` allows.
const SHARDS_MAX: usize = 64;

impl BrokerConfig {
    /// Checks the settings against each other and gives them types; none, or a value not to be used,
    /// if there are problems.
    pub(super) fn build(
        settings: Settings,
        surroundings: &Surroundings,
        notices: &mut Vec<Notice>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        check_roles(&settings, problems);
        check_controllers(&settings, problems);
        check_limits(&settings, notices, problems);
        let listeners = listeners::read(&settings, surroundings, notices, problems);
        let admin = admin::read(&settings, &listeners, notices, problems);
        let log_dirs = log_dirs(&settings, problems);
        let topic_defaults = topic_defaults(&settings, problems);
        let connections_per_ip_overrides = per_ip_overrides(&settings, problems);
        let dir_count = log_dirs.as_ref().map_or(1, Vec::len);
        let millrace = millrace(&settings, surroundings, dir_count, notices, problems);
        let (log_dirs, topic_defaults, millrace) = (log_dirs?, topic_defaults?, millrace?);

        let s = &settings;
        let small_limit = |name| s.limit(name).map(|_| s.small_count(name));
        Some(Self {
            node_id: i32::try_from(s.count("node.id")).unwrap_or(i32::MAX),
            rack: s.text("broker.rack").filter(|rack| !rack.is_empty()).map(str::to_owned),
            log_dirs,
            listeners,
            topic_defaults: Arc::new(topic_defaults),
            network: NetworkConfig {
                request_bytes_max: usize::try_from(s.count("socket.request.max.bytes"))
                    .unwrap_or(usize::MAX),
                send_buffer_bytes: small_limit("socket.send.buffer.bytes"),
                receive_buffer_bytes: small_limit("socket.receive.buffer.bytes"),
                backlog: s.small_count("socket.listen.backlog.size"),
                idle_ms_max: s.limit("connections.max.idle.ms"),
                connections_max: s.small_count("max.connections"),
                connections_per_ip_max: s.small_count("max.connections.per.ip"),
                connections_per_ip_overrides,
                connection_rate_max: s.small_count("max.connection.creation.rate"),
                queued_bytes_max: s.limit("queued.max.request.bytes").filter(|bytes| *bytes > 0),
            },
            topics: TopicsConfig {
                partitions: s.small_count("num.partitions"),
                replication_factor: s.small_count("default.replication.factor"),
                auto_create: s.boolean("auto.create.topics.enable"),
                delete: s.boolean("delete.topic.enable"),
                described_partitions_max: s.small_count("max.request.partition.size.limit"),
            },
            fetch: FetchConfig {
                bytes_max: s.small_count("fetch.max.bytes"),
                sessions_max: s.small_count("max.incremental.fetch.session.cache.slots"),
            },
            groups: GroupsConfig {
                session_timeout_ms_min: s.small_count("group.min.session.timeout.ms"),
                session_timeout_ms_max: s.small_count("group.max.session.timeout.ms"),
                initial_rebalance_delay_ms: s.small_count("group.initial.rebalance.delay.ms"),
                members_max: s.small_count("group.max.size"),
            },
            offsets: OffsetsConfig {
                topic_partitions: s.small_count("offsets.topic.num.partitions"),
                topic_replication_factor: s.small_count("offsets.topic.replication.factor"),
                topic_segment_bytes: s.small_count("offsets.topic.segment.bytes"),
                metadata_bytes_max: s.small_count("offset.metadata.max.bytes"),
                retention_ms: s.count("offsets.retention.minutes").saturating_mul(60_000),
                retention_check_interval_ms: s.count("offsets.retention.check.interval.ms"),
            },
            metadata: MetadataConfig {
                segment_bytes: s.small_count("metadata.log.segment.bytes"),
                segment_ms: s.count("metadata.log.segment.ms"),
                bytes_between_snapshots_max: s
                    .count("metadata.log.max.record.bytes.between.snapshots"),
                snapshot_interval_ms_max: s.count("metadata.log.max.snapshot.interval.ms"),
                retention_bytes_max: s.limit("metadata.max.retention.bytes"),
                retention_ms_max: s.limit("metadata.max.retention.ms"),
            },
            retention_check_interval_ms: s.count("log.retention.check.interval.ms"),
            checkpoint_interval_ms: s.count("log.flush.offset.checkpoint.interval.ms"),
            producer_id_expiration_ms: s.count("producer.id.expiration.ms"),
            producer_id_expiration_check_interval_ms: s
                .count("producer.id.expiration.check.interval.ms"),
            admin,
            millrace,
            settings,
        })
    }

    /// How many replicas an internal topic gets when `wanted` are configured and `brokers` are there:
    /// Kafka does not create the topic until there are enough, here it is created with fewer.
    #[must_use]
    pub fn replication_factor_for(&self, wanted: u32, brokers: usize) -> i16 {
        let brokers = u32::try_from(brokers).unwrap_or(u32::MAX).max(1);
        i16::try_from(wanted.clamp(1, brokers)).unwrap_or(i16::MAX)
    }
}

fn check_roles(s: &Settings, problems: &mut Vec<Problem>) {
    let roles = s.list("process.roles");
    let has = |role: &str| roles.iter().any(|r| r == role);
    let is_single_node = has("broker") && has("controller");
    if !roles.is_empty() && !is_single_node {
        let message = "a node of a larger KRaft cluster is not built yet: only \
                       `broker,controller`, the single node that is its own controller, is allowed";
        problems.push(Problem::new("process.roles", roles.join(","), message));
    }
    if s.integer("node.id") != s.integer("broker.id") {
        let message = format!("it must equal node.id, which is {}", s.integer("node.id"));
        problems.push(Problem::new("broker.id", s.shown_text("broker.id"), message));
    }
}

/// A node that is told of other controllers must not go its own way in silence.
fn check_controllers(s: &Settings, problems: &mut Vec<Problem>) {
    const VOTERS: &str = "controller.quorum.voters";
    let more = "a quorum of several controllers is not built yet: this node can only be its own, \
                single controller";
    for key in [VOTERS, "controller.quorum.bootstrap.servers"] {
        if s.list(key).len() > 1 {
            problems.push(Problem::new(key, s.shown_text(key), more));
        }
    }
    if let [voter] = s.list(VOTERS) {
        let id = voter.split_once('@').map(|(id, _)| id.trim_ascii().parse::<i64>());
        match id {
            Some(Ok(id)) if id == s.integer("node.id") => {}
            Some(Ok(_)) => {
                let message = format!("the only voter must be this node, {}", s.integer("node.id"));
                problems.push(Problem::new(VOTERS, voter, message));
            }
            _ => problems.push(Problem::new(VOTERS, voter, "it is not of the form id@host:port")),
        }
    }
}

fn check_limits(s: &Settings, notices: &mut Vec<Notice>, problems: &mut Vec<Problem>) {
    let mut refuse = |key: &str, message: String| {
        problems.push(Problem::new(key, s.shown_text(key), message));
    };
    for key in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        if s.value(key).integer().is_some_and(|time| time == 0 || time < -1) {
            refuse(key, "it must be at least 1, or -1 for no limit".to_owned());
        }
    }
    let queued = s.integer("queued.max.request.bytes");
    let request = s.integer("socket.request.max.bytes");
    if queued > 0 && queued < request {
        let message = format!("it must be at least socket.request.max.bytes, {request}");
        refuse("queued.max.request.bytes", message);
    }
    let (min, max) =
        (s.integer("group.min.session.timeout.ms"), s.integer("group.max.session.timeout.ms"));
    if min > max {
        let message = format!("it must be at most group.max.session.timeout.ms, {max}");
        refuse("group.min.session.timeout.ms", message);
    }
    if s.integer("max.connections.per.ip") == 0
        && s.text("max.connections.per.ip.overrides").is_none_or(str::is_empty)
    {
        let message = "it can be 0 only if max.connections.per.ip.overrides lets somebody in";
        refuse("max.connections.per.ip", message.to_owned());
    }
    // More than one `min.insync.replicas` refuses nothing: like Kafka's, it counts at most as many as a topic has.
    let key = "default.replication.factor";
    if s.integer(key) > 1 {
        let message = "there is one broker: topics that do not name a factor will not be created";
        notices.push(Notice::warning(key, format!("{}: {message}", s.integer(key))));
    }
}

fn log_dirs(s: &Settings, problems: &mut Vec<Problem>) -> Option<Vec<PathBuf>> {
    let key = if s.is_explicit("log.dirs") { "log.dirs" } else { "log.dir" };
    let dirs = s.list(key);
    let message = match dirs.len() {
        0 => "it must name the directory of all data".to_owned(),
        count if count > SHARDS_MAX => {
            format!(
                "it names {count} directories, and there are at most {SHARDS_MAX} shards for them"
            )
        }
        _ => return Some(dirs.iter().map(PathBuf::from).collect()),
    };
    problems.push(Problem::new(key, s.shown_text(key), message));
    None
}

fn topic_defaults(s: &Settings, problems: &mut Vec<Problem>) -> Option<TopicConfig> {
    let parsed = TopicConfig::from_broker(|name| s.value(name).clone());
    let checked = parsed.and_then(|config| {
        TopicConfig::parse(&BTreeMap::new(), &config).map_err(|error| vec![error])
    });
    let errors = match checked {
        Ok(config) => return Some(config),
        Err(errors) => errors,
    };
    problems.extend(errors.into_iter().map(|error| match error {
        TopicConfigError::Value(ConfigValueError::Invalid { name, value, allowed }) => {
            Problem::new(&name, value, allowed)
        }
        other => Problem::new("log.cleaner.min.compaction.lag.ms", "", other.to_string()),
    }));
    None
}

fn per_ip_overrides(s: &Settings, problems: &mut Vec<Problem>) -> BTreeMap<String, u32> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let mut overrides = BTreeMap::new();
    let text = s.text(KEY).unwrap_or_default();
    for pair in text.split(',').map(str::trim_ascii).filter(|pair| !pair.is_empty()) {
        let parts = pair.rsplit_once(':');
        match parts.map(|(address, count)| (address.trim_ascii(), count.trim_ascii().parse())) {
            Some((address, Ok(count))) if !address.is_empty() => {
                overrides.insert(address.to_owned(), count);
            }
            _ => problems.push(Problem::new(KEY, pair, "it is not of the form address:number")),
        }
    }
    overrides
}

fn millrace(
    s: &Settings,
    surroundings: &Surroundings,
    dir_count: usize,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<Problem>,
) -> Option<MillraceConfig> {
    let pin_cores = pin_cores(s, problems)?;
    let wanted = match s.limit("millrace.shards") {
        Some(shards) => usize::try_from(shards).unwrap_or(SHARDS_MAX),
        // One core is left to the kernel's share of the work, and to whatever else runs.
        None if pin_cores.is_empty() => surroundings.cores.saturating_sub(1).clamp(1, SHARDS_MAX),
        None => pin_cores.len(),
    };
    if wanted < dir_count {
        let message =
            format!("{dir_count} instead of {wanted}: each log directory has shards of its own");
        notices.push(Notice::info("millrace.shards", message));
    }
    let wanted = wanted.max(dir_count);
    if !pin_cores.is_empty() && pin_cores.len() != wanted {
        let message = format!("it names {} cores for {wanted} shards", pin_cores.len());
        let text = s.shown_text("millrace.pin.cores");
        problems.push(Problem::new("millrace.pin.cores", text, message));
        return None;
    }
    Some(MillraceConfig {
        shards: u16::try_from(wanted).ok()?,
        pin_cores,
        memory_bytes: s.count("millrace.memory.bytes"),
        journal_bytes: s.count("millrace.journal.bytes"),
        durability: match s.text("millrace.durability") {
            Some("written") => Durability::Written,
            _ => Durability::Fsync,
        },
        validation: match s.text("millrace.validate.records") {
            Some("headers") => RecordValidation::Headers,
            _ => RecordValidation::Deep,
        },
        scrub_interval_ms: s.count("millrace.scrub.interval.ms"),
        scrub_bytes_per_second: s.count("millrace.scrub.bytes.per.second"),
        watchdog_ms: s.count("millrace.watchdog.ms"),
        watchdog_action: match s.text("millrace.watchdog.action") {
            Some("abort") => StuckAction::Abort,
            _ => StuckAction::Log,
        },
    })
}

/// Numbers and ranges of cores, `0-3,8`, each core once.
fn pin_cores(s: &Settings, problems: &mut Vec<Problem>) -> Option<Vec<usize>> {
    const KEY: &str = "millrace.pin.cores";
    let mut cores = Vec::new();
    for item in s.list(KEY) {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let range = first.trim_ascii().parse::<usize>().ok().zip(last.trim_ascii().parse().ok());
        match range {
            Some((first, last)) if first <= last && last - first < SHARDS_MAX => {
                cores.extend(first..=last);
            }
            _ => {
                problems.push(Problem::new(KEY, item, "it is not a core's number or a range, 0-3"));
                return None;
            }
        }
    }
    let distinct: std::collections::BTreeSet<usize> = cores.iter().copied().collect();
    if distinct.len() < cores.len() || cores.len() > SHARDS_MAX {
        let message = format!("it must name each core once, and at most {SHARDS_MAX}");
        problems.push(Problem::new(KEY, s.shown_text(KEY), message));
        return None;
    }
    Some(cores)
}
