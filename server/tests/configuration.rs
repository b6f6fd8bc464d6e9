//! Configuration as a user meets it: Kafka's own sample, mistakes, notices, and the generated document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use millrace::config::broker_config::{Durability, RecordValidation};
use millrace::config::definitions::{self, DIFFERENCES};
use millrace::config::describe::describe_broker;
use millrace::config::{self, BrokerConfig, ConfigErrors, Level, Loaded, Surroundings, document};
use millrace_engine::topic_config::{CleanupPolicy, TopicCompression};
use proptest::prelude::*;

fn surroundings() -> Surroundings {
    Surroundings { cores: 3, host_name: Some("box".to_owned()) }
}

fn load(text: &str) -> Result<Loaded, ConfigErrors> {
    config::load(text.as_bytes(), &[], &surroundings())
}

fn start(text: &str) -> BrokerConfig {
    load(text).map_err(|errors| errors.to_string()).expect("starts").config
}

fn problems(text: &str) -> Vec<String> {
    let errors = load(text).map(|_| text.to_owned()).expect_err("does not start");
    errors.problems.iter().map(ToString::to_string).collect()
}

fn notices(text: &str, level: Level) -> Vec<String> {
    let loaded = load(text).map_err(|errors| errors.to_string()).expect("starts");
    let notices = loaded.notices.iter().filter(|notice| notice.level == level);
    notices.map(ToString::to_string).collect()
}

/// The settings of Apache Kafka's config/server.properties, without its comments.
const SAMPLE: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

#[test]
fn the_embedded_single_node() {
    let loaded = load("").expect("starts");
    assert_eq!(loaded.notices, []);
    let config = loaded.config;
    assert_eq!(
        (config.node_id, config.log_dirs.as_slice()),
        (1, &[PathBuf::from("./millrace-data")][..])
    );
    let listener = &config.listeners[..];
    assert_eq!(listener.len(), 1);
    assert_eq!(listener[0].name, "PLAINTEXT");
    assert_eq!(listener[0].bind.to_string(), "127.0.0.1:9092");
    assert_eq!(
        listener[0].advertised.as_ref().map(ToString::to_string).as_deref(),
        Some("localhost:9092")
    );
    assert!(listener[0].bind.is_loopback());
    assert_eq!((config.topics.partitions, config.topics.replication_factor), (1, 1));
    assert!(config.topics.auto_create && config.topics.delete);
    assert_eq!(config.network.request_bytes_max, 104_857_600);
    assert_eq!(config.network.queued_bytes_max, None);
    assert_eq!(config.network.idle_ms_max, Some(600_000));
    assert_eq!(config.groups.session_timeout_ms_min, 6_000);
    assert_eq!(config.groups.session_timeout_ms_max, 1_800_000);
    assert_eq!(config.groups.initial_rebalance_delay_ms, 3_000);
    assert_eq!(config.offsets.topic_partitions, 50);
    assert_eq!(config.replication_factor_for(config.offsets.topic_replication_factor, 1), 1);
    assert_eq!(config.replication_factor_for(config.offsets.topic_replication_factor, 5), 3);
    assert_eq!(config.offsets.retention_ms, 604_800_000);
    assert_eq!(config.topic_defaults.retention_ms, 604_800_000);
    assert_eq!(config.topic_defaults.segment_ms, 604_800_000);
    assert_eq!(config.topic_defaults.max_message_bytes, 1_048_588);
    assert_eq!(config.topic_defaults.flush_ms, i64::MAX);
    assert_eq!(config.topic_defaults.compression_type, TopicCompression::Producer);
    let millrace = config.millrace;
    assert_eq!((millrace.shards, millrace.pin_cores.len()), (2, 0));
    assert_eq!((millrace.memory_bytes, millrace.journal_bytes), (512 << 20, 256 << 20));
    assert_eq!(
        (millrace.durability, millrace.validation),
        (Durability::Fsync, RecordValidation::Deep)
    );
}

#[test]
fn each_log_directory_has_a_shard_at_least() {
    let loaded = load("log.dirs=/a, /b,/c\nmillrace.shards=2").expect("starts");
    assert_eq!(loaded.config.log_dirs, ["/a", "/b", "/c"].map(PathBuf::from));
    assert_eq!(loaded.config.millrace.shards, 3);
    let notices: Vec<_> = loaded.notices.iter().map(ToString::to_string).collect();
    let expected = "millrace.shards: 3 instead of 2: each log directory has shards of its own";
    assert_eq!(notices, [expected]);
    assert_eq!(start("log.dirs=/a,/b\nmillrace.shards=5").millrace.shards, 5);
    let many: Vec<_> = (0..65).map(|index| format!("/{index}")).collect();
    let error = load(&format!("log.dirs={}", many.join(","))).expect_err("is refused").to_string();
    assert!(error.contains("it names 65 directories"), "{error}");
}

