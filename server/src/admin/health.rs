//! `GET /healthz`: whether the broker serves.

use std::borrow::Cow;

use super::Broker;

/// What a health check is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// It does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// It serves, but for the partitions in these log directories, which failed.
    Impaired(Vec<String>),
    /// The log directory with the metadata log failed: nothing is acknowledged any more.
    Offline,
    /// It was told to stop.
    Stopping,
}

impl Health {
    /// That of the broker now.
    pub(super) fn of(broker: &Broker) -> Self {
        match broker.serving.get() {
            None => Self::Starting,
            Some(serving) if serving.stop.has_failed(0) => Self::Offline,
            Some(serving) if serving.stop.is_stopping() => Self::Stopping,
            Some(_) => {
                let offline: Vec<_> =
                    broker.log_dirs().filter(|(_, is_online)| !is_online).collect();
                if offline.is_empty() {
                    return Self::Serving;
                }
                Self::Impaired(offline.into_iter().map(|(path, _)| path).collect())
            }
        }
    }

    /// Whether the broker is to be left alone.
    pub(super) const fn is_good(&self) -> bool {
        matches!(self, Self::Serving | Self::Impaired(_))
    }

    /// In words.
    pub(super) fn text(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Starting => "the broker is starting",
            Self::Serving => "ok",
            Self::Impaired(offline) => {
                let dirs = offline.join(", ");
                return format!(
                    "ok, but for the partitions in log directories that are offline: {dirs}"
                )
                .into();
            }
            Self::Offline => "the log directory is offline: nothing is acknowledged",
            Self::Stopping => "the broker is stopping",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_engine::boot::Stop;

    use super::super::Serving;
    use super::*;
    use crate::config::{Surroundings, load};

    #[test]
    fn only_a_serving_broker_is_healthy() {
        let surroundings = Surroundings { cores: 1, host_name: None };
        let loaded = load(b"log.dirs=/a,/b", &[], &surroundings).unwrap();
        let broker = Broker::new(Arc::new(loaded.config), Arc::new([]));
        assert_eq!(Health::of(&broker), Health::Starting);
        let stop = Stop::new(Vec::new());
        broker.serves(Serving { cluster_id: "c".to_owned(), stop: stop.clone() });
        assert_eq!(Health::of(&broker), Health::Serving);
        stop.fail(1);
        assert_eq!(Health::of(&broker), Health::Impaired(vec!["/b".to_owned()]));
        assert!(Health::of(&broker).is_good() && Health::of(&broker).text().contains("/b"));
        stop.stop();
        assert_eq!(Health::of(&broker), Health::Stopping);
        stop.fail(0);
        assert_eq!(Health::of(&broker), Health::Offline);
        assert!(!Health::of(&broker).is_good());
    }
}
