//! What `server.properties` and `--override` say, checked against the table: values, notices, problems.

use std::collections::BTreeMap;

use millrace_engine::topic_config;
use millrace_engine::topic_config::value::{ConfigType, ConfigValue};

use super::definitions::{self, Definition, Status};
use super::properties::Property;
use super::suggest::nearest;
use super::{Notice, Problem};

/// One setting's value.
#[derive(Debug, Clone, PartialEq)]
struct Setting {
    value: ConfigValue,
    /// As it was written; none if it was not.
    explicit: Option<String>,
}

/// The values of all settings of the table, and what was written besides.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    table: BTreeMap<&'static str, Setting>,
    /// Names the table does not hold, with their values.
    others: BTreeMap<String, String>,
}

/// What came of reading settings.
pub(super) struct Read {
    pub(super) settings: Settings,
    pub(super) notices: Vec<Notice>,
    pub(super) problems: Vec<Problem>,
}

/// Reads `properties` in order, the later of two equal keys counts, and then `overrides`.
pub(super) fn read(properties: &[Property], overrides: &[(String, String)]) -> Read {
    let defaults = definitions::all().map(|definition| {
        let value = definition.default_value();
        (definition.name, Setting { value, explicit: None })
    });
    let settings = Settings { table: defaults.collect(), others: BTreeMap::new() };
    let mut read = Read { settings, notices: Vec::new(), problems: Vec::new() };

    let mut written: BTreeMap<&str, (&str, u32)> = BTreeMap::new();
    for property in properties {
        let new = (property.value.as_str(), property.line);
        if let Some((_, line)) = written.insert(&property.key, new) {
            let message = format!(
                "it is written on line {line} and again on line {}; the latter counts",
                property.line
            );
            read.notices.push(Notice::warning(&property.key, message));
        }
    }
    let mut values: BTreeMap<&str, &str> =
        written.into_iter().map(|(key, (value, _))| (key, value)).collect();
    values.extend(overrides.iter().map(|(key, value)| (key.as_str(), value.as_str())));

    for (key, text) in values {
        match definitions::find(key) {
            Some(definition) => read.take(definition, key, text),
            None => read.take_other(key, text),
        }
    }
    read.settings.join_broker_id();
    read
}

impl Read {
    fn take(&mut self, definition: &'static Definition, key: &str, text: &str) {
        let Ok(value) = definition.parse(text) else { return self.refuse(definition, key, text) };
        let is_default = value == definition.default_value()
            || (definition.default.is_none() && text.trim_ascii().is_empty());
        match definition.status {
            Status::Supported => {}
            Status::Ignored(why) => self
                .notices
                .push(Notice::info(key, format!("it is accepted and has no effect here: {why}"))),
            Status::Unsupported(_) | Status::Refused(_) if is_default => {}
            Status::Unsupported(why) => self.notices.push(Notice::warning(
                key,
                format!("it is a Kafka setting that millrace does not support: {why}"),
            )),
            Status::Refused(why) => {
                self.problems.push(Problem::new(key, text, format!("it cannot be set: {why}")));
                return;
            }
        }
        let setting = Setting { value, explicit: Some(text.to_owned()) };
        self.settings.table.insert(definition.name, setting);
    }

    fn refuse(&mut self, definition: &Definition, key: &str, text: &str) {
        let shown = if definition.is_sensitive() { "[hidden]" } else { text };
        let message = format!("it must be {}", definition.allowed());
        self.problems.push(Problem::new(key, shown, message));
    }

    /// A name that the table does not hold.
    fn take_other(&mut self, key: &str, text: &str) {
        self.settings.others.insert(key.to_owned(), text.to_owned());
        let outside = definitions::OUTSIDE.iter().find(|(name, _)| *name == key);
        let prefix = definitions::PREFIXES.iter().find(|(prefix, _)| key.starts_with(prefix));
        if let Some((_, why)) = outside.or(prefix) {
            let message = format!("it is a Kafka setting that millrace does not support: {why}");
            self.notices.push(Notice::warning(key, message));
        } else if let Some(base) = listener_setting(key) {
            self.take_listener_setting(key, text, base);
        } else {
            self.notices.push(Notice::warning(key, unknown(key)));
        }
    }

