//! Connections to the admin port, which requests are taken, and what answers them.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header, uri::Authority};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_lite::future;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::desk::{ShardReport, Silent};
use super::health::Health;
use super::metrics::exposition;
use super::stages::{StagesAnswer, since};
use super::{Broker, Port, Serving};
use crate::limits::{
    ACCEPT_PAUSE_MS, ADMIN_CONNECTION_MS, ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_BYTES_MAX,
    ADMIN_HEAD_MS,
};
use millrace_engine::types::Nanos;

const PLAIN: &str = "text/plain; charset=utf-8";
/// Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// Serves the port until `ended`.
pub(super) async fn serve(
    port: Port,
    broker: Arc<Broker>,
    ended: oneshot::Receiver<()>,
) -> io::Result<()> {
    let Port { listener, address } = port;
    let listener = TcpListener::from_std(listener)?;
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/v1/stages", get(stages))
        .fallback(nothing)
        .layer(from_fn_with_state(address.ip(), check_host))
        .with_state(broker);
    let served = async {
        let infallible: Infallible = accept(&listener, &router).await;
        match infallible {}
    };
    let ended = async { drop(ended.await) };
    future::or(served, ended).await;
    Ok(())
}

/// Takes connections for ever, so many at once.
async fn accept(listener: &TcpListener, router: &Router) -> Infallible {
    let room = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            unreachable!("nobody closes the semaphore");
        };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(attend(stream, router.clone(), place))),
            Err(error) => {
                tracing::warn!(%error, "the admin port cannot accept a connection");
                sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// One connection, until either side has had enough of it.
async fn attend(stream: TcpStream, router: Router, place: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(ADMIN_HEAD_MS))
        .max_buf_size(ADMIN_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(Duration::from_millis(ADMIN_CONNECTION_MS), connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the admin port broke off"),
        Err(_) => tracing::debug!("a connection to the admin port lived too long"),
    }
    drop(place);
}

fn text(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, PLAIN)], format!("{text}\n")).into_response()
}

/// A page in a browser must not get here under a name that its author has pointed at this machine: at a
/// loopback address only names that are this machine's are answered.
async fn check_host(State(bound): State<IpAddr>, request: Request, next: Next) -> Response {
    if bound.is_loopback() {
        match host(request.headers(), request.uri()) {
            Some(host) if is_this_machine(&host) => {}
            Some(_) => {
                let why = "the Host header names another machine than this: ask for localhost";
                return text(StatusCode::FORBIDDEN, why);
            }
            None => return text(StatusCode::BAD_REQUEST, "one valid Host header is needed"),
        }
    }
    next.run(request).await
}

/// The host that is asked for, without its port.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, None) = (hosts.next()?, hosts.next()) else { return None };
    let host: Authority = host.to_str().ok()?.parse().ok()?;
    // A request line with a whole URL names the host once more.
    let is_one = uri.authority().is_none_or(|other| other.host() == host.host());
    is_one.then(|| host.host().to_owned())
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn nothing() -> Response {
    text(StatusCode::NOT_FOUND, "there are /healthz, /metrics and /v1/stages")
}

async fn healthz(State(broker): State<Arc<Broker>>) -> Response {
    let health = Health::of(&broker);
    let is_good = health.is_good();
    text(if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health.text())
}

async fn metrics(State(broker): State<Arc<Broker>>) -> Response {
    let reports = match ask(&broker, None).await {
        Ok((_, reports)) => reports,
        Err(refusal) => return refusal,
    };
    let text = exposition(&broker, &reports);
    ([(header::CONTENT_TYPE, EXPOSITION)], text).into_response()
}

async fn stages(State(broker): State<Arc<Broker>>, uri: Uri) -> Response {
    let since = match since(uri.query()) {
        Ok(since) => since,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let (serving, reports) = match ask(&broker, Some(since)).await {
        Ok(answer) => answer,
        Err(refusal) => return refusal,
    };
    let answer = StagesAnswer::new(broker.config.node_id, &serving.cluster_id, reports);
    match serde_json::to_vec(&answer) {
        Ok(bytes) => ([(header::CONTENT_TYPE, JSON)], bytes).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// What all shards have to say, or that they do not.
async fn ask(
    broker: &Broker,
    slowest_since: Option<Nanos>,
) -> Result<(&Serving, Vec<ShardReport>), Response> {
    let unavailable = |why: &str| text(StatusCode::SERVICE_UNAVAILABLE, why);
    let serving = broker.serving.get().ok_or_else(|| unavailable(&Health::of(broker).text()))?;
    let reports = broker.desk.ask_all(serving, slowest_since).await;
    let reports = reports.map_err(|silent: Silent| unavailable(&silent.to_string()))?;
    Ok((serving, reports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "example.org", "localhost.example.org", "10.0.0.1", "[::2]", "127.0.0.1.x"]
        {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn the_host_is_that_of_one_header() {
        let get = |hosts: &[&'static str], uri: &str| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, axum::http::HeaderValue::from_static(host));
            }
            host(&headers, &uri.parse().unwrap())
        };
        assert_eq!(get(&["localhost:9644"], "/metrics").as_deref(), Some("localhost"));
        assert_eq!(get(&["[::1]:9644"], "/metrics").as_deref(), Some("[::1]"));
        assert_eq!(get(&["a", "b"], "/"), None);
        assert_eq!(get(&[], "/"), None);
        assert_eq!(get(&["not a host"], "/"), None);
        assert_eq!(get(&["localhost"], "http://evil.example/metrics"), None);
    }
}
