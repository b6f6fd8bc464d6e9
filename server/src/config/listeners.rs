//! Listeners: where the broker listens and which addresses it tells clients to use.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::settings::Settings;
use super::{Notice, Problem, Surroundings};

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets; empty is every address of the machine.
    pub host: String,
    /// The port; 0 lets the operating system choose.
    pub port: u16,
}

impl Endpoint {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.is_loopback())
    }

    /// Whether it stands for every address of the machine.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host.is_empty() || address.is_ok_and(|a| a.is_unspecified())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One listener of the broker; its protocol is PLAINTEXT, the only one built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in upper case, such as `PLAINTEXT`.
    pub name: String,
    /// Where it listens.
    pub bind: Endpoint,
    /// What clients of this listener are told to use; port 0 means the port that `bind` got. None if
    /// `advertised.listeners` leaves the listener out.
    pub advertised: Option<Endpoint>,
}

const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
pub(super) const ALLOW: &str = "millrace.allow.plaintext.non.loopback";

/// Reads all that is said about listeners.
pub(super) fn read(
    settings: &Settings,
    surroundings: &Surroundings,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<Problem>,
) -> Vec<Listener> {
    let controllers: Vec<String> =
        settings.list("controller.listener.names").iter().map(|n| n.to_uppercase()).collect();
    let found = problems.len();
    let protocols = protocol_map(settings, &controllers, problems);
    let bound = parse_list(settings, "listeners", problems);
    let advertised = parse_list(settings, "advertised.listeners", problems);
    if problems.len() > found {
        return Vec::new();
    }
    check_protocols(&bound, &controllers, &protocols, problems);
    check_ports(settings, &bound, problems);
    for (name, endpoint) in bound.iter().filter(|(name, _)| controllers.contains(name)) {
        let message = format!(
            "the controller listener {name}://{endpoint} is not opened: the only node is its own \
             controller"
        );
        notices.push(Notice::info("controller.listener.names", message));
    }
    let bound: Vec<_> = bound.into_iter().filter(|(n, _)| !controllers.contains(n)).collect();
    if bound.is_empty() {
        let text = settings.shown_text("listeners");
        let message = "no listener is left for clients: all of them belong to the controller";
        problems.push(Problem::new("listeners", text, message));
    }
    let explicit = settings.is_explicit("advertised.listeners");
    if explicit {
        check_advertised(settings, &advertised, &bound, &controllers, problems);
    }
    let mut listeners = Vec::with_capacity(bound.len());
    for (name, bind) in bound {
        check_reach(settings, &name, &bind, notices, problems);
        let advertised = if explicit {
            advertised.iter().find(|(n, _)| *n == name).map(|(_, endpoint)| endpoint.clone())
        } else {
            Some(default_advertised(settings, surroundings, &name, &bind, notices))
        };
        listeners.push(Listener { name, bind, advertised });
    }
    check_inter_broker(settings, &listeners, problems);
    listeners
}

/// `NAME://host:port`; Kafka takes letters, digits and `-%._:` in a host.
fn parse_one(text: &str) -> Option<(String, Endpoint)> {
    let (name, address) = text.split_once("://")?;
    let endpoint = parse_address(address)?;
    (!name.is_empty()).then(|| (name.to_uppercase(), endpoint))
}

/// `host:port`, with an IPv6 address in brackets.
pub(super) fn parse_address(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
    let known = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
    let port = port.parse().ok()?;
    host.chars().all(known).then(|| Endpoint { host: host.to_owned(), port })
}

fn parse_list(
    settings: &Settings,
    key: &'static str,
    problems: &mut Vec<Problem>,
) -> Vec<(String, Endpoint)> {
    let mut found: Vec<(String, Endpoint)> = Vec::new();
    for text in settings.list(key) {
        let Some((name, endpoint)) = parse_one(text) else {
            let allowed = "it is not of the form NAME://host:port with a port from 0 to 65535";
            problems.push(Problem::new(key, text, allowed));
            continue;
        };
        if found.iter().any(|(other, _)| *other == name) {
            let message =
                format!("each listener must have a different name, {name} is there twice");
            problems.push(Problem::new(key, text, message));
        }
        found.push((name, endpoint));
    }
    if found.is_empty() && settings.is_explicit(key) && settings.list(key).is_empty() {
        problems.push(Problem::new(key, "", "it must name at least one listener"));
    }
    found
}

/// Which security protocol each listener name stands for.
fn protocol_map(
    settings: &Settings,
    controllers: &[String],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    const KEY: &str = "listener.security.protocol.map";
    let mut protocols = BTreeMap::new();
    let text = settings.text(KEY).unwrap_or_default();
    for pair in text.split(',').map(str::trim_ascii).filter(|pair| !pair.is_empty()) {
        let parts = pair.split_once(':').map(|(n, p)| (n.trim_ascii(), p.trim_ascii()));
        match parts {
            Some((name, protocol)) if PROTOCOLS.contains(&protocol) => {
                protocols.insert(name.to_uppercase(), protocol.to_owned());
            }
            _ => {
                let message = format!(
                    "it is not of the form NAME:PROTOCOL with a protocol of {}",
                    PROTOCOLS.join(", ")
                );
                problems.push(Problem::new(KEY, pair, message));
            }
        }
    }
    if !settings.is_explicit(KEY) {
        for name in controllers {
            protocols.entry(name.clone()).or_insert_with(|| PROTOCOLS[0].to_owned());
        }
    }
    protocols
}

