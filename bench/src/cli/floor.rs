//! `millrace-bench floor`: what this machine can do at all.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::unit;
use crate::{floor, terminal};

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
    pub fn execute(&self) -> io::Result<()> {
        let floor = floor::measure(&self.dir, self.duration)?;
        for line in floor::lines(&floor) {
            terminal::line(&line);
        }
        if let Some(path) = &self.json {
            std::fs::write(path, serde_json::to_vec_pretty(&floor).map_err(io::Error::other)?)?;
        }
        Ok(())
    }
}
