//! One GET over plain HTTP: all that is asked of an admin port.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long connecting, sending and each piece of the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer taken.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// The body of `http://address/path`; if there is none, why.
pub fn get(address: &str, path: &str) -> Result<Vec<u8>, String> {
    let place = format!("http://{address}{path}");
    let failed = |error: std::io::Error| format!("{place}: {error}");
    let found = address.to_socket_addrs().map_err(failed)?.next();
    let found = found.ok_or_else(|| format!("{place}: cannot be resolved"))?;
    let mut stream = TcpStream::connect_timeout(&found, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(failed)?;
    body(&answer).map_err(|problem| format!("{place}: {problem}"))
}

/// The body of an answer whose status is 200; else the status, or why it is no answer.
fn body(answer: &[u8]) -> Result<Vec<u8>, String> {
    const END: &[u8] = b"\r\n\r\n";
    let at = answer.windows(END.len()).position(|window| window == END);
    let (head, body) = at.map(|at| answer.split_at(at + END.len())).ok_or("not an HTTP answer")?;
    let head = String::from_utf8_lossy(head);
    let mut words = head.lines().next().unwrap_or_default().splitn(3, ' ');
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(body.to_vec()),
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => {
            let text = String::from_utf8_lossy(body);
            Err(format!("{status} {}", text.trim().chars().take(200).collect::<String>()))
        }
        _ => Err("not an HTTP answer".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}\r\n\r\n"), Ok(b"{}\r\n\r\n".to_vec()));
        let refused = body(b"HTTP/1.1 503 Busy\r\n\r\nshard 1 does not answer\n");
        assert_eq!(refused, Err("503 shard 1 does not answer".into()));
        for garbage in [&b""[..], b"\0\0\0\x10", b"HTTP/1.0 200 OK\r\n", b"KAFKA 200\r\n\r\n"] {
            assert_eq!(body(garbage), Err("not an HTTP answer".into()));
        }
    }
}
