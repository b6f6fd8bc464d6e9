//! Configurations: incremental changes and replacement.

use super::*;
use crate::metadata::configs::{ConfigResource, ResourceKind};
use crate::metadata::controller::call::{
    AlterConfigResult, ConfigChange, ResourceChanges, ResourceValues,
};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn change(name: &str, op: i8, value: Option<&str>) -> ConfigChange {
    ConfigChange { name: name.into(), op, value: value.map(ToOwned::to_owned) }
}

fn resource(kind: ResourceKind, name: &str, changes: Vec<ConfigChange>) -> ResourceChanges {
    ResourceChanges { kind: kind.0, name: name.into(), changes }
}

fn outcome(results: &[AlterConfigResult]) -> Vec<String> {
    let one =
        |one: &AlterConfigResult| one.result.as_ref().map_or_else(describe, |()| "ok".to_owned());
    results.iter().map(one).collect()
}

impl Host {
    fn alter(&mut self, resources: Vec<ResourceChanges>, validate_only: bool) -> Vec<String> {
        match self.call(ControllerCall::IncrementalAlterConfigs { resources, validate_only }) {
            ControllerAnswer::AlterConfigs(results) => outcome(&results),
            answer => panic!("{answer:?}"),
        }
    }

    fn alter_topic(&mut self, changes: Vec<ConfigChange>) -> String {
        self.alter(vec![resource(ResourceKind::TOPIC, "a", changes)], false).remove(0)
    }

    fn replace(&mut self, name: &str, values: &[(&str, Option<&str>)]) -> String {
        let own = |(name, value): &(&str, Option<&str>)| {
            ((*name).to_owned(), value.map(ToOwned::to_owned))
        };
        let values = values.iter().map(own).collect();
        let resources =
            vec![ResourceValues { kind: ResourceKind::TOPIC.0, name: name.into(), values }];
        match self.call(ControllerCall::AlterConfigs { resources, validate_only: false }) {
            ControllerAnswer::AlterConfigs(results) => outcome(&results).remove(0),
            answer => panic!("{answer:?}"),
        }
    }

    fn topic_configs(&self) -> ConfigMap {
        self.image.configs.of_topic("a").map(|map| (**map).clone()).unwrap_or_default()
    }
}

fn host() -> Host {
    let mut host = Host::new();
    host.create(topic("a", 1, 1)).unwrap();
    host
}

