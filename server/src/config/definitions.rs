//! One table of every broker setting of Apache Kafka 4.3, and millrace's own: name, type, default,
//! validator, and what this broker does with it.
//!
//! Names, types, defaults and validators are Kafka's (checked against `kafka-4.3.1.tsv`, which is
//! printed from Kafka's own `AbstractKafkaConfig.CONFIG_DEF`) but for [`DIFFERENCES`].

use millrace_engine::topic_config::value::{
    self, ConfigType, ConfigValue, ConfigValueError, Validator,
};

use Importance::{High, Low, Medium};
use Validator::{
    Any, AtLeast, Between, Distinct, Each, GzipLevel, NoEmptyItem, NonEmpty, NonNull, OneOf,
    OneOfIgnoreCase, UpTo,
};

/// How much a setting matters, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Look at it first.
    High,
    /// Look at it when tuning.
    Medium,
    /// Hardly ever looked at.
    Low,
}

/// What this broker does with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It acts on it.
    Supported,
    /// It accepts any valid value; the work the setting tunes does not exist here, for this reason.
    Ignored(&'static str),
    /// It accepts any valid value and warns: what the setting asks for is not done, for this reason.
    Unsupported(&'static str),
    /// It does not start with a value other than the default: to go on without what the setting asks
    /// for would be unsafe, for this reason.
    Refused(&'static str),
}

/// One broker setting: everything about it but its value.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The name, such as `log.segment.bytes`.
    pub name: &'static str,
    /// The type.
    pub config_type: ConfigType,
    /// The default as text; none is null.
    pub default: Option<&'static str>,
    /// What a value must satisfy beyond its type.
    pub validator: Validator,
    /// How much it matters.
    pub importance: Importance,
    /// What this broker does with it.
    pub status: Status,
    /// For Kafka's own tests: accepted, but neither shown nor documented.
    pub internal: bool,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

impl Definition {
    /// Whether values are never shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.config_type == ConfigType::Password
    }

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

    /// What a value may be, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        let list = |texts: &[&str]| texts.join(", ");
        let kind = match self.config_type {
            ConfigType::Boolean => return "true or false".to_owned(),
            ConfigType::Int => "a 32-bit integer",
            ConfigType::Short => "a 16-bit integer",
            ConfigType::Long => "a 64-bit integer",
            ConfigType::Double => "a number",
            ConfigType::String => "a text",
            ConfigType::List => "texts separated by commas",
            ConfigType::Class => "the name of a Java class",
            ConfigType::Password => "a secret text",
        };
        match self.validator {
            Any | Distinct | NonNull => kind.to_owned(),
            AtLeast(min) => format!("{kind} of at least {min}"),
            Between(min, max) => format!("{kind} from {min} to {max}"),
            UpTo(max) => format!("{kind} from 0 to {max}"),
            OneOf(texts) => format!("one of {}", list(texts)),
            OneOfIgnoreCase(texts) => format!("one of {}, in any case", list(texts)),
            Each(texts) => format!("any of {}, separated by commas", list(texts)),
            NoEmptyItem => format!("{kind}, none of them empty"),
            NonEmpty => format!("{kind} that is not empty"),
            GzipLevel => "-1 or an integer from 1 to 9".to_owned(),
            Validator::ThrottledReplicas => format!("* or {}", self.validator),
        }
    }
}

macro_rules! definitions {
    ($(
        $name:literal $config_type:ident $default:tt [$validator:expr] $importance:ident
        $status:ident $($why:ident)* $doc:literal;
    )+) => {
        pub(super) const ROWS: &[Definition] = &[$(Definition {
            name: $name,
            config_type: ConfigType::$config_type,
            default: definitions!(@default $default),
            validator: $validator,
            importance: $importance,
            status: definitions!(@status $status $($why)*),
            internal: definitions!(@internal $($why)*),
            doc: $doc,
        }),+];
    };
    (@default null) => { None };
    (@default $default:literal) => { Some($default) };
    (@status supported $(internal)?) => { Status::Supported };
    (@status ignored $why:ident $($internal:ident)?) => { Status::Ignored($why) };
    (@status unsupported $why:ident $($internal:ident)?) => { Status::Unsupported($why) };
    (@status refused $why:ident) => { Status::Refused($why) };
    (@internal) => { false };
    (@internal internal) => { true };
    (@internal $why:ident) => { false };
    (@internal $why:ident internal) => { true };
}

