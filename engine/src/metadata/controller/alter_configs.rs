//! Changing configurations: single values, or whole ones.

use std::collections::{BTreeMap, BTreeSet};

use super::Controller;
use super::call::{AlterConfigResult, ConfigChange, ConfigOp, ResourceChanges, ResourceValues};
use super::error::ControllerError;
use super::name;
use super::plan::Plan;
use crate::metadata::configs::{ConfigMap, ConfigResource, ResourceKind};
use crate::metadata::record;
use crate::topic_config::value::ConfigType;
use crate::topic_config::{self, TopicConfig};
use crate::types::NodeId;

/// Longest value, as in Kafka. UTF-16 units.
const VALUE_CHARS_MAX: usize = 32_767;

/// Values to be set, or removed by null.
type Changes = BTreeMap<String, Option<String>>;

impl Controller {
    pub(super) fn incremental_alter_configs(
        &self,
        plan: &mut Plan,
        resources: Vec<ResourceChanges>,
    ) -> Vec<AlterConfigResult> {
        let twice = given_twice(resources.iter().map(|resource| (resource.kind, &*resource.name)));
        let alter = |resource: ResourceChanges| {
            let ResourceChanges { kind, name, changes } = resource;
            let result = self.alter_resource(plan, (kind, &name), &twice, |config, current| {
                check_keys(changes.iter().map(|change| change.name.as_str()))?;
                let is_null = |c: &&ConfigChange| c.value.is_none() && c.op != 1;
                check_nulls(changes.iter().filter(is_null).map(|change| change.name.as_str()))?;
                changes
                    .iter()
                    .map(|change| {
                        let value = self.changed_value(config, current, change)?;
                        Ok((change.name.clone(), value))
                    })
                    .collect()
            });
            AlterConfigResult { kind, name, result }
        };
        resources.into_iter().map(alter).collect()
    }

    pub(super) fn alter_configs(
        &self,
        plan: &mut Plan,
        resources: Vec<ResourceValues>,
    ) -> Vec<AlterConfigResult> {
        let twice = given_twice(resources.iter().map(|resource| (resource.kind, &*resource.name)));
        let alter = |resource: ResourceValues| {
            let ResourceValues { kind, name, values } = resource;
            let result = self.alter_resource(plan, (kind, &name), &twice, |_, current| {
                check_keys(values.iter().map(|(name, _)| name.as_str()))?;
                let nulls = values.iter().filter(|(_, value)| value.is_none());
                check_nulls(nulls.map(|(name, _)| name.as_str()))?;
                let mut changes: Changes =
                    current.keys().map(|name| (name.clone(), None)).collect();
                changes.extend(values.iter().cloned());
                Ok(changes)
            });
            AlterConfigResult { kind, name, result }
        };
        resources.into_iter().map(alter).collect()
    }

    /// Checks one resource and its new values, and plans the records.
    fn alter_resource(
        &self,
        plan: &mut Plan,
        (kind, name): (i8, &str),
        twice: &BTreeSet<(i8, String)>,
        changes: impl FnOnce(&ConfigResource, &ConfigMap) -> Result<Changes, ControllerError>,
    ) -> Result<(), ControllerError> {
        if twice.contains(&(kind, name.to_owned())) {
            return Err(invalid("Each resource must appear at most once."));
        }
        let resource = ConfigResource { kind: ResourceKind(kind), name: name.to_owned() };
        self.check_resource(&resource)?;
        let current = plan.image().configs.of(&resource).cloned().unwrap_or_default();
        let changes = changes(&resource, &current)?;
        let mut values = (*current).clone();
        for (name, value) in &changes {
            match value {
                None => values.remove(name),
                Some(value) if value.encode_utf16().count() > VALUE_CHARS_MAX => {
                    let message = format!(
                        "The configuration value cannot be added because it exceeds the maximum \
                        value size of {VALUE_CHARS_MAX} bytes."
                    );
                    return Err(ControllerError::InvalidConfig(message));
                }
                Some(value) => values.insert(name.clone(), value.clone()),
            };
        }
        self.check_values(&resource, &values)?;
        check_exists(plan, &resource)?;
        // What a broker is told again it loads again, say a key store whose file has changed.
        let always = resource.kind == ResourceKind::BROKER;
        let is_new =
            |name: &str, value: &Option<String>| always || current.get(name) != value.as_ref();
        let records = changes.into_iter().filter(|(name, value)| is_new(name, value));
        let records = records.map(|(name, value)| {
            record::Config {
                resource_type: kind,
                resource_name: resource.name.as_str().into(),
                name: name.into(),
                value: value.map(Into::into),
            }
            .into()
        });
        plan.push(records.collect())
    }

