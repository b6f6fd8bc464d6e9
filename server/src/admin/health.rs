//! `GET /healthz`: whether the broker serves.

use super::Broker;

/// What a health check is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// The log directory failed: nothing is acknowledged any more.
    Offline,
    /// It was told to stop.
    Stopping,
}

impl Health {
    /// That of the broker now.
    pub(super) fn of(broker: &Broker) -> Self {
        match broker.serving.get() {
            None => Self::Starting,
            Some(serving) if serving.stop.has_failed() => Self::Offline,
            Some(serving) if serving.stop.is_stopping() => Self::Stopping,
            Some(_) => Self::Serving,
        }
    }

    /// In words.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Starting => "the broker is starting",
            Self::Serving => "ok",
            Self::Offline => "the log directory is offline: nothing is acknowledged",
            Self::Stopping => "the broker is stopping",
        }
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
        let loaded = load(b"", &[], &Surroundings { cores: 1, host_name: None }).unwrap();
        let broker = Broker::new(Arc::new(loaded.config), Arc::new([]));
        assert_eq!(Health::of(&broker), Health::Starting);
        let stop = Stop::new(Vec::new());
        broker.serves(Serving { cluster_id: "c".to_owned(), stop: stop.clone() });
        assert_eq!(Health::of(&broker), Health::Serving);
        stop.stop();
        assert_eq!(Health::of(&broker), Health::Stopping);
        stop.fail();
        assert_eq!(Health::of(&broker), Health::Offline);
    }
}