#[test]
fn apache_kafkas_sample_starts_unchanged() {
    let loaded = load(SAMPLE).map_err(|errors| errors.to_string()).expect("starts");
    let config = &loaded.config;
    assert_eq!(config.log_dirs, [PathBuf::from("/tmp/kraft-combined-logs")]);
    assert_eq!(config.listeners.len(), 1, "the controller's is left out");
    let listener = &config.listeners[0];
    assert!(listener.bind.is_wildcard() && !listener.bind.is_loopback());
    assert_eq!(
        listener.advertised.as_ref().map(ToString::to_string).as_deref(),
        Some("localhost:9092")
    );
    let warned: Vec<&str> = loaded
        .notices
        .iter()
        .filter(|notice| notice.level == Level::Warning)
        .map(|notice| notice.key.as_str())
        .collect();
    assert_eq!(
        warned,
        [
            "listeners",
            "share.coordinator.state.topic.min.isr",
            "share.coordinator.state.topic.replication.factor",
            "transaction.state.log.min.isr",
            "transaction.state.log.replication.factor",
        ]
    );
    assert!(loaded.notices[0].message.starts_with("ANYBODY who reaches PLAINTEXT://:9092"));
    let silenced = format!("{SAMPLE}millrace.allow.plaintext.non.loopback=true\n");
    assert!(!notices(&silenced, Level::Warning).iter().any(|n| n.starts_with("listeners")));
    let forbidden = problems(&format!("{SAMPLE}millrace.allow.plaintext.non.loopback=false\n"));
    assert_eq!(forbidden.len(), 1);
    assert!(forbidden[0].starts_with("listeners=PLAINTEXT://:9092: other machines reach"));
}

