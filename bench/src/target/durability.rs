//! What an acknowledgement of the target means, read back from its configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::setup::Target;

/// The durability a target is set to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Durability {
    /// `flushed`, `page-cache` or `unknown`.
    pub acknowledged: String,
    /// The same in words.
    pub text: String,
    /// The settings it was read from.
    pub settings: BTreeMap<String, String>,
}

const BROKER_SETTINGS: [&str; 5] = [
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.flush.scheduler.interval.ms",
    "min.insync.replicas",
    "default.replication.factor",
];
const TOPIC_SETTINGS: [&str; 3] = ["flush.messages", "flush.ms", "min.insync.replicas"];

/// Settings of this prefix are millrace's own.
const OWN_PREFIX: &str = "millrace.";

/// Reads the durability of a target for producers with `acks`.
pub fn read(target: &Target, acks: i16) -> Durability {
    let mut settings = BTreeMap::new();
    for (name, value) in &target.broker_configs {
        if BROKER_SETTINGS.contains(&name.as_str()) || name.starts_with(OWN_PREFIX) {
            settings.insert(format!("broker {name}"), value.clone());
        }
    }
    for (name, value) in &target.topic_configs {
        if TOPIC_SETTINGS.contains(&name.as_str()) || name.starts_with(OWN_PREFIX) {
            settings.insert(format!("topic {name}"), value.clone());
        }
    }
    let own: Vec<&String> = target
        .broker_configs
        .iter()
        .filter(|(name, _)| name.starts_with(OWN_PREFIX) && name.contains("durability"))
        .map(|(_, value)| value)
        .collect();
    let (acknowledged, text) = match (acks, own.first(), target.topic_configs.get("flush.messages"))
    {
        (0, _, _) => {
            ("nothing", "acks=0: an acknowledgement is only the write to the socket".into())
        }
        (_, Some(value), _) => (
            if value.as_str() == "written" { "page-cache" } else { "flushed" },
            format!("millrace, durability `{value}`"),
        ),
        (_, None, Some(messages)) if messages == "1" => {
            ("flushed", "every append is flushed to the device before it is acknowledged".into())
        }
        (_, None, Some(_)) => {
            ("page-cache", "acknowledged from the page cache; the kernel flushes later".into())
        }
        (_, None, None) => ("unknown", "the target does not tell its configuration".into()),
    };
    Durability { acknowledged: acknowledged.into(), text, settings }
}
