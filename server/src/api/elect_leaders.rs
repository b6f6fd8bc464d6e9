//! ElectLeaders, versions 0 to 2.
//!
//! Elects leaders of partitions: the preferred ones, or from version 1 any that there is (KIP-460). No
//! list stands for all partitions, of which those that need no election are left out.

use std::collections::BTreeMap;

use millrace_engine::codec::Str;
use millrace_engine::io::Env;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};

use super::told::Told;
use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::messages::elect_leaders::{
    ElectLeadersResponsePartition, ElectLeadersResponseTopic,
};
use crate::protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

/// Answers a request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let partitions = request.topic_partitions.map(|topics| {
        let topics = topics.into_iter();
        topics.map(|topic| (topic.topic.to_string(), topic.partitions)).collect::<Vec<_>>()
    });
    let call = ControllerCall::ElectLeaders {
        election_type: request.election_type,
        partitions: partitions.clone(),
    };
    let refused = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::ElectLeaders(Ok(results))) => {
            let results = results.into_iter();
            let results = results.map(|one| (one.topic, one.partition, Told::from(&one.result)));
            return response(0, results);
        }
        Ok(ControllerAnswer::ElectLeaders(Err(error))) => Told::from(&error),
        Ok(other) => unreachable!("an election was answered with {other:?}"),
        Err(error) => error.into(),
    };
    let asked = partitions.unwrap_or_default().into_iter();
    let asked = asked.flat_map(|(topic, partitions)| {
        partitions.into_iter().map(move |partition| (topic.clone(), partition))
    });
    let results = asked.map(|(topic, partition)| (topic, partition, refused.clone()));
    response(refused.code, results)
}

fn response(
    error_code: i16,
    results: impl Iterator<Item = (String, i32, Told)>,
) -> ElectLeadersResponse {
    let mut topics: BTreeMap<Str, Vec<_>> = BTreeMap::new();
    for (topic, partition_id, told) in results {
        let partition = ElectLeadersResponsePartition {
            partition_id,
            error_code: told.code,
            error_message: told.message,
        };
        topics.entry(topic.into()).or_default().push(partition);
    }
    let topics = topics
        .into_iter()
        .map(|(topic, partition_result)| ElectLeadersResponseTopic { topic, partition_result });
    ElectLeadersResponse {
        error_code,
        replica_election_results: topics.collect(),
        ..ElectLeadersResponse::default()
    }
}
