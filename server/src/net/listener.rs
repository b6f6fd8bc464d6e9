//! Accepting connections: each shard listens at every address, and the kernel spreads the clients.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use millrace_engine::io::Env;
use millrace_engine::io::ring::{Listener, Stream};
use millrace_engine::io::runtime::RingEnv;
use millrace_engine::types::Nanos;

use super::connection::Connection;
use super::event::yield_now;
use super::faults::FaultLog;
use crate::api::{Ctx, Peer};
use crate::budget::Budget;
use crate::config::BrokerConfig;
use crate::config::broker_config::NetworkConfig;
use crate::limits::{ACCEPT_PAUSE_MS, LISTEN_BACKLOG};

/// How many connections all shards have, in all and by address.
#[derive(Debug)]
pub struct Admission {
    total: AtomicU32,
    /// One counter per bucket of addresses; only where a limit by address is set.
    by_address: Option<Vec<AtomicU32>>,
    total_max: u32,
    address_max: u32,
    overrides: BTreeMap<IpAddr, u32>,
}

/// Buckets of addresses: two busy addresses share one seldom, and then both count against it.
const ADDRESS_BUCKETS: usize = 65_536;

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// `max.connections` are open.
    Full,
    /// The address has as many as it may.
    Address,
}

impl Admission {
    /// The limits of the configuration; and no more than `descriptors_max`, what the system lets this
    /// process have for connections.
    #[must_use]
    pub fn new(network: &NetworkConfig, descriptors_max: u32) -> Self {
        let overrides: BTreeMap<IpAddr, u32> = network
            .connections_per_ip_overrides
            .iter()
            .flat_map(|(host, max)| addresses_of(host).into_iter().map(|ip| (ip, *max)))
            .collect();
        let no_limit = u32::try_from(i32::MAX).unwrap_or(u32::MAX);
        let is_limited = network.connections_per_ip_max < no_limit || !overrides.is_empty();
        Self {
            total: AtomicU32::new(0),
            by_address: is_limited
                .then(|| (0..ADDRESS_BUCKETS).map(|_| AtomicU32::new(0)).collect()),
            total_max: network.connections_max.min(descriptors_max),
            address_max: network.connections_per_ip_max,
            overrides,
        }
    }

    fn is_full(&self) -> bool {
        self.total.load(Ordering::Relaxed) >= self.total_max
    }

    fn bucket(&self, address: IpAddr) -> Option<&AtomicU32> {
        let bits = match address.to_canonical() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 ^ ip.to_bits() as u64,
        };
        let mixed = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        self.by_address.as_ref()?.get(usize::try_from(mixed).ok()?)
    }

    /// Counts a connection in.
    fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Admitted, NotAdmitted> {
        let count_in = |counter: &AtomicU32, max: u32| {
            let rise = |count: u32| (count < max).then_some(count + 1);
            counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rise).is_ok()
        };
        if !count_in(&self.total, self.total_max) {
            return Err(NotAdmitted::Full);
        }
        if let Some(address) = address
            && let Some(bucket) = self.bucket(address)
        {
            let max = self.overrides.get(&address.to_canonical()).unwrap_or(&self.address_max);
            if !count_in(bucket, *max) {
                self.total.fetch_sub(1, Ordering::Relaxed);
                return Err(NotAdmitted::Address);
            }
        }
        Ok(Admitted { admission: Arc::clone(self), address })
    }
}

fn addresses_of(host: &str) -> Vec<IpAddr> {
    use std::net::ToSocketAddrs;
    match host.parse::<IpAddr>() {
        Ok(ip) => vec![ip.to_canonical()],
        Err(_) => match (host, 0).to_socket_addrs() {
            Ok(found) => found.map(|address| address.ip().to_canonical()).collect(),
            Err(error) => {
                tracing::warn!(host, %error, "max.connections.per.ip.overrides: unknown host name");
                Vec::new()
            }
        },
    }
}

