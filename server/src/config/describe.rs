//! What `DescribeConfigs` says of brokers and topics.

use std::collections::BTreeMap;

use millrace_engine::topic_config::{self, TopicConfig, TopicConfigDef, TopicConfigError};

use super::BrokerConfig;
use super::definitions::{self, Definition};

/// Where a value comes from; the numbers are those of `DescribeConfigs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own setting.
    Topic = 1,
    /// `server.properties` or `--override`.
    StaticBroker = 4,
    /// Nobody said anything.
    Default = 5,
}

impl ConfigSource {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i8 {
        self as i8
    }
}

/// A name and value that the value of an entry comes from, or would come from without the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The setting.
    pub name: String,
    /// Its value; none if it is secret.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// One setting of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The setting.
    pub name: String,
    /// Its value; none if it is null or secret.
    pub value: Option<String>,
    /// Whether clients cannot change it.
    pub read_only: bool,
    /// Whether the value is secret.
    pub sensitive: bool,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// All values it could come from, the effective one first.
    pub synonyms: Vec<ConfigSynonym>,
    /// The type's number (KIP-569); 0 is unknown.
    pub config_type: i8,
    /// What it does; none if the setting is unknown.
    pub documentation: Option<&'static str>,
}

/// Names of the same thing in different units: the first that is set wins.
const FAMILIES: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];

/// Of these, only the first name takes the others along.
const FLUSH: &[&str] = &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];

