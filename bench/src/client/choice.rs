//! Which client drives a load.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::driver::{Driver, RunError};
use super::outcome::Outcome;
use super::setup::Target;
use crate::clock::Clock;
use crate::measure::recorder::Second;
use crate::workload::Workload;

/// A client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// This program's own, lean one.
    #[default]
    Own,
    /// librdkafka, the C client that most people run (a program built with the feature of that name).
    Librdkafka,
}

impl Client {
    /// Its version; if this program was built without it, how to build it.
    pub fn version(self) -> Result<String, String> {
        match self {
            Self::Own => Ok(env!("CARGO_PKG_VERSION").to_owned()),
            #[cfg(feature = "librdkafka")]
            Self::Librdkafka => Ok(super::librdkafka::version()),
            #[cfg(not(feature = "librdkafka"))]
            Self::Librdkafka => Err(
                "--client librdkafka: this program was built without it; with a C++ compiler and make at hand, build one by cargo build --release -p millrace-bench --features librdkafka".into(),
            ),
        }
    }

    /// Connects everything for a run of `workload`; nothing is sent yet.
    pub fn prepare<'w>(
        self,
        workload: &'w Workload,
        target: &Target,
        broker: Option<u32>,
    ) -> Result<Run<'w>, RunError> {
        match self {
            Self::Own => Ok(Run::Own(Box::new(Driver::new(workload, target, broker)?))),
            #[cfg(feature = "librdkafka")]
            Self::Librdkafka => {
                let driver = super::librdkafka::Driver::new(workload, target, broker)?;
                Ok(Run::Librdkafka(Box::new(driver)))
            }
            #[cfg(not(feature = "librdkafka"))]
            Self::Librdkafka => Err(RunError::Misfit(self.version().err().unwrap_or_default())),
        }
    }
}

/// A run that is prepared.
pub enum Run<'w> {
    /// With the program's own client.
    Own(Box<Driver<'w>>),
    /// With librdkafka.
    #[cfg(feature = "librdkafka")]
    Librdkafka(Box<super::librdkafka::Driver<'w>>),
}

impl Run<'_> {
    /// The clock of the run, and the measured window on it.
    pub fn window(&self) -> (Clock, Range<u64>) {
        match self {
            Self::Own(driver) => driver.window(),
            #[cfg(feature = "librdkafka")]
            Self::Librdkafka(driver) => driver.window(),
        }
    }

    /// Runs the whole workload. `second` is told each second as it ends.
    pub fn run(self, second: impl FnMut(&Second)) -> Outcome {
        match self {
            Self::Own(driver) => driver.run(second),
            #[cfg(feature = "librdkafka")]
            Self::Librdkafka(driver) => driver.run(second),
        }
    }
}