mod broker;
mod groups;
mod kraft;
mod log;
mod millrace;
mod network;
mod remote;
mod replication;
mod security;
mod share;
mod transactions;

const ACL: &str = "access control is not built yet";
const ALONE: &str = "a single broker talks to no other broker";
const CLASSES: &str = "no Java classes are loaded";
const CORDONED: &str = "log directories are not cordoned yet";
const CLEANER: &str = "compaction runs on the shard that owns the partition and sizes itself";
const FLUSH: &str = "an acknowledgement is already a flush, see `millrace.durability`";
const GROUP_NEW: &str = "groups use the classic protocol; KIP-848 is not built yet";
const IN_FLIGHT: &str = "requests in flight are bounded by bytes, see `queued.max.request.bytes`";
const JOURNAL: &str = "each shard's commit journal makes such checkpoints needless";
const LOCAL: &str = "the controller is in the same process and knows at once";
const LOAD: &str = "read and write buffers come from `millrace.memory.bytes`";
const METADATA_DIR: &str = "the metadata log is kept in the first of `log.dirs`";
const METRICS: &str = "metrics are not kept as Kafka's Java metrics";
const OAUTH: &str = "OAUTHBEARER is not built yet";
const OFFSETS_CODEC: &str = "the offsets topic is stored uncompressed";
const MOVES: &str = "partitions are not moved between log directories yet";
const PROVIDERS: &str =
    "configuration providers are not built, so `${...}` references would be taken literally";
const PURGATORY: &str = "waiting requests leave their queue as soon as they are answered";
const QUOTAS: &str = "client quotas are not built yet";
const QUORUM: &str = "the only node is its own controller and runs no quorum protocol";
const SASL: &str = "SASL listeners are not built yet";
const SHARE: &str = "share groups (KIP-932) are not built yet";
const STREAMS: &str = "streams groups (KIP-1071) are not built yet";
const TELEMETRY: &str = "client metrics (KIP-714) are not accepted";
const TESTS: &str = "it serves Kafka's own tests";
const THREADS: &str = "one thread per shard does all the work, see `millrace.shards`";
const TIERED: &str = "tiered storage is not built";
const TLS: &str = "TLS listeners are not built yet";
const TOKENS: &str = "delegation tokens are not built yet";
const TURN: &str = "writes of one turn of the shard are gathered by themselves";
const TXN: &str = "transactions are not built yet";
const UNSTABLE: &str = "nothing unstable is offered";

/// The table by area, each with its title.
pub const AREAS: &[(&str, &[Definition])] = &[
    ("millrace's own", millrace::ROWS),
    ("Broker, topics and limits", broker::ROWS),
    ("Listeners and connections", network::ROWS),
    ("Logs", log::ROWS),
    ("Consumer groups and offsets", groups::ROWS),
    ("Controller and metadata", kraft::ROWS),
    ("Replication and quotas", replication::ROWS),
    ("Transactions", transactions::ROWS),
    ("Security", security::ROWS),
    ("Share groups", share::ROWS),
    ("Tiered storage", remote::ROWS),
];

/// A setting that differs from Kafka on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// The setting.
    pub name: &'static str,
    /// Kafka's default, if ours is another; none where Kafka demands a value.
    pub kafka_default: Option<Option<&'static str>>,
    /// What is different and why.
    pub why: &'static str,
}

