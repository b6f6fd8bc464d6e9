//! `millrace-bench scenario`: named hard workloads.

use std::ffi::OsString;

use clap::Args;

use super::expand;
use crate::scenario::SCENARIOS;
use crate::terminal;

/// Runs a named hard workload; what it is known to break is told with --list and in the documentation.
#[derive(Debug, Args)]
pub struct ScenarioArgs {
    /// Shows all scenarios.
    #[arg(long)]
    list: bool,
    /// Which one.
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Flags of the command behind the scenario (`run` or `verify`): the target (--bootstrap HOST:PORT, --millrace,
    /// --kafka), --out DIR, and any that the scenario sets, to set them otherwise.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
    flags: Vec<OsString>,
}

impl ScenarioArgs {
    /// The command line that the scenario stands for; `None`: there is nothing more to do.
    pub fn resolve(self) -> Result<Option<Vec<OsString>>, String> {
        if self.list {
            for scenario in SCENARIOS {
                let (about, breaks) = scenario.words()?;
                terminal::line(&format!("{:<20} {about}", scenario.name));
                terminal::line(&format!("{:<20}   breaks: {breaks}", ""));
            }
            return Ok(None);
        }
        let name = self.name.unwrap_or_default();
        let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else {
            let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            return Err(format!("there is no scenario `{name}`; there are {}", names.join(", ")));
        };
        let (command, settings) = scenario.command()?;
        let mut args: Vec<OsString> = vec!["millrace-bench".into(), command.into()];
        let mut flags = Vec::new();
        for (name, value) in &settings {
            expand::put(name, value, &mut flags)?;
        }
        args.extend(flags.into_iter().map(OsString::from));
        args.extend(self.flags);
        let shown: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        terminal::line(&shown.join(" "));
        Ok(Some(args))
    }
}
