//! The flags that say what to run against: a broker that is there, or one that is started for it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::unit;
use crate::clock::pause;
use crate::sys;
use crate::target::broker::{Broker, StartError, system};
use crate::target::kafka::{Flushing, Kafka};
use crate::target::millrace::Millrace;
use crate::target::place;
use crate::terminal;

/// Where data goes unless told otherwise.
const DATA_DIR: &str = "millrace-bench-data";

/// Removes the default data directory if it is empty.
pub fn tidy_up() {
    std::fs::remove_dir(DATA_DIR).ok();
}

/// How brokers are started.
#[derive(Clone, Debug, Args)]
pub struct StartArgs {
    /// Where the data of started brokers goes, on the disk that is to be measured; removed afterwards.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data_dir: PathBuf,
    /// Pins started brokers to one core.
    #[arg(long, value_name = "CORE")]
    pub broker_core: Option<usize>,
    /// The millrace program to start; without it, the one beside this program.
    #[arg(long, value_name = "FILE")]
    millrace_program: Option<PathBuf>,
    /// A setting of a started millrace; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = unit::pair)]
    millrace_set: Vec<(String, String)>,
    /// A setting of a started Kafka; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = unit::pair)]
    kafka_set: Vec<(String, String)>,
    /// Where Kafka's libraries are kept once assembled; without it, the user's cache.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetWish {
    /// A broker that is there.
    Address(String),
    /// The broker of this build.
    Millrace,
    /// Apache Kafka, assembled from Maven Central.
    Kafka(Flushing),
}

impl FromStr for TargetWish {
    type Err = String;

    /// `millrace`, `kafka`, `kafka:flush` or `HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "millrace" => Ok(Self::Millrace),
            "kafka" | "kafka:default" => Ok(Self::Kafka(Flushing::Default)),
            "kafka:flush" => Ok(Self::Kafka(Flushing::EachAppend)),
            _ if text.split(',').all(|one| is_address(one.trim())) => {
                Ok(Self::Address(text.to_owned()))
            }
            _ => Err("say HOST:PORT, millrace, kafka or kafka:flush".into()),
        }
    }
}

/// Whether it is a host and a port; the host may be an IPv6 address in brackets.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// The value of `--bootstrap`.
fn bootstrap(text: &str) -> Result<String, String> {
    match text.parse() {
        Ok(TargetWish::Address(address)) => Ok(address),
        _ => Err("say HOST:PORT, or --millrace or --kafka".into()),
    }
}

/// The value of `--kafka`.
pub fn flushing(text: &str) -> Result<Flushing, String> {
    match text {
        "default" => Ok(Flushing::Default),
        "flush" => Ok(Flushing::EachAppend),
        _ => Err("say default or flush".into()),
    }
}

/// A target, ready.
pub struct Opened {
    /// What reports call it.
    pub label: String,
    /// Where it is.
    pub address: String,
    /// Its process, if it was started here.
    pub broker: Option<Broker>,
}

/// The two targets of a command that compares.
pub fn wishes(
    command: &str,
    named: &[TargetWish],
    millrace: bool,
    kafka: Option<Flushing>,
) -> Result<[TargetWish; 2], StartError> {
    let mut wishes = named.to_vec();
    if millrace {
        wishes.push(TargetWish::Millrace);
    }
    wishes.extend(kafka.map(TargetWish::Kafka));
    wishes.try_into().map_err(|wishes: Vec<_>| {
        StartError::Flags(format!(
            "{command} takes two targets, not {}: HOST:PORT, millrace, kafka, kafka:flush",
            wishes.len()
        ))
    })
}

/// Only `side` may run on, unless the other is not to be held.
pub fn turn_to(opened: &mut [Opened; 2], side: usize, hold: bool) -> Result<(), StartError> {
    // What the last run has left in the page cache must not be written while the next one is measured.
    sys::sync_disks();
    for (index, target) in opened.iter_mut().enumerate() {
        let Some(broker) = &mut target.broker else { continue };
        if index == side {
            broker.go_on().map_err(system("cannot let a broker go on"))?;
        } else if hold {
            broker.hold().map_err(system("cannot hold a broker still"))?;
        }
    }
    pause(Duration::from_millis(500));
    Ok(())
}

impl StartArgs {
    /// Where the data of started brokers goes.
    pub fn directory(&self) -> &std::path::Path {
        &self.data_dir
    }

    /// Where Kafka's libraries are kept; `None`: the user's cache.
    pub fn cache(&self) -> Option<&std::path::Path> {
        self.cache.as_deref()
    }

    /// Starts what has to be started. `name` tells its data from that of others.
    pub fn open(&self, wish: &TargetWish, name: &str) -> Result<Opened, StartError> {
        let directory = self.data_dir.join(format!("{name}-{}", std::process::id()));
        if !matches!(wish, TargetWish::Address(_)) && place::is_memory(&self.data_dir) {
            terminal::complain(&format!(
                "warning: {} is in memory, not on a disk: flushes there mean nothing; say --data-dir",
                self.data_dir.display()
            ));
        }
        let broker = match wish {
            TargetWish::Address(address) => {
                let (label, address) = (address.clone(), address.clone());
                return Ok(Opened { label, address, broker: None });
            }
            TargetWish::Millrace => Millrace {
                program: self.millrace_program.as_deref(),
                directory: &directory,
                overrides: &self.millrace_set,
                core: self.broker_core,
            }
            .start()?,
            TargetWish::Kafka(flushing) => Kafka {
                flushing: *flushing,
                directory: &directory,
                cache: self.cache.as_deref(),
                core: self.broker_core,
                overrides: &self.kafka_set,
            }
            .start(terminal::line)?,
        };
        let (label, address) = (broker.label.clone(), broker.address.clone());
        Ok(Opened { label, address, broker: Some(broker) })
    }
}

/// One target of a command that has one.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// Broker address; several, with commas, are tried in turn.
    #[arg(long, value_name = "HOST:PORT", value_parser = bootstrap)]
    bootstrap: Option<String>,
    /// Starts the millrace of this build for the time being.
    #[arg(long, conflicts_with = "bootstrap")]
    millrace: bool,
    /// Starts Apache Kafka 4.3.1 for the time being, assembled from Maven Central: as it comes, or flushing each append.
    #[arg(
        long,
        value_name = "default|flush",
        num_args = 0..=1,
        default_missing_value = "default",
        value_parser = flushing,
        conflicts_with_all = ["bootstrap", "millrace"]
    )]
    kafka: Option<Flushing>,
    #[command(flatten)]
    start: StartArgs,
}

impl TargetArgs {
    /// Starts what has to be started.
    pub fn open(&self) -> Result<Opened, StartError> {
        let wish = match (&self.bootstrap, self.millrace, self.kafka) {
            (Some(address), ..) => TargetWish::Address(address.clone()),
            (None, true, _) => TargetWish::Millrace,
            (None, false, Some(flushing)) => TargetWish::Kafka(flushing),
            (None, false, None) => {
                return Err(StartError::Flags(
                    "which broker? Say --bootstrap HOST:PORT, --millrace or --kafka".into(),
                ));
            }
        };
        self.start.open(&wish, "target")
    }
}