/// A connection that counts, until this is dropped.
struct Admitted {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.total.fetch_sub(1, Ordering::Relaxed);
        if let Some(bucket) = self.address.and_then(|address| self.admission.bucket(address)) {
            bucket.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Counts new connections, so that no more come in a second than may (`max.connection.creation.rate`).
#[derive(Debug)]
struct Pace {
    per_second: u32,
    since: Nanos,
    count: u32,
}

impl Pace {
    /// One shard's part of the rate of all.
    fn new(rate: u32, shards: u16) -> Self {
        let per_second = rate.div_ceil(u32::from(shards.max(1))).max(1);
        Self { per_second, since: Nanos(0), count: 0 }
    }

    /// Counts a connection. If no more may come now, until when.
    fn count(&mut self, now: Nanos) -> Option<Nanos> {
        if now.ms_since(self.since) >= 1000 {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        (self.count >= self.per_second).then(|| self.since.plus_ms(1000))
    }
}

/// One shard's doors.
pub struct Doors {
    /// What the handlers share.
    pub ctx: Rc<Ctx<RingEnv>>,
    /// Memory for requests.
    pub budget: Budget,
    /// Limits on connections, over all shards.
    pub admission: Arc<Admission>,
    /// What is logged of faulty connections.
    pub faults: FaultLog,
}

impl Doors {
    /// Listens at `address` for clients of the listener called `name`.
    ///
    /// # Errors
    /// The system's: the address is in use, or may not be used.
    pub async fn open(self: &Rc<Self>, name: &str, address: SocketAddr) -> io::Result<()> {
        let env = self.ctx.client.env();
        let listener = Listener::bind(env.ring(), address, self.backlog()).await?;
        let (doors, name) = (Rc::clone(self), Rc::from(name));
        env.spawn(async move { doors.accept(&listener, &name).await });
        Ok(())
    }

    /// Unless the user says so, not Kafka's 50: a crowd that comes at once would have to knock twice.
    fn backlog(&self) -> u32 {
        let config = &self.ctx.config;
        let is_explicit = config.settings.is_explicit("socket.listen.backlog.size");
        if is_explicit { config.network.backlog } else { LISTEN_BACKLOG }
    }

    async fn accept(self: Rc<Self>, listener: &Listener, name: &Rc<str>) {
        let env = self.ctx.client.env();
        let mut is_out_of_room = false;
        let rate = self.ctx.config.network.connection_rate_max;
        let mut pace = Pace::new(rate, self.ctx.client.shards());
        loop {
            if self.admission.is_full() {
                // As Kafka: who comes now waits in the backlog.
                if !std::mem::replace(&mut is_out_of_room, true) {
                    tracing::warn!(
                        open = self.admission.total_max,
                        "as many connections are open as max.connections or the limit of open files \
                         allows; who comes now waits"
                    );
                }
                env.sleep_until(env.now().plus_ms(ACCEPT_PAUSE_MS)).await;
                continue;
            }
            match listener.accept().await {
                Ok(stream) => {
                    is_out_of_room = false;
                    self.admit(stream, name);
                    if let Some(later) = pace.count(env.now()) {
                        env.sleep_until(later).await;
                    }
                }
                Err(error) if is_shortage(&error) => {
                    if !std::mem::replace(&mut is_out_of_room, true) {
                        tracing::error!(%error, "no connection can be accepted: raise the limit of \
                            open files (ulimit -n, LimitNOFILE); accepting goes on when some are free");
                    }
                    env.sleep_until(env.now().plus_ms(ACCEPT_PAUSE_MS)).await;
                }
                // The client has gone already.
                Err(error) => {
                    tracing::debug!(%error, "a connection was lost before it was accepted");
                    yield_now().await;
                }
            }
        }
    }

    fn admit(self: &Rc<Self>, stream: Stream, name: &Rc<str>) {
        let address = stream.peer_addr();
        let admitted = match self.admission.enter(address.map(|address| address.ip())) {
            Ok(admitted) => admitted,
            Err(reason) => {
                self.ctx.metrics.connection_refused();
                let client = address.map(|address| address.to_string());
                tracing::info!(client, ?reason, "connection refused: too many");
                return;
            }
        };
        if let Err(error) = prepare(&stream, &self.ctx.config) {
            tracing::debug!(%error, "a connection was lost when it was accepted");
            return;
        }
        let doors = Rc::clone(self);
        let peer =
            Rc::new(Peer { address, listener: Rc::clone(name), is_reading: Cell::new(false) });
        self.ctx.metrics.connection_opened();
        self.ctx.client.env().spawn(async move {
            let _admitted = admitted;
            let ctx = Rc::clone(&doors.ctx);
            let connection = Connection::new(ctx, stream, Rc::clone(&peer), &doors.budget);
            let ending = connection.run(doors.budget.share()).await;
            let metrics = &doors.ctx.metrics;
            metrics.connection_closed();
            if ending.is_fault() {
                metrics.connection_faulty();
            }
            doors.faults.log(doors.ctx.client.env().now(), &peer, &ending);
        });
    }
}

/// The socket's options. Buffers that the user did not ask for stay in the kernel's hands, which makes
/// them as large as the connection needs; Kafka's default of 100 KiB would slow fetches down.
fn prepare(stream: &Stream, config: &BrokerConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let network = &config.network;
    let wanted = |key: &str, bytes: Option<u32>| {
        let bytes = bytes.filter(|_| config.settings.is_explicit(key));
        bytes.map(|bytes| i32::try_from(bytes).unwrap_or(i32::MAX))
    };
    if let Some(bytes) = wanted("socket.send.buffer.bytes", network.send_buffer_bytes) {
        stream.set_send_buffer_bytes(bytes)?;
    }
    if let Some(bytes) = wanted("socket.receive.buffer.bytes", network.receive_buffer_bytes) {
        stream.set_receive_buffer_bytes(bytes)?;
    }
    Ok(())
}

/// Whether there is too little of something for a new connection, for now.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| shortages.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, load};

    fn admission(text: &str) -> Arc<Admission> {
        let surroundings = Surroundings { cores: 1, host_name: None };
        let loaded = load(text.as_bytes(), &[], &surroundings).expect("valid");
        Arc::new(Admission::new(&loaded.config.network, u32::MAX))
    }

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let (a, b) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        let text = "max.connections=3\nmax.connections.per.ip=1\n\
                    max.connections.per.ip.overrides=10.0.0.2:2\n";
        let admission = admission(text);
        let first = admission.enter(a).expect("room");
        assert_eq!(admission.enter(a).err(), Some(NotAdmitted::Address));
        let second = admission.enter(b).expect("room");
        let _third = admission.enter(b).expect("room");
        assert_eq!(admission.enter("10.0.0.3".parse().ok()).err(), Some(NotAdmitted::Full));
        assert!(admission.is_full());
        drop((first, second));
        assert!(admission.enter(a).is_ok());
    }

    #[test]
    fn connections_come_no_faster_than_they_may() {
        let mut pace = Pace::new(5, 2);
        let at = |ms: u64| Nanos(7).plus_ms(2000 + ms);
        assert_eq!(pace.count(at(0)), None);
        assert_eq!(pace.count(at(10)), None);
        assert_eq!(pace.count(at(20)), Some(at(1000)));
        assert_eq!(pace.count(at(1000)), None);
    }

    #[test]
    fn without_limits_nothing_is_kept_by_address() {
        assert!(admission("").by_address.is_none());
    }
}
