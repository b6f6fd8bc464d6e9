//! The millrace broker.

use std::process::ExitCode;

use clap::Parser;
use millrace::cli::Cli;
use millrace::launch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    launch::run(&Cli::parse())
}
