//! InitProducerId, versions 0 to 5: a number for an idempotent producer (KIP-98).
//!
//! Numbers come from the controller in blocks of 1,000; each shard has its own block, what is left of it
//! at a stop is never given out. Transactions are not built: a transactional id is refused with
//! `UNSUPPORTED_VERSION`.

use millrace_engine::io::Env;
use millrace_engine::metadata::controller::call::ProducerIdBlock;
use millrace_engine::metadata::controller::{ControllerAnswer, ControllerCall};
use millrace_engine::types::ProducerId;

use super::{Ctx, RequestMeta};
use crate::fanout;
use crate::protocol::ErrorCode;
use crate::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

const NO_PRODUCER_ID: i64 = -1;
const NO_PRODUCER_EPOCH: i16 = -1;

/// Producer ids that this shard may give out.
#[derive(Debug, Default)]
pub struct ProducerIds {
    next: ProducerId,
    left: i32,
}

impl ProducerIds {
    fn take(&mut self) -> Option<ProducerId> {
        if self.left <= 0 {
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.left -= 1;
        Some(id)
    }

    /// Takes over a block. Of two that were asked for at once, the rest of the first is given up.
    fn refill(&mut self, block: ProducerIdBlock) {
        *self = Self { next: block.first, left: block.len };
    }
}

/// Answers the request.
pub async fn handle<E: Env>(
    ctx: &Ctx<E>,
    _meta: &RequestMeta,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let has_id = request.producer_id != NO_PRODUCER_ID;
    let has_epoch = request.producer_epoch != NO_PRODUCER_EPOCH;
    if has_id != has_epoch {
        return refused(ErrorCode::InvalidRequest);
    }
    match &request.transactional_id {
        // Kafka refuses an empty one so too.
        Some(id) if id.is_empty() => return refused(ErrorCode::InvalidRequest),
        Some(_) => return refused(ErrorCode::UnsupportedVersion),
        None => {}
    }
    // Without a transactional id a producer that knows its id gets a new one: as in Kafka.
    match producer_id(ctx).await {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, ..InitProducerIdResponse::default() }
        }
        Err(error) => refused(error),
    }
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..InitProducerIdResponse::default()
    }
}

async fn producer_id<E: Env>(ctx: &Ctx<E>) -> Result<ProducerId, ErrorCode> {
    if let Some(id) = ctx.producer_ids.borrow_mut().take() {
        return Ok(id);
    }
    let broker_id = ctx.node_id();
    let image = ctx.image();
    let own = image.cluster.broker(broker_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let call = ControllerCall::AllocateProducerIds { broker_id, broker_epoch: own.epoch };
    let block = match fanout::controller(&ctx.client, call).await {
        Ok(ControllerAnswer::AllocateProducerIds(Ok(block))) => block,
        Ok(ControllerAnswer::AllocateProducerIds(Err(error))) => {
            tracing::error!(%error, "the controller gives out no producer ids");
            // The client asks again.
            return Err(ErrorCode::CoordinatorLoadInProgress);
        }
        Ok(other) => unreachable!("a wish for producer ids was answered with {other:?}"),
        Err(error) => return Err(ErrorCode::from(&error)),
    };
    let mut ids = ctx.producer_ids.borrow_mut();
    ids.refill(block);
    ids.take().ok_or(ErrorCode::UnknownServerError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_given_out_once() {
        let mut ids = ProducerIds::default();
        assert_eq!(ids.take(), None);
        ids.refill(ProducerIdBlock { first: 7, len: 2 });
        assert_eq!([ids.take(), ids.take(), ids.take()], [Some(7), Some(8), None]);
    }
}