fn check_protocols(
    bound: &[(String, Endpoint)],
    controllers: &[String],
    protocols: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) {
    for (name, endpoint) in bound {
        let text = format!("{name}://{endpoint}");
        let message = match protocols.get(name).map(String::as_str) {
            None => format!(
                "listener.security.protocol.map does not say which protocol the listener {name} has; \
                 add {name}:PLAINTEXT to it"
            ),
            Some("PLAINTEXT") => continue,
            Some(_) if controllers.contains(name) => continue,
            Some(protocol) => format!(
                "the listener {name} has the protocol {protocol}, which is not built yet: only \
                 PLAINTEXT is. Remove the listener, or put a proxy that ends TLS in front of a \
                 PLAINTEXT listener on 127.0.0.1"
            ),
        };
        problems.push(Problem::new("listeners", text, message));
    }
}

/// One port may be used twice only by an IPv4 and an IPv6 address, or be chosen by the system.
fn check_ports(settings: &Settings, bound: &[(String, Endpoint)], problems: &mut Vec<Problem>) {
    let is_v6 = |endpoint: &Endpoint| endpoint.host.parse().ok().map(|ip: IpAddr| ip.is_ipv6());
    for (i, (name, endpoint)) in bound.iter().enumerate() {
        let clash = bound[..i].iter().find(|(_, other)| {
            let families = is_v6(endpoint).zip(is_v6(other));
            endpoint.port != 0
                && other.port == endpoint.port
                && families.is_none_or(|(a, b)| a == b)
        });
        if let Some((other, _)) = clash {
            let message = format!(
                "each listener must have a different port, {other} and {name} share {}",
                endpoint.port
            );
            let text = settings.shown_text("listeners");
            problems.push(Problem::new("listeners", text, message));
        }
    }
}

fn check_advertised(
    settings: &Settings,
    advertised: &[(String, Endpoint)],
    bound: &[(String, Endpoint)],
    controllers: &[String],
    problems: &mut Vec<Problem>,
) {
    const KEY: &str = "advertised.listeners";
    let is_bound = |name: &String| bound.iter().any(|(other, _)| other == name);
    for (name, endpoint) in advertised.iter().filter(|(name, _)| !controllers.contains(name)) {
        let text = format!("{name}://{endpoint}");
        if !is_bound(name) {
            let message = format!("there is no listener {name} in listeners");
            problems.push(Problem::new(KEY, text, message));
        } else if endpoint.is_wildcard() {
            let message = "clients cannot connect to it: name an address or a host that they reach";
            problems.push(Problem::new(KEY, text, message));
        }
    }
    if !advertised.iter().any(|(name, _)| is_bound(name)) {
        let text = settings.shown_text(KEY);
        let message = "it must name at least one of the listeners in listeners";
        problems.push(Problem::new(KEY, text, message));
    }
}

/// An address that other machines reach is the user's own word: said aloud, not refused, unless the
/// user has decided otherwise.
fn check_reach(
    settings: &Settings,
    name: &str,
    bind: &Endpoint,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<Problem>,
) {
    if bind.is_loopback() {
        return;
    }
    let text = format!("{name}://{bind}");
    match settings.boolean_or_null(ALLOW) {
        Some(true) => {}
        Some(false) => {
            let message = format!(
                "other machines reach this listener, which has neither encryption nor \
                 authentication, and {ALLOW}=false forbids that"
            );
            problems.push(Problem::new("listeners", text, message));
        }
        None => {
            let message = format!(
                "ANYBODY who reaches {text} over the network can read, write and delete everything: \
                 the listener has neither encryption nor authentication. Listen on 127.0.0.1, or \
                 set {ALLOW}=true if this is what you want"
            );
            notices.push(Notice::warning("listeners", message));
        }
    }
}

fn default_advertised(
    settings: &Settings,
    surroundings: &Surroundings,
    name: &str,
    bind: &Endpoint,
    notices: &mut Vec<Notice>,
) -> Endpoint {
    let host = if !settings.is_explicit("listeners") {
        "localhost".to_owned()
    } else if bind.is_wildcard() {
        let host = surroundings.host_name.clone().unwrap_or_else(|| "localhost".to_owned());
        let message = format!(
            "it is not set, so clients of {name} are told to use {host}:{}; set it if they reach \
             this machine by another name",
            bind.port
        );
        notices.push(Notice::info("advertised.listeners", message));
        host
    } else {
        bind.host.clone()
    };
    Endpoint { host, port: bind.port }
}

fn check_inter_broker(settings: &Settings, listeners: &[Listener], problems: &mut Vec<Problem>) {
    const KEY: &str = "inter.broker.listener.name";
    const PROTOCOL: &str = "security.inter.broker.protocol";
    let Some(name) = settings.explicit(KEY) else { return };
    if settings.is_explicit(PROTOCOL) {
        let message = format!("only one of {KEY} and {PROTOCOL} may be set");
        problems.push(Problem::new(KEY, name, message));
    }
    let upper = name.trim_ascii().to_uppercase();
    if !listeners.is_empty() && !listeners.iter().any(|listener| listener.name == upper) {
        let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
        let message = format!("it must be one of the listeners: {}", names.join(", "));
        problems.push(Problem::new(KEY, name, message));
    }
}
