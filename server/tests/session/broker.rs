//! A real broker process on a free port, and a client that sends any bytes it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use millrace::protocol::frame::request_frame;
use millrace::protocol::header::get_response_header;
use millrace::protocol::messages::Request;
use millrace_engine::codec::{Message, Reader};

const PATIENCE: Duration = Duration::from_secs(20);

/// A broker with one shard; killed when this is dropped.
pub struct Broker {
    process: Child,
    port: u16,
    dir: PathBuf,
}

impl Broker {
    /// Starts it and waits until it answers.
    pub fn start(name: &str, overrides: &[&str]) -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).unwrap();
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        let log = std::fs::File::create(dir.join("broker.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        let data = dir.join("data").display().to_string();
        let listeners = format!("listeners=PLAINTEXT://127.0.0.1:{port}");
        let log_dirs = format!("log.dirs={data}");
        let common = [
            "millrace.shards=1",
            "millrace.journal.bytes=16777216",
            "millrace.admin.listener=127.0.0.1:0",
        ];
        for pair in [&*listeners, &*log_dirs].iter().chain(&common).chain(overrides) {
            command.args(["--override", pair]);
        }
        let process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let broker = Self { process, port, dir };
        for _ in 0..2000 {
            if broker.log().contains("listening on") {
                return broker;
            }
            pause(10);
        }
        panic!("the broker does not start:\n{}", broker.log());
    }

    /// What the broker has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("broker.log")).unwrap_or_default()
    }

    /// A connection.
    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, next: 0 }
    }

    /// Resident memory of the broker. Bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the broker lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.expect("a resident size") * 1024
    }

    /// Open descriptors of the broker.
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.process.id()));
        open.expect("the broker lives").count()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of a real process waits in real time")]
pub fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    next: i32,
}

impl Client {
    /// The bytes of a request.
    pub fn frame<R: Request>(&mut self, request: &R, version: i16) -> (i32, Bytes) {
        self.next += 1;
        let frame = request_frame(request, version, self.next, Some("test")).unwrap();
        (self.next, frame.into_bytes())
    }

    /// Sends any bytes. That the broker has closed meanwhile is no failure.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Err(error)
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            sent => sent.unwrap(),
        }
    }

    /// Sends a request and returns its correlation id.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        let (id, bytes) = self.frame(request, version);
        self.stream.write_all(&bytes).unwrap();
        id
    }

    /// The next answer's bytes; none if the broker has closed.
    pub fn receive_frame(&mut self) -> Option<Bytes> {
        let mut size = [0; 4];
        match self.stream.read_exact(&mut size) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                return None;
            }
            Err(error) => panic!("neither an answer nor the end: {error}"),
        }
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(size)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        Some(frame.into())
    }

    /// The next answer, which must be to this request.
    pub fn receive<R: Request>(&mut self, id: i32, version: i16) -> R::Response {
        let mut reader = Reader::of_own(self.receive_frame().expect("an answer"));
        assert_eq!(get_response_header(R::API, version, &mut reader).unwrap(), id);
        let response = R::Response::decode(version, &mut reader).unwrap();
        reader.finish().unwrap();
        response
    }

    /// Asks and waits.
    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let id = self.send(request, version);
        self.receive::<R>(id, version)
    }

    /// Whether the broker closes the connection without an answer.
    pub fn is_closed(&mut self) -> bool {
        self.receive_frame().is_none()
    }
}
