//! Starting the shards: shard 0 first, the others when it has told them what concerns them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;

use super::inherit::{Inherited, inherit, take_over_named};
use super::stop::Stopped;
use super::{BootError, EngineSettings, Identity, Stop};
use crate::client::{Client, Message};
use crate::driver::Driver;
use crate::io::lane::{LaneReceiver, LaneSender, lane};
use crate::io::runtime::{RingEnv, Runtime, ShardSpec};
use crate::io::{Env, Wake};
use crate::job::{JobSettings, Jobs};
use crate::limits::{LANE_MESSAGES_MAX, METADATA_ROOM_BYTES};
use crate::metadata::bootstrap::{self, Beginning};
use crate::metadata::controller::call::Registration;
use crate::metadata::controller::{Controller, ControllerAnswer, ControllerCall};
use crate::metadata::loader::Loader;
use crate::metadata::quorum_state::QuorumState;
use crate::metadata::snapshot::SnapshotId;
use crate::partition::admit::Now;
use crate::partition::{Partition, Recovered};
use crate::shard::call::{Answer, Call};
use crate::shard::controller_host::{ControllerHost, METADATA_PARTITION};
use crate::shard::event::{DiskFailure, Event, Job, Open};
use crate::shard::{Inheritance, Shard};
use crate::topic_config::TopicConfig;
use crate::types::{ShardId, TopicPartition, Uuid};

/// Topic of the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";
const QUORUM_STATE: &str = "quorum-state";
const QUORUM_STATE_BYTES_MAX: usize = 64 * 1024;

/// One shard's ends of the lanes.
pub struct Wiring {
    /// Which shard.
    pub shard: ShardId,
    /// To each shard; none to itself.
    pub senders: Vec<Option<LaneSender<Message>>>,
    /// From the other shards.
    pub receivers: Vec<LaneReceiver<Message>>,
}

/// Lanes between all shards, whose wakers these are.
#[must_use]
pub fn wire(wakes: &[Arc<dyn Wake>]) -> Vec<Wiring> {
    let count = wakes.len();
    let mut wiring: Vec<Wiring> = (0..count)
        .map(|shard| Wiring {
            shard: ShardId::try_from(shard).expect("there are fewer than 65,536 shards"),
            senders: Vec::with_capacity(count),
            receivers: Vec::new(),
        })
        .collect();
    for from in 0..count {
        for (to, wake) in wakes.iter().enumerate() {
            let (sender, receiver) = lane(LANE_MESSAGES_MAX, Arc::clone(wake));
            let is_other = from != to;
            wiring[from].senders.push(is_other.then_some(sender));
            if is_other {
                wiring[to].receivers.push(receiver);
            }
        }
    }
    wiring
}

/// What a shard's server is: started once the broker is registered.
pub type Serve<E> = Box<dyn FnOnce(Client<E>, Identity) -> Pin<Box<dyn Future<Output = ()>>>>;

/// A broker whose shards run.
pub struct Running {
    runtime: Runtime,
    stopped: Receiver<Stopped>,
    settings: Arc<EngineSettings>,
}

impl Running {
    /// Waits until the broker has stopped, and completes the log directory if the stop was clean.
    pub fn join(self) {
        self.runtime.join();
        let stopped: Vec<_> = self.stopped.try_iter().collect();
        super::stop::complete(&self.settings, &stopped);
    }
}

/// Starts all shards, each with the server that `serve` makes for it. Returns when shard 0 serves.
///
/// # Errors
/// If the machine or the log directory does not allow it.
pub fn start<S>(
    settings: EngineSettings,
    serve: S,
) -> Result<(Running, Stop, Identity), Box<dyn std::error::Error + Send + Sync>>
where
    S: Fn(ShardId) -> Serve<RingEnv> + Clone + Send + 'static,
{
    if usize::from(settings.shards) < settings.log_dirs.len() {
        return Err("there are more log directories than shards".into());
    }
    let settings = Arc::new(settings);
    let mut specs = Vec::new();
    for shard in 0..settings.shards {
        let core = settings.cores.get(usize::from(shard)).copied().flatten();
        let mut spec = ShardSpec::new(shard, core)?;
        // What was in use is kept while there is load: to touch new pages is many times dearer.
        spec.pool_bytes_max = settings.per_shard(settings.pool_bytes);
        specs.push(spec);
    }
    let wakes: Vec<_> = specs.iter().map(|spec| spec.waker() as Arc<dyn Wake>).collect();
    let stop = Stop::new(wakes.clone());
    let (report, reported) = channel();
    let (stopped_sender, stopped) = channel();
    let shards = specs
        .into_iter()
        .zip(wire(&wakes))
        .map(|(spec, wiring)| {
            let (settings, serve, stop) = (Arc::clone(&settings), serve.clone(), stop.clone());
            let (report, stopped) = (report.clone(), stopped_sender.clone());
            let main = async move |env: RingEnv| {
                let serve = serve(wiring.shard);
                let shard = wiring.shard;
                match run_shard(env, wiring, settings, stop.clone(), serve, &report).await {
                    Ok(end) => drop(stopped.send(end)),
                    Err(error) => {
                        tracing::debug!(shard, %error, "the start failed");
                        stop.stop();
                        drop(report.send(Err(error)));
                    }
                }
            };
            (spec, main)
        })
        .collect();
    let runtime = Runtime::start(shards)?;
    drop(report);
    let identity = match reported.recv() {
        Ok(Ok(identity)) => identity,
        Ok(Err(error)) => {
            // The other shards, and this one if only its registration failed, run until they are told.
            stop.stop();
            runtime.join();
            return Err(error.into());
        }
        Err(_) => return Err("the shards ended before they were ready".into()),
    };
    Ok((Running { runtime, stopped, settings }, stop, identity))
}

