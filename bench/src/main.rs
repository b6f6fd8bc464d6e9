//! `millrace-bench`: load generator and latency profiler for any Kafka-wire broker.

mod batch;
mod budget;
mod cli;
mod client;
mod clock;
mod compare;
mod error;
mod feeder;
mod floor;
mod java;
mod measure;
mod report;
mod result;
mod scenario;
mod session;
mod stages;
mod stub;
mod sys;
mod target;
mod terminal;
mod verify;
mod wire;
mod workload;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use cli::{Blame, Cli, Command, expand};

/// The run could not be done.
const FAILED: u8 = 1;
/// The command line is wrong, as clap has it.
const WRONG_FLAGS: u8 = 2;

/// Why the program ends without having done what it was told to.
struct Failure {
    text: String,
    status: u8,
}

impl Failure {
    /// The command line, or a file that it names, is wrong.
    fn flags(text: String) -> Self {
        Self { text, status: WRONG_FLAGS }
    }
}

impl<E: Blame> From<E> for Failure {
    fn from(error: E) -> Self {
        let status = if error.flags() { WRONG_FLAGS } else { FAILED };
        Self { text: error.to_string(), status }
    }
}

fn main() -> ExitCode {
    if let Err(error) = sys::catch_interrupt() {
        terminal::complain(&format!("warning: SIGINT will lose the results so far: {error}"));
    }
    let outcome = execute(std::env::args_os().collect());
    cli::target::tidy_up();
    outcome.unwrap_or_else(|failure| {
        if failure.status == FAILED && sys::interrupted() {
            terminal::complain(&format!("cut short: interrupted: {}", failure.text));
            return ExitCode::from(cli::run::CUT_SHORT);
        }
        terminal::complain(&format!("error: {}", failure.text));
        ExitCode::from(failure.status)
    })
}

/// Does what a command line says.
fn execute(args: Vec<OsString>) -> Result<ExitCode, Failure> {
    fn told<T, E: std::fmt::Display>(outcome: Result<T, E>) -> Result<T, Failure> {
        outcome.map_err(|error| Failure { text: error.to_string(), status: FAILED })
    }
    fn done<E: std::fmt::Display>(outcome: Result<(), E>) -> Result<ExitCode, Failure> {
        told(outcome).map(|()| ExitCode::SUCCESS)
    }
    let cli = Cli::parse_from(expand::workload(args).map_err(Failure::flags)?);
    match cli.command {
        Command::Run(args) => Ok(args.execute()?),
        Command::Compare(args) => Ok(args.execute()?),
        Command::PerfTools(args) => Ok(args.execute()?),
        Command::Knee(args) => Ok(args.execute()?),
        Command::Verify(args) => Ok(args.execute()?),
        Command::Scenario(args) => match args.resolve().map_err(Failure::flags)? {
            Some(args) => execute(args),
            None => Ok(ExitCode::SUCCESS),
        },
        Command::Report(args) => done(args.execute()),
        Command::Floor(args) => told(args.execute()),
        Command::Feeder(args) => done(args.execute()),
        Command::Stub(args) => done(args.execute()),
    }
}
