//! CPU time, memory, context switches and I/O of another process, read from `/proc`.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

/// Ticks per second of the times in `/proc`: fixed by the kernel's interface on Linux.
const TICKS_PER_S: u64 = 100;

/// What a process has used so far. Fields that the kernel does not show are zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessSample {
    /// User and system time of all threads, microseconds.
    pub cpu_us: u64,
    /// Resident memory now, bytes.
    pub rss_bytes: u64,
    /// Highest resident memory, bytes.
    pub rss_max_bytes: u64,
    /// Context switches of the threads alive now.
    pub switches: u64,
    /// Bytes that it caused to be written to a device.
    pub written_bytes: u64,
    /// Threads.
    pub threads: u64,
}

impl ProcessSample {
    /// Reads process `pid`; `None` when it is gone.
    pub fn read(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let switches = fs::read_dir(format!("/proc/{pid}/task"))
            .ok()?
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
            .map(|status| {
                field(&status, "voluntary_ctxt_switches:")
                    + field(&status, "nonvoluntary_ctxt_switches:")
            })
            .sum();
        Some(Self {
            cpu_us: cpu_us(pid)?,
            rss_bytes: field(&status, "VmRSS:") * 1024,
            rss_max_bytes: field(&status, "VmHWM:") * 1024,
            threads: field(&status, "Threads:"),
            written_bytes: field(&io, "write_bytes:"),
            switches,
        })
    }
}

/// User and system time of process `pid`, microseconds, to 10 ms.
pub fn cpu_us(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and brackets; the fields begin behind its last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some((user + system) * (1_000_000 / TICKS_PER_S))
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// The process that listens on `address` if it is one of this machine's and may be looked at.
pub fn listener(address: &str) -> Option<u32> {
    let local = address.to_socket_addrs().ok()?.find(|address| address.ip().is_loopback())?;
    let inodes = listening_inodes(local);
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if holds_socket(&entry.path().join("fd"), &inodes) {
            return Some(pid);
        }
    }
    None
}

fn listening_inodes(address: SocketAddr) -> Vec<String> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (Some(local), Some(state), Some(inode)) =
                (fields.get(1), fields.get(3), fields.get(9))
            else {
                continue;
            };
            let port =
                local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            if *state == "0A" && port == Some(address.port()) {
                inodes.push(format!("socket:[{inode}]"));
            }
        }
    }
    inodes
}

fn holds_socket(descriptors: &Path, inodes: &[String]) -> bool {
    fs::read_dir(descriptors).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            fs::read_link(entry.path())
                .is_ok_and(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
        })
    })
}

/// The command line of process `pid`.
pub fn command(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned())
}

/// Whether some process's arguments or name suggest that it is Apache Kafka or millrace.
pub fn kind(pid: u32) -> Option<&'static str> {
    let command = command(pid)?;
    let program = command.split(' ').next()?.rsplit('/').next()?.to_owned();
    if program.starts_with("millrace") {
        Some("millrace")
    } else if command.contains("kafka.Kafka") {
        Some("kafka")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself_and_finds_its_own_listener() {
        let sample = ProcessSample::read(std::process::id()).expect("this process");
        assert!(sample.rss_bytes > 0 && sample.threads > 0);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address").to_string();
        assert_eq!(listener(&address), Some(std::process::id()));
        assert!(ProcessSample::read(u32::MAX).is_none());
    }
}
