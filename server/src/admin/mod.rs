//! The admin port: health, metrics and stage times over HTTP, on a thread of its own beside the shards.
//!
//! The thread sleeps until somebody asks. Counters it reads where the shards count; everything else it
//! asks the shards for ([`desk`]). It is bounded in every direction: connections, bytes of a request, the
//! time that each may take.

pub mod desk;
mod health;
mod http;
mod metrics;
mod process;
mod stages;
mod text;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use millrace_engine::boot::Stop;
use tokio::sync::oneshot;

use crate::config::BrokerConfig;
use crate::config::admin::{AdminConfig, KEY};
use crate::metrics::Counters;
use desk::Desk;

/// The admin port cannot be opened where the user wants it.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot open the admin port at {address}: {source}: set {KEY} to another address, or to nothing"
)]
pub struct AdminError {
    address: String,
    source: io::Error,
}

/// The broker once it serves.
pub struct Serving {
    /// `cluster.id`.
    pub cluster_id: String,
    /// Stops it, and rings for the shards.
    pub stop: Stop,
}

/// What the admin port tells of.
pub struct Broker {
    config: Arc<BrokerConfig>,
    counters: Arc<[Arc<Counters>]>,
    desk: Arc<Desk>,
    serving: OnceLock<Serving>,
}

impl Broker {
    /// A broker that is starting.
    #[must_use]
    pub fn new(config: Arc<BrokerConfig>, counters: Arc<[Arc<Counters>]>) -> Self {
        let desk = Arc::new(Desk::new(config.millrace.shards));
        Self { config, counters, desk, serving: OnceLock::new() }
    }

    /// The log directories, each with whether it is online.
    fn log_dirs(&self) -> impl Iterator<Item = (String, bool)> {
        let has_failed =
            |index| self.serving.get().is_some_and(|serving| serving.stop.has_failed(index));
        self.config.log_dirs.iter().enumerate().map(move |(index, path)| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            (path.display().to_string(), !has_failed(index))
        })
    }

    /// Where the shards find what they are asked.
    #[must_use]
    pub fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    /// From now on it serves.
    pub fn serves(&self, serving: Serving) {
        // It begins to serve once.
        drop(self.serving.set(serving));
    }
}

/// The port, open but not served yet.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Opens the port; none if there shall be none, or if its default is not free.
    ///
    /// # Errors
    /// It cannot be opened where the user wants it.
    pub fn open(config: Option<&AdminConfig>) -> Result<Option<Self>, AdminError> {
        let Some(AdminConfig { bind, is_explicit }) = config else { return Ok(None) };
        match listen((&bind.host, bind.port)) {
            Ok(port) => Ok(Some(port)),
            Err(source) if *is_explicit => Err(AdminError { address: bind.to_string(), source }),
            Err(error) => {
                tracing::warn!(
                    "no admin port, its default {bind} cannot be had: {error}; set {KEY} to another \
                     address, or to nothing if there shall be none"
                );
                Ok(None)
            }
        }
    }

    /// Serves it on a thread of its own until the answer is dropped.
    ///
    /// # Errors
    /// The system has no thread left, or no descriptor.
    pub fn serve(self, broker: Arc<Broker>) -> io::Result<Admin> {
        tracing::info!("admin port at http://{}", self.address);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(http::serve(self, broker, ended)) {
                tracing::error!(%error, "the admin port is closed");
            }
        })?;
        Ok(Admin { end: Some(end), thread: Some(thread) })
    }
}

fn listen(address: (&String, u16)) -> io::Result<Port> {
    let found: Vec<SocketAddr> = (address.0.as_str(), address.1).to_socket_addrs()?.collect();
    // As with listeners: of a name of both kinds the older one.
    let preferred = found.iter().find(|address| address.is_ipv4()).or(found.first());
    let preferred = preferred.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let listener = TcpListener::bind(preferred)?;
    listener.set_nonblocking(true)?;
    Ok(Port { address: listener.local_addr()?, listener })
}

/// The port while it is served; closed when this is dropped.
#[derive(Debug)]
pub struct Admin {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin port ended by a panic");
        }
    }
}
