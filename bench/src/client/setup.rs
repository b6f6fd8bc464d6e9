//! Prepares a run: finds out what the target offers, makes the topic ready, learns its leaders, its offsets and what
//! an acknowledgement of it means.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::clock::pause;
use crate::error;
use crate::wire::ask::{AskError, Asker};
use crate::wire::cold::{End, Metadata, Owner};
use crate::wire::{fetch, key, produce};

/// How long to wait for an answer while preparing.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new topic may take to get leaders.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Asking failed.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The broker lacks something.
    #[error("{address} offers {api} {offered}, and this program speaks {low} to {high}")]
    Version {
        /// The broker.
        address: String,
        /// The API.
        api: &'static str,
        /// What the broker offers.
        offered: String,
        /// Lowest spoken.
        low: i16,
        /// Highest spoken.
        high: i16,
    },
    /// The topic is not as asked for.
    #[error("topic `{topic}` {problem}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// The topic a run wants.
#[derive(Clone, Debug)]
pub struct TopicWish {
    /// Name.
    pub name: String,
    /// Partitions it must have; `None`: as it is.
    pub partitions: Option<i32>,
    /// Partitions where it must be created and nothing is asked for.
    pub created_partitions: i32,
    /// Whether to create it if it is not there.
    pub create: bool,
    /// Replicas where it must be created.
    pub replicas: i16,
    /// Configuration where it must be created.
    pub configs: Vec<(String, String)>,
}

/// The target, ready for a run.
#[derive(Clone, Debug)]
pub struct Target {
    /// As given.
    pub bootstrap: String,
    /// Cluster id.
    pub cluster: Option<String>,
    /// Produce version to speak.
    pub produce_version: i16,
    /// Fetch version to speak.
    pub fetch_version: i16,
    /// Partitions by the address of their leader.
    pub led: BTreeMap<String, Vec<i32>>,
    /// What the target's configuration says about flushing and replicas: broker's, then topic's.
    pub broker_configs: BTreeMap<String, String>,
    /// The topic's configuration.
    pub topic_configs: BTreeMap<String, String>,
    /// Whether the run created the topic.
    pub created: bool,
}

impl Target {
    /// Partitions of the topic.
    pub fn partitions(&self) -> usize {
        self.led.values().map(Vec::len).sum()
    }

    /// An asker at the broker the run was started with.
    pub fn asker(&self) -> Result<Asker, AskError> {
        Asker::connect(&self.bootstrap, ASK_TIMEOUT)
    }
}

/// Connects to the first address of `bootstrap` that answers, and prepares the topic.
pub fn prepare(bootstrap: &str, wish: &TopicWish) -> Result<Target, SetupError> {
    let mut asker = Asker::connect_any(bootstrap, ASK_TIMEOUT)?;
    let address = asker.address().to_owned();
    let offered = asker.api_versions()?;
    let pick = |api, name, (low, high): (i16, i16)| {
        let range = offered.get(&api).copied();
        match range {
            Some((from, to)) if from <= high && to >= low => Ok(to.min(high)),
            _ => Err(SetupError::Version {
                address: address.clone(),
                api: name,
                offered: range.map_or("not at all".into(), |(from, to)| format!("{from} to {to}")),
                low,
                high,
            }),
        }
    };
    let produce_version = pick(key::PRODUCE, "Produce", produce::VERSIONS)?;
    let fetch_version = pick(key::FETCH, "Fetch", fetch::VERSIONS)?;
    let created = ensure_topic(&mut asker, wish)?;
    let metadata = await_leaders(&mut asker, wish)?;
    let led = metadata.led();
    await_readiness(&wish.name, &led)?;
    let first_node = metadata.nodes.first().map_or(0, |node| node.id);
    // Not every broker lets everyone read its configuration; the run goes on without it.
    let (mut broker_configs, mut topic_configs) = (BTreeMap::new(), BTreeMap::new());
    if offered.contains_key(&key::DESCRIBE_CONFIGS) {
        broker_configs = asker.configs(Owner::Broker(first_node)).unwrap_or_default();
        topic_configs = asker.configs(Owner::Topic(&wish.name)).unwrap_or_default();
    }
    Ok(Target {
        bootstrap: address,
        cluster: metadata.cluster,
        produce_version,
        fetch_version,
        led,
        broker_configs,
        topic_configs,
        created,
    })
}

/// A new partition's leader may be known before it serves: waits until each one tells its end offset.
fn await_readiness(topic: &str, led: &BTreeMap<String, Vec<i32>>) -> Result<(), SetupError> {
    for (address, partitions) in led {
        let mut asker = Asker::connect(address, ASK_TIMEOUT)?;
        patiently(|| asker.list_offsets(topic, partitions, End::Latest))?;
    }
    Ok(())
}

/// Asks again while the broker gives an error that passes.
#[expect(clippy::disallowed_methods, reason = "a deadline while preparing, not a measurement")]
pub fn patiently<T>(mut ask: impl FnMut() -> Result<T, AskError>) -> Result<T, AskError> {
    let deadline = Instant::now() + LEADERS_TIMEOUT;
    loop {
        match ask() {
            Err(AskError::Refused { code, .. })
                if error::passing(code) && Instant::now() < deadline =>
            {
                pause(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn ensure_topic(asker: &mut Asker, wish: &TopicWish) -> Result<bool, SetupError> {
    let metadata = asker.metadata(&wish.name)?;
    if metadata.topic_error != error::UNKNOWN_TOPIC_OR_PARTITION {
        if let Some(wanted) = wish.partitions
            && metadata.topic_error == 0
            && metadata.leaders.len() != wanted as usize
        {
            return Err(SetupError::Topic {
                topic: wish.name.clone(),
                problem: format!(
                    "is there with {} partitions, not {wanted}: leave --partitions out to use it as it is, or name another --topic",
                    metadata.leaders.len()
                ),
            });
        }
        return Ok(false);
    }
    if !wish.create {
        return Err(SetupError::Topic {
            topic: wish.name.clone(),
            problem: "is not there, and a run that only reads does not create it".into(),
        });
    }
    let partitions = wish.partitions.unwrap_or(wish.created_partitions);
    match asker.create_topic(&wish.name, partitions, wish.replicas, &wish.configs) {
        Err(AskError::Refused { code: error::TOPIC_ALREADY_EXISTS, .. }) => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline while preparing, not a measurement")]
fn await_leaders(asker: &mut Asker, wish: &TopicWish) -> Result<Metadata, SetupError> {
    let deadline = Instant::now() + LEADERS_TIMEOUT;
    loop {
        let metadata = asker.metadata(&wish.name)?;
        let led = metadata.leaders.values().filter(|leader| **leader >= 0).count();
        let wanted = wish.partitions.map_or(metadata.leaders.len(), |wanted| wanted as usize);
        if metadata.topic_error == 0 && led >= wanted.max(1) {
            return Ok(metadata);
        }
        let hopeless = metadata.topic_error != 0 && !error::passing(metadata.topic_error);
        if hopeless {
            return Err(SetupError::Topic {
                topic: wish.name.clone(),
                problem: format!("cannot be used: {}", error::name(metadata.topic_error)),
            });
        }
        if Instant::now() > deadline {
            return Err(SetupError::Topic {
                topic: wish.name.clone(),
                problem: format!(
                    "has {led} of {wanted} partitions with a leader after {} s ({})",
                    LEADERS_TIMEOUT.as_secs(),
                    error::name(metadata.topic_error)
                ),
            });
        }
        pause(Duration::from_millis(20));
    }
}
