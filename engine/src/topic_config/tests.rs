//! Tables of what Apache Kafka 4.3.1's own `LogConfig.validate` accepts and says, and of defaults.

use super::*;

fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parsed(name: &str, text: &str) -> Result<String, String> {
    TopicConfig::parse(&overrides(&[(name, text)]), &TopicConfig::default())
        .map(|config| config.get(name).and_then(|value| value.text()).unwrap_or_default())
        .map_err(|error| error.to_string())
}

#[test]
fn values_kafka_accepts() {
    for (name, text, shown) in [
        ("cleanup.policy", "", ""),
        ("cleanup.policy", "delete", "delete"),
        ("cleanup.policy", " compact,compact ", "compact"),
        ("cleanup.policy", "delete, compact", "compact,delete"),
        ("retention.ms", "-1", "-1"),
        ("retention.ms", " 7 ", "7"),
        ("retention.ms", "+5", "5"),
        ("retention.ms", "9223372036854775807", "9223372036854775807"),
        ("retention.bytes", "-3", "-3"),
        ("max.message.bytes", "0", "0"),
        ("segment.bytes", "1048576", "1048576"),
        ("preallocate", "TRUE", "true"),
        ("preallocate", " false ", "false"),
        ("min.cleanable.dirty.ratio", "0", "0.0"),
        ("min.cleanable.dirty.ratio", ".5", "0.5"),
        ("min.cleanable.dirty.ratio", "1f", "1.0"),
        ("compression.type", "zstd", "zstd"),
        ("compression.gzip.level", "-1", "-1"),
        ("compression.zstd.level", "-131072", "-131072"),
        ("message.timestamp.type", "LogAppendTime", "LogAppendTime"),
        ("leader.replication.throttled.replicas", "*", "*"),
        ("leader.replication.throttled.replicas", "0:1, 2:3", "0:1,2:3"),
        ("internal.segment.bytes", "512", "512"),
    ] {
        assert_eq!(parsed(name, text).as_deref(), Ok(shown), "{name}={text}");
    }
}

#[test]
fn values_kafka_refuses() {
    let invalid = "Invalid value";
    for (name, text, message) in [
        ("no.such.key", "1", "Unknown topic config name: no.such.key".to_owned()),
        ("retention.ms", "", format!("{invalid}  for configuration retention.ms: Not a number of type LONG")),
        ("retention.ms", "1.5", format!("{invalid} 1.5 for configuration retention.ms: Not a number of type LONG")),
        ("retention.ms", "-2", format!("{invalid} -2 for configuration retention.ms: Value must be at least -1")),
        ("retention.ms", "9223372036854775808", format!("{invalid} 9223372036854775808 for configuration retention.ms: Not a number of type LONG")),
        ("max.message.bytes", "2147483648", format!("{invalid} 2147483648 for configuration max.message.bytes: Not a number of type INT")),
        ("segment.bytes", "1048575", format!("{invalid} 1048575 for configuration segment.bytes: Value must be at least 1048576")),
        ("preallocate", "yes", format!("{invalid} yes for configuration preallocate: Expected value to be either true or false")),
        ("min.cleanable.dirty.ratio", "1e3", format!("{invalid} 1000.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1")),
        ("min.cleanable.dirty.ratio", "9223372036854775808", format!("{invalid} 9.223372036854776E18 for configuration min.cleanable.dirty.ratio: Value must be no more than 1")),
        ("min.cleanable.dirty.ratio", "0x10", format!("{invalid} 0x10 for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE")),
        ("compression.type", "ZSTD", format!("{invalid} ZSTD for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer")),
        ("compression.gzip.level", "17", format!("{invalid} 17 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1")),
        ("compression.lz4.level", "18", format!("{invalid} 18 for configuration compression.lz4.level: Value must be no more than 17")),
        ("cleanup.policy", "Compact", format!("{invalid} Compact for configuration cleanup.policy: String must be one of: compact, delete")),
        ("cleanup.policy", "compact,,delete", "Configuration 'cleanup.policy' values must not be empty.".to_owned()),
        ("message.timestamp.type", "createtime", format!("{invalid} createtime for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime")),
        ("leader.replication.throttled.replicas", "0:1,x", format!("{invalid} [0:1, x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...")),
        ("remote.storage.enable", "true", "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.".to_owned()),
    ] {
        assert_eq!(parsed(name, text), Err(message), "{name}={text}");
    }
    // Kafka takes NaN, which passes every bound; here it is not a number, as its name says.
    assert!(parsed("min.cleanable.dirty.ratio", "NaN").is_err());
    let lags = overrides(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")]);
    let error = TopicConfig::parse(&lags, &TopicConfig::default()).map_err(|e| e.to_string());
    let message =
        "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)";
    assert_eq!(error, Err(message.to_owned()));
}

#[test]
fn the_table_is_whole() {
    let config = TopicConfig::default();
    for def in DEFINITIONS {
        let value = config.get(def.name).and_then(|value| value.text());
        assert_eq!(value, def.default_value().text(), "{}", def.name);
        assert!(def.doc.ends_with('.'), "{}", def.name);
    }
    assert!(DEFINITIONS.is_sorted_by_key(|def| def.name));
    assert_eq!(config.entries().count(), DEFINITIONS.len() - 1, "all but internal.segment.bytes");
    assert_eq!(config.get("no.such.key"), None);
}

#[test]
fn overrides_lie_over_the_brokers_defaults() {
    let broker = |name: &str| match name {
        "log.retention.hours" => ConfigValue::Int(24),
        "log.retention.minutes" => ConfigValue::Int(5),
        "log.roll.hours" => ConfigValue::Int(2),
        "log.roll.jitter.hours" => ConfigValue::Int(-1),
        "message.max.bytes" => ConfigValue::Int(77),
        _ => ConfigValue::Null,
    };
    let errors = TopicConfig::from_broker(broker).map_err(|errors| errors[0].to_string());
    let message =
        "Invalid value -1 for configuration log.roll.jitter.hours: Value must be at least 0";
    assert_eq!(errors, Err(message.to_owned()));

    let broker = |name: &str| {
        if name == "log.roll.jitter.hours" { ConfigValue::Int(0) } else { broker(name) }
    };
    let defaults = TopicConfig::from_broker(broker).expect("all values are allowed");
    assert_eq!(defaults.retention_ms, 300_000, "minutes win over hours");
    assert_eq!(defaults.segment_ms, 7_200_000);
    let config =
        TopicConfig::parse(&overrides(&[("retention.ms", "9")]), &defaults).expect("valid");
    assert_eq!((config.retention_ms, config.max_message_bytes), (9, 77));
    assert_eq!(config.segment_bytes_max(), 1_073_741_824);
    let tiny = TopicConfig::parse(&overrides(&[("internal.segment.bytes", "9")]), &defaults);
    assert_eq!(tiny.map(|config| config.segment_bytes_max()), Ok(9));
}
