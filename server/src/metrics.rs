//! What one shard's server has counted, and the log line that shows it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

use millrace_engine::client::ClientStats;

use crate::net::event::Event;
use crate::protocol::ApiKey;

/// Counters of one shard, all since the start. Lives on the shard's thread.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: RefCell<BTreeMap<ApiKey, u64>>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    connections_open: Cell<u64>,
    connections_accepted: Cell<u64>,
    connections_refused: Cell<u64>,
    connections_faulty: Cell<u64>,
    /// Raised by the first request since the counters were logged.
    traffic: Event,
    has_traffic: Cell<bool>,
}

fn add(counter: &Cell<u64>, count: u64) {
    counter.set(counter.get().wrapping_add(count));
}

impl Metrics {
    /// A request was taken up.
    pub fn count_request(&self, api: ApiKey) {
        if !self.has_traffic.replace(true) {
            self.traffic.raise();
        }
        *self.requests.borrow_mut().entry(api).or_default() += 1;
    }

    /// Bytes were received.
    pub fn count_received(&self, bytes: usize) {
        add(&self.bytes_in, bytes as u64);
    }

    /// Bytes were sent.
    pub fn count_sent(&self, bytes: usize) {
        add(&self.bytes_out, bytes as u64);
    }

    /// A connection was accepted and is served.
    pub fn connection_opened(&self) {
        add(&self.connections_accepted, 1);
        add(&self.connections_open, 1);
    }

    /// A connection that was served has ended.
    pub fn connection_closed(&self) {
        self.connections_open.set(self.connections_open.get().saturating_sub(1));
    }

    /// A connection was closed at once, for want of room.
    pub fn connection_refused(&self) {
        add(&self.connections_refused, 1);
    }

    /// A connection was closed for what its client sent, or did not.
    pub fn connection_faulty(&self) {
        add(&self.connections_faulty, 1);
    }

    /// How many connections are served now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections_open.get()
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.borrow().values().sum()
    }

    /// Ends when there was a request since the last [`Metrics::line`].
    pub async fn traffic(&self) {
        while !self.has_traffic.get() {
            self.traffic.wait().await;
        }
    }

    /// The counters as one line.
    #[must_use]
    pub fn line(&self, stats: ClientStats) -> String {
        self.has_traffic.set(false);
        Line { metrics: self, stats }.to_string()
    }
}

struct Line<'a> {
    metrics: &'a Metrics,
    stats: ClientStats,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics, stats } = self;
        write!(f, "requests={}", metrics.requests())?;
        for (api, count) in metrics.requests.borrow().iter() {
            write!(f, " {api}={count}")?;
        }
        write!(
            f,
            " bytes_in={} bytes_out={} connections={} accepted={} refused={} faulty={}",
            metrics.bytes_in.get(),
            metrics.bytes_out.get(),
            metrics.connections_open.get(),
            metrics.connections_accepted.get(),
            metrics.connections_refused.get(),
            metrics.connections_faulty.get(),
        )?;
        let calls = stats.local + stats.hops;
        let share = (stats.hops * 1000).checked_div(calls).unwrap_or(0);
        let cost = stats.hop_ns.checked_div(stats.hops_in).unwrap_or(0);
        write!(
            f,
            " calls_local={} calls_hopped={} hop_share={}.{}% hops_in={} hop_mean_ns={cost}",
            stats.local,
            stats.hops,
            share / 10,
            share % 10,
            stats.hops_in,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_the_share_of_hops_and_their_cost() {
        let metrics = Metrics::default();
        metrics.count_request(ApiKey::Fetch);
        metrics.count_request(ApiKey::Produce);
        metrics.count_request(ApiKey::Fetch);
        metrics.connection_opened();
        metrics.count_received(10);
        let stats = ClientStats { local: 3, hops: 1, hops_in: 2, hop_ns: 3001 };
        assert_eq!(
            metrics.line(stats),
            "requests=3 Produce=1 Fetch=2 bytes_in=10 bytes_out=0 connections=1 accepted=1 refused=0 \
             faulty=0 calls_local=3 calls_hopped=1 hop_share=25.0% hops_in=2 hop_mean_ns=1500"
        );
        assert!(Metrics::default().line(ClientStats::default()).contains("hop_share=0.0%"));
    }
}
