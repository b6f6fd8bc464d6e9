//! DescribeCluster, versions 0 to 2: the brokers, as Kafka's administration client asks for them.

use millrace_engine::io::Env;

use super::{Ctx, RequestMeta, authorized_operations};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_cluster::{
    DescribeClusterRequest, DescribeClusterResponse, DescribeClusterResponseBroker,
};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    meta: &RequestMeta,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refusal = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => {
            let text = "controllers are asked for, but this is the endpoint of a broker".to_owned();
            Some((ErrorCode::MismatchedEndpointType, text))
        }
        other => Some((ErrorCode::UnsupportedEndpointType, format!("no endpoint type {other}"))),
    };
    if let Some((error, text)) = refusal {
        return DescribeClusterResponse {
            error_code: error.code(),
            error_message: Some(text.into()),
            ..DescribeClusterResponse::default()
        };
    }
    let image = ctx.image();
    let brokers = image.cluster.brokers.values().filter_map(|broker| {
        let endpoint = ctx.endpoint(broker, &meta.peer)?;
        (!broker.fenced || request.include_fenced_brokers).then(|| DescribeClusterResponseBroker {
            broker_id: broker.id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone(),
            is_fenced: broker.fenced,
        })
    });
    DescribeClusterResponse {
        cluster_id: ctx.cluster_id.clone(),
        controller_id: ctx.node_id(),
        brokers: brokers.collect(),
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            authorized_operations::CLUSTER
        } else {
            i32::MIN
        },
        ..DescribeClusterResponse::default()
    }
}
