//! `millrace-bench stub`: a stand-in for a broker, to check the generator against.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use clap::Args;

use super::unit;
use crate::stub::{self, Behaviour};

/// Throws records away and answers after a known delay, so that the generator's own figures can be checked and its
/// cost measured without a broker.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct StubArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9092")]
    listen: String,
    /// Every produce is answered this long after it has arrived.
    #[arg(long, default_value = "0s", value_parser = unit::duration)]
    delay: Duration,
    /// Nothing is answered for this long at the end of each --stall-every.
    #[arg(long, default_value = "0s", value_parser = unit::duration)]
    stall: Duration,
    /// How often it stalls (0: never).
    #[arg(long, default_value = "0s", value_parser = unit::duration)]
    stall_every: Duration,
    /// Ends after this time.
    #[arg(long, default_value = "10m", value_parser = unit::duration)]
    duration: Duration,
    /// Pins it to one core.
    #[arg(long)]
    core: Option<usize>,
}

fn told(what: String) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

impl StubArgs {
    /// Serves until the time is over or the process is told to stop.
    pub fn execute(&self) -> io::Result<()> {
        if let Some(core) = self.core {
            crate::sys::pin(core).map_err(told(format!("cannot pin the stub to core {core}")))?;
        }
        if self.stall > self.stall_every {
            return Err(io::Error::other("--stall must be shorter than --stall-every"));
        }
        crate::sys::exact_timers()?;
        let listener = TcpListener::bind(&self.listen)
            .map_err(told(format!("cannot listen on {}", self.listen)))?;
        crate::terminal::line(&format!("listening on {}", listener.local_addr()?));
        let behaviour = Behaviour {
            delay: self.delay,
            stall: self.stall,
            every: self.stall_every,
            life: self.duration,
        };
        stub::serve(listener, behaviour)
    }
}
