//! A thread beside the run that asks the broker at both ends of the measured window, and in between often enough to
//! miss none of its slowest requests.

use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Missing;
use super::answer::{Answer, Slow, ask};
use super::window::StageWindow;
use crate::client::setup::Target;
use crate::clock::Clock;

/// The broker's setting that says where its admin port is.
const SETTING: &str = "millrace.admin.listener";
/// A broker remembers slow requests for a minute.
const POLL: Duration = Duration::from_secs(45);

/// A watch that is being kept.
pub struct Watch {
    over: Sender<()>,
    thread: JoinHandle<Result<StageWindow, String>>,
}

/// What it is to see.
struct Task {
    address: String,
    cluster: Option<String>,
    clock: Clock,
    window_ns: Range<u64>,
    over: Receiver<()>,
}

impl Watch {
    /// Begins to watch the broker during a window of the clock. If it cannot be watched, why.
    pub fn begin(target: &Target, clock: Clock, window_ns: Range<u64>) -> Result<Self, Missing> {
        let Some(setting) = target.broker_configs.get(SETTING) else { return Err(None) };
        let bootstrap = target.led.keys().next().map_or(target.bootstrap.as_str(), String::as_str);
        let address = admin_address(setting, bootstrap).map_err(Some)?;
        let (over, is_over) = channel();
        let cluster = target.cluster.clone();
        let task = Task { address, cluster, clock, window_ns, over: is_over };
        let thread = Builder::new().name("stages".to_owned()).spawn(move || task.watch());
        let thread = thread.map_err(|error| Some(format!("no stage times: no thread: {error}")))?;
        Ok(Self { over, thread })
    }

    /// The run is over: what was seen; if nothing was, why.
    pub fn end(self) -> Result<StageWindow, Missing> {
        drop(self.over);
        let seen = self.thread.join().unwrap_or_else(|_| Err("its reader broke".into()));
        seen.map_err(|problem| Some(format!("no stage times: {problem} ({SETTING})")))
    }
}

/// Where a broker's admin port is, from its setting and an address of the broker.
fn admin_address(setting: &str, bootstrap: &str) -> Result<String, String> {
    let off = format!(
        "no stage times: the broker's admin port is off; set {SETTING}=127.0.0.1:9644 on the broker to see which stage made p99.9"
    );
    let Some((host, port)) = setting.trim().rsplit_once(':') else { return Err(off) };
    if port == "0" {
        return Err(format!(
            "no stage times: the broker chose its admin port by itself; give {SETTING} a port"
        ));
    }
    match host {
        "0.0.0.0" | "[::]" => {
            let host = bootstrap.rsplit_once(':').map_or("localhost", |(host, _)| host);
            Ok(format!("{host}:{port}"))
        }
        _ => Ok(setting.trim().to_owned()),
    }
}

impl Task {
    fn watch(self) -> Result<StageWindow, String> {
        if !self.sleep_until(self.window_ns.start) {
            return Err("the run ended before it was measured".into());
        }
        let from = self.ask(u64::MAX)?;
        let mut slowest: Vec<Slow> = Vec::new();
        let mut last_ns = from.now_ns;
        loop {
            let poll_ns = self.clock.now_ns().saturating_add(POLL.as_nanos() as u64);
            let is_over = !self.sleep_until(self.window_ns.end.min(poll_ns));
            let is_last = is_over || self.clock.now_ns() >= self.window_ns.end;
            let mut to = self.ask(last_ns)?;
            last_ns = to.now_ns;
            slowest.append(&mut to.slowest);
            if is_last {
                return StageWindow::between(&from, &to, slowest);
            }
        }
    }

    fn ask(&self, since_ns: u64) -> Result<Answer, String> {
        let answer = ask(&self.address, since_ns)?;
        // A loopback address of another machine may be that of another broker here.
        match &self.cluster {
            Some(cluster) if *cluster != answer.cluster_id => Err(format!(
                "the admin port at {} is that of cluster {}, not of {cluster}",
                self.address, answer.cluster_id
            )),
            _ => Ok(answer),
        }
    }

    /// Whether the time has come, and not the end of the run before it.
    fn sleep_until(&self, at_ns: u64) -> bool {
        loop {
            let left = at_ns.saturating_sub(self.clock.now_ns());
            if left == 0 {
                return true;
            }
            match self.over.recv_timeout(Duration::from_nanos(left)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_admin_port_is() {
        let at = |setting| admin_address(setting, "box:9092");
        assert_eq!(at("127.0.0.1:9644").as_deref(), Ok("127.0.0.1:9644"));
        assert_eq!(at("[::1]:9644").as_deref(), Ok("[::1]:9644"));
        assert_eq!(at("0.0.0.0:1").as_deref(), Ok("box:1"));
        assert!(at("").is_err_and(|text| text.contains("millrace.admin.listener=")));
        assert!(at("127.0.0.1:0").is_err_and(|text| text.contains("a port")));
    }
}
