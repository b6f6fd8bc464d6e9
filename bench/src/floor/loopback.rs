//! The floor of TCP on loopback between two threads: round trips, and bytes in one direction.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::clock::Clock;
use crate::measure::latency::{Summary, histogram};
use crate::sys;

const PING_BYTES: usize = 64;
const STREAM_BYTES: usize = 128 << 10;

/// Runs `near` on one end of a connection and `far` on the other.
fn both<T>(
    near: impl FnOnce(TcpStream) -> io::Result<T>,
    far: impl FnOnce(TcpStream) -> io::Result<()> + Send,
) -> io::Result<T> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    other.set_nodelay(true)?;
    std::thread::scope(|scope| {
        let far = scope.spawn(move || far(other));
        let outcome = near(stream);
        let far = far.join().map_err(|_| io::Error::other("the far end broke"))?;
        outcome.and_then(|value| far.map(|()| value))
    })
}

/// Times of a small message there and back.
pub fn round_trips(each: Duration) -> io::Result<Summary> {
    both(
        |mut stream| {
            let (clock, end_ns) = (Clock::start(), each.as_nanos() as u64);
            let mut times = histogram();
            let mut message = [1; PING_BYTES];
            while clock.now_ns() < end_ns && !sys::interrupted() {
                let start_ns = clock.now_ns();
                stream.write_all(&message)?;
                stream.read_exact(&mut message)?;
                times.saturating_record(clock.now_ns() - start_ns);
            }
            Ok(Summary::of(&times))
        },
        |mut stream| {
            let mut message = [0; PING_BYTES];
            while stream.read_exact(&mut message).is_ok() {
                stream.write_all(&message)?;
            }
            Ok(())
        },
    )
}

/// Bytes per second in one direction.
pub fn throughput(each: Duration) -> io::Result<f64> {
    both(
        |mut stream| {
            let (clock, end_ns) = (Clock::start(), each.as_nanos() as u64);
            let buffer = vec![1; STREAM_BYTES];
            let mut sent = 0_u64;
            while clock.now_ns() < end_ns && !sys::interrupted() {
                stream.write_all(&buffer)?;
                sent += buffer.len() as u64;
            }
            Ok(sent as f64 / (clock.now_ns() as f64 / 1e9))
        },
        |mut stream| {
            let mut buffer = vec![0; STREAM_BYTES];
            while stream.read(&mut buffer)? > 0 {}
            Ok(())
        },
    )
}
