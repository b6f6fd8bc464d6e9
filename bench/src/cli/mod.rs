//! The command line.

use clap::{Parser, Subcommand};

pub mod compare;
pub mod expand;
pub mod feeder;
pub mod floor;
pub mod knee;
pub mod load;
pub mod openmessaging;
pub mod perf_tools;
pub mod report;
pub mod run;
pub mod scenario;
pub mod stub;
pub mod target;
pub mod unit;
pub mod verify;

/// An error that knows who has to mend it: the exit status tells a wrong command line from a run that failed.
pub trait Blame: std::error::Error {
    /// Whether the flags are wrong.
    fn flags(&self) -> bool;
}

/// Load generator and latency profiler for any Kafka-wire broker.
#[derive(Debug, Parser)]
#[command(name = "millrace-bench", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One workload against one target.
    Run(Box<run::RunArgs>),
    /// Two targets in one run, in pairs, with a verdict where the intervals allow one.
    Compare(Box<compare::CompareArgs>),
    /// Kafka's own Java perf tools against two targets, in pairs.
    PerfTools(Box<perf_tools::PerfToolsArgs>),
    /// The highest rate at which a budget is kept.
    Knee(Box<knee::KneeArgs>),
    /// Named hard workloads.
    Scenario(scenario::ScenarioArgs),
    /// Writes numbered records, reads them back, and counts what is lost, doubled, reordered, corrupted or phantom.
    Verify(Box<verify::VerifyArgs>),
    /// Renders saved results again, or several side by side.
    Report(report::ReportArgs),
    /// What this machine can do at all: disk, loopback, CRC, memory.
    Floor(floor::FloorArgs),
    /// Keeps free memory warm beside a broker that uses the page cache (for fair comparisons in virtual machines).
    Feeder(feeder::FeederArgs),
    /// A stand-in for a broker with a known delay, to check this program against.
    Stub(stub::StubArgs),
}
