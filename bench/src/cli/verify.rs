//! `millrace-bench verify`: proves that a broker keeps what it acknowledged.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Blame;
use super::run::CUT_SHORT;
use super::target::{Opened, TargetArgs};
use super::unit;
use crate::batch::compression::Codec;
use crate::batch::payload::Chance;
use crate::batch::size::SizeMix;
use crate::client::setup::{self, SetupError, TopicWish};
use crate::clock::Clock;
use crate::target::broker::StartError;
use crate::verify::cluster::Cluster;
use crate::verify::ledger::Ledger;
use crate::verify::produce::Events;
use crate::verify::tally::Tally;
use crate::verify::{self, Plan, VerifyError};
use crate::wire::ask::AskError;
use crate::wire::cold::End;
use crate::{sys, terminal};

/// Exit status when something is lost, doubled, reordered, corrupted, phantom or moved.
const FOUND_WRONG: u8 = 5;

const EXAMPLES: &str = "Examples:
  Ten seconds of records into 6 partitions, read back and checked:
    millrace-bench verify --bootstrap localhost:9092 --duration 10s
  Across a restart (restart the broker while this runs: it reconnects and goes on), then again after one more:
    millrace-bench verify --bootstrap localhost:9092 --duration 60s --ledger ledger.json
    millrace-bench verify --bootstrap localhost:9092 --ledger ledger.json --check
Exit status: 0 nothing is wrong, 5 something is, 1 it could not be checked, 2 wrong flags, 4 cut short, and nothing
is wrong with what was written until then.";

/// Flags of `verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct VerifyArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Kills (SIGKILL) the broker each time this has passed, and starts it again; only one that was started for it.
    #[arg(long, value_name = "TIME", value_parser = unit::duration)]
    kill_every: Option<Duration>,
    /// Topic that nothing else writes to; it is created if it is not there.
    #[arg(long)]
    topic: Option<String>,
    /// Partitions of a topic that is created.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Replicas of a topic that is created.
    #[arg(long, default_value_t = 1)]
    replication_factor: i16,
    /// Ends after so many records.
    #[arg(long)]
    records: Option<u64>,
    /// Ends after this time.
    #[arg(long, default_value = "10s", value_parser = unit::duration)]
    duration: Duration,
    /// Records per second, at most (50k, 1M, max).
    #[arg(long, value_name = "N|max", default_value = "max", value_parser = unit::rate)]
    rate: unit::Rate,
    /// Value size: 1KiB, a range 100..2KiB, or weights 100:70,1KiB:25,64KiB:5 (at least 28 bytes are used).
    #[arg(long, default_value = "100..2KiB")]
    record_size: SizeMix,
    /// Most bytes per batch.
    #[arg(long, default_value = "16KiB", value_parser = unit::bytes)]
    batch_size: u64,
    /// Most batches in flight per partition.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=5))]
    in_flight: u16,
    /// Compression.
    #[arg(long, value_enum, default_value = "none")]
    compression: Codec,
    /// Without producer ids and sequences: a batch whose answer is lost is not sent again, and may be there or not.
    #[arg(long)]
    no_idempotence: bool,
    /// File that says what was written; kept up to date while writing. With it, the topic stays.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Only reads back what --ledger says was written before.
    #[arg(long, requires = "ledger")]
    check: bool,
    /// Gives up when the broker has been away for this long; when it has refused for as long, stops writing, and reads
    /// back what it has acknowledged.
    #[arg(long, default_value = "60s", value_parser = unit::duration)]
    patience: Duration,
    /// Writes the counts to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seed of the sizes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Why `verify` could not be done.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFailure {
    /// The target could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The flags do not fit together.
    #[error("{0}")]
    Flags(&'static str),
    /// The target could not be prepared.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It could not be checked.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Asking failed.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The counts cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Blame for VerifyFailure {
    fn flags(&self) -> bool {
        match self {
            Self::Start(error) => error.flags(),
            Self::Flags(_) => true,
            _ => false,
        }
    }
}

