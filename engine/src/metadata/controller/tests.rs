//! The controller, call by call, and against a naive model.

mod calls;
mod configs;
mod model;

use std::collections::BTreeMap;

use super::call::{CreateTopicResult, CreatedTopic, NewTopic, Registration, TopicName};
use super::{
    BrokerRules, Controller, ControllerAnswer, ControllerCall, ControllerSettings, Planned,
};
use crate::metadata::bootstrap;
use crate::metadata::configs::ConfigMap;
use crate::metadata::image::Image;
use crate::metadata::loader::Loader;
use crate::metadata::record::Endpoint;
use crate::topic_config::TopicConfig;
use crate::types::Uuid;

/// A broker on which only `num.io.threads` and the list `ssl.protocols` can be changed.
struct Rules;

impl BrokerRules for Rules {
    fn check(&self, values: &ConfigMap, _is_default: bool) -> Result<(), String> {
        match values.keys().find(|name| !["num.io.threads", "ssl.protocols"].contains(&&***name)) {
            Some(name) => Err(format!("Cannot update these configs dynamically: Set({name})")),
            None => Ok(()),
        }
    }

    fn list_default(&self, name: &str) -> Option<String> {
        (name == "ssl.protocols").then(|| "TLSv1.3".to_owned())
    }
}

/// A controller with what a host keeps beside it.
struct Host {
    controller: Controller,
    /// The image that was published last.
    image: Image,
    /// The records since the controller began, to be folded again.
    values: Vec<Vec<bytes::Bytes>>,
    random: u128,
}

fn settings() -> ControllerSettings {
    ControllerSettings {
        node_id: 1,
        partitions_default: 3,
        replication_factor_default: 1,
        delete_topic_enable: true,
        topic_defaults: TopicConfig::default(),
        features_supported: bootstrap::FEATURES_SUPPORTED.to_vec(),
    }
}

fn registration(broker_id: i32) -> Registration {
    Registration {
        broker_id,
        incarnation_id: Uuid(900),
        endpoints: vec![Endpoint { name: "PLAINTEXT".into(), ..Endpoint::default() }],
        features: bootstrap::feature_ranges(),
        rack: None,
        log_dirs: vec![Uuid(500)],
        moved: vec![],
    }
}

impl Host {
    /// A new node, its broker not registered yet.
    fn unregistered(settings: ControllerSettings) -> Self {
        let beginning =
            bootstrap::begin_epoch(&Loader::new().finish(), None, settings.node_id, 1).unwrap();
        let (image, next_offset) = (beginning.image, beginning.next_offset);
        let rules = Box::new(Rules);
        let controller = Controller::new(settings, rules, &image, next_offset, beginning.epoch);
        Self { controller, image, values: Vec::new(), random: 1 }
    }

    fn new() -> Self {
        let mut host = Self::unregistered(settings());
        host.call(ControllerCall::RegisterBroker(Box::new(registration(1))));
        host
    }

    /// Plans a call, and publishes it as if it was durable.
    fn plan(&mut self, call: ControllerCall) -> Planned {
        let random = &mut self.random;
        let mut next = || {
            *random =
                random.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) ^ (*random >> 61);
            *random
        };
        let planned = self.controller.call(50, call, &mut next);
        assert_eq!(planned.publication.is_some(), !planned.records.is_empty());
        if let Some(publication) = &planned.publication {
            let last = planned.base_offset + planned.records.len() as i64 - 1;
            assert_eq!(publication.image.provenance.offset, last);
            let values = planned.records.iter().map(|record| record.value.clone().unwrap());
            self.values.push(values.collect());
            self.image = (*publication.image).clone();
        }
        assert_eq!(self.controller.image(), &self.image);
        planned
    }

    fn call(&mut self, call: ControllerCall) -> ControllerAnswer {
        self.plan(call).answer
    }

    fn create_all(&mut self, topics: Vec<NewTopic>, validate_only: bool) -> Vec<CreateTopicResult> {
        match self.call(ControllerCall::CreateTopics { topics, validate_only }) {
            ControllerAnswer::CreateTopics(results) => results,
            answer => panic!("{answer:?}"),
        }
    }

    /// Creates one topic: what was created, or the error's variant and text.
    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, String> {
        let result = self.create_all(vec![topic], false).remove(0).result;
        result.map_err(|error| describe(&error))
    }

    fn delete(&mut self, topics: Vec<TopicName>) -> Vec<String> {
        match self.call(ControllerCall::DeleteTopics { topics }) {
            ControllerAnswer::DeleteTopics(results) => results
                .iter()
                .map(|one| {
                    let name = one.topic.name.as_deref().unwrap_or("-");
                    let result = one.result.as_ref().map_or_else(describe, |()| "ok".to_owned());
                    format!("{name}: {result}")
                })
                .collect(),
            answer => panic!("{answer:?}"),
        }
    }
}

/// The variant of an error, and its text.
fn describe(error: &super::ControllerError) -> String {
    let variant = format!("{error:?}");
    let variant = variant.split('(').next().unwrap_or_default().to_owned();
    format!("{variant}: {error}")
}

fn topic(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions, replication_factor, ..NewTopic::default() }
}

fn with_configs(topic: NewTopic, configs: &[(&str, Option<&str>)]) -> NewTopic {
    let own =
        |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(ToOwned::to_owned));
    NewTopic { configs: configs.iter().map(own).collect(), ..topic }
}

fn named(name: &str) -> TopicName {
    TopicName { name: Some(name.to_owned()), topic_id: Uuid::ZERO }
}

fn by_id(topic_id: Uuid) -> TopicName {
    TopicName { name: None, topic_id }
}

fn config_map(values: &[(&str, &str)]) -> ConfigMap {
    values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
}