/// One shard from its start to its stop. Shard 0 reports when the broker serves.
///
/// # Errors
/// On shard 0, if the log directory cannot be used.
pub async fn run_shard<E: Env>(
    env: E,
    wiring: Wiring,
    settings: Arc<EngineSettings>,
    stop: Stop,
    serve: Serve<E>,
    report: &Sender<Result<Identity, BootError>>,
) -> Result<Stopped, BootError> {
    let Wiring { shard, senders, receivers } = wiring;
    let client = Client::new(env.clone(), shard, senders, stop);
    let jobs_for = |inheritance: &Inheritance| {
        let settings = JobSettings {
            shard,
            log_dir: Arc::from(settings.log_dir_of(shard)),
            is_flushed: settings.is_flushed,
            was_clean: inheritance.was_clean,
            producer_expiration_ms: settings.producer_expiration_ms,
            recovery_points: Arc::clone(&inheritance.recovery_points),
            cache_bytes: settings.per_shard(settings.cache_bytes),
        };
        Jobs::new(env.clone(), settings)
    };
    let now = || Now { now: env.now(), wall_ms: env.wall_ms() };
    if shard != 0 {
        let Some((inheritance, identity)) = begin(&client, &receivers).await else {
            return Ok(Stopped::default());
        };
        client.set_directories(identity.directories.clone());
        let jobs = jobs_for(&inheritance);
        let core = Shard::new(settings.shard_settings(shard), Arc::clone(env.pool()), inheritance);
        let driver = Driver::new(core, client.clone(), jobs, receivers);
        return Ok(driver.run(Some(Box::new(move |client| serve(client, identity)))).await);
    }
    let mut inherited = inherit(&env, &settings).await?;
    let directories = inherited.identity.directories.clone();
    client.set_directories(directories.clone());
    inherited.failed.iter().for_each(|index| client.fail_directory(*index));
    let jobs = jobs_for(&inherited.common);
    let (log, beginning) = open_metadata(&env, &settings, &jobs, &mut inherited).await?;
    let image = &beginning.image;
    let moved = super::locate::locate(&env, &settings, &directories, image).await?;
    let mut shards = inherited.distribute(&settings, image, &moved);
    super::room::reserve_again(&env, &settings, &mut shards, &mut inherited).await?;
    let named = std::mem::take(&mut inherited.named);
    take_over_named(&env, &settings, image, named, &mut shards).await?;
    let mut others = shards.split_off(1);
    let own = shards.pop().unwrap_or_default();
    let jobs = jobs_for(&own);
    let mut core = Shard::new(settings.shard_settings(0), Arc::clone(env.pool()), own);
    let controller = Controller::new(
        settings.controller.clone(),
        (settings.rules)(),
        &beginning.image,
        beginning.next_offset,
        beginning.epoch,
    );
    core.lead_metadata(log, ControllerHost::new(controller, env.random()));
    core.begin_metadata(now(), &beginning.batches);
    let identity = inherited.identity.clone();
    for (shard, inheritance) in (1..settings.shards).zip(others.drain(..)) {
        client.begin(shard, inheritance, identity.clone());
    }
    let driver = Driver::new(core, client.clone(), jobs.clone(), receivers);
    let registration = register(&env, &settings, &client, moved);
    let (report, client_of) = (report.clone(), client.clone());
    env.spawn(async move {
        match registration.await {
            Ok(()) => {
                client_of.serve_everywhere();
                drop(report.send(Ok(inherited.identity.clone())));
                retire_journals(&client_of, inherited).await;
            }
            Err(error) => drop(report.send(Err(error))),
        }
    });
    Ok(driver.run(Some(Box::new(move |client| serve(client, identity)))).await)
}

