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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigErrors, Level, Loaded, Surroundings, load};

    fn read(overrides: &[&str]) -> Result<Loaded, ConfigErrors> {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        load(b"", &overrides, &Surroundings { cores: 1, host_name: None })
    }

    fn bind(overrides: &[&str]) -> Option<String> {
        read(overrides).unwrap().config.admin.map(|admin| admin.bind.to_string())
    }

    #[test]
    fn where_it_is() {
        let default = read(&[]).unwrap().config.admin.unwrap();
        assert_eq!(
            (default.bind.to_string().as_str(), default.is_explicit),
            ("127.0.0.1:9644", false)
        );
        assert_eq!(bind(&["millrace.admin.listener="]), None);
        assert_eq!(bind(&["millrace.admin.listener=[::1]:0"]).as_deref(), Some("[::1]:0"));
        for wrong in ["9644", ":9644", "localhost", "localhost:x", "a b:1", "h:70000"] {
            let errors = read(&[&format!("millrace.admin.listener={wrong}")]).unwrap_err();
            assert!(errors.to_string().contains("host:port"), "{wrong}: {errors}");
        }
    }

    #[test]
    fn a_port_that_others_reach_is_the_users_own_word() {
        let open = "millrace.admin.listener=0.0.0.0:9644";
        let loud = read(&[open]).unwrap();
        assert!(loud.notices.iter().any(|n| n.key == KEY && n.level == Level::Warning));
        let silent = read(&[open, &format!("{ALLOW}=true")]).unwrap();
        assert!(silent.notices.iter().all(|notice| notice.key != KEY));
        let refused = read(&[open, &format!("{ALLOW}=false")]).unwrap_err();
        assert!(refused.to_string().contains("forbids"), "{refused}");
    }

    #[test]
    fn a_listener_comes_first() {
        let listener = "listeners=PLAINTEXT://127.0.0.1:9644";
        assert_eq!(bind(&[listener]), None);
        let refused = read(&[listener, "millrace.admin.listener=127.0.0.1:9644"]).unwrap_err();
        assert!(refused.to_string().contains("same port"), "{refused}");
    }
}
