//! The settings of a topic: what the engine acts on, and the table of names, types, defaults and
//! validators (names and defaults of Apache Kafka 4.3).
//!
//! A [`TopicConfig`] is immutable once made: share it by `Arc`. A topic's overrides are parsed over
//! the broker's own [`TopicConfig`], which the server makes from `server.properties`.

use std::collections::BTreeMap;

pub mod value;

use value::{ConfigType, ConfigValue, ConfigValueError, Validator};

/// How a broker setting turns into the default of a topic setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynonymUnit {
    /// The same value.
    Same,
    /// The broker setting counts minutes, the topic setting milliseconds.
    Minutes,
    /// The broker setting counts hours, the topic setting milliseconds.
    Hours,
}

impl SynonymUnit {
    /// The broker's value in the topic's unit; a negative time means "no limit" and becomes -1.
    #[must_use]
    pub fn convert(self, value: ConfigValue) -> ConfigValue {
        let unit_ms = match self {
            Self::Same => return value,
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
        };
        match value.integer() {
            Some(count) if count < 0 => ConfigValue::Long(-1),
            Some(count) => ConfigValue::Long(count.saturating_mul(unit_ms)),
            None => value,
        }
    }
}

/// One topic setting: everything about it but its value.
#[derive(Debug, Clone, Copy)]
pub struct TopicConfigDef {
    /// The name, such as `retention.ms`.
    pub name: &'static str,
    /// The type.
    pub config_type: ConfigType,
    /// The default as text; none is null.
    pub default: Option<&'static str>,
    /// What a value must satisfy.
    pub validator: Validator,
    /// Broker settings that give the default, the first that is set wins.
    pub synonyms: &'static [(&'static str, SynonymUnit)],
    /// Accepted, but neither shown nor documented.
    pub internal: bool,
    /// Why the engine does not act on it, if it does not.
    pub no_effect: Option<&'static str>,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

/// Why overrides do not make a [`TopicConfig`]. The messages are Kafka's; the wire error is
/// `INVALID_CONFIG` for all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicConfigError {
    /// No topic setting has this name.
    #[error("Unknown topic config name: {name}")]
    Unknown {
        /// The name given.
        name: String,
    },
    /// A value is not allowed.
    #[error(transparent)]
    Value(#[from] ConfigValueError),
    /// The two compaction lags contradict each other.
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min_ms}) > max.compaction.lag.ms ({max_ms})"
    )]
    CompactionLags {
        /// The lower bound, in milliseconds.
        min_ms: i64,
        /// The upper bound, in milliseconds.
        max_ms: i64,
    },
    /// Tiered storage is asked for, which is not built.
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    TieredStorage,
}

/// What happens to old records (`cleanup.policy`); with neither, nothing is ever removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Old records of a key give way to its latest.
    pub compact: bool,
    /// Old segments are deleted by age and size.
    pub delete: bool,
}

/// Whose clock stamps records (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, when the batch is appended.
    LogAppendTime,
}

/// How batches are stored (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCompression {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// A field's type: how it comes from and goes to a [`ConfigValue`].
trait Setting: Sized {
    fn from_value(value: &ConfigValue) -> Option<Self>;
    fn to_value(&self) -> ConfigValue;
}

macro_rules! plain_setting {
    ($($type:ty => $variant:ident),+ $(,)?) => {$(
        impl Setting for $type {
            fn from_value(value: &ConfigValue) -> Option<Self> {
                match value {
                    ConfigValue::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }
            fn to_value(&self) -> ConfigValue {
                ConfigValue::$variant(self.clone())
            }
        }
    )+};
}
plain_setting! { bool => Boolean, i32 => Int, i64 => Long, f64 => Double, Vec<String> => List }

macro_rules! named_setting {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl Setting for $type {
            fn from_value(value: &ConfigValue) -> Option<Self> {
                match value {
                    ConfigValue::Text(text) => match text.as_str() {
                        $($name => Some(Self::$variant),)+
                        _ => None,
                    },
                    _ => None,
                }
            }
            fn to_value(&self) -> ConfigValue {
                ConfigValue::Text(match self { $(Self::$variant => $name,)+ }.to_owned())
            }
        }
        impl $type {
            /// Every name Kafka takes here, in Kafka's order.
            pub const NAMES: &[&str] = &[$($name),+];
        }
    };
}
named_setting! { MessageTimestampType { CreateTime = "CreateTime", LogAppendTime = "LogAppendTime" } }
named_setting! { TopicCompression {
    Uncompressed = "uncompressed", Zstd = "zstd", Lz4 = "lz4", Snappy = "snappy", Gzip = "gzip",
    Producer = "producer",
} }

