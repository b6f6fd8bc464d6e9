//! `docs/CONFIGURATION.md` and `--print-config`, written from the tables.

use std::fmt::Write as _;

use millrace_engine::topic_config;
use millrace_engine::topic_config::value::{ConfigType, Validator};

use super::BrokerConfig;
use super::definitions::{self, AREAS, DIFFERENCES, Definition, Status};

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by `config::document::markdown()`. After a change of the tables run
     `UPDATE_DOCS=1 cargo test -p millrace --test configuration` -->

millrace is configured as Apache Kafka 4.3 is: by a `server.properties` with Kafka's names, defaults
and checks.

```sh
millrace                                               # the embedded single node, no file
millrace server.properties                             # Kafka's own config/server.properties works
millrace server.properties --override num.partitions=3 --override log.dirs=/data
```

- Without a file the broker listens on `127.0.0.1:9092`, tells clients to use `localhost:9092`, and
  keeps its data in `./millrace-data`, relative to the working directory.
- An override counts more than the file, a later line more than an earlier one.
- The file is Java's `.properties` format: `key=value`, `key:value` or `key value`, comments with `#`
  or `!`, `\\` at the end continues a line, `\\uXXXX` is a character. It is read as UTF-8, or as
  ISO 8859-1 if it is not UTF-8.
- Where a time has several names, milliseconds count before minutes before hours.
- **A value that is not allowed stops the start**, with the setting, the value and what is allowed; all
  such mistakes are shown at once.
- **A name that nobody knows is warned about**, with the nearest known one.
- **A Kafka setting that millrace does not support is warned about as such**, unless its value is the
  default.
- `listener.name.<listener>.<setting>` is recognised; settings of a single listener are not built yet.

## Listeners

Only the protocol `PLAINTEXT` is built so far: no encryption, no authentication. So the default listens
on `127.0.0.1`. A listener that other machines reach starts if `listeners` says so, with a loud
warning; `millrace.allow.plaintext.non.loopback=true` silences the warning, `false` refuses to start.
A `SSL`, `SASL_PLAINTEXT` or `SASL_SSL` listener refuses to start.

The listeners named in `controller.listener.names` are accepted and not opened: the only node is its
own controller. A node that is told of other controllers (`process.roles` of one role, more than one
entry in `controller.quorum.voters` or `controller.quorum.bootstrap.servers`) refuses to start.

## Deliberate differences from Kafka

| setting | here | in Kafka | why |
|--|--|--|--|
";

const COLUMNS: &str = "
Status: **yes** - millrace acts on it; **no effect** - accepted, the work it tunes does not exist here;
**not built** - accepted with a warning; **refused** - any value but the default stops the start.
";

/// The whole document.
#[must_use]
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut line = |content: &str| {
        text.push_str(content);
        text.push('\n');
    };
    for difference in DIFFERENCES {
        let ours = definitions::find(difference.name).and_then(|definition| definition.default);
        let (ours, kafkas) = match difference.kafka_default {
            None => ("the same default".to_owned(), "the same default".to_owned()),
            Some(None) => (code(ours), "must be set".to_owned()),
            Some(default) => (code(ours), code(default)),
        };
        line(&format!("| `{}` | {ours} | {kafkas} | {} |", difference.name, difference.why));
    }
    line("\n## Topic settings\n");
    line("Given when a topic is created, over the broker's defaults.\n");
    line("| setting | type | default | allowed | broker setting | what it does |");
    line("|--|--|--|--|--|--|");
    for def in topic_config::DEFINITIONS.iter().filter(|def| !def.internal) {
        let synonyms: Vec<String> = def.synonyms.iter().map(|(n, _)| format!("`{n}`")).collect();
        let note = def.no_effect.map(|why| format!(" *No effect: {why}.*")).unwrap_or_default();
        line(&format!(
            "| `{}` | {} | {} | {} | {} | {}{note} |",
            def.name,
            def.config_type,
            code(def.default),
            allowed(def.validator),
            synonyms.join(", "),
            def.doc,
        ));
    }
    line("\n## Broker settings");
    line(COLUMNS.trim_end());
    for (title, rows) in AREAS {
        line(&format!("\n### {title}\n"));
        line("| setting | type | default | allowed | status | what it does |");
        line("|--|--|--|--|--|--|");
        for definition in rows.iter().filter(|definition| !definition.internal) {
            line(&broker_row(definition));
        }
    }
    text
}

fn broker_row(definition: &Definition) -> String {
    let (status, why) = match definition.status {
        Status::Supported => ("yes", None),
        Status::Ignored(why) => ("no effect", Some(why)),
        Status::Unsupported(why) => ("not built", Some(why)),
        Status::Refused(why) => ("refused", Some(why)),
    };
    let note = why.map(|why| format!(" *{}.*", capitalised(why))).unwrap_or_default();
    format!(
        "| `{}` | {} | {} | {} | {status} | {}{note} |",
        definition.name,
        definition.config_type,
        code(definition.default),
        allowed(definition.validator),
        definition.doc,
    )
}

fn code(value: Option<&str>) -> String {
    match value {
        None => "null".to_owned(),
        Some("") => "empty".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

fn allowed(validator: Validator) -> String {
    validator.to_string().replace('|', "\\|")
}

fn capitalised(text: &str) -> String {
    // TLS, SASL and names in code stay as they are.
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Every setting with its effective value, as a `server.properties`; secrets are left out.
#[must_use]
pub fn properties(config: &BrokerConfig) -> String {
    let mut text = String::new();
    for (title, rows) in AREAS {
        text.push_str(&format!("\n# {title}\n"));
        for definition in rows.iter().filter(|definition| !definition.internal) {
            let mark = if config.settings.is_explicit(definition.name) { "" } else { "#" };
            let written = match (definition.config_type, config.settings.shown(definition)) {
                (ConfigType::Password, _) => Ok(()),
                (_, Some(value)) => {
                    writeln!(text, "{mark}{}={}", definition.name, value.replace('\\', "\\\\"))
                }
                (_, None) => writeln!(text, "#{}=", definition.name),
            };
            written.expect("a String takes every write");
        }
    }
    text
}
