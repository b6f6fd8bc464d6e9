//! From the command line to a serving broker, and back: what is said at the start, how it stops, and the
//! words for everything that can go wrong between.

use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use millrace_engine::boot::lock::DirLocks;
use millrace_engine::boot::{self, EngineSettings, Identity, ScrubSettings, Serve, Stop};
use millrace_engine::client::Client;
use millrace_engine::group::GroupConfig;
use millrace_engine::io::Env;
use millrace_engine::io::runtime::{RingEnv, check_machine};
use millrace_engine::metadata::bootstrap::FEATURES_SUPPORTED;
use millrace_engine::metadata::controller::ControllerSettings;
use millrace_engine::metadata::record::Endpoint;
use millrace_engine::types::ShardId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tracing_subscriber::EnvFilter;

use crate::admin::desk::Desk;
use crate::admin::{AdminError, Broker, Port, Serving};
use crate::api::Ctx;
use crate::api::broker_rules::NothingDynamic;
use crate::budget::Budget;
use crate::cli::Cli;
use crate::config::broker_config::{Durability, RecordValidation};
use crate::config::{BrokerConfig, Level, Loaded, Surroundings, definitions};
use crate::limits::{ANSWER_MEMORY_PART, CACHE_MEMORY_PART, METRICS_LOG_MS, REQUEST_MEMORY_PART};
use crate::metrics::Counters;
use crate::net::faults::FaultLog;
use crate::net::listener::{Admission, Doors};
use crate::supervise::{self, StopSignals, Watch};

/// How often, and after which pause, an address in use is tried again.
const PROBES_MAX: usize = 100;
const PROBE_PAUSE: Duration = Duration::from_millis(10);

/// Files that a shard may have open at once: segments, indexes, journals. Files.
const FILES_PER_SHARD: u32 = 2_100;

/// The broker cannot start. The text has the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// An address cannot be listened at.
    #[error("cannot listen at {address} ({listener}): {source}: {}", remedy(source))]
    Listen {
        /// The listener's name.
        listener: String,
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The admin port cannot be opened where the user wants it.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Anything else, from the engine.
    #[error("{0}")]
    Engine(Box<dyn std::error::Error + Send + Sync>),
    /// The shards ended while they started.
    #[error("a shard ended before it listened")]
    Ended,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there, perhaps another broker: stop it, or set listeners to \
             another port"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: choose a higher port",
        io::ErrorKind::AddrNotAvailable => {
            "no network interface has this address: correct listeners"
        }
        _ => "correct listeners",
    }
}

/// Runs the broker until it is told to stop.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A line that cannot be written, to a full disk for example, is lost; telling that on stderr would panic.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    let log = log.with_env_filter(filter).with_writer(io::stderr);
    log.with_ansi(io::stderr().is_terminal()).init();
    let loaded = match cli.load(&Surroundings::detect()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            errors.notices.iter().for_each(tell);
            tracing::error!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    if cli.print_config {
        return match print_config(&loaded.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_closed) => ExitCode::FAILURE,
        };
    }
    loaded.notices.iter().for_each(tell);
    match serve(loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the broker cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(notice: &crate::config::Notice) {
    match notice.level {
        Level::Info => tracing::info!("{notice}"),
        Level::Warning => tracing::warn!("{notice}"),
    }
}

fn print_config(config: &BrokerConfig) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for definition in definitions::all() {
        let value = config.settings.shown(definition).unwrap_or_default();
        writeln!(out, "{}={value}", definition.name)?;
    }
    out.flush()
}

/// Where to listen: each listener's name with its addresses.
type Addresses = Vec<(String, SocketAddr)>;