/// What does not start, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "log.segment.bytes=abc",
        "log.segment.bytes=abc: it must be a 32-bit integer of at least 1048576",
    ),
    (
        "log.segment.bytes=1000",
        "log.segment.bytes=1000: it must be a 32-bit integer of at least 1048576",
    ),
    (
        "compression.type=ZSTD",
        "compression.type=ZSTD: it must be one of uncompressed, zstd, lz4, snappy, gzip, producer",
    ),
    ("auto.create.topics.enable=1", "auto.create.topics.enable=1: it must be true or false"),
    ("millrace.durability=never", "millrace.durability=never: it must be one of fsync, written"),
    (
        "process.roles=broker",
        "process.roles=broker: a node of a larger KRaft cluster is not built yet: only `broker,controller`, the single node that is its own controller, is allowed",
    ),
    (
        "process.roles=controller",
        "process.roles=controller: a node of a larger KRaft cluster is not built yet: only `broker,controller`, the single node that is its own controller, is allowed",
    ),
    ("node.id=2\nbroker.id=3", "broker.id=3: it must equal node.id, which is 2"),
    (
        "controller.quorum.bootstrap.servers=a:1,b:1",
        "controller.quorum.bootstrap.servers=a:1,b:1: a quorum of several controllers is not built yet: this node can only be its own, single controller",
    ),
    (
        "controller.quorum.voters=2@a:1",
        "controller.quorum.voters=2@a:1: the only voter must be this node, 1",
    ),
    (
        "controller.quorum.voters=a:1",
        "controller.quorum.voters=a:1: it is not of the form id@host:port",
    ),
    ("log.dirs=/a,/b\nmillrace.pin.cores=0", "millrace.pin.cores=0: it names 1 cores for 2 shards"),
    ("log.dirs=", "log.dirs: it must name the directory of all data"),
    ("log.retention.ms=0", "log.retention.ms=0: it must be at least 1, or -1 for no limit"),
    ("log.roll.ms=0", "log.roll.ms=0: Value must be at least 1"),
    (
        "log.cleaner.min.compaction.lag.ms=9\nlog.cleaner.max.compaction.lag.ms=8",
        "log.cleaner.min.compaction.lag.ms: conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)",
    ),
    (
        "queued.max.request.bytes=5",
        "queued.max.request.bytes=5: it must be at least socket.request.max.bytes, 104857600",
    ),
    (
        "group.min.session.timeout.ms=9\ngroup.max.session.timeout.ms=8",
        "group.min.session.timeout.ms=9: it must be at most group.max.session.timeout.ms, 8",
    ),
    (
        "max.connections.per.ip=0",
        "max.connections.per.ip=0: it can be 0 only if max.connections.per.ip.overrides lets somebody in",
    ),
    (
        "max.connections.per.ip.overrides=a:x",
        "max.connections.per.ip.overrides=a:x: it is not of the form address:number",
    ),
    (
        "authorizer.class.name=a.B",
        "authorizer.class.name=a.B: it cannot be set: access control is not built yet",
    ),
    (
        "config.providers=file",
        "config.providers=file: it cannot be set: configuration providers are not built, so `${...}` references would be taken literally",
    ),
    (
        "listeners=PLAINTEXT:/x",
        "listeners=PLAINTEXT:/x: it is not of the form NAME://host:port with a port from 0 to 65535",
    ),
    (
        "listeners=PLAINTEXT://a:65536",
        "listeners=PLAINTEXT://a:65536: it is not of the form NAME://host:port with a port from 0 to 65535",
    ),
    ("listeners=", "listeners: it must name at least one listener"),
    (
        "listeners=PLAINTEXT://localhost:1,plaintext://localhost:2",
        "listeners=plaintext://localhost:2: each listener must have a different name, PLAINTEXT is there twice",
    ),
    (
        "listeners=A://127.0.0.1:1,B://127.0.0.1:1\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT",
        "listeners=A://127.0.0.1:1,B://127.0.0.1:1: each listener must have a different port, A and B share 1",
    ),
    (
        "listeners=SSL://127.0.0.1:1",
        "listeners=SSL://127.0.0.1:1: the listener SSL has the protocol SSL, which is not built yet: only PLAINTEXT is. Remove the listener, or put a proxy that ends TLS in front of a PLAINTEXT listener on 127.0.0.1",
    ),
    (
        "listeners=INTERNAL://127.0.0.1:1",
        "listeners=INTERNAL://127.0.0.1:1: listener.security.protocol.map does not say which protocol the listener INTERNAL has; add INTERNAL:PLAINTEXT to it",
    ),
    (
        "listeners=C://127.0.0.1:1\ncontroller.listener.names=C",
        "listeners=C://127.0.0.1:1: no listener is left for clients: all of them belong to the controller",
    ),
    (
        "listener.security.protocol.map=A:TLS",
        "listener.security.protocol.map=A:TLS: it is not of the form NAME:PROTOCOL with a protocol of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
    ),
    (
        "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
        "advertised.listeners=PLAINTEXT://0.0.0.0:9092: clients cannot connect to it: name an address or a host that they reach",
    ),
    (
        "inter.broker.listener.name=X",
        "inter.broker.listener.name=X: it must be one of the listeners: PLAINTEXT",
    ),
    (
        "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
        "inter.broker.listener.name=PLAINTEXT: only one of inter.broker.listener.name and security.inter.broker.protocol may be set",
    ),
    ("millrace.shards=65", "millrace.shards=65: it must be a 32-bit integer from 1 to 64"),
    ("millrace.pin.cores=0-x", "millrace.pin.cores=0-x: it is not a core's number or a range, 0-3"),
    (
        "millrace.pin.cores=1,0-1",
        "millrace.pin.cores=1,0-1: it must name each core once, and at most 64",
    ),
    (
        "millrace.pin.cores=1,2\nmillrace.shards=3",
        "millrace.pin.cores=1,2: it names 2 cores for 3 shards",
    ),
    (
        "listener.name.plaintext.max.connections=x",
        "listener.name.plaintext.max.connections=x: it must be a 32-bit integer of at least 0",
    ),
    (
        "node.id=1\na=\\u12",
        "server.properties: line 2: \\u must be followed by four hexadecimal digits",
    ),
];

#[test]
fn what_does_not_start() {
    for (text, expected) in REFUSED {
        assert_eq!(problems(text), [*expected], "{text}");
    }
}

#[test]
fn all_mistakes_at_once() {
    let text = "num.partitions=0\nlog.dirs=\nprocess.roles=broker\nnum.partition=3\n";
    let overrides = ["nonsense".to_owned(), "=x".to_owned(), "node.id=-1".to_owned()];
    let errors = config::load(text.as_bytes(), &overrides, &surroundings()).expect_err("refused");
    let mut keys: Vec<&str> = errors.problems.iter().map(|p| p.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["--override", "--override", "log.dirs", "node.id", "num.partitions", "process.roles"]
    );
    assert_eq!(errors.notices[0].key, "num.partition", "what else is odd is shown too");
    assert_eq!(errors.to_string().lines().count(), 7);
    let missing = config::load_file(Some(Path::new("/nowhere/x")), &[], &surroundings());
    let message = missing.map(|_| ()).expect_err("no file").to_string();
    assert!(message.contains("/nowhere/x: the configuration file cannot be read"), "{message}");
}

