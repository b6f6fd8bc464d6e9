//! A blocking connection with deadlines that asks one question after the other, and why asking fails.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;
use millrace::protocol::frame::{FrameError, frame_size, request_frame};
use millrace::protocol::header::get_response_header;
use millrace::protocol::messages::Request;
use millrace_engine::codec::{DecodeError, EncodeError, Message, Reader};

use super::CLIENT_ID;
use crate::sys;

/// Largest answer accepted, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why asking a broker failed.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The name does not resolve.
    #[error("cannot resolve {address}: {source}")]
    Resolve {
        /// As given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// As given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke or stalled.
    #[error("{address} did not answer the {what} request: {source}")]
    Broken {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The answer is not Kafka's.
    #[error("{address} answered the {what} request with something else: {source}")]
    Malformed {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
        /// Where it stopped making sense.
        source: DecodeError,
    },
    /// The answer is to something else.
    #[error("{address} answered the {what} request out of turn")]
    OutOfTurn {
        /// The broker.
        address: String,
        /// The request.
        what: &'static str,
    },
    /// What is asked for cannot be said in the protocol, such as a name of 40,000 bytes.
    #[error("the {what} request cannot be encoded: {source}")]
    Unsayable {
        /// The request.
        what: &'static str,
        /// Why.
        source: EncodeError,
    },
    /// The broker refused.
    #[error("{what}: the broker answered error {code} ({}){detail}", crate::error::name(*code))]
    Refused {
        /// What was asked.
        what: String,
        /// Kafka's error code.
        code: i16,
        /// The broker's message, with a leading separator, or nothing.
        detail: String,
    },
}

/// How often it is looked whether the program was interrupted while an answer is awaited.
const LOOK: Duration = Duration::from_millis(100);

/// How long an answer is awaited after that: those to what cleans up behind a run still come.
const PATIENCE_WHEN_TOLD: Duration = Duration::from_secs(1);

/// A blocking connection for one question at a time.
pub struct Asker {
    address: String,
    stream: TcpStream,
    /// Requests sent, and answers received; both are correlation ids.
    sent: i32,
    answered: i32,
}

/// Resolves and connects, trying every address the name stands for.
pub fn connect(address: &str, timeout: Duration) -> Result<TcpStream, AskError> {
    let resolve = |source| AskError::Resolve { address: address.into(), source };
    let candidates: Vec<SocketAddr> = address.to_socket_addrs().map_err(resolve)?.collect();
    let mut last = io::Error::other("the name stands for no address");
    for candidate in candidates {
        match TcpStream::connect_timeout(&candidate, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(AskError::Connect { address: address.into(), source: last })
}

impl Asker {
    /// Connects; every later answer must come within `timeout`.
    pub fn connect(address: &str, timeout: Duration) -> Result<Self, AskError> {
        let stream = connect(address, timeout)?;
        let broken = |source| AskError::Connect { address: address.into(), source };
        stream.set_read_timeout(Some(timeout)).map_err(broken)?;
        stream.set_write_timeout(Some(timeout)).map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Self { address: address.into(), stream, sent: 0, answered: 0 })
    }

    /// Connects to the first address of a list with commas that answers.
    pub fn connect_any(bootstrap: &str, timeout: Duration) -> Result<Self, AskError> {
        let mut last = None;
        for address in bootstrap.split(',').map(str::trim).filter(|address| !address.is_empty()) {
            match Self::connect(address, timeout) {
                Ok(asker) => return Ok(asker),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| AskError::Connect {
            address: bootstrap.into(),
            source: io::Error::other("no address given"),
        }))
    }

    /// Whom it asks.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends `request` and waits for its answer.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response, AskError> {
        self.send(version, request)?;
        self.receive::<R>(version)
    }

    /// Sends `request`; `receive` takes its answer. Several may be sent before their answers are received in order.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<(), AskError> {
        let what = R::API.spec().name;
        self.sent = self.sent.wrapping_add(1);
        let frame = request_frame(request, version, self.sent, Some(CLIENT_ID))
            .map_err(|source| AskError::Unsayable { what, source })?
            .into_bytes();
        self.stream.write_all(&frame).map_err(|source| self.broken(what, source))
    }

    /// The answer to the oldest unanswered request, which was an `R` of this version.
    pub fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response, AskError> {
        let what = R::API.spec().name;
        let frame = self
            .begins()
            .and_then(|()| self.frame())
            .map_err(|source| self.broken(what, source))?;
        let address = &self.address;
        let malformed = |source| AskError::Malformed { address: address.clone(), what, source };
        let mut reader = Reader::of_own(Bytes::from(frame));
        let correlation = get_response_header(R::API, version, &mut reader).map_err(malformed)?;
        self.answered = self.answered.wrapping_add(1);
        if correlation != self.answered {
            return Err(AskError::OutOfTurn { address: self.address.clone(), what });
        }
        R::Response::decode(version, &mut reader).map_err(malformed)
    }

    /// Whether an answer begins to arrive within `wait` (or the connection ends).
    pub fn ready(&self, wait: Duration) -> bool {
        let before = self.stream.read_timeout().ok().flatten();
        let set = self.stream.set_read_timeout(Some(wait)).is_ok();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(before).ok();
        let waits = |error: &io::Error| {
            use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
            matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
        };
        set && !peeked.is_err_and(|error| waits(&error))
    }

    /// The connection itself, for use without deadlines.
    pub fn into_stream(self) -> io::Result<TcpStream> {
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)?;
        Ok(self.stream)
    }

    /// Waits for the first byte of an answer; not for long once somebody has interrupted the program.
    fn begins(&self) -> io::Result<()> {
        let timeout = self.stream.read_timeout()?.unwrap_or(Duration::MAX);
        let (mut waited, mut since_told) = (Duration::ZERO, Duration::ZERO);
        while !self.ready(LOOK) {
            waited += LOOK;
            if sys::interrupted() {
                since_told += LOOK;
            }
            if since_told >= PATIENCE_WHEN_TOLD {
                return Err(io::Error::other("interrupted before it answered"));
            }
            if waited >= timeout {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix)?;
        let length =
            frame_size(prefix, ANSWER_BYTES_MAX).map_err(|error| stranger(prefix, error))?;
        let mut frame = Vec::new();
        (&mut self.stream).take(length as u64).read_to_end(&mut frame)?;
        if frame.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(frame)
    }

    fn broken(&self, what: &'static str, source: io::Error) -> AskError {
        let wait = self.stream.read_timeout().ok().flatten().unwrap_or_default();
        AskError::Broken { address: self.address.clone(), what, source: clearer(source, wait) }
    }
}

/// What the first bytes of an answer say that is none of Kafka's.
fn stranger(prefix: [u8; 4], error: FrameError) -> io::Error {
    let what = match prefix {
        [0x15 | 0x16, 3, _, _] => "TLS: this program speaks to PLAINTEXT listeners".to_owned(),
        _ if prefix.iter().all(u8::is_ascii_graphic) => {
            format!("something that begins with `{}`", String::from_utf8_lossy(&prefix))
        }
        _ => return io::Error::other(error),
    };
    io::Error::other(format!("it speaks no Kafka but {what}"))
}

fn clearer(error: io::Error, wait: Duration) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => io::Error::new(
            error.kind(),
            "it closed the connection (is this a Kafka listener, without TLS or SASL?)",
        ),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            let text = format!("no answer in time ({} s)", wait.as_secs_f64());
            io::Error::new(io::ErrorKind::TimedOut, text)
        }
        _ => error,
    }
}

/// An error code as a refusal of `what`; 0 is none.
pub fn refused(what: &str, code: i16, message: Option<&str>) -> Result<(), AskError> {
    if code == 0 {
        return Ok(());
    }
    let detail = message.map(|text| format!(": {text}")).unwrap_or_default();
    Err(AskError::Refused { what: what.into(), code, detail })
}
