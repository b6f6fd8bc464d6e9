//! AlterConfigs, versions 0 to 2.
//!
//! Replaces all settings of topics; superseded by IncrementalAlterConfigs (KIP-339), whose limits it
//! shares.

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::call::ResourceValues;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};

use super::incremental_alter_configs::refusal;
use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::messages::alter_configs::{
    AlterConfigsRequestResource, AlterConfigsResponseResource,
};
use crate::protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let asked = request.resources.iter().filter(|one| refusal(one.resource_type).is_none());
    let call = ControllerCall::AlterConfigs {
        resources: asked.map(values_of).collect(),
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
        AlterConfigsResponseResource {
            error_code: told.code,
            error_message: told.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        }
    });
    AlterConfigsResponse { responses: responses.collect(), ..AlterConfigsResponse::default() }
}

fn values_of(resource: &AlterConfigsRequestResource) -> ResourceValues {
    let values = resource.configs.iter();
    ResourceValues {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        values: values
            .map(|one| (one.name.to_string(), one.value.as_ref().map(ToString::to_string)))
            .collect(),
    }
}
