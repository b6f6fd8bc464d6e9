//! ListConfigResources, versions 0 to 1.
//!
//! The things that have settings, by kind; no kind stands for all (KIP-1142). Version 0 lists metrics
//! subscriptions only, of which there are none here. Of groups, those with settings of their own would be
//! listed: there are none either.

use millrace_engine::codec::Str;
use millrace_engine::io::Env;
use millrace_engine::metadata::configs::ResourceKind;

use super::{Ctx, RequestMeta};
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_config_resources::ListConfigResourcesResponseConfigResource;
use crate::protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

/// The kinds that there are, in the order in which they are listed.
const KINDS: [ResourceKind; 5] = [
    ResourceKind::GROUP,
    ResourceKind::CLIENT_METRICS,
    ResourceKind::BROKER_LOGGER,
    ResourceKind::BROKER,
    ResourceKind::TOPIC,
];

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    if meta.version() == 0 {
        return ListConfigResourcesResponse::default();
    }
    let asked = request.resource_types;
    if asked.iter().any(|kind| !KINDS.contains(&ResourceKind(*kind))) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return ListConfigResourcesResponse { error_code, ..Default::default() };
    }
    let image = ctx.image();
    let mut config_resources = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| asked.is_empty() || asked.contains(&kind.0)) {
        let names: Vec<Str> = match kind {
            ResourceKind::TOPIC => image.topics.iter().map(|topic| (&*topic.name).into()).collect(),
            ResourceKind::BROKER | ResourceKind::BROKER_LOGGER => {
                image.cluster.active().map(|broker| broker.id.to_string().into()).collect()
            }
            _ => Vec::new(),
        };
        config_resources.extend(names.into_iter().map(|resource_name| {
            ListConfigResourcesResponseConfigResource { resource_name, resource_type: kind.0 }
        }));
    }
    ListConfigResourcesResponse { config_resources, ..ListConfigResourcesResponse::default() }
}