#[test]
fn what_is_warned_about() {
    for (text, expected) in [
        (
            "num.partition=3",
            "num.partition: it is unknown and has no effect; did you mean num.partitions?",
        ),
        ("quite.another.thing=3", "quite.another.thing: it is unknown and has no effect"),
        (
            "retention.ms=3",
            "retention.ms: it is a setting of topics and has no effect here; did you mean log.retention.ms?",
        ),
        (
            "zookeeper.connect=a:1",
            "zookeeper.connect: it is a Kafka setting that millrace does not support: it left Kafka in 4.0",
        ),
        (
            "super.users=User:a",
            "super.users: it is a Kafka setting that millrace does not support: access control is not built yet",
        ),
        (
            "remote.log.storage.system.enable=true",
            "remote.log.storage.system.enable: it is a Kafka setting that millrace does not support: tiered storage is not built",
        ),
        (
            "ssl.keystore.password=x",
            "ssl.keystore.password: it is a Kafka setting that millrace does not support: TLS listeners are not built yet",
        ),
        (
            "listener.name.plaintext.max.connections=3",
            "listener.name.plaintext.max.connections: it is a Kafka setting that millrace does not support: settings of a single listener are not built yet",
        ),
        (
            "listener.name.a.scram-sha-256.sasl.jaas.config=x",
            "listener.name.a.scram-sha-256.sasl.jaas.config: it is a Kafka setting that millrace does not support: settings of a single listener are not built yet",
        ),
        (
            "listener.name.a.max.connection=3",
            "listener.name.a.max.connection: it is unknown and has no effect; did you mean max.connections?",
        ),
        (
            "num.partitions=3\nnum.partitions=4",
            "num.partitions: it is written on line 1 and again on line 2; the latter counts",
        ),
        (
            "default.replication.factor=2",
            "default.replication.factor: 2: there is one broker: topics that do not name a factor will not be created",
        ),
    ] {
        assert_eq!(notices(text, Level::Warning), [expected], "{text}");
    }
    // The value is what happens anyway, so there is nothing to warn about.
    for text in [
        "remote.log.storage.system.enable=false",
        "authorizer.class.name=",
        "ssl.client.auth=none",
        "min.insync.replicas=2",
    ] {
        assert_eq!(notices(text, Level::Warning), [""; 0], "{text}");
    }
    let infos = notices("num.io.threads=16", Level::Info);
    assert_eq!(
        infos,
        [
            "num.io.threads: it is accepted and has no effect here: one thread per shard does all the work, see `millrace.shards`"
        ]
    );
}

#[test]
fn values_reach_their_places() {
    let config = start(
        "broker.id = 7\nbroker.rack=r1\nlog.dirs=/data\nlog.dir=/other\nlog.retention.hours=1\n\
         log.retention.minutes=2\nlog.roll.ms=5\nlog.roll.hours=9\nlog.cleanup.policy=compact, delete\n\
         connections.max.idle.ms=-1\nsocket.send.buffer.bytes=-1\n\
         max.connections.per.ip.overrides=127.0.0.1:5, ::1:6\nmillrace.pin.cores=0-2, 5\n\
         millrace.durability=written\nmillrace.validate.records=headers\noffsets.retention.minutes=2\n\
         listeners=in://127.0.0.1:0, OUT://[::1]:9094\nadvertised.listeners=OUT://a.example:443\n\
         listener.security.protocol.map=IN:PLAINTEXT,out:PLAINTEXT\ninter.broker.listener.name=in\n",
    );
    assert_eq!((config.node_id, config.rack.as_deref()), (7, Some("r1")));
    assert_eq!(config.log_dirs, [PathBuf::from("/data")]);
    assert_eq!(config.topic_defaults.retention_ms, 120_000, "minutes before hours");
    assert_eq!(config.topic_defaults.segment_ms, 5, "milliseconds before hours");
    assert_eq!(config.topic_defaults.cleanup_policy, CleanupPolicy { compact: true, delete: true });
    assert_eq!((config.network.idle_ms_max, config.network.send_buffer_bytes), (None, None));
    let per_ip = [("127.0.0.1".to_owned(), 5), ("::1".to_owned(), 6)];
    assert_eq!(config.network.connections_per_ip_overrides, BTreeMap::from(per_ip));
    assert_eq!((config.millrace.shards, &config.millrace.pin_cores[..]), (4, &[0, 1, 2, 5][..]));
    assert_eq!(config.millrace.durability, Durability::Written);
    assert_eq!(config.millrace.validation, RecordValidation::Headers);
    assert_eq!(config.offsets.retention_ms, 120_000);
    let shown: Vec<String> = config
        .listeners
        .iter()
        .map(|l| {
            format!("{} {} {:?}", l.name, l.bind, l.advertised.as_ref().map(ToString::to_string))
        })
        .collect();
    assert_eq!(shown, ["IN 127.0.0.1:0 None", "OUT [::1]:9094 Some(\"a.example:443\")"]);

    let overrides = ["num.partitions=5".to_owned(), "num.partitions = 6".to_owned()];
    let loaded = config::load(b"num.partitions=4", &overrides, &surroundings()).expect("starts");
    assert_eq!(loaded.config.topics.partitions, 6, "the last override counts");
    let wild = start("listeners=PLAINTEXT://0.0.0.0:1\n");
    let advertised = wild.listeners[0].advertised.as_ref().map(ToString::to_string);
    assert_eq!(advertised.as_deref(), Some("box:1"));
    let explicit = start("listeners=PLAINTEXT://127.0.0.1:1\n");
    let advertised = explicit.listeners[0].advertised.as_ref().map(ToString::to_string);
    assert_eq!(advertised.as_deref(), Some("127.0.0.1:1"));
}

