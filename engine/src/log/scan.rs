//! Reads a segment during recovery, in consecutive chunks, and tells how far it is valid.
//!
//! [`SegmentScanner`] hands out each valid batch. Where it stops before the end, [`DamageProbe`]
//! looks at the bytes that follow, to tell a torn tail, which is cut off, from damage in the
//! middle, after which records that were acknowledged may stand.

use std::fmt;

use crate::record::batch::{self, BatchHeader};
use crate::record::codec::Codec;
use crate::record::layout::{
    BATCH_LENGTH, HEADER_BYTES, MAGIC, MAGIC_AT, PREFIX_BYTES, UP_TO_MAGIC_BYTES,
};
use crate::types::Offset;

/// What a scan expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRules {
    /// Offset that the first batch begins at: the segment's base offset. With gaps, any lower
    /// bound will do.
    pub first_offset: Offset,
    /// Position of the first byte in the file.
    pub position: u64,
    /// No batch is larger, whatever `max.message.bytes` was in the past. It also bounds what the
    /// scanner keeps.
    pub batch_bytes_max: usize,
    /// Offsets may be missing between batches, as after compaction.
    pub gaps: bool,
}

/// One valid batch.
#[derive(Debug, Clone, Copy)]
pub struct ScannedBatch<'a> {
    /// Its header.
    pub header: &'a BatchHeader,
    /// Its position in the file.
    pub position: u64,
    /// All of its bytes.
    pub bytes: &'a [u8],
}

/// Why a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The bytes end with a batch.
    CleanEnd,
    /// Only zeros stand behind the last batch, as far as the scan has seen.
    ZeroTail,
    /// The bytes end within a batch.
    Torn,
    /// The length field cannot be true.
    BadLength(i32),
    /// Not magic 2.
    BadMagic(i8),
    /// The checksum differs.
    BadCrc,
    /// The header contradicts itself.
    BadHeader,
    /// The batch does not begin where it should.
    BadOffset {
        /// Where the batch before ended.
        expected: Offset,
        /// Its own base offset.
        found: Offset,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CleanEnd => f.write_str("the end"),
            Self::ZeroTail => f.write_str("zeros"),
            Self::Torn => f.write_str("the file ends within a batch"),
            Self::BadLength(length) => write!(f, "a batch length of {length}"),
            Self::BadMagic(magic) => write!(f, "magic {magic}, only 2 is supported"),
            Self::BadCrc => f.write_str("the checksum differs"),
            Self::BadHeader => f.write_str("the batch header contradicts itself"),
            Self::BadOffset { expected, found } => {
                write!(f, "offset {found} where {expected} is next")
            }
        }
    }
}

/// The result of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanEnd {
    /// Why it ended.
    pub stop: Stop,
    /// Up to here (exclusive) the file is valid.
    pub position: u64,
    /// The offset after the last valid batch.
    pub next_offset: Offset,
}

/// Finds batch after batch in consecutive chunks of a segment file.
#[derive(Debug)]
pub struct SegmentScanner {
    rules: ScanRules,
    position: u64,
    next_offset: Offset,
    /// The begin of a batch that continues in the next chunk.
    carry: Vec<u8>,
    stop: Option<Stop>,
}

impl SegmentScanner {
    /// Starts a scan.
    #[must_use]
    pub fn new(rules: ScanRules) -> Self {
        Self {
            rules,
            position: rules.position,
            next_offset: rules.first_offset,
            carry: Vec::new(),
            stop: None,
        }
    }

