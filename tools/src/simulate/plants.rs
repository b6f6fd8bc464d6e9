//! Faults that are planted in the broker, one at a time: the simulation must find each of them.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use millrace_engine::plants::{Plant, plant};

use super::{Course, clock, faults, run};

/// What looks for a planted fault.
#[derive(Debug, Clone, Copy)]
enum Catcher {
    /// Lives with crashes at any moment.
    Lives,
    /// Power cuts at every change of the disk.
    Cuts,
    /// Operations of the disk that go wrong.
    Faults,
}

/// Runs of each catcher, at most.
const RUNS_MAX: u64 = 40;
/// How long one fault is looked for, about.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lives of the broker in one run, without power cuts at changes of the disk and with them.
const CYCLES: u64 = 20;
const CYCLES_OF_CUTS: u64 = 6;
const CUTS: u64 = 1_000;
/// Every so many operations go wrong.
const FAULTS_EVERY: usize = 7;

/// A planted fault on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planted {
    AckBeforeFlush,
    SkipCrc,
    ReuseOffset,
    ForgetProducerState,
    NoDirectoryFlush,
    ReplayOldJournalEntries,
    IgnoreFailedFlush,
    LoseCommittedOffset,
    DropLastPartialBlock,
    DeliverAcrossLeaderEpochChange,
}

impl Planted {
    /// Plants it from now on, instead of any other.
    pub fn plant(self) {
        plant(Some(match self {
            Self::AckBeforeFlush => Plant::AckBeforeFlush,
            Self::SkipCrc => Plant::SkipCrc,
            Self::ReuseOffset => Plant::ReuseOffset,
            Self::ForgetProducerState => Plant::ForgetProducerState,
            Self::NoDirectoryFlush => Plant::NoDirectoryFlush,
            Self::ReplayOldJournalEntries => Plant::ReplayOldJournalEntries,
            Self::IgnoreFailedFlush => Plant::IgnoreFailedFlush,
            Self::LoseCommittedOffset => Plant::LoseCommittedOffset,
            Self::DropLastPartialBlock => Plant::DropLastPartialBlock,
            Self::DeliverAcrossLeaderEpochChange => Plant::DeliverAcrossLeaderEpochChange,
        }));
    }

    /// What finds it, or may.
    fn catchers(self) -> &'static [Catcher] {
        match self {
            Self::AckBeforeFlush | Self::NoDirectoryFlush | Self::SkipCrc => {
                &[Catcher::Cuts, Catcher::Lives]
            }
            Self::IgnoreFailedFlush => &[Catcher::Faults, Catcher::Lives],
            Self::ReuseOffset
            | Self::ForgetProducerState
            | Self::ReplayOldJournalEntries
            | Self::LoseCommittedOffset
            | Self::DropLastPartialBlock
            | Self::DeliverAcrossLeaderEpochChange => &[Catcher::Lives, Catcher::Cuts],
        }
    }
}

/// Plants every fault, looks for it, and says what found it. Gives how many nothing found.
///
/// # Errors
/// If nothing can be written to `out`.
pub fn all(out: &mut dyn Write) -> io::Result<u64> {
    let mut missed = 0;
    writeln!(out, "| planted | found by | in run | seconds | what was seen |\n|--|--|--|--|--|")?;
    for planted in Planted::value_variants() {
        let name = planted.to_possible_value().map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        planted.plant();
        let began = clock::now();
        let until = began + PATIENCE;
        let found = planted.catchers().iter().find_map(|catcher| catch(*catcher, until));
        let seconds = began.elapsed().as_secs_f64();
        plant(None);
        missed += u64::from(found.is_none());
        match found {
            Some((by, run, what)) => {
                writeln!(out, "| {name} | {by} | {run} | {seconds:.1} | {what} |")?;
            }
            None => writeln!(out, "| {name} | NOTHING | | {seconds:.1} | |")?,
        }
    }
    plant(None);
    Ok(missed)
}

/// Looks for what is planted. Says how it was found, in which run, and what was seen.
fn catch(catcher: Catcher, until: Instant) -> Option<(&'static str, u64, String)> {
    let mut seeds = (1..=RUNS_MAX).take_while(|_| clock::now() < until);
    seeds.find_map(|seed| {
        let (by, failure) = match catcher {
            Catcher::Lives => ("lives", run(course(seed, 0)).failure),
            Catcher::Cuts => ("power cuts", run(course(seed, CUTS)).failure),
            Catcher::Faults => {
                let points = faults::points(seed).into_iter().step_by(FAULTS_EVERY);
                let failure = points.map(|point| faults::play(point, false).failure);
                ("failing operations", failure.flatten().next())
            }
        };
        failure.map(|what| (by, seed, what))
    })
}

fn course(seed: u64, cuts: u64) -> Course {
    Course::new(seed, if cuts > 0 { CYCLES_OF_CUTS } else { CYCLES }, cuts)
}
