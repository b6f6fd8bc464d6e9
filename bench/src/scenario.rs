//! The named hard workloads: files of settings that are part of the program.

/// One scenario.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! scenarios {
    ($($name:literal,)*) => {
        /// All of them.
        pub const SCENARIOS: &[Scenario] = &[$(Scenario {
            name: $name,
            text: include_str!(concat!("../scenarios/", $name, ".toml")),
        },)*];
    };
}

scenarios! {
    "producers-1", "producers-4", "producers-50", "producers-400",
    "keyed-small", "partitions-1000", "catch-up", "retention", "slow-consumer",
    "kill", "disk-full", "soak",
}

impl Scenario {
    fn table(&self) -> Result<toml::Table, String> {
        self.text.parse().map_err(|error| format!("scenario {}: {error}", self.name))
    }

    /// What it does, and what it is known to break.
    pub fn words(&self) -> Result<(String, String), String> {
        let table = self.table()?;
        let word = |name: &str| {
            let text = table.get(name).and_then(toml::Value::as_str);
            text.map(str::to_owned).ok_or(format!("scenario {} lacks `{name}`", self.name))
        };
        Ok((word("about")?, word("breaks")?))
    }

    /// The command it runs, and its settings.
    pub fn command(&self) -> Result<(String, toml::Table), String> {
        let table = self.table()?;
        let command = table.get("command").and_then(toml::Value::as_str).unwrap_or("run");
        let settings = table.get("set").and_then(toml::Value::as_table).cloned();
        Ok((command.to_owned(), settings.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, expand};
    use clap::Parser;

    #[test]
    fn every_scenario_is_a_command_line() {
        for scenario in SCENARIOS {
            scenario.words().expect("has words");
            let (command, settings) = scenario.command().expect("has a command");
            let mut args = vec!["bench".to_owned(), command];
            for (name, value) in &settings {
                expand::put(name, value, &mut args).expect("is a flag");
            }
            args.push("--millrace".into());
            let parsed = Cli::try_parse_from(&args);
            if let Err(error) = parsed {
                panic!("{}: {error}", scenario.name);
            }
        }
    }
}
