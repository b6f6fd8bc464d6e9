//! A stand-in for a broker that throws records away and answers after a known delay: what the generator's own figures
//! are checked against, and the floor of what it costs.

pub mod answer;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::clock::Clock;
use crate::sys::{self, Poll, Ready};

/// How the stand-in behaves.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// Every produce is answered this long after it has arrived.
    pub delay: Duration,
    /// Nothing is answered for this long ...
    pub stall: Duration,
    /// ... at the end of each such period (zero: never).
    pub every: Duration,
    /// It ends by itself after this time.
    pub life: Duration,
}

/// Bytes of a request that are looked at; the rest is only counted.
const HEAD_BYTES: usize = 512;
const READ_BYTES: usize = 256 << 10;
const LISTENER: u64 = u64::MAX;
const NAP_NS: u64 = 50_000_000;

struct Peer {
    stream: TcpStream,
    head: Vec<u8>,
    /// Bytes of the current request still to come.
    missing: usize,
    answers: VecDeque<(u64, Vec<u8>)>,
    open: bool,
}

/// Serves on `listener` until its life ends or the process is told to stop.
pub fn serve(listener: TcpListener, behaviour: Behaviour) -> io::Result<()> {
    let clock = Clock::start();
    let mut poll = Poll::new(256)?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    poll.add(&listener, LISTENER, false)?;
    let mut peers: Vec<Peer> = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut ready: Vec<Ready> = Vec::new();
    let life_ns = behaviour.life.as_nanos() as u64;
    loop {
        let now_ns = clock.now_ns();
        if now_ns >= life_ns || sys::interrupted() {
            return Ok(());
        }
        let wake_ns = peers
            .iter()
            .filter(|peer| peer.open)
            .filter_map(|peer| peer.answers.front())
            .map(|answer| answer.0)
            .min()
            .unwrap_or(u64::MAX);
        ready.clear();
        poll.wait(wake_ns.saturating_sub(now_ns).min(NAP_NS), &mut ready)?;
        for event in &ready {
            if event.token == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    poll.add(&stream, peers.len() as u64, false)?;
                    peers.push(Peer {
                        stream,
                        head: Vec::new(),
                        missing: 0,
                        answers: VecDeque::new(),
                        open: true,
                    });
                }
            } else if let Some(peer) = peers.get_mut(event.token as usize) {
                peer.receive(&mut buffer, &clock, &behaviour, port);
            }
        }
        let now_ns = clock.now_ns();
        for peer in peers.iter_mut().filter(|peer| peer.open) {
            peer.answer(now_ns);
        }
    }
}

impl Peer {
    fn receive(&mut self, buffer: &mut [u8], clock: &Clock, behaviour: &Behaviour, port: u16) {
        match self.stream.read(buffer) {
            Ok(0) => self.close(),
            Ok(count) => {
                let now_ns = clock.now_ns();
                if self.take(&buffer[..count], now_ns, behaviour, port).is_none() {
                    self.close();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.close(),
        }
    }

    fn close(&mut self) {
        self.open = false;
        // Nothing is lost: the other side is gone or sent something that is not a request.
        self.stream.shutdown(std::net::Shutdown::Both).ok();
    }

    /// Takes bytes apart into requests. `None`: they are not requests.
    fn take(
        &mut self,
        mut bytes: &[u8],
        now_ns: u64,
        behaviour: &Behaviour,
        port: u16,
    ) -> Option<()> {
        while !bytes.is_empty() {
            if self.missing == 0 {
                // The head of a request: its length and up to `HEAD_BYTES`.
                let step = (4 - self.head.len().min(4)).min(bytes.len());
                self.head.extend_from_slice(&bytes[..step]);
                bytes = &bytes[step..];
                if self.head.len() < 4 {
                    return Some(());
                }
                let length = i32::from_be_bytes(self.head[..4].try_into().ok()?);
                self.missing = usize::try_from(length).ok().filter(|length| *length >= 8)?;
            }
            let step = self.missing.min(bytes.len());
            let look = step.min(HEAD_BYTES - self.head.len().min(HEAD_BYTES));
            self.head.extend_from_slice(&bytes[..look]);
            bytes = &bytes[step..];
            self.missing -= step;
            if self.missing == 0 {
                let (delay_ns, answer) = answer::answer(&self.head[4..], port)?;
                let due_ns = match delay_ns {
                    Some(wait_ns) => now_ns + wait_ns,
                    None => behaviour.due_ns(now_ns),
                };
                if !answer.is_empty() {
                    self.answers.push_back((due_ns, answer));
                }
                self.head.clear();
            }
        }
        Some(())
    }

    fn answer(&mut self, now_ns: u64) {
        while self.answers.front().is_some_and(|answer| answer.0 <= now_ns) {
            let Some((_, bytes)) = self.answers.pop_front() else { return };
            // Answers are small; a peer that lets them pile up until the socket is full is not ours.
            if self.stream.write_all(&bytes).is_err() {
                return self.close();
            }
        }
    }
}

impl Behaviour {
    fn due_ns(&self, now_ns: u64) -> u64 {
        let due_ns = now_ns + self.delay.as_nanos() as u64;
        let (every, stall) = (self.every.as_nanos() as u64, self.stall.as_nanos() as u64);
        if every == 0 {
            return due_ns;
        }
        let phase = due_ns % every;
        if phase >= every - stall { due_ns - phase + every } else { due_ns }
    }
}
