//! Keeps memory warm beside a broker that uses the page cache, in a process of its own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use super::broker::{StartError, system};
use crate::sys::{self, Signal};
use crate::terminal;

/// What a comparison without one has to say.
const COLD: &str = "memory was not kept warm: on a virtual machine that gives free pages back to its host, a broker that uses the page cache is measured too slow; do not publish these figures";

/// The process; it ends with this value.
pub struct Warm {
    child: Child,
}

impl Warm {
    /// Starts it unless that is not wanted, and waits until memory is warm. `most_bytes` bounds what it holds;
    /// `remarks` get what a comparison has to say about it.
    pub fn unless(
        unwanted: bool,
        most_bytes: Option<u64>,
        remarks: &mut Vec<String>,
    ) -> Result<Option<Self>, StartError> {
        if unwanted {
            remarks.push(COLD.into());
            return Ok(None);
        }
        let own = std::env::current_exe().map_err(system("cannot find this program"))?;
        let mut command = Command::new(own);
        command.args(["feeder", "--duration", "12h"]);
        if let Some(most) = most_bytes {
            command.args(["--most", &most.to_string()]);
        }
        terminal::line("warming memory (up to a minute) ...");
        // Ctrl-C on the terminal is for this program, which ends the feeder when it is done.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let child = command.spawn();
        let child = child.map_err(system("cannot start the feeder"))?;
        let mut warm = Self { child };
        let mut line = String::new();
        if let Some(out) = warm.child.stdout.take() {
            let read = BufReader::new(out).read_line(&mut line);
            read.map_err(system("the feeder does not tell when it is ready"))?;
        }
        remarks.push(format!(
            "memory was kept warm by a feeder ({}) beside both targets, so that the page cache gets pages that the host already backs",
            line.trim()
        ));
        Ok(Some(warm))
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        sys::signal(self.child.id(), Signal::Terminate).ok();
        self.child.wait().ok();
    }
}