fn serve(loaded: Loaded) -> Result<(), LaunchError> {
    let other = |error: Box<dyn std::error::Error + Send + Sync>| LaunchError::Engine(error);
    let config = Arc::new(loaded.config);
    check_machine().map_err(|error| other(error.into()))?;
    // Kept until the last file is written.
    let locks = DirLocks::take(&config.log_dirs).map_err(|error| other(error.into()))?;
    let addresses = addresses(&config)?;
    let admin_port = Port::open(config.admin.as_ref())?;
    let signals = StopSignals::catch().map_err(|error| other(error.into()))?;
    let shards = config.millrace.shards;
    let counters: Arc<[_]> = (0..shards).map(Counters::new).collect();
    let broker = Arc::new(Broker::new(Arc::clone(&config), Arc::clone(&counters)));
    let (report, reports) = channel();
    let door = DoorPlan {
        config: Arc::clone(&config),
        admission: Arc::new(Admission::new(&config.network, descriptors_for_connections(shards))),
        addresses: Arc::new(addresses),
        desk: broker.desk(),
        counters,
        report,
    };
    let admin = admin_port.map(|port| port.serve(Arc::clone(&broker))).transpose();
    let admin = admin.map_err(|error| other(error.into()))?;
    let log_dirs_failed = locks.failed.clone();
    let settings = EngineSettings { log_dirs_failed, ..engine_settings(&config, &door.addresses) };
    let (addresses, counters) = (Arc::clone(&door.addresses), Arc::clone(&door.counters));
    let open_doors = move |_shard: ShardId| -> Serve<RingEnv> {
        let door = door.clone();
        Box::new(move |client, identity| Box::pin(door.serve(client, identity)))
    };
    let (running, stop, identity) = boot::start(settings, open_doors).map_err(other)?;
    let is_open = wait_for_doors(&reports, shards);
    if is_open.is_ok() {
        let cluster_id = identity.cluster_id.clone();
        broker.serves(Serving { cluster_id, stop: stop.clone() });
        announce(&config, &addresses, &identity, shards);
        supervise::tell(&[NotifyState::Ready]);
        watch_until_signal(signals, &config, &stop);
    }
    supervise::tell(&[NotifyState::Stopping]);
    stop.stop();
    running.join();
    drop(admin);
    counters.iter().for_each(|counters| counters.log());
    drop(locks);
    is_open
}

/// How many descriptors may be connections: clients must not take those that the log's files need, half
/// of all if there are few.
fn descriptors_for_connections(shards: ShardId) -> u32 {
    let Some(limit) = raise_open_files() else { return u32::MAX };
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let wanted = u32::from(shards) * FILES_PER_SHARD;
    let files = wanted.min(limit / 2);
    if files < wanted {
        tracing::warn!(
            "at most {limit} files may be open: raise the hard limit (ulimit -Hn 65536, \
            LimitNOFILE=65536 for systemd) for many clients or partitions"
        );
    }
    limit - files
}

/// Raises the soft limit of open files to the hard one, as the JVM does for Kafka, and returns what holds
/// then; none if there is no limit.
fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!("the limit of open files stays as it was: {error}");
            limit.current
        }
    }
}

/// Waits for a signal to stop, and sees meanwhile whether every shard turns.
fn watch_until_signal(mut signals: StopSignals, config: &BrokerConfig, stop: &Stop) {
    let millrace = &config.millrace;
    let mut watch = Watch::new(millrace.shards, millrace.watchdog_ms);
    let is_supervised = sd_notify::watchdog_enabled().is_some();
    loop {
        stop.ring();
        if let Some(name) = signals.wait() {
            tracing::info!("{name}: stopping; a second signal ends the process at once");
            return;
        }
        let stuck = watch.look(|shard| stop.is_unheard(shard));
        supervise::deal_with(&stuck, millrace.watchdog_action);
        if is_supervised && watch.all_turn() {
            supervise::tell(&[NotifyState::Watchdog]);
        }
    }
}

fn wait_for_doors(
    reports: &Receiver<Result<(), LaunchError>>,
    shards: ShardId,
) -> Result<(), LaunchError> {
    for _ in 0..shards {
        reports.recv().map_err(|_| LaunchError::Ended)??;
    }
    Ok(())
}

fn announce(config: &BrokerConfig, addresses: &Addresses, identity: &Identity, shards: ShardId) {
    let at: Vec<String> = addresses.iter().map(|(_, address)| address.to_string()).collect();
    tracing::info!("millrace {} listening on {}", env!("CARGO_PKG_VERSION"), at.join(", "));
    let shown = |dir: &PathBuf| std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
    let dirs: Vec<_> = config.log_dirs.iter().map(|dir| shown(dir).display().to_string()).collect();
    tracing::info!("data lies in {}", dirs.join(", "));
    let plural = if shards == 1 { "" } else { "s" };
    let (node, cluster) = (config.node_id, &identity.cluster_id);
    tracing::info!("{shards} shard{plural}, node {node} of cluster {cluster}");
    match config.millrace.durability {
        Durability::Fsync => {
            tracing::info!(
                "an acknowledgement means that the record is on the device: every one is \
                flushed first"
            );
        }
        Durability::Written => {
            tracing::warn!(
                "an acknowledgement means that the operating system has the record \
                (millrace.durability=written): a power cut may lose it"
            );
        }
    }
}