/// Every deliberate difference from Kafka.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "process.roles",
        kafka_default: Some(None),
        why: "The embedded single node needs no configuration.",
    },
    Difference {
        name: "node.id",
        kafka_default: Some(None),
        why: "The embedded single node needs no configuration.",
    },
    Difference {
        name: "controller.listener.names",
        kafka_default: Some(None),
        why: "A single node opens no controller listener.",
    },
    Difference {
        name: "listeners",
        kafka_default: Some(Some("PLAINTEXT://:9092")),
        why: "Without being told, an unauthenticated broker is reachable from its own machine only.",
    },
    Difference {
        name: "log.dir",
        kafka_default: Some(Some("/tmp/kafka-logs")),
        why: "Data does not belong where a restart of the machine removes it.",
    },
    Difference {
        name: "offsets.topic.replication.factor",
        kafka_default: None,
        why: "The default of 3 and every higher number count as \"at most as many as there are brokers\"; Kafka does not create the topic then.",
    },
    Difference {
        name: "authorizer.class.name",
        kafka_default: None,
        why: "A class name is refused, for without it every client may do everything.",
    },
    Difference {
        name: "config.providers",
        kafka_default: None,
        why: "Providers are refused, for references to them would be taken literally.",
    },
];

/// Settings that Kafka's table does not hold but its files do, each with what to say about it.
pub const OUTSIDE: &[(&str, &str)] = &[
    ("super.users", ACL),
    ("allow.everyone.if.no.acl.found", ACL),
    ("metrics.jmx.include", METRICS),
    ("metrics.jmx.exclude", METRICS),
    ("advertised.host.name", "it left Kafka in 3.0, use `advertised.listeners`"),
    ("advertised.port", "it left Kafka in 3.0, use `advertised.listeners`"),
    ("host.name", "it left Kafka in 3.0, use `listeners`"),
    ("port", "it left Kafka in 3.0, use `listeners`"),
    ("broker.id.generation.enable", REMOVED),
    ("control.plane.listener.name", REMOVED),
    ("controlled.shutdown.max.retries", REMOVED),
    ("controlled.shutdown.retry.backoff.ms", REMOVED),
    ("delegation.token.master.key", REMOVED),
    ("eligible.leader.replicas.enable", REMOVED),
    ("group.coordinator.new.enable", REMOVED),
    ("inter.broker.protocol.version", REMOVED),
    ("log.message.downconversion.enable", REMOVED),
    ("log.message.format.version", REMOVED),
    ("log.message.timestamp.difference.max.ms", REMOVED),
    ("offsets.commit.required.acks", REMOVED),
    ("password.encoder.cipher.algorithm", REMOVED),
    ("password.encoder.iterations", REMOVED),
    ("password.encoder.key.length", REMOVED),
    ("password.encoder.keyfactory.algorithm", REMOVED),
    ("password.encoder.old.secret", REMOVED),
    ("password.encoder.secret", REMOVED),
    ("reserved.broker.max.id", REMOVED),
    ("zookeeper.clientCnxnSocket", REMOVED),
    ("zookeeper.connect", REMOVED),
    ("zookeeper.connection.timeout.ms", REMOVED),
    ("zookeeper.max.in.flight.requests", REMOVED),
    ("zookeeper.metadata.migration.enable", REMOVED),
    ("zookeeper.session.timeout.ms", REMOVED),
    ("zookeeper.set.acl", REMOVED),
];
const REMOVED: &str = "it left Kafka in 4.0";

/// Beginnings of names whose rest is free, each with what to say about it.
pub const PREFIXES: &[(&str, &str)] = &[
    ("config.providers.", PROVIDERS),
    ("confluent.", "it belongs to Confluent's distribution"),
    ("rlmm.config.", TIERED),
    ("rsm.config.", TIERED),
    ("zookeeper.ssl.", REMOVED),
];

/// Every setting, area by area.
pub fn all() -> impl Iterator<Item = &'static Definition> {
    AREAS.iter().flat_map(|(_, rows)| rows.iter())
}

/// The setting `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Definition> {
    all().find(|definition| definition.name == name)
}
