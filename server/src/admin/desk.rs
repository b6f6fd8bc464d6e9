//! Where the admin port leaves its questions, and how each shard answers them: from its own thread, with
//! copies of what it has.

use std::rc::Rc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use millrace_engine::io::Env;
use millrace_engine::shard::call::{Answer, Call};
use millrace_engine::shard::stats::ShardStats;
use millrace_engine::types::{Nanos, ShardId};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Serving;
use crate::api::Ctx;
use crate::limits::{ADMIN_ANSWER_MS, ADMIN_QUESTIONS_MAX};
use crate::stages::{FetchHistograms, Slow, StageHistograms};

/// A question to one shard.
#[derive(Debug)]
struct Question {
    /// The slowest requests that were answered after this are wanted; none if they are not.
    slowest_since: Option<Nanos>,
    reply: oneshot::Sender<ShardReport>,
}

/// What one shard has to say.
#[derive(Debug)]
pub struct ShardReport {
    /// Which one it is.
    pub shard: ShardId,
    /// Its clock; that of all shards.
    pub now: Nanos,
    /// What Produce requests of its connections spent in each stage.
    pub histograms: Box<StageHistograms>,
    /// The slowest of them.
    pub slowest: Vec<Slow>,
    /// What Fetch requests of its connections spent in each stage.
    pub fetch: Box<FetchHistograms>,
    /// What its engine has and does.
    pub stats: ShardStats,
}

/// A shard does not answer: it is stopping, or stuck.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("shard {0} does not answer")]
pub struct Silent(ShardId);

/// Questions by shard.
#[derive(Debug)]
pub struct Desk {
    questions: Vec<ArrayQueue<Question>>,
}

impl Desk {
    /// A desk for so many shards.
    #[must_use]
    pub fn new(shards: ShardId) -> Self {
        let questions = (0..shards).map(|_| ArrayQueue::new(ADMIN_QUESTIONS_MAX)).collect();
        Self { questions }
    }

    /// Asks every shard at once.
    pub(super) async fn ask_all(
        &self,
        serving: &Serving,
        slowest_since: Option<Nanos>,
    ) -> Result<Vec<ShardReport>, Silent> {
        let mut replies = Vec::with_capacity(self.questions.len());
        for (shard, queue) in (0..).zip(&self.questions) {
            let (reply, answer) = oneshot::channel();
            // Questions of who did not wait for the answer: there is room when they are gone.
            queue.push(Question { slowest_since, reply }).map_err(|_full| Silent(shard))?;
            replies.push((shard, answer));
        }
        serving.stop.ring();
        let mut reports = Vec::with_capacity(replies.len());
        for (shard, answer) in replies {
            let patience = Duration::from_millis(ADMIN_ANSWER_MS);
            match timeout(patience, answer).await {
                Ok(Ok(report)) => reports.push(report),
                Ok(Err(_)) | Err(_) => return Err(Silent(shard)),
            }
        }
        Ok(reports)
    }

    /// Answers the questions to one shard, on its thread, as long as it lives.
    pub async fn attend<E: Env>(&self, ctx: Rc<Ctx<E>>) {
        let shard = ctx.client.shard();
        let Some(queue) = self.questions.get(usize::from(shard)) else { return };
        loop {
            ctx.client.rung().await;
            while let Some(Question { slowest_since, reply }) = queue.pop() {
                if reply.is_closed() {
                    continue;
                }
                let stats = match ctx.client.call(shard, Call::Stats).await {
                    Answer::Stats(stats) => *stats,
                    other => unreachable!("a question for numbers was answered with {other:?}"),
                };
                let stages = ctx.stages.borrow();
                let report = ShardReport {
                    shard,
                    now: ctx.client.env().now(),
                    histograms: Box::new(stages.histograms.clone()),
                    fetch: Box::new(stages.fetch.clone()),
                    slowest: slowest_since.map_or_else(Vec::new, |at| stages.slowest.since(at)),
                    stats,
                };
                drop(stages);
                // Who asked may have gone.
                drop(reply.send(report));
            }
        }
    }
}