/// The addresses to bind. A port that the system shall choose is chosen here, once for all shards.
fn addresses(config: &BrokerConfig) -> Result<Addresses, LaunchError> {
    let mut addresses = Addresses::new();
    for listener in &config.listeners {
        let host = if listener.bind.host.is_empty() { "0.0.0.0" } else { &listener.bind.host };
        let failed = |source| LaunchError::Listen {
            listener: listener.name.clone(),
            address: listener.bind.to_string(),
            source,
        };
        let found: Vec<SocketAddr> =
            (host, listener.bind.port).to_socket_addrs().map_err(failed)?.collect();
        // As Java does with a name of both kinds.
        let preferred = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let mut address =
            *preferred.ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
        if address.port() == 0 {
            let chosen = TcpListener::bind(address).and_then(|probe| probe.local_addr());
            address = chosen.map_err(failed)?;
        } else {
            // Shards share their address with each other by SO_REUSEPORT; with anybody else it must fail.
            probe(address).map_err(failed)?;
        }
        addresses.push((listener.name.clone(), address));
    }
    Ok(addresses)
}

/// Fails if somebody listens at the address. The sockets of a process that was killed live on for some
/// milliseconds.
fn probe(address: SocketAddr) -> io::Result<()> {
    for _ in 0..PROBES_MAX {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => pause(PROBE_PAUSE),
            bound => return bound.map(drop),
        }
    }
    TcpListener::bind(address).map(drop)
}

#[expect(clippy::disallowed_methods, reason = "there is no shard yet whose clock could be used")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn engine_settings(config: &BrokerConfig, addresses: &Addresses) -> EngineSettings {
    let endpoint = |listener: &crate::config::listeners::Listener| {
        let advertised = listener.advertised.as_ref()?;
        let bound = addresses.iter().find(|(name, _)| *name == listener.name);
        let bound_port = bound.map_or(listener.bind.port, |(_, address)| address.port());
        Some(Endpoint {
            name: listener.name.as_str().into(),
            host: advertised.host.as_str().into(),
            port: if advertised.port == 0 { bound_port } else { advertised.port },
            security_protocol: 0,
        })
    };
    let millrace = &config.millrace;
    let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let pool_bytes = millrace.memory_bytes - request_bytes(config);
    let cache_bytes = millrace.memory_bytes / CACHE_MEMORY_PART;
    EngineSettings {
        node_id: config.node_id,
        rack: config.rack.clone(),
        log_dirs: config.log_dirs.clone(),
        log_dirs_failed: Vec::new(),
        shards: millrace.shards,
        cores: cores(config),
        memory_bytes: bytes(
            pool_bytes - millrace.memory_bytes / ANSWER_MEMORY_PART - 2 * cache_bytes,
        ),
        cache_bytes: bytes(cache_bytes),
        pool_bytes: bytes(pool_bytes),
        journal_bytes: millrace.journal_bytes,
        is_flushed: millrace.durability == Durability::Fsync,
        is_deep: millrace.validation == RecordValidation::Deep,
        topic_defaults: Arc::clone(&config.topic_defaults),
        group: group_config(config),
        producer_expiration_ms: i64::try_from(config.producer_id_expiration_ms).unwrap_or(i64::MAX),
        retention_check_ms: config.retention_check_interval_ms,
        checkpoint_interval_ms: config.checkpoint_interval_ms,
        scrub: ScrubSettings {
            interval_ms: millrace.scrub_interval_ms,
            bytes_per_second: millrace.scrub_bytes_per_second,
        },
        controller: ControllerSettings {
            node_id: config.node_id,
            partitions_default: i32::try_from(config.topics.partitions).unwrap_or(i32::MAX),
            replication_factor_default: i16::try_from(config.topics.replication_factor)
                .unwrap_or(i16::MAX),
            delete_topic_enable: config.topics.delete,
            topic_defaults: (*config.topic_defaults).clone(),
            features_supported: FEATURES_SUPPORTED.to_vec(),
        },
        endpoints: config.listeners.iter().filter_map(endpoint).collect(),
        rules: || Box::new(NothingDynamic),
    }
}

fn group_config(config: &BrokerConfig) -> GroupConfig {
    let small = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let (groups, offsets) = (&config.groups, &config.offsets);
    GroupConfig {
        session_timeout_ms_min: small(groups.session_timeout_ms_min),
        session_timeout_ms_max: small(groups.session_timeout_ms_max),
        initial_rebalance_delay_ms: u64::from(groups.initial_rebalance_delay_ms),
        members_max: size(groups.members_max),
        offset_metadata_units_max: size(offsets.metadata_bytes_max),
        offsets_retention_ms: i64::try_from(offsets.retention_ms).unwrap_or(i64::MAX),
        offsets_retention_check_ms: offsets.retention_check_interval_ms,
        ..GroupConfig::default()
    }
}