/// Every setting of this broker, in the order of their names. No setting can be changed while the
/// broker runs yet, so all are read-only.
#[must_use]
pub fn describe_broker(config: &BrokerConfig) -> Vec<ConfigEntry> {
    let settings = &config.settings;
    let known = definitions::all()
        .filter(|definition| !definition.internal || settings.is_explicit(definition.name))
        .map(|definition| {
            let synonyms = broker_synonyms(config, definition.name);
            ConfigEntry {
                name: definition.name.to_owned(),
                value: settings.shown(definition),
                read_only: true,
                sensitive: definition.is_sensitive(),
                source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
                synonyms,
                config_type: definition.config_type.number(),
                documentation: Some(definition.doc),
            }
        });
    // What nobody knows may be anything, so it is secret.
    let others = settings.others().map(|(name, _)| {
        let source = ConfigSource::StaticBroker;
        ConfigEntry {
            name: name.to_owned(),
            value: None,
            read_only: true,
            sensitive: true,
            source,
            synonyms: vec![ConfigSynonym { name: name.to_owned(), value: None, source }],
            config_type: 0,
            documentation: None,
        }
    });
    let mut entries: Vec<ConfigEntry> = known.chain(others).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// The values that a broker setting could come from. Where another name of the same thing is set but
/// not this one, Kafka lists nothing, and so does this.
fn broker_synonyms(config: &BrokerConfig, name: &str) -> Vec<ConfigSynonym> {
    let family = FAMILIES.iter().find(|family| family.contains(&name)).copied();
    let own = [name];
    let names: &[&str] = match family {
        Some(family) => family,
        None if name == FLUSH[0] => FLUSH,
        None => &own,
    };
    let synonym = |definition: &Definition, value: &str, source| {
        let value = (!definition.is_sensitive()).then(|| value.to_owned());
        ConfigSynonym { name: definition.name.to_owned(), value, source }
    };
    let known = || names.iter().filter_map(|name| definitions::find(name));
    let written = known().filter_map(|definition| {
        let text = config.settings.explicit(definition.name)?;
        Some(synonym(definition, text, ConfigSource::StaticBroker))
    });
    let defaults = known().filter_map(|definition| {
        let text = definition.default_value().text()?;
        Some(synonym(definition, &text, ConfigSource::Default))
    });
    written.chain(defaults).skip_while(|synonym| synonym.name != name).collect()
}

/// Every setting of a topic with these overrides, in the order of their names.
///
/// # Errors
/// The overrides do not make a valid topic.
pub fn describe_topic(
    config: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Result<Vec<ConfigEntry>, TopicConfigError> {
    let topic = TopicConfig::parse(overrides, &config.topic_defaults)?;
    let shown = topic_config::DEFINITIONS
        .iter()
        .filter(|def| !def.internal || overrides.contains_key(def.name));
    Ok(shown.map(|def| topic_entry(config, overrides, &topic, def)).collect())
}

fn topic_entry(
    config: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
    topic: &TopicConfig,
    def: &'static TopicConfigDef,
) -> ConfigEntry {
    // The topic's own text, parsed: a list keeps the order in which it was written.
    let own = overrides.get(def.name).and_then(|text| def.parse(text).ok()?.text());
    let value = own.clone().or_else(|| topic.get(def.name)?.text());
    let from_topic = own.map(|value| ConfigSynonym {
        name: def.name.to_owned(),
        value: Some(value),
        source: ConfigSource::Topic,
    });
    let from_broker =
        def.synonyms.first().map(|(name, _)| broker_synonyms(config, name)).unwrap_or_default();
    let synonyms: Vec<ConfigSynonym> = from_topic.into_iter().chain(from_broker).collect();
    ConfigEntry {
        name: def.name.to_owned(),
        value,
        read_only: false,
        sensitive: false,
        source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
        synonyms,
        config_type: def.config_type.number(),
        documentation: Some(def.doc),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Surroundings, document, load};
    use super::*;

    fn start(text: &str) -> BrokerConfig {
        let surroundings = Surroundings { cores: 1, host_name: None };
        load(text.as_bytes(), &[], &surroundings).expect("starts").config
    }

    fn entry<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
        entries.iter().find(|entry| entry.name == name).expect("listed")
    }

    fn synonyms(entry: &ConfigEntry) -> Vec<(&str, Option<&str>, i8)> {
        let synonyms = entry.synonyms.iter();
        synonyms.map(|s| (s.name.as_str(), s.value.as_deref(), s.source.number())).collect()
    }

    #[test]
    fn brokers_are_described() {
        let config = start(
            "num.partitions= 4\nssl.key.password=hunter2\nlog.roll.hours=2\nmy.key=hunter2\nnode.id=5\n",
        );
        let entries = describe_broker(&config);
        let partitions = entry(&entries, "num.partitions");
        assert_eq!(
            (partitions.value.as_deref(), partitions.source),
            (Some("4"), ConfigSource::StaticBroker)
        );
        assert_eq!(
            synonyms(partitions),
            [("num.partitions", Some("4"), 4), ("num.partitions", Some("1"), 5)]
        );
        assert_eq!((partitions.config_type, partitions.read_only), (3, true));
        let io = entry(&entries, "num.io.threads");
        assert_eq!(
            (io.value.as_deref(), io.source, io.documentation.is_some()),
            (Some("8"), ConfigSource::Default, true)
        );
        let password = entry(&entries, "ssl.key.password");
        assert!(password.sensitive && password.value.is_none());
        assert_eq!(synonyms(password), [("ssl.key.password", None, 4)]);
        let roll = entry(&entries, "log.roll.ms");
        assert_eq!((roll.value.as_deref(), roll.source), (None, ConfigSource::Default));
        assert_eq!(synonyms(roll), []);
        let unknown = entry(&entries, "my.key");
        assert!(unknown.sensitive && unknown.value.is_none() && unknown.config_type == 0);
        assert_eq!(entry(&entries, "broker.id").value.as_deref(), Some("5"));
        let flush = entry(&entries, "log.flush.interval.ms");
        assert_eq!(synonyms(flush), [], "as in Kafka: its own name has neither value nor default");
        assert!(
            !entries.iter().any(|entry| entry.name == "unstable.api.versions.enable"),
            "internal"
        );
        assert!(entries.is_sorted_by_key(|entry| &entry.name));
        assert!(!format!("{entries:?}").contains("hunter2"));
        assert!(!document::properties(&config).contains("hunter2"));
    }

    #[test]
    fn topics_are_described() {
        let config = start("log.segment.bytes=2097152\nlog.retention.hours=2\n");
        let overrides = BTreeMap::from([
            ("segment.bytes".to_owned(), "1048576".to_owned()),
            ("cleanup.policy".to_owned(), " delete, compact ".to_owned()),
        ]);
        let entries = describe_topic(&config, &overrides).expect("valid");
        let segment = entry(&entries, "segment.bytes");
        assert_eq!(
            (segment.value.as_deref(), segment.source),
            (Some("1048576"), ConfigSource::Topic)
        );
        assert_eq!(
            synonyms(segment),
            [
                ("segment.bytes", Some("1048576"), 1),
                ("log.segment.bytes", Some("2097152"), 4),
                ("log.segment.bytes", Some("1073741824"), 5),
            ]
        );
        assert_eq!((segment.config_type, segment.read_only, segment.sensitive), (3, false, false));
        assert_eq!(entry(&entries, "cleanup.policy").value.as_deref(), Some("delete,compact"));
        let retention = entry(&entries, "retention.ms");
        assert_eq!(retention.value.as_deref(), Some("7200000"));
        assert_eq!(
            (retention.source, synonyms(retention)),
            (ConfigSource::Default, vec![]),
            "as in Kafka"
        );
        let throttled = entry(&entries, "leader.replication.throttled.replicas");
        assert_eq!(throttled.value.as_deref(), Some(""));
        assert!(entries.is_sorted_by_key(|entry| &entry.name));
        assert_eq!(entries.len(), 33);
        let bad = BTreeMap::from([("no".to_owned(), String::new())]);
        assert!(describe_topic(&config, &bad).is_err());
    }
}