impl Setting for Option<i32> {
    fn from_value(value: &ConfigValue) -> Option<Self> {
        if *value == ConfigValue::Null { Some(None) } else { i32::from_value(value).map(Some) }
    }
    fn to_value(&self) -> ConfigValue {
        self.map_or(ConfigValue::Null, ConfigValue::Int)
    }
}

impl Setting for CleanupPolicy {
    fn from_value(value: &ConfigValue) -> Option<Self> {
        let ConfigValue::List(items) = value else { return None };
        let has = |name: &str| items.iter().any(|item| item == name);
        Some(Self { compact: has("compact"), delete: has("delete") })
    }
    fn to_value(&self) -> ConfigValue {
        let names = [(self.compact, "compact"), (self.delete, "delete")];
        ConfigValue::List(names.iter().filter(|n| n.0).map(|n| n.1.to_owned()).collect())
    }
}

macro_rules! topic_settings {
    ($(
        $field:ident: $type:ty = $name:literal $config_type:ident $default:tt
        [$validator:expr] [$($synonym:literal $unit:ident),*] $($mark:ident)? $(($why:expr))?
        $doc:literal;
    )+) => {
        /// A topic's settings, all with a value. Times are in milliseconds, sizes in bytes.
        #[derive(Debug, Clone, PartialEq)]
        pub struct TopicConfig {$(
            #[doc = concat!("`", $name, "`: ", $doc)]
            pub $field: $type,
        )+}

        /// Every topic setting, in Kafka's alphabetical order.
        pub const DEFINITIONS: &[TopicConfigDef] = &[$(TopicConfigDef {
            name: $name,
            config_type: ConfigType::$config_type,
            default: topic_settings!(@default $default),
            validator: $validator,
            synonyms: &[$(($synonym, SynonymUnit::$unit)),*],
            internal: topic_settings!(@internal $($mark)?),
            no_effect: topic_settings!(@why $(($why))?),
            doc: $doc,
        }),+];

        impl Default for TopicConfig {
            fn default() -> Self {
                Self {$($field: default_of($name),)+}
            }
        }

        impl TopicConfig {
            /// The value of the setting `name`; none if there is no such setting.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<ConfigValue> {
                match name {
                    $($name => Some(Setting::to_value(&self.$field)),)+
                    _ => None,
                }
            }

            /// Takes `value`, whose type is right by its definition.
            fn set(&mut self, name: &str, value: &ConfigValue) {
                match name {
                    $($name => if let Some(value) = Setting::from_value(value) {
                        self.$field = value;
                    },)+
                    _ => {}
                }
            }
        }
    };
    (@default null) => { None };
    (@default $default:literal) => { Some($default) };
    (@internal) => { false };
    (@internal internal) => { true };
    (@why) => { None };
    (@why ($why:expr)) => { Some($why) };
}

const TIERED: &str = "tiered storage is not built";
const REPLICAS: &str = "a single broker does not replicate";
const ACKED_IS_FLUSHED: &str = "an acknowledgement is already a flush, see `millrace.durability`";