/// The core of each shard: as configured, else chosen among those that this process may run on.
fn cores(config: &BrokerConfig) -> Vec<Option<usize>> {
    let shards = usize::from(config.millrace.shards);
    if !config.millrace.pin_cores.is_empty() {
        return config.millrace.pin_cores.iter().copied().map(Some).collect();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    choose_cores(&allowed_cores(&status), shards)
}

/// The last cores, as interrupts go to the first ones unless somebody spreads them. One shard on several
/// cores is not pinned, so that it can get out of the way of whatever else runs; nor are more shards than
/// cores.
fn choose_cores(allowed: &[usize], shards: usize) -> Vec<Option<usize>> {
    match allowed.len().checked_sub(shards) {
        Some(spare) if shards > 1 || spare == 0 => {
            allowed.iter().skip(spare).copied().map(Some).collect()
        }
        _ => vec![None; shards],
    }
}

/// The cores in `Cpus_allowed_list: 0-3,8`; none if there is no such line.
fn allowed_cores(status: &str) -> Vec<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = line.unwrap_or_default().split(',').filter_map(|range| {
        let range = range.trim_ascii();
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    });
    ranges.flatten().collect()
}

/// What of `millrace.memory.bytes` is for requests in flight, over all shards.
fn request_bytes(config: &BrokerConfig) -> u64 {
    let part = config.millrace.memory_bytes / REQUEST_MEMORY_PART;
    config.network.queued_bytes_max.map_or(part, |bytes| bytes.min(part * 2))
}

/// What each shard's server is made from.
#[derive(Clone)]
struct DoorPlan {
    config: Arc<BrokerConfig>,
    admission: Arc<Admission>,
    addresses: Arc<Addresses>,
    desk: Arc<Desk>,
    counters: Arc<[Arc<Counters>]>,
    report: Sender<Result<(), LaunchError>>,
}

impl DoorPlan {
    /// Opens one shard's doors, and logs what goes through them as long as the shard lives.
    async fn serve(self, client: Client<RingEnv>, identity: Identity) {
        let shards = u64::from(client.shards().max(1));
        let bytes = usize::try_from(request_bytes(&self.config) / shards).unwrap_or(usize::MAX);
        let config = Arc::clone(&self.config);
        let counters = self.counters.get(usize::from(client.shard())).map(Arc::clone);
        let counters = counters.expect("there are counters for every shard");
        let doors = Rc::new(Doors {
            ctx: Rc::new(Ctx::new(client, config, &identity.cluster_id, counters)),
            budget: Budget::new(bytes),
            admission: self.admission,
            faults: FaultLog::default(),
        });
        let mut result = Ok(());
        for (name, address) in self.addresses.iter() {
            if let Err(source) = doors.open(name, *address).await {
                let (listener, address) = (name.clone(), address.to_string());
                result = Err(LaunchError::Listen { listener, address, source });
                break;
            }
        }
        drop(self.report.send(result));
        let (env, ctx, desk) = (doors.ctx.client.env(), Rc::clone(&doors.ctx), self.desk);
        env.spawn(async move { desk.attend(ctx).await });
        log_metrics(&doors.ctx).await;
    }
}

/// Logs the counters some time after there was traffic; without traffic no timer is armed.
async fn log_metrics<E: Env>(ctx: &Ctx<E>) {
    let env = ctx.client.env();
    loop {
        ctx.metrics.traffic().await;
        env.sleep_until(env.now().plus_ms(METRICS_LOG_MS)).await;
        ctx.metrics.log();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
        let limit = getrlimit(Resource::Nofile);
        let lower = limit.maximum.map_or(4096, |maximum| maximum - 1);
        setrlimit(Resource::Nofile, Rlimit { current: Some(lower), ..limit }).unwrap();
        assert_eq!(raise_open_files(), limit.maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }

    #[test]
    fn shards_take_the_last_cores() {
        assert_eq!(choose_cores(&[0, 2, 5], 3), [Some(0), Some(2), Some(5)]);
        assert_eq!(choose_cores(&[0, 2, 5], 2), [Some(2), Some(5)]);
        assert_eq!(choose_cores(&[4], 1), [Some(4)]);
        for unpinned in [choose_cores(&[0, 1], 1), choose_cores(&[], 1)] {
            assert_eq!(unpinned, [None]);
        }
        assert_eq!(choose_cores(&[0], 2), [None, None]);
    }

    #[test]
    fn the_cores_of_taskset() {
        for (status, cores) in [
            ("Name:\tx\nCpus_allowed_list:\t0-2,8\nother", &[0, 1, 2, 8][..]),
            ("Cpus_allowed_list:\t5\n", &[5]),
            ("Cpus_allowed_list:\t\n", &[]),
            ("", &[]),
        ] {
            assert_eq!(allowed_cores(status), cores, "{status}");
        }
    }
}
