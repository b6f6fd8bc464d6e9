//! One non-blocking connection: requests queued as pieces and written with as few system calls as possible, answers
//! read frame by frame from one reused buffer.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::rc::Rc;

use crate::sys::Poll;

/// Largest answer accepted, bytes.
const FRAME_BYTES_MAX: usize = 512 << 20;
/// Pieces given to one write.
const WRITE_PIECES: usize = 64;
/// Room kept for reading.
const READ_BYTES: usize = 64 << 10;

/// A part of a request.
#[derive(Clone, Debug)]
enum Piece {
    /// A range of the request's own bytes.
    Own(Range<usize>),
    /// A range of bytes shared between requests.
    Shared(Rc<[u8]>, Range<usize>),
}

/// A request to send: its own bytes, with shared bytes in between.
#[derive(Debug, Default)]
pub struct Request {
    /// The request's own bytes, in order.
    pub own: Vec<u8>,
    pieces: Vec<Piece>,
    cut: usize,
    shared_bytes: usize,
}

impl Request {
    /// Lets `range` of `bytes` follow the own bytes written so far.
    pub fn share(&mut self, bytes: &Rc<[u8]>, range: Range<usize>) {
        if self.cut < self.own.len() {
            self.pieces.push(Piece::Own(self.cut..self.own.len()));
            self.cut = self.own.len();
        }
        self.shared_bytes += range.len();
        self.pieces.push(Piece::Shared(Rc::clone(bytes), range));
    }

    /// Shared bytes in it.
    pub fn shared_bytes(&self) -> usize {
        self.shared_bytes
    }

    fn close(&mut self) {
        if self.cut < self.own.len() {
            self.pieces.push(Piece::Own(self.cut..self.own.len()));
            self.cut = self.own.len();
        }
    }

    fn clear(&mut self) {
        self.own.clear();
        self.pieces.clear();
        self.cut = 0;
        self.shared_bytes = 0;
    }

    fn bytes<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        match piece {
            Piece::Own(range) => &self.own[range.clone()],
            Piece::Shared(bytes, range) => &bytes[range.clone()],
        }
    }
}

/// A connection to a broker.
pub struct Connection {
    stream: TcpStream,
    token: u64,
    queue: VecDeque<Request>,
    /// Piece of the first queued request that is being written, and how much of it is out.
    piece: usize,
    written: usize,
    spare: Vec<Request>,
    waits_to_write: bool,
    input: Vec<u8>,
    /// Filled part of `input`.
    filled: Range<usize>,
    /// Bytes written since the start.
    pub bytes_out: u64,
    /// Bytes read since the start.
    pub bytes_in: u64,
}

impl Connection {
    /// Takes over a connected socket and watches it under `token`.
    pub fn new(stream: TcpStream, token: u64, poll: &Poll) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        poll.add(&stream, token, false)?;
        Ok(Self {
            stream,
            token,
            queue: VecDeque::new(),
            piece: 0,
            written: 0,
            spare: Vec::new(),
            waits_to_write: false,
            input: vec![0; READ_BYTES],
            filled: 0..0,
            bytes_out: 0,
            bytes_in: 0,
        })
    }

    /// An empty request to fill and `queue`.
    pub fn request(&mut self) -> Request {
        self.spare.pop().unwrap_or_default()
    }

    /// Queues a request; `flush` sends it.
    pub fn queue(&mut self, mut request: Request) {
        request.close();
        self.queue.push_back(request);
    }

    /// Whether all requests are with the kernel.
    pub fn drained(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes as much as the socket takes.
    pub fn flush(&mut self, poll: &Poll) -> io::Result<()> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
            let mut offered = 0;
            let count = fill(&mut slices, &self.queue, self.piece, self.written, &mut offered);
            match self.stream.write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    self.bytes_out += sent as u64;
                    self.advance(sent);
                    if sent < offered {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let wants = !self.queue.is_empty();
        if wants != self.waits_to_write {
            poll.change(&self.stream, self.token, wants)?;
            self.waits_to_write = wants;
        }
        Ok(())
    }

    fn advance(&mut self, mut sent: usize) {
        while let Some(request) = self.queue.front() {
            let Some(piece) = request.pieces.get(self.piece) else {
                self.piece = 0;
                self.written = 0;
                if let Some(mut done) = self.queue.pop_front() {
                    done.clear();
                    self.spare.push(done);
                }
                continue;
            };
            let left = request.bytes(piece).len() - self.written;
            if sent < left {
                self.written += sent;
                return;
            }
            sent -= left;
            self.piece += 1;
            self.written = 0;
        }
    }

    /// Reads once. `false`: the other side has closed.
    pub fn fill(&mut self) -> io::Result<bool> {
        if self.filled.is_empty() {
            self.filled = 0..0;
        }
        if self.input.len() - self.filled.end < READ_BYTES / 4 {
            self.make_room();
        }
        match self.stream.read(&mut self.input[self.filled.end..]) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.filled.end += count;
                self.bytes_in += count as u64;
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn make_room(&mut self) {
        self.input.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        // Doubling keeps the buffer in proportion to what has arrived, whatever a length field says.
        if self.input.len() - self.filled.end < READ_BYTES {
            self.input.resize(self.input.len() * 2, 0);
        }
    }

    /// The next whole answer, without its length.
    pub fn next_frame(&mut self) -> io::Result<Option<Range<usize>>> {
        let Some(length) = self.input[self.filled.clone()].first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if !(4..=FRAME_BYTES_MAX).contains(&length) {
            return Err(io::Error::other(format!("it announced an answer of {length} bytes")));
        }
        if self.filled.len() < 4 + length {
            return Ok(None);
        }
        let start = self.filled.start + 4;
        self.filled.start = start + length;
        Ok(Some(start..start + length))
    }

    /// The bytes of a frame just returned by `next_frame`.
    pub fn frame(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }
}

fn fill<'a>(
    slices: &mut [IoSlice<'a>; WRITE_PIECES],
    queue: &'a VecDeque<Request>,
    first_piece: usize,
    written: usize,
    offered: &mut usize,
) -> usize {
    let mut count = 0;
    let mut skip = written;
    for (index, request) in queue.iter().enumerate() {
        let from = if index == 0 { first_piece } else { 0 };
        for piece in request.pieces.get(from..).unwrap_or_default() {
            if count == WRITE_PIECES {
                return count;
            }
            let bytes = &request.bytes(piece)[skip..];
            skip = 0;
            *offered += bytes.len();
            slices[count] = IoSlice::new(bytes);
            count += 1;
        }
    }
    count
}