topic_settings! {
    cleanup_policy: CleanupPolicy = "cleanup.policy" List "delete"
        [Validator::Each(&["compact", "delete"])] ["log.cleanup.policy" Same]
        "What happens to old records: `delete` drops old segments, `compact` keeps the latest record of each key, both do both, an empty list keeps everything.";
    compression_gzip_level: i32 = "compression.gzip.level" Int "-1"
        [Validator::GzipLevel] ["compression.gzip.level" Same]
        "How hard gzip works when `compression.type` is `gzip`.";
    compression_lz4_level: i32 = "compression.lz4.level" Int "9"
        [Validator::Between(1, 17)] ["compression.lz4.level" Same]
        "How hard LZ4 works when `compression.type` is `lz4`.";
    compression_type: TopicCompression = "compression.type" String "producer"
        [Validator::OneOf(TopicCompression::NAMES)] ["compression.type" Same]
        "How batches are stored: `producer` keeps what the producer sent.";
    compression_zstd_level: i32 = "compression.zstd.level" Int "3"
        [Validator::Between(-131_072, 22)] ["compression.zstd.level" Same]
        "How hard Zstandard works when `compression.type` is `zstd`.";
    delete_retention_ms: i64 = "delete.retention.ms" Long "86400000"
        [Validator::AtLeast(0)] ["log.cleaner.delete.retention.ms" Same]
        "How long a compacted topic keeps a deletion marker, so that slow readers still see it.";
    file_delete_delay_ms: i64 = "file.delete.delay.ms" Long "60000"
        [Validator::AtLeast(0)] ["log.segment.delete.delay.ms" Same]
        "How long a removed segment's file stays on disk after it has been renamed.";
    flush_messages: i64 = "flush.messages" Long "9223372036854775807"
        [Validator::AtLeast(1)] ["log.flush.interval.messages" Same] (ACKED_IS_FLUSHED)
        "After how many records Kafka forces a flush.";
    flush_ms: i64 = "flush.ms" Long "9223372036854775807"
        [Validator::AtLeast(0)] ["log.flush.interval.ms" Same, "log.flush.scheduler.interval.ms" Same]
        (ACKED_IS_FLUSHED)
        "After how long Kafka forces a flush.";
    follower_replication_throttled_replicas: Vec<String> =
        "follower.replication.throttled.replicas" List ""
        [Validator::ThrottledReplicas] [] (REPLICAS)
        "Replicas whose fetching is throttled, as `partition:broker` pairs or `*`.";
    index_interval_bytes: i32 = "index.interval.bytes" Int "4096"
        [Validator::AtLeast(0)] ["log.index.interval.bytes" Same]
        "At most how many bytes of batches lie between two entries of the offset index.";
    internal_segment_bytes: Option<i32> = "internal.segment.bytes" Int null
        [Validator::AtLeast(1)] [] internal
        "A segment size below the lower bound of `segment.bytes`, for tests.";
    leader_replication_throttled_replicas: Vec<String> =
        "leader.replication.throttled.replicas" List ""
        [Validator::ThrottledReplicas] [] (REPLICAS)
        "Replicas whose serving is throttled, as `partition:broker` pairs or `*`.";
    local_retention_bytes: i64 = "local.retention.bytes" Long "-2"
        [Validator::AtLeast(-2)] ["log.local.retention.bytes" Same] (TIERED)
        "With tiered storage, how many bytes stay on local disk; -2 takes `retention.bytes`.";
    local_retention_ms: i64 = "local.retention.ms" Long "-2"
        [Validator::AtLeast(-2)] ["log.local.retention.ms" Same] (TIERED)
        "With tiered storage, how long segments stay on local disk; -2 takes `retention.ms`.";
    max_compaction_lag_ms: i64 = "max.compaction.lag.ms" Long "9223372036854775807"
        [Validator::AtLeast(1)] ["log.cleaner.max.compaction.lag.ms" Same]
        "After how long a record becomes due for compaction at the latest.";
    max_message_bytes: i32 = "max.message.bytes" Int "1048588"
        [Validator::AtLeast(0)] ["message.max.bytes" Same]
        "The largest record batch accepted, after compression.";
    message_timestamp_after_max_ms: i64 = "message.timestamp.after.max.ms" Long "3600000"
        [Validator::AtLeast(0)] ["log.message.timestamp.after.max.ms" Same]
        "How far a record's timestamp may lie ahead of the broker's clock; not used with `LogAppendTime`.";
    message_timestamp_before_max_ms: i64 = "message.timestamp.before.max.ms" Long "9223372036854775807"
        [Validator::AtLeast(0)] ["log.message.timestamp.before.max.ms" Same]
        "How far a record's timestamp may lie behind the broker's clock; not used with `LogAppendTime`.";
    message_timestamp_type: MessageTimestampType = "message.timestamp.type" String "CreateTime"
        [Validator::OneOf(MessageTimestampType::NAMES)] ["log.message.timestamp.type" Same]
        "Whose clock stamps records: the producer's or, at the append, the broker's.";
    min_cleanable_dirty_ratio: f64 = "min.cleanable.dirty.ratio" Double "0.5"
        [Validator::Between(0, 1)] ["log.cleaner.min.cleanable.ratio" Same]
        "What share of a log must be uncompacted before compaction rewrites it.";
    min_compaction_lag_ms: i64 = "min.compaction.lag.ms" Long "0"
        [Validator::AtLeast(0)] ["log.cleaner.min.compaction.lag.ms" Same]
        "How long a record is safe from compaction.";
    min_insync_replicas: i32 = "min.insync.replicas" Int "1"
        [Validator::AtLeast(1)] ["min.insync.replicas" Same]
        "How many replicas must be in sync for a write with `acks=all`.";
    preallocate: bool = "preallocate" Boolean "false"
        [Validator::Any] ["log.preallocate" Same]
        "Whether a new segment file takes its full size at once.";
    remote_log_copy_disable: bool = "remote.log.copy.disable" Boolean "false"
        [Validator::Any] [] (TIERED)
        "With tiered storage, whether copying to the remote tier stops.";
    remote_log_delete_on_disable: bool = "remote.log.delete.on.disable" Boolean "false"
        [Validator::Any] [] (TIERED)
        "With tiered storage, whether remote data goes when the topic leaves the tier.";
    remote_storage_enable: bool = "remote.storage.enable" Boolean "false"
        [Validator::Any] [] (TIERED)
        "Whether the topic uses tiered storage; `true` is refused.";
    retention_bytes: i64 = "retention.bytes" Long "-1"
        [Validator::Any] ["log.retention.bytes" Same]
        "How large a partition may grow before its oldest segments are deleted; -1 is no limit.";
    retention_ms: i64 = "retention.ms" Long "604800000"
        [Validator::AtLeast(-1)]
        ["log.retention.ms" Same, "log.retention.minutes" Minutes, "log.retention.hours" Hours]
        "How long records are kept before their segment is deleted; -1 is no limit.";
    segment_bytes: i32 = "segment.bytes" Int "1073741824"
        [Validator::AtLeast(1_048_576)] ["log.segment.bytes" Same]
        "The size at which a segment is closed and the next one begun.";
    segment_index_bytes: i32 = "segment.index.bytes" Int "10485760"
        [Validator::AtLeast(4)] ["log.index.size.max.bytes" Same]
        "The largest size of a segment's offset index; a full index closes the segment.";
    segment_jitter_ms: i64 = "segment.jitter.ms" Long "0"
        [Validator::AtLeast(0)] ["log.roll.jitter.ms" Same, "log.roll.jitter.hours" Hours]
        "By how much at most `segment.ms` is shortened at random, so that segments do not all roll at once.";
    segment_ms: i64 = "segment.ms" Long "604800000"
        [Validator::AtLeast(1)] ["log.roll.ms" Same, "log.roll.hours" Hours]
        "After how long a segment is closed although it is not full.";
    unclean_leader_election_enable: bool = "unclean.leader.election.enable" Boolean "false"
        [Validator::Any] ["unclean.leader.election.enable" Same] (REPLICAS)
        "Whether a replica that is not in sync may become leader when no other is left.";
}

