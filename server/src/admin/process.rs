//! What the kernel says of this process.

use std::fs;

use rustix::param::clock_ticks_per_second;

/// Numbers of a process; those that the kernel does not tell are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// User and system time of all threads. Seconds.
    pub(super) cpu_s: Option<f64>,
    /// When it began, since the Unix epoch. Seconds.
    pub(super) start_s: Option<f64>,
    /// Memory that it has. Bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Threads.
    pub(super) threads: Option<u64>,
    /// Open descriptors.
    pub(super) open_fds: Option<u64>,
}

impl Process {
    /// This one.
    pub(super) fn own() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut own = Self::parse(
            &read("/proc/self/stat"),
            &read("/proc/self/status"),
            &read("/proc/stat"),
            clock_ticks_per_second(),
        );
        own.open_fds = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as u64);
        own
    }

    fn parse(stat: &str, status: &str, machine: &str, ticks_per_s: u64) -> Self {
        // The command name may hold spaces and brackets; the fields begin behind its last bracket.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let fields: Vec<u64> = fields.split_ascii_whitespace().skip(1).map_while(number).collect();
        let seconds = |at: usize| Some(*fields.get(at)? as f64 / ticks_per_s.max(1) as f64);
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            number(line.split_ascii_whitespace().next()?)
        };
        Self {
            // utime and stime, the fields 14 and 15 of proc(5), and starttime, 22.
            cpu_s: seconds(10).zip(seconds(11)).map(|(user, system)| user + system),
            start_s: seconds(18).zip(field(machine, "btime ")).map(|(s, boot)| s + boot as f64),
            resident_bytes: field(status, "VmRSS:").map(|kib| kib * 1024),
            threads: field(status, "Threads:"),
            open_fds: None,
        }
    }
}

/// A number that may be negative; then it does not matter here.
fn number(text: &str) -> Option<u64> {
    text.parse::<i128>().ok().map(|value| u64::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194304 5 6 7 8 250 150 0 0 20 0 9 0 1000 1 2";
        let status = "Name:\tx\nVmRSS:\t  12 kB\nThreads:\t9\n";
        let process = Process::parse(stat, status, "cpu 1\nbtime 1000000\n", 100);
        assert_eq!(process.cpu_s, Some(4.0));
        assert_eq!(process.start_s, Some(1_000_010.0));
        assert_eq!((process.resident_bytes, process.threads), (Some(12_288), Some(9)));
        assert_eq!(Process::parse("", "", "", 100), Process::default());
        let own = Process::own();
        assert!(own.open_fds.is_some_and(|fds| fds > 2) && own.start_s.is_some(), "{own:?}");
    }
}
