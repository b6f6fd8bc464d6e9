//! Workload files: a file's settings become flags before those of the command line, which therefore count more.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::{Cli, openmessaging};

const FLAG: &str = "--workload";

/// Puts the flags of a `--workload FILE` behind the command's name.
pub fn workload(args: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let Some(path) = named(&args) else { return Ok(args) };
    let path = Path::new(&path);
    let wrong = |why: String| format!("workload {}: {why}", path.display());
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let flags = if yaml { openmessaging::flags(&text) } else { toml_flags(&text, &args[1]) };
    let mut whole = args;
    whole.splice(2..2, flags.map_err(wrong)?.into_iter().map(OsString::from));
    Ok(whole)
}

/// The file that the arguments name, if any.
fn named(args: &[OsString]) -> Option<OsString> {
    let mut rest = args.iter().skip(2);
    while let Some(arg) = rest.next() {
        if arg == FLAG {
            return rest.next().cloned();
        }
        let text = arg.to_string_lossy();
        if let Some(path) = text.strip_prefix(FLAG).and_then(|rest| rest.strip_prefix('=')) {
            return Some(path.into());
        }
    }
    None
}

/// The flags of the project's own form: names as on the command line, `-` or `_` in them.
fn toml_flags(text: &str, command: &OsStr) -> Result<Vec<String>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let mut flags = Vec::new();
    for (name, value) in &table {
        check(name, value, command)?;
        put(name, value, &mut flags)?;
    }
    Ok(flags)
}

/// Whether the command has such a flag, and takes more than one value of it if the file has more; if not, why.
fn check(name: &str, value: &toml::Value, command: &OsStr) -> Result<(), String> {
    let cli = Cli::command();
    // What is no command is told when the command line is read.
    let Some(command) = cli.find_subcommand(command) else { return Ok(()) };
    let long = name.replace('_', "-");
    let names = |arg: &&clap::Arg| {
        arg.get_long()
            .into_iter()
            .chain(arg.get_visible_aliases().unwrap_or_default())
            .any(|known| known == long)
    };
    let Some(flag) = command.get_arguments().find(names) else {
        return Err(format!("`{name}` is none of the flags of {}", command.get_name()));
    };
    let several = matches!(value, toml::Value::Array(_) | toml::Value::Table(_));
    if several && !matches!(flag.get_action(), clap::ArgAction::Append) {
        return Err(format!("`{name}` has one value, not several"));
    }
    Ok(())
}

/// Appends a setting as a flag.
pub fn put(name: &str, value: &toml::Value, flags: &mut Vec<String>) -> Result<(), String> {
    let flag = format!("--{}", name.replace('_', "-"));
    match value {
        toml::Value::Boolean(true) => flags.push(flag),
        toml::Value::Boolean(false) => {}
        toml::Value::String(text) => flags.push(format!("{flag}={text}")),
        toml::Value::Integer(number) => flags.push(format!("{flag}={number}")),
        toml::Value::Float(number) => flags.push(format!("{flag}={number}")),
        toml::Value::Array(values) => {
            for value in values {
                put(name, value, flags)?;
            }
        }
        toml::Value::Table(table) => {
            // Such as [topic_config]: name = value.
            for (key, value) in table {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                flags.push(format!("{flag}={key}={text}"));
            }
        }
        toml::Value::Datetime(_) => return Err(format!("`{name}` cannot be a date")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command;
    use clap::Parser;

    #[test]
    fn a_files_settings_are_flags_and_flags_count_more() {
        let path = std::env::temp_dir().join(format!("workload-{}.toml", std::process::id()));
        let text = "rate = \"20k\"\nrecord_size = 100\nidempotent = true\nreconnect = false\n[topic_config]\n\"retention.ms\" = 1000\n";
        fs::write(&path, text).expect("writes");
        let args = ["bench", "run", "--bootstrap", "h:1", "--rate", "5", "--workload"];
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.push(path.clone().into());
        let whole = workload(args).expect("expands");
        fs::remove_file(&path).expect("is there");
        let words: Vec<_> = whole.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        assert!(words.contains(&"--record-size=100".into()), "{words:?}");
        assert!(words.contains(&"--topic-config=retention.ms=1000".into()), "{words:?}");
        let Command::Run(run) = Cli::try_parse_from(whole).expect("parses").command else {
            panic!("not a run")
        };
        let shown = format!("{run:?}");
        assert!(shown.contains("rate: Records(5.0)"), "{shown}");
        assert!(shown.contains("idempotent: true") && shown.contains("reconnect: false"));
    }

    #[test]
    fn what_is_no_setting_is_refused_by_name() {
        let flags = |text: &str| toml_flags(text, OsStr::new("run"));
        for (text, reason) in [
            ("colour = \"red\"", "`colour` is none of the flags of run"),
            ("record_size = [1, 2]", "`record_size` has one value"),
            ("[rate]\nfast = 1", "`rate` has one value"),
            ("rate = \"20k", "basic string"),
            ("rate = 2026-01-01", "cannot be a date"),
        ] {
            let error = flags(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        let several = "step = [\"1k:1s\", \"2k:1s\"]\nconnections = 3";
        assert_eq!(flags(several).map(|flags| flags.len()), Ok(3));
    }
}
