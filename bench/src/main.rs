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

use cli::{Cli, Command, expand};

/// The run could not be done or was cut short.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    if let Err(error) = sys::catch_interrupt() {
        terminal::complain(&format!("warning: SIGINT will lose the results so far: {error}"));
    }
    let outcome = execute(std::env::args_os().collect());
    cli::target::tidy_up();
    outcome.unwrap_or_else(|error| {
        terminal::complain(&format!("error: {error}"));
        ExitCode::from(FAILED)
    })
}

/// Does what a command line says.
fn execute(args: Vec<OsString>) -> Result<ExitCode, String> {
    fn done<E: std::fmt::Display>(outcome: Result<(), E>) -> Result<ExitCode, String> {
        outcome.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string())
    }
    let cli = Cli::parse_from(expand::workload(args)?);
    match cli.command {
        Command::Run(args) => args.execute().map_err(|error| error.to_string()),
        Command::Compare(args) => args.execute().map_err(|error| error.to_string()),
        Command::Knee(args) => args.execute().map_err(|error| error.to_string()),
        Command::Verify(args) => args.execute().map_err(|error| error.to_string()),
        Command::Scenario(args) => match args.resolve()? {
            Some(args) => execute(args),
            None => Ok(ExitCode::SUCCESS),
        },
        Command::Report(args) => done(args.execute()),
        Command::Floor(args) => done(args.execute()),
        Command::Feeder(args) => done(args.execute()),
        Command::Stub(args) => done(args.execute()),
    }
}
