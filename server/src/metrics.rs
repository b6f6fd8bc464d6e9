//! What one shard's server has counted, and the log line that shows it.
//!
//! The counters are read after the shard's thread has ended, too, so they are atomic; only that thread
//! writes them, so nothing is ever waited for.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_engine::client::ClientStats;
use millrace_engine::types::ShardId;

use crate::net::event::Event;
use crate::protocol::ApiKey;

/// A number that one thread writes and any thread may read.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }
}

/// What was counted at one moment, but for the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections that are open now.
    pub connections_open: u64,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections closed at once, for want of room.
    pub connections_refused: u64,
    /// Connections closed for what their clients sent, or did not.
    pub connections_faulty: u64,
    /// Calls to the own shard.
    pub calls_local: u64,
    /// Calls to another shard.
    pub calls_hopped: u64,
    /// Calls from another shard.
    pub hops_in: u64,
    /// Time that calls from another shard spent on the way. Nanoseconds.
    pub hop_ns: u64,
}

/// Counters of one shard, all since the start.
#[derive(Debug)]
pub struct Counters {
    shard: ShardId,
    /// In the order of [`ApiKey::ALL`].
    requests: Vec<Counter>,
    bytes_in: Counter,
    bytes_out: Counter,
    connections_open: Counter,
    connections_accepted: Counter,
    connections_refused: Counter,
    connections_faulty: Counter,
    calls_local: Counter,
    calls_hopped: Counter,
    hops_in: Counter,
    hop_ns: Counter,
}

impl Counters {
    /// Zeros.
    #[must_use]
    pub fn new(shard: ShardId) -> Arc<Self> {
        Arc::new(Self {
            shard,
            requests: ApiKey::ALL.iter().map(|_| Counter::default()).collect(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            connections_open: Counter::default(),
            connections_accepted: Counter::default(),
            connections_refused: Counter::default(),
            connections_faulty: Counter::default(),
            calls_local: Counter::default(),
            calls_hopped: Counter::default(),
            hops_in: Counter::default(),
            hop_ns: Counter::default(),
        })
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.iter().map(Counter::get).sum()
    }

    /// The shard that counts.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.shard
    }

    /// Requests so far, in the order of [`ApiKey::ALL`].
    pub fn by_api(&self) -> impl Iterator<Item = u64> {
        self.requests.iter().map(Counter::get)
    }

    /// Everything but the requests.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            connections_open: self.connections_open.get(),
            connections_accepted: self.connections_accepted.get(),
            connections_refused: self.connections_refused.get(),
            connections_faulty: self.connections_faulty.get(),
            calls_local: self.calls_local.get(),
            calls_hopped: self.calls_hopped.get(),
            hops_in: self.hops_in.get(),
            hop_ns: self.hop_ns.get(),
        }
    }

    /// Logs them as one line, unless there was nothing to count.
    pub fn log(&self) {
        if self.requests() > 0 {
            tracing::info!("{self}");
        }
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard={} requests={}", self.shard, self.requests())?;
        for (api, count) in ApiKey::ALL.iter().zip(&self.requests) {
            if count.get() > 0 {
                write!(f, " {api}={}", count.get())?;
            }
        }
        write!(
            f,
            " bytes_in={} bytes_out={} connections={} accepted={} refused={} faulty={}",
            self.bytes_in.get(),
            self.bytes_out.get(),
            self.connections_open.get(),
            self.connections_accepted.get(),
            self.connections_refused.get(),
            self.connections_faulty.get(),
        )?;
        let (local, hopped) = (self.calls_local.get(), self.calls_hopped.get());
        let per_mille = (hopped * 1000).checked_div(local + hopped).unwrap_or(0);
        let mean_ns = self.hop_ns.get().checked_div(self.hops_in.get()).unwrap_or(0);
        write!(
            f,
            " calls_local={local} calls_hopped={hopped} hop_share={}.{}% hops_in={} \
             hop_mean_ns={mean_ns}",
            per_mille / 10,
            per_mille % 10,
            self.hops_in.get(),
        )
    }
}

/// The counters as their shard's thread has them.
#[derive(Debug)]
pub struct Metrics {
    counters: Arc<Counters>,
    /// Raised by the first request since the counters were logged.
    traffic: Event,
    has_traffic: Cell<bool>,
}

impl Metrics {
    /// Counts into `counters`.
    #[must_use]
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { counters, traffic: Event::default(), has_traffic: Cell::new(false) }
    }

    /// A request was taken up; `stats` are the shard's calls so far.
    pub fn count_request(&self, api: ApiKey, stats: ClientStats) {
        if !self.has_traffic.replace(true) {
            self.traffic.raise();
        }
        let counters = &self.counters;
        let at = ApiKey::ALL.binary_search(&api).ok();
        if let Some(counter) = at.and_then(|at| counters.requests.get(at)) {
            counter.add(1);
        }
        counters.calls_local.set(stats.local);
        counters.calls_hopped.set(stats.hops);
        counters.hops_in.set(stats.hops_in);
        counters.hop_ns.set(stats.hop_ns);
    }

    /// Bytes were received.
    pub fn count_received(&self, bytes: usize) {
        self.counters.bytes_in.add(bytes as u64);
    }

    /// Bytes were sent.
    pub fn count_sent(&self, bytes: usize) {
        self.counters.bytes_out.add(bytes as u64);
    }

    /// A connection was accepted and is served.
    pub fn connection_opened(&self) {
        self.counters.connections_accepted.add(1);
        self.counters.connections_open.add(1);
    }

    /// A connection that was served has ended.
    pub fn connection_closed(&self) {
        self.counters.connections_open.set(self.counters.connections_open.get().saturating_sub(1));
    }

    /// A connection was closed at once, for want of room.
    pub fn connection_refused(&self) {
        self.counters.connections_refused.add(1);
    }

    /// A connection was closed for what its client sent, or did not.
    pub fn connection_faulty(&self) {
        self.counters.connections_faulty.add(1);
    }

    /// Ends when there was a request since the last [`Metrics::log`].
    pub async fn traffic(&self) {
        while !self.has_traffic.get() {
            self.traffic.wait().await;
        }
    }

    /// Logs the counters.
    pub fn log(&self) {
        self.has_traffic.set(false);
        self.counters.log();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_the_share_of_hops_and_their_cost() {
        let counters = Counters::new(3);
        let metrics = Metrics::new(Arc::clone(&counters));
        let stats = ClientStats { local: 3, hops: 1, hops_in: 2, hop_ns: 3001 };
        for api in [ApiKey::Fetch, ApiKey::Produce, ApiKey::Fetch] {
            metrics.count_request(api, stats);
        }
        metrics.connection_opened();
        metrics.count_received(10);
        assert_eq!(
            counters.to_string(),
            "shard=3 requests=3 Produce=1 Fetch=2 bytes_in=10 bytes_out=0 connections=1 accepted=1 \
             refused=0 faulty=0 calls_local=3 calls_hopped=1 hop_share=25.0% hops_in=2 \
             hop_mean_ns=1500"
        );
        assert!(Counters::new(0).to_string().contains("hop_share=0.0%"));
    }

    #[test]
    fn each_api_has_its_counter() {
        let counters = Counters::new(0);
        let metrics = Metrics::new(Arc::clone(&counters));
        for api in ApiKey::ALL {
            metrics.count_request(*api, ClientStats::default());
        }
        assert!(counters.requests.iter().all(|counter| counter.get() == 1));
    }
}