    /// Takes the next bytes of the file and hands every batch that they complete to `each`. Says
    /// whether it wants more; once it has stopped, it never does.
    pub fn feed(&mut self, mut chunk: &[u8], mut each: impl FnMut(ScannedBatch<'_>)) -> bool {
        while self.stop.is_none() {
            if self.carry.is_empty() {
                match self.step(chunk, &mut each) {
                    Step::Took(size) => chunk = chunk.get(size..).unwrap_or_default(),
                    Step::Wants(_) => {
                        self.carry.extend_from_slice(chunk);
                        break;
                    }
                    Step::Stopped => {}
                }
                continue;
            }
            let carry = std::mem::take(&mut self.carry);
            let step = self.step(&carry, &mut each);
            self.carry = carry;
            match step {
                Step::Took(_) => self.carry.clear(),
                Step::Wants(size) => {
                    if chunk.is_empty() {
                        break;
                    }
                    let missing = size.saturating_sub(self.carry.len());
                    let (taken, rest) = chunk.split_at(missing.min(chunk.len()));
                    self.carry.extend_from_slice(taken);
                    chunk = rest;
                }
                Step::Stopped => {}
            }
        }
        self.stop.is_none()
    }

    /// Ends the scan where the file ends.
    #[must_use]
    pub fn finish(self) -> ScanEnd {
        let stop = self.stop.unwrap_or_else(|| match self.carry.iter().all(|&b| b == 0) {
            _ if self.carry.is_empty() => Stop::CleanEnd,
            true => Stop::ZeroTail,
            false => Stop::Torn,
        });
        ScanEnd { stop, position: self.position, next_offset: self.next_offset }
    }

    /// The offset after the last valid batch so far.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Up to here the file is valid so far.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Looks for one batch at the front of `bytes`.
    fn step(&mut self, bytes: &[u8], each: &mut impl FnMut(ScannedBatch<'_>)) -> Step {
        match check(bytes, self.rules.batch_bytes_max) {
            Ok(header) => self.accept(&header, bytes, each),
            Err(Refused::Wants(size)) => Step::Wants(size),
            Err(Refused::Stop(stop)) => {
                self.stop = Some(stop);
                Step::Stopped
            }
        }
    }

    fn accept(
        &mut self,
        header: &BatchHeader,
        bytes: &[u8],
        each: &mut impl FnMut(ScannedBatch<'_>),
    ) -> Step {
        let (expected, found) = (self.next_offset, header.base_offset);
        if found < expected || (found > expected && !self.rules.gaps) {
            self.stop = Some(Stop::BadOffset { expected, found });
            return Step::Stopped;
        }
        let size = header.size_bytes();
        let bytes = bytes.get(..size).unwrap_or_default();
        each(ScannedBatch { header, position: self.position, bytes });
        self.position += size as u64;
        self.next_offset = header.next_offset();
        Step::Took(size)
    }
}

enum Step {
    /// A batch of so many bytes was handed out.
    Took(usize),
    /// So many bytes, counted from the batch's begin, are needed to go on.
    Wants(usize),
    Stopped,
}

enum Refused {
    Wants(usize),
    Stop(Stop),
}

/// Checks the batch at the front of `bytes`, but for what its offset should be.
fn check(bytes: &[u8], batch_bytes_max: usize) -> Result<BatchHeader, Refused> {
    let Some(front) = bytes.first_chunk::<UP_TO_MAGIC_BYTES>() else {
        return Err(Refused::Wants(UP_TO_MAGIC_BYTES));
    };
    let mut length = [0; 4];
    length.copy_from_slice(&front[BATCH_LENGTH..PREFIX_BYTES]);
    let length = i32::from_be_bytes(length);
    if length == 0 && front.iter().all(|&b| b == 0) {
        return Err(Refused::Stop(Stop::ZeroTail));
    }
    let magic = i8::from_be_bytes([front[MAGIC_AT]]);
    let size = usize::try_from(length).unwrap_or_default().saturating_add(PREFIX_BYTES);
    if size < HEADER_BYTES || size > batch_bytes_max {
        // Old formats have shorter headers; their magic says more than their length.
        let old = (0..MAGIC).contains(&magic) && length > 0;
        let stop = if old { Stop::BadMagic(magic) } else { Stop::BadLength(length) };
        return Err(Refused::Stop(stop));
    }
    if magic != MAGIC {
        return Err(Refused::Stop(Stop::BadMagic(magic)));
    }
    let Some(whole) = bytes.get(..size) else { return Err(Refused::Wants(size)) };
    let Some((head, records)) = whole.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Refused::Stop(Stop::BadHeader));
    };
    let header = BatchHeader::parse(head).map_err(|_| Refused::Stop(Stop::BadHeader))?;
    if batch::checksum(head, records) != header.crc && !plant!(SkipCrc) {
        return Err(Refused::Stop(Stop::BadCrc));
    }
    if !is_sound(&header) {
        return Err(Refused::Stop(Stop::BadHeader));
    }
    Ok(header)
}

/// What must hold in a header whatever the batch holds.
fn is_sound(header: &BatchHeader) -> bool {
    header.base_offset >= 0
        && header.last_offset_delta >= 0
        && header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1).is_some()
        && (0..=i64::from(header.last_offset_delta) + 1).contains(&i64::from(header.record_count))
        && header.codec().is_some_and(|codec| codec == Codec::None || !header.is_control())
}

/// What follows a place where a scan stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// No valid batch follows: a tail that was never complete. It can be cut off.
    Tail,
    /// A valid batch with a higher offset follows, at this position.
    Middle {
        /// Position of that batch in the file.
        position: u64,
        /// Its base offset.
        base_offset: Offset,
    },
    /// Too much looked like a batch without being one. To be treated as damage in the middle.
    Unclear,
}

