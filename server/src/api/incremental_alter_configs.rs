//! IncrementalAlterConfigs, versions 0 to 1.
//!
//! Changes single settings of topics (KIP-339): set, delete, append, subtract, or with `validate_only`
//! says what would happen. The answer comes when the change is durable in the metadata log and every
//! shard knows it.
//!
//! Not done: a broker's settings, its loggers' levels, metrics subscriptions and groups' settings cannot
//! be changed while the broker runs; who tries is told so.

use millrace_engine::io::Env;
use millrace_engine::metadata::configs::ResourceKind;
use millrace_engine::metadata::controller::call::{ConfigChange, ResourceChanges};
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::incremental_alter_configs::{
    IncrementalAlterConfigsRequestResource, IncrementalAlterConfigsResponseResource,
};
use crate::protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let asked = request.resources.iter().filter(|one| refusal(one.resource_type).is_none());
    let call = ControllerCall::IncrementalAlterConfigs {
        resources: asked.map(changes_of).collect(),
        validate_only: request.validate_only,
    };
    let mut told = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::AlterConfigs(results)) => {
            results.iter().map(|result| Told::from(&result.result)).collect()
        }
        Ok(other) => unreachable!("a change of settings was answered with {other:?}"),
        Err(error) => vec![Told::from(error); request.resources.len()],
    }
    .into_iter();
    let responses = request.resources.into_iter().map(|resource| {
        let refused = refusal(resource.resource_type);
        let told = refused.or_else(|| told.next()).expect("each resource has a result");
        IncrementalAlterConfigsResponseResource {
            error_code: told.code,
            error_message: told.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        }
    });
    IncrementalAlterConfigsResponse {
        responses: responses.collect(),
        ..IncrementalAlterConfigsResponse::default()
    }
}

/// Why the settings of a kind of thing cannot be changed, whatever they are; none if the controller
/// decides.
pub(super) fn refusal(kind: i8) -> Option<Told> {
    let what = match ResourceKind(kind) {
        ResourceKind::BROKER_LOGGER => "Levels of loggers",
        ResourceKind::CLIENT_METRICS => "Client metrics subscriptions",
        ResourceKind::GROUP => "Settings of groups",
        _ => return None,
    };
    let message = format!("{what} cannot be changed while the broker runs.");
    Some(Told::with(ErrorCode::InvalidRequest, message))
}

fn changes_of(resource: &IncrementalAlterConfigsRequestResource) -> ResourceChanges {
    let changes = resource.configs.iter().map(|config| ConfigChange {
        name: config.name.to_string(),
        op: config.config_operation,
        value: config.value.as_ref().map(ToString::to_string),
    });
    ResourceChanges {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        changes: changes.collect(),
    }
}
