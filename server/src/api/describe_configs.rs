//! DescribeConfigs, versions 1 to 4.
//!
//! The settings of topics and of this broker, with where each value comes from, on demand with all values
//! it could come from (KIP-226), and from version 3 with type and documentation (KIP-569). The empty broker
//! name stands for what is set for all brokers while they run.
//!
//! Not done: levels of loggers, metrics subscriptions and groups have no settings here, so their lists
//! are empty; a broker's settings cannot be changed while it runs, so all of them are read-only.

use millrace_engine::codec::Str;
use millrace_engine::io::Env;
use millrace_engine::metadata::Image;
use millrace_engine::metadata::configs::{ConfigMap, ConfigResource, ResourceKind};
use millrace_engine::metadata::controller::name;
use millrace_engine::types::NodeId;

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::config::BrokerConfig;
use crate::config::definitions;
use crate::config::describe::{ConfigEntry, ConfigSynonym, describe_broker, describe_topic};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_configs::{
    DescribeConfigsRequestResource, DescribeConfigsResponseConfig, DescribeConfigsResponseResource,
    DescribeConfigsResponseSynonym,
};
use crate::protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

/// Where a value comes from that is set for all brokers while they run.
const SOURCE_DYNAMIC_DEFAULT: i8 = 3;

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let image = ctx.image();
    let unknown = request.resources.iter().find(|resource| !is_kind(resource.resource_type));
    // Kafka refuses such a request as a whole.
    let refusal = unknown.map(|resource| {
        let message =
            format!("Unexpected resource type UNKNOWN for resource {}", resource.resource_name);
        Told::with(ErrorCode::InvalidRequest, message)
    });
    let wish =
        Wish { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = request.resources.into_iter().map(|resource| {
        let described = match &refusal {
            Some(told) => Err(told.clone()),
            None => describe(&ctx.config, &image, wish, &resource),
        };
        let (told, mut configs) = match described {
            Ok(configs) => (Told::NONE, configs),
            Err(told) => (told, Vec::new()),
        };
        if let Some(keys) = resource.configuration_keys.filter(|keys| !keys.is_empty()) {
            configs.retain(|config| keys.contains(&config.name));
        }
        DescribeConfigsResponseResource {
            error_code: told.code,
            error_message: told.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs,
        }
    });
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

/// What is wanted of each setting besides its value.
#[derive(Debug, Clone, Copy)]
struct Wish {
    synonyms: bool,
    documentation: bool,
}

fn is_kind(kind: i8) -> bool {
    [
        ResourceKind::TOPIC,
        ResourceKind::BROKER,
        ResourceKind::BROKER_LOGGER,
        ResourceKind::CLIENT_METRICS,
        ResourceKind::GROUP,
    ]
    .contains(&ResourceKind(kind))
}

fn describe(
    config: &BrokerConfig,
    image: &Image,
    wish: Wish,
    resource: &DescribeConfigsRequestResource,
) -> Result<Vec<DescribeConfigsResponseConfig>, Told> {
    let name = resource.resource_name.as_str();
    let wired = |entries: Vec<ConfigEntry>| {
        entries.into_iter().map(|entry| wire_entry(entry, wish)).collect()
    };
    match ResourceKind(resource.resource_type) {
        ResourceKind::TOPIC => {
            name::check(name).map_err(|error| Told::from(&error))?;
            image
                .topics
                .id_of(name)
                .ok_or_else(|| Told::plain(ErrorCode::UnknownTopicOrPartition))?;
            let none = ConfigMap::new();
            let overrides = image.configs.of_topic(name).map_or(&none, AsRef::as_ref);
            let entries = describe_topic(config, overrides)
                .map_err(|error| Told::with(ErrorCode::InvalidConfig, error.to_string()))?;
            Ok(wired(entries))
        }
        ResourceKind::BROKER if name.is_empty() => Ok(dynamic_defaults(image, wish)),
        ResourceKind::BROKER => {
            check_broker(config.node_id, name, " or empty string,")?;
            Ok(wired(describe_broker(config)))
        }
        ResourceKind::BROKER_LOGGER if name.is_empty() => Err(empty("Broker id")),
        ResourceKind::BROKER_LOGGER => {
            check_broker(config.node_id, name, "")?;
            Ok(Vec::new())
        }
        ResourceKind::CLIENT_METRICS if name.is_empty() => {
            Err(empty("Client metrics subscription name"))
        }
        ResourceKind::GROUP if name.is_empty() => Err(empty("Group name")),
        _ => Ok(Vec::new()),
    }
}

fn empty(what: &str) -> Told {
    Told::with(ErrorCode::InvalidRequest, format!("{what} must not be empty"))
}

fn check_broker(expected: NodeId, name: &str, or: &str) -> Result<(), Told> {
    let message = match name.parse::<NodeId>() {
        Ok(id) if id == expected => return Ok(()),
        Ok(_) => format!("Unexpected broker id, expected {expected}{or} but received {name}"),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err(Told::with(ErrorCode::InvalidRequest, message))
}

/// What the metadata log has for all brokers; nothing but a Kafka broker before us can have put it there.
fn dynamic_defaults(image: &Image, wish: Wish) -> Vec<DescribeConfigsResponseConfig> {
    let Some(values) = image.configs.of(&ConfigResource::broker("")) else { return Vec::new() };
    let entry = |(name, value): (&String, &String)| {
        let definition = definitions::find(name);
        // What nobody knows may be anything, so it is secret.
        let is_sensitive = definition.is_none_or(|definition| definition.is_sensitive());
        let value = (!is_sensitive).then(|| Str::from(value));
        let synonym = DescribeConfigsResponseSynonym {
            name: name.into(),
            value: value.clone(),
            source: SOURCE_DYNAMIC_DEFAULT,
        };
        let documentation = definition.map(|definition| Str::from_static(definition.doc));
        DescribeConfigsResponseConfig {
            name: name.into(),
            value,
            read_only: true,
            config_source: SOURCE_DYNAMIC_DEFAULT,
            is_sensitive,
            synonyms: if wish.synonyms { vec![synonym] } else { Vec::new() },
            config_type: definition.map_or(0, |definition| definition.config_type.number()),
            documentation: documentation.filter(|_| wish.documentation),
        }
    };
    values.iter().map(entry).collect()
}

fn wire_entry(entry: ConfigEntry, wish: Wish) -> DescribeConfigsResponseConfig {
    let synonym = |synonym: ConfigSynonym| DescribeConfigsResponseSynonym {
        name: synonym.name.into(),
        value: synonym.value.map(Into::into),
        source: synonym.source.number(),
    };
    let synonyms = if wish.synonyms { entry.synonyms } else { Vec::new() };
    DescribeConfigsResponseConfig {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.number(),
        is_sensitive: entry.sensitive,
        synonyms: synonyms.into_iter().map(synonym).collect(),
        config_type: entry.config_type,
        documentation: entry.documentation.filter(|_| wish.documentation).map(Str::from_static),
    }
}