    /// Refuses what is not configured here.
    fn check_resource(&self, resource: &ConfigResource) -> Result<(), ControllerError> {
        match resource.kind {
            ResourceKind::TOPIC if resource.name.is_empty() => {
                Err(invalid("Default topic resources are not allowed."))
            }
            ResourceKind::TOPIC => name::check(&resource.name),
            ResourceKind::BROKER if resource.name.is_empty() => Ok(()),
            ResourceKind::BROKER => {
                let (expected, name) = (self.settings.node_id, &resource.name);
                match name.parse::<NodeId>() {
                    Ok(id) if id == expected => Ok(()),
                    Ok(_) => Err(invalid(&format!(
                        "Unexpected broker id, expected {expected}, but received {name}"
                    ))),
                    Err(_) => {
                        Err(invalid(&format!("Node id must be an integer, but it is: {name}")))
                    }
                }
            }
            // Levels of loggers are not kept; metrics subscriptions and groups have no settings
            // yet.
            ResourceKind(kind) => Err(invalid(&format!("Unknown resource type {kind}"))),
        }
    }

    fn check_values(
        &self,
        resource: &ConfigResource,
        values: &ConfigMap,
    ) -> Result<(), ControllerError> {
        if resource.kind == ResourceKind::TOPIC {
            return self.check_topic_values(values);
        }
        // Kafka says "invalid request" here, not "invalid config" (KAFKA-13609).
        self.rules.check(values, resource.name.is_empty()).map_err(ControllerError::InvalidRequest)
    }

    pub(super) fn check_topic_values(&self, values: &ConfigMap) -> Result<(), ControllerError> {
        TopicConfig::parse(values, &self.settings.topic_defaults)
            .map(drop)
            .map_err(|error| ControllerError::InvalidConfig(error.to_string()))
    }

    /// The value after a change; none returns to the default.
    fn changed_value(
        &self,
        resource: &ConfigResource,
        current: &ConfigMap,
        change: &ConfigChange,
    ) -> Result<Option<String>, ControllerError> {
        let op = ConfigOp::from_id(change.op)
            .ok_or_else(|| invalid(&format!("Unknown operations type {}", change.op)))?;
        let operand = change.value.as_deref().unwrap_or_default();
        match op {
            ConfigOp::Set => return Ok(change.value.clone()),
            ConfigOp::Delete => return Ok(None),
            ConfigOp::Append | ConfigOp::Subtract => {}
        }
        let default = self.list_default(resource, &change.name).ok_or_else(|| {
            ControllerError::InvalidConfig(format!(
                "Can't {} to key {} because its type is not LIST.",
                op.name(),
                change.name
            ))
        })?;
        let text = current.get(&change.name).unwrap_or(&default);
        let mut items: Vec<&str> = text.split(',').filter(|item| !item.is_empty()).collect();
        for item in operand.split(',') {
            match (op, items.iter().position(|other| *other == item)) {
                (ConfigOp::Append, None) => items.push(item),
                (ConfigOp::Subtract, Some(at)) => {
                    items.remove(at);
                }
                _ => {}
            }
        }
        Ok(Some(items.join(",")))
    }

    /// The default of a configuration that is a list.
    fn list_default(&self, resource: &ConfigResource, name: &str) -> Option<String> {
        if resource.kind != ResourceKind::TOPIC {
            return self.rules.list_default(name);
        }
        let is_list = topic_config::definition(name)?.config_type == ConfigType::List;
        let default = self.settings.topic_defaults.get(name)?;
        is_list.then(|| default.text().unwrap_or_default())
    }
}

fn invalid(message: &str) -> ControllerError {
    ControllerError::InvalidRequest(message.to_owned())
}

fn given_twice<'a>(resources: impl Iterator<Item = (i8, &'a str)>) -> BTreeSet<(i8, String)> {
    let mut seen = BTreeSet::new();
    resources
        .filter(|resource| !seen.insert(*resource))
        .map(|(kind, name)| (kind, name.to_owned()))
        .collect()
}

fn check_keys<'a>(mut keys: impl Iterator<Item = &'a str>) -> Result<(), ControllerError> {
    let mut seen = BTreeSet::new();
    if keys.all(|key| seen.insert(key)) {
        return Ok(());
    }
    Err(invalid("Error due to duplicate config keys"))
}

fn check_nulls<'a>(nulls: impl Iterator<Item = &'a str>) -> Result<(), ControllerError> {
    let nulls: Vec<&str> = nulls.collect();
    if nulls.is_empty() {
        return Ok(());
    }
    Err(invalid(&format!("Null value not supported for : {}", nulls.join(", "))))
}

fn check_exists(plan: &Plan, resource: &ConfigResource) -> Result<(), ControllerError> {
    let name = &resource.name;
    if resource.kind == ResourceKind::TOPIC && plan.image().topics.id_of(name).is_none() {
        let message = format!("The topic '{name}' does not exist.");
        return Err(ControllerError::UnknownTopicOrPartition(message));
    }
    Ok(())
}
