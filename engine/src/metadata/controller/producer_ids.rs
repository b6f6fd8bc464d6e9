//! Giving out producer ids in blocks.

use super::call::ProducerIdBlock;
use super::error::ControllerError;
use super::plan::Plan;
use crate::metadata::record;
use crate::types::NodeId;

/// Ids of one block, as in Kafka. Producer ids.
const BLOCK_LEN: i32 = 1_000;

pub(super) fn allocate(
    plan: &mut Plan,
    broker_id: NodeId,
    broker_epoch: i64,
) -> Result<ProducerIdBlock, ControllerError> {
    check_broker_epoch(plan, broker_id, broker_epoch)?;
    let first = plan.image().next_producer_id;
    let next_producer_id = first.saturating_add(i64::from(BLOCK_LEN));
    plan.push(vec![record::ProducerIds { broker_id, broker_epoch, next_producer_id }.into()])?;
    Ok(ProducerIdBlock { first, len: BLOCK_LEN })
}

fn check_broker_epoch(plan: &Plan, id: NodeId, epoch: i64) -> Result<(), ControllerError> {
    match plan.image().cluster.broker(id).map(|broker| broker.epoch) {
        None => {
            let message = format!("No broker registration found for broker id {id}");
            Err(ControllerError::BrokerNotRegistered(message))
        }
        Some(current) if current != epoch => {
            let message = format!("Expected broker epoch {current} but got {epoch}");
            Err(ControllerError::StaleBrokerEpoch(message))
        }
        Some(_) => Ok(()),
    }
}
