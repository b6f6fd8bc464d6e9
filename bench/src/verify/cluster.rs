//! The brokers of one topic, asked through connections that are made again when they break.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{Clock, pause};
use crate::error;
use crate::sys;
use crate::wire::ask::{AskError, Asker};

/// Answers must come within this time.
const ANSWER: Duration = Duration::from_secs(10);
/// First and longest wait before the next attempt.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Connections to the leaders of a topic's partitions.
pub struct Cluster {
    bootstrap: String,
    topic: String,
    /// Nothing works for this long: give up.
    patience: Duration,
    clock: Clock,
    askers: BTreeMap<String, Asker>,
    led: BTreeMap<String, Vec<i32>>,
    back_off: Duration,
    worked_ns: u64,
    /// Connections that broke.
    pub reconnects: u64,
    /// The latest trouble, in words.
    pub trouble: Option<String>,
}

impl Cluster {
    /// The cluster that `bootstrap` is part of; nothing is asked yet.
    pub fn new(bootstrap: &str, topic: &str, patience: Duration) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            topic: topic.into(),
            patience,
            clock: Clock::start(),
            askers: BTreeMap::new(),
            led: BTreeMap::new(),
            back_off: BACK_OFF.0,
            worked_ns: 0,
            reconnects: 0,
            trouble: None,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Partitions by the address of their leader, as last heard.
    pub fn led(&self) -> &BTreeMap<String, Vec<i32>> {
        &self.led
    }

    /// The leader of `partition`, as last heard.
    pub fn leader(&self, partition: i32) -> Option<String> {
        let mut leaders = self.led.iter();
        leaders.find(|(_, led)| led.contains(&partition)).map(|(address, _)| address.clone())
    }

    /// A connection to `address`.
    pub fn asker(&mut self, address: &str) -> Result<&mut Asker, AskError> {
        if !self.askers.contains_key(address) {
            let asker = Asker::connect(address, ANSWER)?;
            self.askers.insert(address.to_owned(), asker);
        }
        self.askers.get_mut(address).ok_or_else(|| AskError::Connect {
            address: address.to_owned(),
            source: std::io::ErrorKind::NotConnected.into(),
        })
    }

    /// Something worked: back-off and patience begin anew.
    pub fn worked(&mut self) {
        self.back_off = BACK_OFF.0;
        self.worked_ns = self.clock.now_ns();
    }

    /// Something did not work. Drops all connections, waits, and asks again who leads what; fails when nothing has
    /// worked for as long as patience lasts.
    pub fn recover(&mut self, cause: AskError) -> Result<(), AskError> {
        self.trouble = Some(cause.to_string());
        if !matches!(cause, AskError::Refused { .. }) && !self.askers.is_empty() {
            self.askers.clear();
            self.reconnects += 1;
        }
        let mut last = cause;
        loop {
            let silent_ns = self.clock.now_ns() - self.worked_ns;
            if silent_ns > self.patience.as_nanos() as u64 || sys::interrupted() {
                return Err(last);
            }
            pause(self.back_off);
            self.back_off = (self.back_off * 2).min(BACK_OFF.1);
            match self.refresh() {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
    }

    /// Asks who leads what.
    pub fn refresh(&mut self) -> Result<(), AskError> {
        let metadata = Asker::connect_any(&self.bootstrap, ANSWER)?.metadata(&self.topic)?;
        let led = metadata.led();
        if metadata.topic_error != 0 || led.is_empty() {
            let code = match metadata.topic_error {
                0 => error::LEADER_NOT_AVAILABLE,
                code => code,
            };
            let what = format!("topic `{}`", self.topic);
            return Err(AskError::Refused { what, code, detail: String::new() });
        }
        self.led = led;
        Ok(())
    }

    /// Does `ask` until it works.
    pub fn insist<T>(
        &mut self,
        mut ask: impl FnMut(&mut Self) -> Result<T, AskError>,
    ) -> Result<T, AskError> {
        loop {
            match ask(self) {
                Ok(value) => {
                    self.worked();
                    return Ok(value);
                }
                Err(AskError::Refused { what, code, detail }) if !error::passing(code) => {
                    return Err(AskError::Refused { what, code, detail });
                }
                Err(error) => self.recover(error)?,
            }
        }
    }
}
