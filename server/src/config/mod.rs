//! Configuration as Kafka's users know it: `server.properties`, `--override`, Kafka's names and defaults.
//!
//! [`load`] reads, checks and explains; nothing here logs or touches the disk but [`load_file`]. All
//! problems are reported at once, and what is merely worth saying comes back as [`Notice`]s.

use std::fmt;
use std::path::Path;

pub mod admin;
pub mod broker_config;
pub mod definitions;
pub mod describe;
pub mod document;
pub mod listeners;
pub mod properties;
pub mod settings;
mod suggest;

pub use broker_config::BrokerConfig;

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    Info,
    /// Probably not what was meant.
    Warning,
}

/// Something worth saying about a setting that does not stop the broker from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// The setting it is about.
    pub key: String,
    /// What to say about it.
    pub message: String,
}

impl Notice {
    fn info(key: &str, message: impl Into<String>) -> Self {
        Self { level: Level::Info, key: key.to_owned(), message: message.into() }
    }

    fn warning(key: &str, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, key: key.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Something wrong with a setting: the broker does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, or the file or option that could not be read.
    pub key: String,
    /// What was written; `[hidden]` for secrets.
    pub value: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Problem {
    fn new(key: &str, value: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), value: value.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}: {}", self.key, self.message)
        } else {
            write!(f, "{}={}: {}", self.key, self.value, self.message)
        }
    }
}

/// The configuration does not allow a start. `Display` shows every problem, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
    /// What else is worth saying, such as a misspelt name.
    pub notices: Vec<Notice>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration does not allow a start:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// A configuration that allows a start.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings, typed.
    pub config: BrokerConfig,
    /// What is worth saying about them, to be logged by the caller.
    pub notices: Vec<Notice>,
}

/// What the configuration takes from the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// How many cores this process may use; at least 1.
    pub cores: usize,
    /// The machine's name, if it has one.
    pub host_name: Option<String>,
}

impl Surroundings {
    /// Asks the machine.
    #[must_use]
    pub fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = name.trim();
        Self { cores, host_name: (!name.is_empty()).then(|| name.to_owned()) }
    }
}

/// Reads the file, if there is one, and loads it with the overrides (`key=value`) over it.
///
/// # Errors
/// The file cannot be read, or [`load`] fails.
pub fn load_file(
    path: Option<&Path>,
    overrides: &[String],
    surroundings: &Surroundings,
) -> Result<Loaded, ConfigErrors> {
    let Some(path) = path else { return load(&[], overrides, surroundings) };
    match std::fs::read(path) {
        Ok(bytes) => load(&bytes, overrides, surroundings),
        Err(error) => {
            let message = format!("the configuration file cannot be read: {error}");
            let problem = Problem::new(&path.display().to_string(), "", message);
            Err(ConfigErrors { problems: vec![problem], notices: Vec::new() })
        }
    }
}

/// Loads the text of a `server.properties` with the overrides (`key=value`) over it; an empty text is
/// the embedded single node.
///
/// # Errors
/// Every value that is not allowed, alone or together with others, at once.
pub fn load(
    text: &[u8],
    overrides: &[String],
    surroundings: &Surroundings,
) -> Result<Loaded, ConfigErrors> {
    let mut problems = Vec::new();
    let properties = properties::parse(text).unwrap_or_else(|error| {
        problems.push(Problem::new("server.properties", "", error.to_string()));
        Vec::new()
    });
    let mut pairs = Vec::with_capacity(overrides.len());
    for text in overrides {
        match text.split_once('=') {
            Some((key, value)) if !key.trim_ascii().is_empty() => {
                pairs.push((key.trim_ascii().to_owned(), value.to_owned()));
            }
            _ => {
                let message = format!("{text:?} is not of the form key=value");
                problems.push(Problem::new("--override", "", message));
            }
        }
    }
    let mut read = settings::read(&properties, &pairs);
    problems.append(&mut read.problems);
    let mut notices = read.notices;
    let config = BrokerConfig::build(read.settings, surroundings, &mut notices, &mut problems);
    notices.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.key.cmp(&b.key)));
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded { config, notices }),
        _ => Err(ConfigErrors { problems, notices }),
    }
}