/// Every fact of the table is Kafka's, but for the differences that are listed.
#[test]
fn the_table_is_kafkas() {
    let kafka = include_str!("../src/config/kafka-4.3.1.tsv");
    let mut seen = Vec::new();
    for line in kafka.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, config_type, default, validator, internal] = &fields[..] else {
            panic!("{line}");
        };
        let definition = definitions::find(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(definition.config_type.kafka_name(), config_type, "{name}");
        assert_eq!(definition.internal.to_string(), internal, "{name}");
        assert_eq!(
            definition.validator.to_string().to_uppercase(),
            validator.to_uppercase(),
            "{name}"
        );
        let kafka_default = (!default.starts_with('<')).then_some(default);
        let difference = DIFFERENCES.iter().find(|difference| difference.name == name);
        match difference.and_then(|difference| difference.kafka_default) {
            Some(other) => {
                assert_eq!(other, kafka_default, "{name}");
                assert_ne!(definition.default, kafka_default, "{name}: no difference");
            }
            None => {
                assert_eq!(definition.default_value().text().as_deref(), kafka_default, "{name}")
            }
        }
        seen.push(name);
    }
    let own = definitions::all().map(|d| d.name).filter(|name| !seen.contains(name));
    let stray: Vec<&str> = own.filter(|name| !name.starts_with("millrace.")).collect();
    assert_eq!(stray, [""; 0]);
    let mut names: Vec<&str> = definitions::all().map(|definition| definition.name).collect();
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b), "no name twice");
    assert!(definitions::all().all(|d| d.doc.ends_with('.')));
}

#[test]
fn the_printed_configuration_loads_again() {
    let config = start(SAMPLE);
    let printed = document::properties(&config);
    assert_eq!(start(&printed), config);
    // Every value, commented out or not, is one that the setting takes.
    let all: String = printed
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|line| line.contains('=')))
        .filter(|line| !line.ends_with('='))
        .map(|line| format!("{line}\n"))
        .collect();
    let sample = format!("{SAMPLE}{}", all.replace("security.inter.broker.protocol", "#"));
    assert!(load(&sample).is_ok(), "{:?}", load(&sample).map(|_| ()));
}

#[test]
fn the_document_is_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFIGURATION.md");
    let written = document::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &written).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == written,
        "docs/CONFIGURATION.md is out of date: run `UPDATE_DOCS=1 cargo test -p millrace --test configuration`"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_file_and_no_override_panics(
        text in proptest::collection::vec(any::<u8>(), 0..200),
        overrides in proptest::collection::vec(".{0,40}", 0..4),
    ) {
        let loaded = config::load(&text, &overrides, &surroundings());
        prop_assert!(loaded.map_or_else(|errors| !errors.problems.is_empty(), |_| true));
    }

    #[test]
    fn no_value_of_a_known_setting_panics(
        index in 0..367_usize,
        value in prop_oneof![".{0,20}", "-?[0-9]{1,20}", "[A-Z]{1,5}://[a-z0-9.:]{0,8}:[0-9]{0,6}(,[a-z:/0-9]{0,9})?"],
    ) {
        let names: Vec<&str> = definitions::all().map(|definition| definition.name).collect();
        let name = names[index % names.len()];
        let overrides = [format!("{name}={value}")];
        if let Ok(loaded) = config::load(b"", &overrides, &surroundings()) {
            prop_assert!(!describe_broker(&loaded.config).is_empty());
        }
    }
}