    /// `listener.name.<listener>.<setting>`: the setting for one listener only.
    fn take_listener_setting(&mut self, key: &str, text: &str, base: &str) {
        // Settings of one SASL mechanism carry its name in between: `scram-sha-256.sasl.jaas.config`.
        let plain = base.split_once('.').map_or("", |(_, rest)| rest);
        let Some(definition) = definitions::find(base).or_else(|| definitions::find(plain)) else {
            return self.notices.push(Notice::warning(key, unknown(base)));
        };
        if definition.parse(text).is_err() {
            return self.refuse(definition, key, text);
        }
        let message = "it is a Kafka setting that millrace does not support: settings of a \
                               single listener are not built yet";
        self.notices.push(Notice::warning(key, message));
    }
}

/// The part of `listener.name.<listener>.<setting>` that names the setting.
pub(super) fn listener_setting(key: &str) -> Option<&str> {
    let (listener, base) = key.strip_prefix("listener.name.")?.split_once('.')?;
    (!listener.is_empty() && !base.is_empty()).then_some(base)
}

/// What to say about a name that nobody knows.
fn unknown(key: &str) -> String {
    if let Some(def) = topic_config::definition(key)
        && let Some((synonym, _)) = def.synonyms.first()
    {
        return format!(
            "it is a setting of topics and has no effect here; did you mean {synonym}?"
        );
    }
    let names = definitions::all().filter(|d| !d.internal).map(|definition| definition.name);
    match nearest(key, names) {
        Some(name) => format!("it is unknown and has no effect; did you mean {name}?"),
        None => "it is unknown and has no effect".to_owned(),
    }
}

impl Settings {
    /// `broker.id` and `node.id` are two names of one number; the one written stands for both.
    fn join_broker_id(&mut self) {
        let source = if self.is_explicit("node.id") { "node.id" } else { "broker.id" };
        let other = if source == "node.id" { "broker.id" } else { "node.id" };
        if self.is_explicit(source) && !self.is_explicit(other) {
            let setting = self.table[source].clone();
            self.table.insert(other, setting);
        } else if !self.is_explicit(source) {
            let value = self.value("node.id").clone();
            self.table.insert("broker.id", Setting { value, explicit: None });
        }
    }

    /// Whether the user wrote it.
    #[must_use]
    pub fn is_explicit(&self, name: &str) -> bool {
        self.explicit(name).is_some()
    }

    /// What the user wrote, if the table holds the name.
    #[must_use]
    pub fn explicit(&self, name: &str) -> Option<&str> {
        self.table.get(name)?.explicit.as_deref()
    }

    /// Names that the table does not hold, with what was written; such values may be secret.
    pub fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        self.others.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a setting of the table.
    ///
    /// # Panics
    /// The table does not hold the name.
    #[must_use]
    pub fn value(&self, name: &str) -> &ConfigValue {
        &self.table.get(name).expect("the name of a setting of the table").value
    }

    /// The value to show; none if it is null or secret.
    #[must_use]
    pub fn shown(&self, definition: &Definition) -> Option<String> {
        match definition.config_type {
            ConfigType::Password => None,
            _ => self.value(definition.name).text(),
        }
    }

    /// A value that is not secret, as text.
    pub(super) fn shown_text(&self, name: &str) -> String {
        self.value(name).text().unwrap_or_default()
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.boolean_or_null(name).expect("a boolean setting with a default")
    }

    pub(super) fn boolean_or_null(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            ConfigValue::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn integer(&self, name: &str) -> i64 {
        self.value(name).integer().expect("an integer setting with a default")
    }

    /// The value as a number that cannot be negative; 0 if it is.
    pub(super) fn count(&self, name: &str) -> u64 {
        u64::try_from(self.integer(name)).unwrap_or(0)
    }

    /// As [`Settings::count`], of an int or short setting.
    pub(super) fn small_count(&self, name: &str) -> u32 {
        u32::try_from(self.count(name)).unwrap_or(u32::MAX)
    }

    /// The value, or none where a negative one says "no limit" or "not set".
    pub(super) fn limit(&self, name: &str) -> Option<u64> {
        u64::try_from(self.value(name).integer()?).ok()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            ConfigValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            ConfigValue::List(items) => items,
            _ => &[],
        }
    }
}
