//! The admin port: where health, metrics and stage times are told over HTTP.

use super::listeners::{ALLOW, Endpoint, Listener, parse_address};
use super::settings::Settings;
use super::{Notice, Problem};

/// The setting.
pub const KEY: &str = "millrace.admin.listener";

/// Where the admin port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where it listens.
    pub bind: Endpoint,
    /// Whether the user said so: the broker does not start without it then.
    pub is_explicit: bool,
}

/// Reads the setting; none if it is empty, or if there are problems.
pub(super) fn read(
    settings: &Settings,
    listeners: &[Listener],
    notices: &mut Vec<Notice>,
    problems: &mut Vec<Problem>,
) -> Option<AdminConfig> {
    let text = settings.text(KEY).unwrap_or_default().trim_ascii();
    if text.is_empty() {
        return None;
    }
    let Some(bind) = parse_address(text).filter(|bind| !bind.host.is_empty()) else {
        let message = "it is not of the form host:port with a port from 0 to 65535; empty opens no \
                       admin port";
        problems.push(Problem::new(KEY, text, message));
        return None;
    };
    let is_explicit = settings.is_explicit(KEY);
    let clash = listeners.iter().find(|other| bind.port != 0 && other.bind.port == bind.port);
    if let Some(Listener { name, .. }) = clash {
        let message = format!("the listener {name} has the same port, {}", bind.port);
        if is_explicit {
            problems.push(Problem::new(KEY, text, message));
        } else {
            notices.push(Notice::warning(KEY, format!("no admin port: {message}")));
        }
        return None;
    }
    if !bind.is_loopback() {
        match settings.boolean_or_null(ALLOW) {
            Some(true) => {}
            Some(false) => {
                let message = format!(
                    "other machines reach this port, which has neither encryption nor \
                     authentication, and {ALLOW}=false forbids that"
                );
                problems.push(Problem::new(KEY, text, message));
                return None;
            }
            None => {
                let message = format!(
                    "ANYBODY who reaches {text} over the network can read this broker's metrics: the \
                     port has neither encryption nor authentication. Listen on 127.0.0.1, or set \
                     {ALLOW}=true if this is what you want"
                );
                notices.push(Notice::warning(KEY, message));
            }
        }
    }
    Some(AdminConfig { bind, is_explicit })
}