impl VerifyArgs {
    /// Writes, reads back, and says what is wrong.
    pub fn execute(&self) -> Result<ExitCode, VerifyFailure> {
        let mut opened = self.target.open()?;
        if self.kill_every.is_some() && opened.broker.is_none() {
            let text = "--kill-every needs a broker that is started for it: --millrace or --kafka";
            return Err(VerifyFailure::Flags(text));
        }
        let (mut ledger, mut cluster, events) =
            if self.check { self.load(&opened.address)? } else { self.write(&mut opened)? };
        terminal::line(&format!(
            "reading everything back: {} acknowledged records",
            ledger.acknowledged()
        ));
        let tally = verify::check(&mut cluster, &mut ledger)?;
        if let Some(path) = &self.ledger {
            let keep = |source| VerifyError::Ledger { path: path.clone(), source };
            ledger.save(path).map_err(keep)?;
        }
        report(&ledger, &cluster, &tally, &events);
        if let Some(path) = &self.json {
            let failed = |source| VerifyFailure::Write { path: path.clone(), source };
            let text = serde_json::to_vec_pretty(&tally)
                .map_err(|error| failed(std::io::Error::other(error)))?;
            std::fs::write(path, text).map_err(failed)?;
        }
        if self.topic.is_none() && self.ledger.is_none() && tally.clean() {
            crate::wire::ask::Asker::connect_any(&opened.address, setup::ASK_TIMEOUT)?
                .delete_topic(&ledger.topic)?;
        }
        Ok(if !tally.clean() {
            ExitCode::from(FOUND_WRONG)
        } else if sys::interrupted() || events.ended.is_some() {
            terminal::line("cut short: only what had been written by then was checked");
            ExitCode::from(CUT_SHORT)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn load(&self, bootstrap: &str) -> Result<(Ledger, Cluster, Events), VerifyFailure> {
        let path = self.ledger.clone().unwrap_or_default();
        let ledger = Ledger::load(&path).map_err(|source| VerifyError::Ledger { path, source })?;
        let mut cluster = Cluster::new(bootstrap, &ledger.topic, self.patience);
        cluster.insist(Cluster::refresh)?;
        Ok((ledger, cluster, Events::default()))
    }

    fn write(&self, opened: &mut Opened) -> Result<(Ledger, Cluster, Events), VerifyFailure> {
        let now_ns = Clock::start().start_unix_ns();
        let name =
            self.topic.clone().unwrap_or_else(|| format!("millrace-verify-{}", now_ns / 1_000_000));
        let wish = TopicWish {
            name: name.clone(),
            partitions: self.topic.is_none().then_some(self.partitions),
            created_partitions: self.partitions,
            create: true,
            replicas: self.replication_factor,
            // Retention must not take what is checked.
            configs: vec![
                ("retention.ms".into(), "-1".into()),
                ("retention.bytes".into(), "-1".into()),
            ],
        };
        let target = setup::prepare(&opened.address, &wish)?;
        let mut cluster = Cluster::new(&opened.address, &name, self.patience);
        cluster.insist(Cluster::refresh)?;
        let mut starts = std::collections::BTreeMap::new();
        for (address, partitions) in &target.led {
            let asker = cluster.asker(address)?;
            starts.extend(asker.list_offsets(&name, partitions, End::Latest)?);
        }
        let mut ledger = Ledger::new(Chance::new(now_ns ^ self.seed).next(), &name, &starts);
        let plan = Plan {
            sizes: self.record_size.clone(),
            batch_bytes: self.batch_size as usize,
            depth: usize::from(self.in_flight),
            codec: self.compression,
            idempotent: !self.no_idempotence,
            records: self.records,
            duration: self.duration,
            rate: match self.rate {
                unit::Rate::Max => None,
                unit::Rate::Records(rate) => Some(rate),
                unit::Rate::Bytes(rate) => Some(rate / self.record_size.mean().max(1.0)),
            },
            seed: self.seed,
            ledger: self.ledger.clone(),
        };
        let every_ns = self.kill_every.map(|every| every.as_nanos() as u64);
        let mut kill_ns = every_ns.unwrap_or(u64::MAX);
        let mut kills = 0;
        let disturb = |now_ns: u64| {
            if now_ns >= kill_ns
                && let Some(broker) = &mut opened.broker
            {
                kill_ns = now_ns + every_ns.unwrap_or(u64::MAX);
                kills += 1;
                if let Err(error) = broker.kill_and_start() {
                    terminal::complain(&format!("warning: {error}"));
                }
            }
        };
        let events = verify::write(&mut cluster, &plan, &mut ledger, (disturb, terminal::line))?;
        if kills > 0 {
            terminal::line(&format!("killed the broker {kills} times"));
        }
        Ok((ledger, cluster, events))
    }
}

fn report(ledger: &Ledger, cluster: &Cluster, tally: &Tally, events: &Events) {
    terminal::line(&format!(
        "topic `{}`, {} partitions: {} records acknowledged, {} read back in {} batches",
        ledger.topic,
        ledger.partitions.len(),
        ledger.acknowledged(),
        tally.records,
        tally.batches
    ));
    if cluster.reconnects > 0 || events.unknown > 0 || events.renewals > 0 {
        terminal::line(&format!(
            "on the way: {} reconnects, {} records without an answer, {} new producer ids",
            cluster.reconnects, events.unknown, events.renewals
        ));
    }
    if let Some(why) = &events.ended {
        terminal::line(&format!("writing ended early: {why}"));
    }
    for (name, count) in &events.refusals {
        terminal::line(&format!("  {count} x {name}"));
    }
    if tally.deleted > 0 {
        let text = format!("note: {} offsets were deleted before they were read", tally.deleted);
        terminal::line(&text);
    }
    let counts: Vec<String> =
        tally.wrongs().iter().map(|(name, count)| format!("{name} {count}")).collect();
    terminal::line(&counts.join(", "));
    for example in &tally.examples {
        terminal::line(&format!("  {example}"));
    }
    let clean = if tally.clean() { "nothing is wrong" } else { "THE BROKER DID NOT KEEP ITS WORD" };
    terminal::line(clean);
}
