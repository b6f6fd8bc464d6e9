//! The dynamic configuration of the image: of topics, brokers, client metrics, groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::table::Table;

/// What kind of thing is configured, as the wire and the records number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKind(pub i8);

impl ResourceKind {
    /// A topic.
    pub const TOPIC: Self = Self(2);
    /// A broker, or all of them by the empty name.
    pub const BROKER: Self = Self(4);
    /// A broker's logger; never in the log.
    pub const BROKER_LOGGER: Self = Self(8);
    /// A client metrics subscription (KIP-714).
    pub const CLIENT_METRICS: Self = Self(16);
    /// A group (KIP-848).
    pub const GROUP: Self = Self(32);
}

/// One configured thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    /// What kind it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
}

impl ConfigResource {
    /// A topic.
    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self { kind: ResourceKind::TOPIC, name: name.to_owned() }
    }

    /// A broker, or all of them by the empty name.
    #[must_use]
    pub fn broker(name: &str) -> Self {
        Self { kind: ResourceKind::BROKER, name: name.to_owned() }
    }
}

/// Values by name.
pub type ConfigMap = BTreeMap<String, String>;

/// All configured things; one without a value is not listed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configs {
    resources: Table<ConfigResource, Arc<ConfigMap>>,
}

impl Configs {
    /// What is set for a resource.
    #[must_use]
    pub fn of(&self, resource: &ConfigResource) -> Option<&Arc<ConfigMap>> {
        self.resources.get(resource)
    }

    /// What is set for a topic; none is the same as an empty map.
    #[must_use]
    pub fn of_topic(&self, name: &str) -> Option<&Arc<ConfigMap>> {
        self.of(&ConfigResource::topic(name))
    }

    /// All configured things.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigMap>)> {
        self.resources.iter()
    }

    pub(super) fn set(&mut self, resource: &ConfigResource, name: &str, value: Option<&str>) {
        match (self.resources.get_mut(resource), value) {
            (Some(map), Some(value)) => {
                Arc::make_mut(map).insert(name.to_owned(), value.to_owned());
            }
            (Some(map), None) => {
                let map = Arc::make_mut(map);
                map.remove(name);
                if map.is_empty() {
                    self.resources.remove(resource);
                }
            }
            (None, Some(value)) => {
                let map = ConfigMap::from([(name.to_owned(), value.to_owned())]);
                self.resources.insert(resource.clone(), Arc::new(map));
            }
            (None, None) => {}
        }
    }

    pub(super) fn remove(&mut self, resource: &ConfigResource) -> bool {
        self.resources.remove(resource).is_some()
    }
}