/// Looks for a valid batch behind a damaged place, in consecutive chunks that begin there.
///
/// A write in flight may reach the disk in parts and out of order, so what this calls damage in the
/// middle can still be harmless where nothing from the damaged place on was ever flushed; whoever
/// knows the recovery point decides that first. A record whose value is a batch of another log
/// could be taken for a batch of this one; the offset that is asked for makes that rare, and it
/// errs towards keeping data.
#[derive(Debug)]
pub struct DamageProbe {
    offset_min: Offset,
    batch_bytes_max: usize,
    /// Position of the window's first byte.
    position: u64,
    window: Vec<u8>,
    seen: u64,
    checked: u64,
    found: Option<Damage>,
}

/// At most so many bytes are checksummed per byte looked at, so that bytes made to look like many
/// batches cannot hold up the start.
const CHECKED_PER_SEEN_MAX: u64 = 64;
/// Bytes that may be checksummed in any case.
const CHECKED_FREE: u64 = 64 * 1024 * 1024;

impl DamageProbe {
    /// Looks for batches that begin at `offset_min` or later, the next offset of the scan that
    /// stopped at `position`.
    #[must_use]
    pub fn new(offset_min: Offset, position: u64, batch_bytes_max: usize) -> Self {
        Self {
            offset_min,
            batch_bytes_max,
            position,
            window: Vec::new(),
            seen: 0,
            checked: 0,
            found: None,
        }
    }

    /// Takes the next bytes. Says whether it wants more.
    pub fn feed(&mut self, chunk: &[u8]) -> bool {
        if self.found.is_none() {
            self.seen += chunk.len() as u64;
            self.window.extend_from_slice(chunk);
            let done = self.look(false);
            self.window.drain(..done);
            self.position += done as u64;
        }
        self.found.is_none()
    }

    /// The verdict, once all bytes were seen.
    #[must_use]
    pub fn finish(mut self) -> Damage {
        if self.found.is_none() {
            self.look(true);
        }
        self.found.unwrap_or(Damage::Tail)
    }

    /// Tries every place in the window; gives how many are done with. A place whose batch would
    /// reach beyond the window waits for more, unless these are the `last` bytes.
    fn look(&mut self, last: bool) -> usize {
        let mut at = 0;
        while let Some(front) = self.window.get(at..at + UP_TO_MAGIC_BYTES) {
            if front.get(MAGIC_AT) != Some(&(MAGIC as u8)) {
                at += 1;
                continue;
            }
            let bytes = self.window.get(at..).unwrap_or_default();
            if !self.is_candidate(bytes) {
                at += 1;
                continue;
            }
            match check(bytes, self.batch_bytes_max) {
                Ok(header) => {
                    let position = self.position + at as u64;
                    let base_offset = header.base_offset;
                    self.found = Some(Damage::Middle { position, base_offset });
                    return at;
                }
                Err(Refused::Wants(_)) if !last => return at,
                Err(Refused::Stop(Stop::BadCrc)) => {
                    let size = candidate_size(bytes) as u64;
                    self.checked += size;
                    if self.checked > CHECKED_FREE + self.seen * CHECKED_PER_SEEN_MAX {
                        self.found = Some(Damage::Unclear);
                        return at;
                    }
                }
                Err(_) => {}
            }
            at += 1;
        }
        at
    }

    /// Cheap looks at what is there of a header, so that few places need a checksum.
    fn is_candidate(&self, bytes: &[u8]) -> bool {
        let size = candidate_size(bytes);
        if !(HEADER_BYTES..=self.batch_bytes_max).contains(&size) {
            return false;
        }
        match BatchHeader::parse(bytes) {
            Ok(header) => is_sound(&header) && header.base_offset >= self.offset_min,
            // Not all of the header is there yet.
            Err(_) => bytes.len() < HEADER_BYTES,
        }
    }
}

fn candidate_size(bytes: &[u8]) -> usize {
    let length = bytes.get(BATCH_LENGTH..).and_then(|b| b.first_chunk::<4>());
    let length = length.map_or(0, |b| i32::from_be_bytes(*b));
    usize::try_from(length).unwrap_or_default().saturating_add(PREFIX_BYTES)
}

/// Whether nothing valid follows in `rest`, the bytes from the damaged place to the file's end:
/// [`DamageProbe`] for bytes that are all at hand.
#[must_use]
pub fn damage_is_tail(rest: &[u8], offset_min: Offset, batch_bytes_max: usize) -> bool {
    let mut probe = DamageProbe::new(offset_min, 0, batch_bytes_max);
    probe.feed(rest);
    probe.finish() == Damage::Tail
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