/// Waits for what shard 0 says. None if the broker stops before that.
async fn begin<E: Env>(
    client: &Client<E>,
    receivers: &[LaneReceiver<Message>],
) -> Option<(Inheritance, Identity)> {
    loop {
        for receiver in receivers {
            // Nothing else can be in a lane before this.
            if let Some(Message::Begin(begin)) = receiver.pop() {
                return Some(*begin);
            }
        }
        if client.is_stopping() {
            return None;
        }
        client.env().notified().await;
    }
}

/// Opens and folds the metadata log, and begins an epoch of its own.
async fn open_metadata<E: Env>(
    env: &E,
    settings: &EngineSettings,
    jobs: &Jobs<E>,
    inherited: &mut Inherited,
) -> Result<(Partition<crate::shard::Waiter>, Beginning), BootError> {
    let dir: Arc<Path> = Arc::from(settings.metadata_dir());
    let config = Arc::new(TopicConfig {
        retention_ms: -1,
        max_message_bytes: i32::MAX,
        ..TopicConfig::default()
    });
    let open = Open {
        partition: METADATA_PARTITION,
        topic: Arc::from(METADATA_TOPIC),
        dir: Arc::clone(&dir),
        config: Arc::clone(&config),
        // The epoch that follows is known when the log has been read.
        leader_epoch: -1,
        redo: std::mem::take(&mut inherited.metadata_redo),
        log_start_offset: None,
        waypoint: None,
    };
    let mut recovered = recover(jobs, open).await?;
    let loaded = load(jobs, &dir, &recovered).await?;
    let unsupported = bootstrap::unsupported_features(&loaded.image);
    if !unsupported.is_empty() {
        return Err(BootError::Features { features: unsupported.join(", ") });
    }
    let now_ms = env.wall_ms();
    let state = quorum_state(env, &dir).await?;
    let is_new = state.is_none() && !loaded.has_records;
    let beginning = bootstrap::begin_epoch(&loaded, state, settings.node_id, now_ms)
        .map_err(|error| BootError::Metadata(error.to_string()))?;
    if is_new {
        let snapshot =
            bootstrap::snapshot(now_ms).map_err(|error| BootError::Metadata(error.to_string()))?;
        write(env, &dir.join(SnapshotId::BOOTSTRAP.file_name()), snapshot).await?;
    }
    let state = Bytes::from(beginning.quorum_state.clone());
    write(env, &dir.join(QUORUM_STATE), state).await?;
    let topic = Arc::from(METADATA_TOPIC);
    let epoch = beginning.epoch;
    super::room::reserve_behind(env, &dir, &mut recovered.active).await?;
    let mut log =
        Partition::new(METADATA_PARTITION, topic, Arc::clone(&dir), config, epoch, *recovered);
    log.keep_room(METADATA_ROOM_BYTES);
    let text = log.epochs.to_text().into();
    jobs.run(Job::WriteEpochs { dir, text }, &|_| {}).await;
    Ok((log, beginning))
}

async fn recover<E: Env>(jobs: &Jobs<E>, open: Open) -> Result<Box<Recovered>, BootError> {
    let result: RefCell<Option<Result<Box<Recovered>, DiskFailure>>> = RefCell::default();
    let emit = |event| {
        if let Event::Opened { result: opened, .. } = event {
            *result.borrow_mut() = Some(opened);
        }
    };
    jobs.run(Job::Open(Box::new(open)), &emit).await;
    match result.into_inner() {
        Some(result) => Ok(result?),
        None => Err(BootError::Metadata("it could not be opened".to_owned())),
    }
}

