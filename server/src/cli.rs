//! The command line: `millrace [SERVER_PROPERTIES] [--override key=value]...`.

use std::path::PathBuf;

use clap::Parser;

use crate::config::{self, ConfigErrors, Loaded, Surroundings};

const EXAMPLES: &str = "\
Examples:
  millrace
      The embedded single node: listens on 127.0.0.1:9092, keeps its data in ./millrace-data
      (relative to the working directory). Every acknowledgement is flushed to the device.
  millrace /etc/millrace/server.properties
      Apache Kafka's own config/server.properties works unchanged.
  millrace server.properties --override log.dirs=/data --override num.partitions=3
      An override counts more than the file.
  millrace --override listeners=PLAINTEXT://192.0.2.7:9092
      Reachable from other machines, without encryption and authentication: said loudly.
  millrace --override millrace.shards=2 --override millrace.pin.cores=2,3
      Two shards, each on a core of its own.

The log's level is taken from RUST_LOG, such as RUST_LOG=millrace=debug.
All settings: docs/CONFIGURATION.md";

/// A Kafka-wire-compatible event streaming broker; every acknowledgement is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "millrace", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// A server.properties with Kafka's setting names; without it: the embedded single node, listening
    /// on 127.0.0.1:9092 with its data in ./millrace-data.
    #[arg(value_name = "SERVER_PROPERTIES")]
    pub server_properties: Option<PathBuf>,

    /// Sets one setting over the file; may be repeated, a later one counts more.
    #[arg(long = "override", value_name = "KEY=VALUE", num_args = 1)]
    pub overrides: Vec<String>,

    /// Checks the configuration, prints every setting with its effective value, and exits.
    #[arg(long)]
    pub print_config: bool,
}

impl Cli {
    /// Loads the configuration that the command line names.
    ///
    /// # Errors
    /// The file cannot be read or a setting is not allowed; every problem at once.
    pub fn load(&self, surroundings: &Surroundings) -> Result<Loaded, ConfigErrors> {
        config::load_file(self.server_properties.as_deref(), &self.overrides, surroundings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_of_kafka_server_start() {
        Cli::command().debug_assert();
        for (args, file, overrides) in [
            (&["millrace"][..], None, &[][..]),
            (&["millrace", "a.properties"], Some("a.properties"), &[]),
            (
                &["millrace", "a.properties", "--override", "a=b", "--override", "c=d=e"],
                Some("a.properties"),
                &["a=b", "c=d=e"],
            ),
            (&["millrace", "--override=a=", "b.properties"], Some("b.properties"), &["a="]),
        ] {
            let cli = Cli::try_parse_from(args).expect("valid");
            assert_eq!(cli.server_properties, file.map(PathBuf::from));
            assert_eq!(cli.overrides, overrides);
        }
        for args in [&["millrace", "a", "b"][..], &["millrace", "--override"], &["millrace", "-x"]]
        {
            assert!(Cli::try_parse_from(args).is_err(), "{args:?}");
        }
    }
}