/// The value of a definition's default.
fn default_of<T: Setting>(name: &str) -> T {
    let value = definition(name).map_or(ConfigValue::Null, TopicConfigDef::default_value);
    T::from_value(&value).expect("a field has the type of its definition")
}

/// The definition of the topic setting `name`.
#[must_use]
pub fn definition(name: &str) -> Option<&'static TopicConfigDef> {
    DEFINITIONS.iter().find(|def| def.name == name)
}

impl TopicConfigDef {
    /// Parses a value of this setting.
    ///
    /// # Errors
    /// The text is not a value of this setting.
    pub fn parse(&self, text: &str) -> Result<ConfigValue, ConfigValueError> {
        value::parse(self.name, text, self.config_type, self.validator)
    }

    /// The default as a value.
    #[must_use]
    pub fn default_value(&self) -> ConfigValue {
        let Some(text) = self.default else { return ConfigValue::Null };
        self.parse(text).expect("the table's defaults are valid")
    }
}

impl TopicConfig {
    /// A topic's settings: `overrides` as the topic was created or altered with, over `defaults`,
    /// the broker's.
    ///
    /// # Errors
    /// The first override that has no such name or a value not allowed, or that contradicts another.
    pub fn parse(
        overrides: &BTreeMap<String, String>,
        defaults: &Self,
    ) -> Result<Self, TopicConfigError> {
        let mut config = defaults.clone();
        for (name, text) in overrides {
            let def =
                definition(name).ok_or_else(|| TopicConfigError::Unknown { name: name.clone() })?;
            config.set(name, &def.parse(text)?);
        }
        if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
            let (min_ms, max_ms) = (config.min_compaction_lag_ms, config.max_compaction_lag_ms);
            return Err(TopicConfigError::CompactionLags { min_ms, max_ms });
        }
        if config.remote_storage_enable {
            return Err(TopicConfigError::TieredStorage);
        }
        Ok(config)
    }

    /// The broker's defaults for its topics, from the values of its own settings: of each setting's
    /// synonyms the first that is not null counts.
    ///
    /// # Errors
    /// Every broker setting whose value its topic setting does not take.
    pub fn from_broker(
        broker: impl Fn(&str) -> ConfigValue,
    ) -> Result<Self, Vec<TopicConfigError>> {
        let mut config = Self::default();
        let mut errors = Vec::new();
        for def in DEFINITIONS {
            let mut synonyms =
                def.synonyms.iter().map(|(name, unit)| (name, unit.convert(broker(name))));
            let Some((name, text)) = synonyms.find_map(|(name, value)| Some((name, value.text()?)))
            else {
                continue;
            };
            match value::parse(name, &text, def.config_type, def.validator) {
                Ok(value) => config.set(def.name, &value),
                Err(error) => errors.push(error.into()),
            }
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// Every setting with its value: what `DescribeConfigs` lists. Internal ones are left out.
    pub fn entries(&self) -> impl Iterator<Item = (&'static TopicConfigDef, ConfigValue)> + '_ {
        DEFINITIONS
            .iter()
            .filter(|def| !def.internal)
            .filter_map(|def| self.get(def.name).map(|value| (def, value)))
    }

    /// The size at which a segment is closed, in bytes.
    #[must_use]
    pub fn segment_bytes_max(&self) -> i32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }
}

#[cfg(test)]
mod tests;