async fn load<E: Env>(
    jobs: &Jobs<E>,
    dir: &Arc<Path>,
    recovered: &Recovered,
) -> Result<crate::metadata::loader::Loaded, BootError> {
    let sealed = recovered.sealed.iter().map(|segment| (segment.base_offset, segment.bytes));
    let active = (recovered.active.base_offset, recovered.active.bytes());
    let segments = sealed.chain([active]).filter(|(_, bytes)| *bytes > 0).collect();
    let loader = RefCell::new(Loader::new());
    let failure: RefCell<Option<BootError>> = RefCell::default();
    let emit = |event| match event {
        Event::LogPart { result: Ok(Some(batches)), .. } => {
            match loader.borrow_mut().feed(&batches) {
                Ok(taken) if taken == batches.len() => {}
                Ok(_) => {
                    let cut = BootError::Metadata("a batch is cut".to_owned());
                    *failure.borrow_mut() = Some(cut);
                }
                Err(error) => {
                    *failure.borrow_mut() = Some(BootError::Metadata(error.to_string()));
                }
            }
        }
        Event::LogPart { result: Err(error), .. } => {
            *failure.borrow_mut() = Some(BootError::Disk(error));
        }
        _ => {}
    };
    let dir = Arc::clone(dir);
    jobs.run(Job::ReadLog { partition: METADATA_PARTITION, dir, segments }, &emit).await;
    match failure.into_inner() {
        Some(failure) => Err(failure),
        None => Ok(loader.into_inner().finish()),
    }
}

async fn quorum_state<E: Env>(env: &E, dir: &Path) -> Result<Option<QuorumState>, BootError> {
    let path = dir.join(QUORUM_STATE);
    let malformed = |reason: String| BootError::Malformed { path: path.clone(), reason };
    match env.read_small(&path, QUORUM_STATE_BYTES_MAX).await {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
            let state = QuorumState::parse(&text).map_err(|error| malformed(error.to_string()))?;
            Ok(Some(state))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BootError::Io { path, source }),
    }
}

async fn write<E: Env>(env: &E, path: &Path, bytes: Bytes) -> Result<(), BootError> {
    env.write_small(path, bytes)
        .await
        .map_err(|source| BootError::Io { path: path.to_owned(), source })
}

/// Registers this broker with its own controller; the image that follows opens every partition.
fn register<E: Env>(
    env: &E,
    settings: &EngineSettings,
    client: &Client<E>,
    moved: BTreeMap<TopicPartition, Uuid>,
) -> impl Future<Output = Result<(), BootError>> + use<E> {
    let mut random = || u128::from(env.random()) << 64 | u128::from(env.random());
    let registration = Registration {
        broker_id: settings.node_id,
        incarnation_id: bootstrap::new_id(&mut random),
        endpoints: settings.endpoints.clone(),
        features: bootstrap::feature_ranges(),
        rack: settings.rack.clone(),
        log_dirs: online(client),
        moved: moved.into_iter().collect(),
    };
    let call = ControllerCall::RegisterBroker(Box::new(registration));
    let answer = client.call(0, Call::Controller(call));
    async move {
        match answer.await {
            Answer::Controller(Ok(ControllerAnswer::RegisterBroker(Ok(_epoch)))) => Ok(()),
            Answer::Controller(Ok(ControllerAnswer::RegisterBroker(Err(error)))) => {
                Err(BootError::Metadata(format!("the broker was not registered: {error}")))
            }
            other => Err(BootError::Metadata(format!("the broker was not registered: {other:?}"))),
        }
    }
}

/// The ids of the log directories that can be used.
fn online<E: Env>(client: &Client<E>) -> Vec<Uuid> {
    let directories = client.directories();
    let usable = (0..directories.count()).filter(|index| !client.has_failed(*index));
    usable.filter_map(|index| directories.id(index)).collect()
}

/// When every partition is open, whatever journals the last run left is in segments: they can go, and
/// new ones may be made.
async fn retire_journals<E: Env>(client: &Client<E>, inherited: Inherited) {
    remove_journals(client, inherited).await;
    let calls: Vec<_> =
        (0..client.shards()).map(|shard| client.call(shard, Call::GrowJournal)).collect();
    for call in calls {
        call.await;
    }
}

async fn remove_journals<E: Env>(client: &Client<E>, inherited: Inherited) {
    let asked: Vec<_> =
        (0..client.shards()).map(|shard| client.call(shard, Call::AwaitSettled)).collect();
    let mut is_whole = true;
    for answer in asked {
        is_whole &= matches!(answer.await, Answer::Settled { is_whole: true });
    }
    if !inherited.common.was_clean && !inherited.is_first_start {
        tracing::info!(is_whole, "recovered after an unclean stop");
    }
    if !is_whole {
        tracing::error!(
            "some partitions could not be opened: the journals of the last run are kept"
        );
        return;
    }
    for path in &inherited.old_journals {
        if let Err(error) = client.env().remove_file(path).await {
            tracing::warn!(path = %path.display(), %error, "an old journal file stays");
        }
    }
    let dirs: BTreeSet<_> =
        inherited.old_journals.iter().filter_map(|path| path.parent()).collect();
    for dir in dirs {
        if let Err(error) = client.env().sync_dir(dir).await {
            tracing::warn!(%error, "the removal of old journal files is not durable");
        }
    }
}
