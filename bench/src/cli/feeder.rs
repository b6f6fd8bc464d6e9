//! `millrace-bench feeder`: keeps memory that the page cache will take warm.

use std::time::Duration;

use clap::Args;

use super::unit;
use crate::feeder::{Feed, FeederError};

/// Touches nearly all free memory and hands it back bit by bit, so that a broker's page cache gets pages that the
/// host already backs. Ends by itself.
#[derive(Debug, Args)]
pub struct FeederArgs {
    /// Ends after this time.
    #[arg(long, default_value = "10m", value_parser = unit::duration)]
    pub duration: Duration,
    /// Free memory to leave, and to keep free while it lasts.
    #[arg(long, default_value = "1GiB", value_parser = unit::bytes)]
    pub leave: u64,
    /// Never holds more than this.
    #[arg(long, value_parser = unit::bytes)]
    pub most: Option<u64>,
}

impl FeederArgs {
    /// Runs until the time is over or the process is told to stop.
    pub fn execute(&self) -> Result<(), FeederError> {
        let feed = Feed {
            duration: self.duration,
            leave_bytes: self.leave,
            most_bytes: self.most.unwrap_or(u64::MAX),
        };
        feed.run(crate::terminal::line)
    }
}
