//! Proves what a broker keeps: numbered, checksummed records go in with acks=all, everything is read back, and whatever
//! is lost, doubled, reordered, corrupted, phantom or moved is counted.
//!
//! Every batch is sent until the broker has said what became of it, through broken connections and restarts, under the
//! same producer id and sequence, so that a broker has every chance to keep it exactly once. Reading happens twice: a
//! tail reader follows while records are written, and at the end a second reader begins at the start. What the first
//! one saw and the second one does not is lost, acknowledged or not.

pub mod cluster;
pub mod ledger;
pub mod produce;
pub mod ranges;
pub mod read;
pub mod record;
pub mod tally;

use std::path::PathBuf;
use std::time::Duration;

use crate::batch::compression::Codec;
use crate::batch::size::SizeMix;
use crate::clock::{Clock, pause};
use crate::sys;
use crate::wire::ask::AskError;

use cluster::Cluster;
use ledger::Ledger;
use produce::Producer;
use read::Reader;
use tally::Tally;

/// What to write.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Value sizes.
    pub sizes: SizeMix,
    /// Most bytes per batch.
    pub batch_bytes: usize,
    /// Batches in flight per partition.
    pub depth: usize,
    /// Compression.
    pub codec: Codec,
    /// With producer ids and sequences; without them, a batch whose answer was lost is not sent again.
    pub idempotent: bool,
    /// Ends after so many records.
    pub records: Option<u64>,
    /// Ends after this time.
    pub duration: Duration,
    /// Records per second, at most.
    pub rate: Option<f64>,
    /// Seed of sizes.
    pub seed: u64,
    /// Where the ledger is kept while producing.
    pub ledger: Option<PathBuf>,
}

/// Why nothing could be proved.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The broker could not be asked, and did not come back in time.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The ledger cannot be kept.
    #[error("ledger {path}: {source}")]
    Ledger {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A batch cannot be packed.
    #[error("cannot pack a batch: {0}")]
    Pack(std::io::Error),
    /// There is nothing to check.
    #[error("{0}")]
    Misfit(String),
}

/// How often the ledger is saved while producing.
const SAVE_NS: u64 = 250_000_000;
/// How often progress is told.
const TELL_NS: u64 = 1_000_000_000;

/// Writes what `plan` says, or less if the broker refuses for too long, and notes it in `ledger`. `disturb` is called all
/// the time with the time since the start, in nanoseconds; `tell` is told how it goes, once a second.
pub fn write(
    cluster: &mut Cluster,
    plan: &Plan,
    ledger: &mut Ledger,
    (mut disturb, mut tell): (impl FnMut(u64), impl FnMut(&str)),
) -> Result<produce::Events, VerifyError> {
    let clock = Clock::start();
    let end_ns = plan.duration.as_nanos() as u64;
    let mut producer = Producer::new(plan, ledger, cluster)?;
    let mut tail = Reader::new(ledger);
    let mut tally = Tally::new(ledger);
    let (mut save_ns, mut tell_ns) = (0, TELL_NS);
    loop {
        let now_ns = clock.now_ns();
        if now_ns < end_ns {
            disturb(now_ns);
        }
        let stop = now_ns >= end_ns || sys::interrupted();
        let budget = match (stop, plan.rate) {
            (true, _) => 0,
            (false, Some(rate)) => (now_ns as f64 / 1e9 * rate) as u64,
            (false, None) => u64::MAX,
        };
        let before = producer.made();
        let budget = budget.min(plan.records.unwrap_or(u64::MAX));
        let idle = match producer.round(cluster, ledger, budget) {
            Ok(idle) => idle,
            // It is there: what it has acknowledged can be read back.
            Err(VerifyError::Ask(why @ AskError::Refused { .. })) => {
                producer.give_up(&why);
                break;
            }
            Err(error) => return Err(error),
        };
        tail.follow(cluster, ledger, &mut tally);
        if now_ns >= save_ns {
            save(ledger, plan)?;
            save_ns = now_ns + SAVE_NS;
        }
        if now_ns >= tell_ns {
            tell_ns += TELL_NS;
            tell(&format!(
                "{:>6.1} s  written {:>10}  acknowledged {:>10}  read {:>10}  reconnects {}",
                now_ns as f64 / 1e9,
                producer.made(),
                ledger.acknowledged(),
                tally.records,
                cluster.reconnects
            ));
        }
        let enough = stop || plan.records.is_some_and(|records| producer.made() >= records);
        if idle && enough {
            break;
        }
        if idle && before == producer.made() {
            pause(Duration::from_millis(1)); // ahead of the rate
        }
    }
    ledger.finished = true;
    tally.leave_seen(ledger);
    save(ledger, plan)?;
    Ok(producer.into_events())
}

fn save(ledger: &Ledger, plan: &Plan) -> Result<(), VerifyError> {
    plan.ledger.as_ref().map_or(Ok(()), |path| {
        ledger.save(path).map_err(|source| VerifyError::Ledger { path: path.clone(), source })
    })
}

/// Reads everything in `ledger` back and counts what is wrong.
pub fn check(cluster: &mut Cluster, ledger: &mut Ledger) -> Result<Tally, VerifyError> {
    let mut tally = Tally::new(ledger);
    Reader::new(ledger).read_all(cluster, ledger, &mut tally)?;
    tally.close(ledger);
    tally.leave_seen(ledger);
    Ok(tally)
}