#[test]
fn values_are_set_deleted_appended_and_subtracted() {
    let mut host = host();
    type Values<'a> = &'a [(&'a str, &'a str)];
    let steps: [(Vec<ConfigChange>, Values<'_>); 7] = [
        (vec![change("retention.ms", SET, Some("7"))], &[("retention.ms", "7")]),
        (
            vec![change("cleanup.policy", APPEND, Some("compact"))],
            &[("cleanup.policy", "delete,compact"), ("retention.ms", "7")],
        ),
        (
            vec![change("cleanup.policy", APPEND, Some("compact,delete"))],
            &[("cleanup.policy", "delete,compact"), ("retention.ms", "7")],
        ),
        (
            vec![change("cleanup.policy", SUBTRACT, Some("delete"))],
            &[("cleanup.policy", "compact"), ("retention.ms", "7")],
        ),
        (vec![change("retention.ms", DELETE, None)], &[("cleanup.policy", "compact")]),
        (vec![change("segment.ms", DELETE, None)], &[("cleanup.policy", "compact")]),
        (vec![change("cleanup.policy", DELETE, Some("ignored"))], &[]),
    ];
    for (changes, expected) in steps {
        assert_eq!(host.alter_topic(changes.clone()), "ok", "{changes:?}");
        assert_eq!(host.topic_configs(), config_map(expected), "{changes:?}");
    }
}

#[test]
fn what_changes_nothing_of_a_topic_writes_nothing_but_a_broker_loads_again() {
    let mut host = host();
    host.alter_topic(vec![change("retention.ms", SET, Some("7"))]);
    let written = host.values.len();
    assert_eq!(host.alter_topic(vec![change("retention.ms", SET, Some("7"))]), "ok");
    assert_eq!(host.values.len(), written);
    for (i, name) in ["", "1", ""].into_iter().enumerate() {
        let changes = vec![change("num.io.threads", SET, Some("4"))];
        let results = host.alter(vec![resource(ResourceKind::BROKER, name, changes)], false);
        assert_eq!(results, ["ok"]);
        assert_eq!(host.values.len(), written + i + 1);
    }
    let default = host.image.configs.of(&ConfigResource::broker("")).unwrap();
    assert_eq!(**default, config_map(&[("num.io.threads", "4")]));
    let changes = vec![change("ssl.protocols", APPEND, Some("TLSv1.2"))];
    host.alter(vec![resource(ResourceKind::BROKER, "1", changes)], false);
    let own = host.image.configs.of(&ConfigResource::broker("1")).unwrap();
    assert_eq!(own["ssl.protocols"], "TLSv1.3,TLSv1.2");
}

#[test]
fn changes_that_cannot_be_are_refused() {
    let mut host = host();
    let long = "x".repeat(32_768);
    let topic = |changes| resource(ResourceKind::TOPIC, "a", changes);
    let broker =
        |name| resource(ResourceKind::BROKER, name, vec![change("num.io.threads", SET, Some("4"))]);
    let retention = || vec![change("retention.ms", SET, Some("7"))];
    let cases = [
        (
            topic(vec![change("nonsense", SET, Some("1"))]),
            "InvalidConfig: Unknown topic config name: nonsense",
        ),
        (
            topic(vec![change("retention.ms", APPEND, Some("1"))]),
            "InvalidConfig: Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            topic(vec![change("nonsense", SUBTRACT, Some("1"))]),
            "InvalidConfig: Can't SUBTRACT to key nonsense because its type is not LIST.",
        ),
        (
            topic(vec![change("retention.ms", 9, Some("1"))]),
            "InvalidRequest: Unknown operations type 9",
        ),
        (
            topic(vec![change("retention.ms", SET, None), change("segment.ms", APPEND, None)]),
            "InvalidRequest: Null value not supported for : retention.ms, segment.ms",
        ),
        (
            topic([retention(), retention()].concat()),
            "InvalidRequest: Error due to duplicate config keys",
        ),
        (
            topic(vec![change("cleanup.policy", SET, Some(&long))]),
            "InvalidConfig: The configuration value cannot be added because it exceeds the \
            maximum value size of 32767 bytes.",
        ),
        (
            resource(ResourceKind::TOPIC, "b", retention()),
            "UnknownTopicOrPartition: The topic 'b' does not exist.",
        ),
        (
            resource(ResourceKind::TOPIC, "", retention()),
            "InvalidRequest: Default topic resources are not allowed.",
        ),
        (resource(ResourceKind(99), "a", retention()), "InvalidRequest: Unknown resource type 99"),
        (broker("2"), "InvalidRequest: Unexpected broker id, expected 1, but received 2"),
        (broker("one"), "InvalidRequest: Node id must be an integer, but it is: one"),
        (
            resource(ResourceKind::BROKER, "1", retention()),
            "InvalidRequest: Cannot update these configs dynamically: Set(retention.ms)",
        ),
    ];
    let written = host.values.len();
    for (resource, error) in cases {
        assert_eq!(host.alter(vec![resource], false), [error]);
    }
    let bad_value = host.alter_topic(vec![change("retention.ms", SET, Some("soon"))]);
    assert!(bad_value.starts_with("InvalidConfig: "), "{bad_value}");
    assert_eq!(host.values.len(), written);
}

#[test]
fn resources_stand_for_themselves() {
    let mut host = host();
    host.create(topic("b", 1, 1)).unwrap();
    let set = |name, value| {
        resource(ResourceKind::TOPIC, name, vec![change("retention.ms", SET, Some(value))])
    };
    let asked = vec![set("a", "1"), set("b", "bad"), set("c", "1")];
    let expected = |results: Vec<String>| {
        assert_eq!(results[0], "ok");
        assert!(results[1].starts_with("InvalidConfig"));
        assert!(results[2].starts_with("UnknownTopicOrPartition"));
    };
    expected(host.alter(asked.clone(), true));
    assert!(host.topic_configs().is_empty());
    expected(host.alter(asked, false));
    assert_eq!(host.topic_configs(), config_map(&[("retention.ms", "1")]));
    let twice = host.alter(vec![set("a", "2"), set("a", "3")], false);
    assert_eq!(twice, ["InvalidRequest: Each resource must appear at most once."; 2]);
}

#[test]
fn a_replaced_configuration_has_nothing_of_the_old_one() {
    let mut host = host();
    assert_eq!(host.replace("a", &[("retention.ms", Some("1")), ("segment.ms", Some("2"))]), "ok");
    assert_eq!(host.replace("a", &[("segment.ms", Some("3"))]), "ok");
    assert_eq!(host.topic_configs(), config_map(&[("segment.ms", "3")]));
    let null = host.replace("a", &[("segment.ms", None)]);
    assert_eq!(null, "InvalidRequest: Null value not supported for : segment.ms");
    assert_eq!(host.replace("a", &[]), "ok");
    assert!(host.topic_configs().is_empty());
    assert!(host.replace("z", &[]).starts_with("UnknownTopicOrPartition"));
}
