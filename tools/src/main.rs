//! The command `millrace-tools`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use millrace_tools::inspect::{self, Detail};
use millrace_tools::{repair, simulate, verify};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Looks at log directories of millrace and of Apache Kafka while no broker runs on them, and changes
/// nothing in them unless it is asked to; simulates a broker.
#[derive(Parser)]
#[command(name = "millrace-tools", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints what is in a log directory, in a partition's directory, or in one file.
    Inspect {
        /// A log directory, a partition's directory, or any file in them.
        path: PathBuf,
        /// Every batch of segments, every entry of indexes and journals.
        #[arg(long)]
        batches: bool,
        /// Every record too. Those of the metadata log and of groups are decoded.
        #[arg(long)]
        records: bool,
    },
    /// Checks every byte of every partition: checksums, offsets, indexes, snapshots, journals.
    /// Exits with 1 if anything is not as it should be.
    Verify {
        /// The log directory.
        dir: PathBuf,
        /// Also decompress every batch and read every record.
        #[arg(long)]
        deep: bool,
    },
    /// Says which records are damaged for good, and gives them up if it is asked to: empty batches take
    /// their offsets. Keeps a copy of every file that it changes. Exits with 1 if damage is left.
    Repair {
        /// The log directory.
        dir: PathBuf,
        /// Replace damaged records by empty batches.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Runs a whole broker in a simulated world, crashes it again and again, and compares it with what
    /// its clients were promised. Exits with 1 if a promise was broken.
    Simulate(simulate::Args),
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(&Cli::parse().command, &mut out) {
        Ok(code) => code,
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if this fails.
            drop(writeln!(io::stderr(), "millrace-tools: {error}"));
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command, out: &mut dyn Write) -> io::Result<ExitCode> {
    match command {
        Command::Inspect { path, batches, records } => {
            inspect::inspect(
                path,
                Detail { batches: *batches || *records, records: *records },
                out,
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { dir, deep } => {
            let summary = verify::verify(dir, *deep, out)?;
            Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Repair { dir, accept_loss } => {
            let summary = repair::repair(dir, *accept_loss, out)?;
            let is_whole = summary.damaged == summary.repaired;
            Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Simulate(args) => simulate::command(args, out),
    }
}
