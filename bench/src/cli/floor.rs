//! `millrace-bench floor`: what this machine can do at all.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::run::CUT_SHORT;
use super::unit;
use crate::{floor, sys, terminal};

/// Measures the disk through io_uring, loopback, CRC and memory: the floor under any broker on this machine.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// Directory on the disk to measure.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Time per figure; there are seven.
    #[arg(long, default_value = "3s", value_parser = unit::duration)]
    duration: Duration,
    /// Writes the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl FloorArgs {
    /// Measures and prints.
    pub fn execute(&self) -> io::Result<ExitCode> {
        let floor = match floor::measure(&self.dir, self.duration) {
            Err(_) if sys::interrupted() => {
                terminal::complain("cut short: interrupted, nothing is told");
                return Ok(ExitCode::from(CUT_SHORT));
            }
            measured => measured?,
        };
        for line in floor::lines(&floor) {
            terminal::line(&line);
        }
        if let Some(path) = &self.json {
            std::fs::write(path, serde_json::to_vec_pretty(&floor).map_err(io::Error::other)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
