//! The first bytes of a batch's first value: who made it, which record it is, when it was due.

/// Bytes of an encoded stamp; values shorter than this carry none.
pub const STAMP_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"mrb1";

/// Identifies the first record of a batch and the moment it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Distinguishes runs that share a topic.
    pub run: u32,
    /// Index of the producer within the run.
    pub producer: u32,
    /// The producer's record number of the first record.
    pub first: u64,
    /// When the first record was due, nanoseconds of the run's clock.
    pub due_ns: u64,
}

impl Stamp {
    /// The bytes that stand in the value.
    pub fn encode(&self) -> [u8; STAMP_BYTES] {
        let mut out = [0; STAMP_BYTES];
        out[0..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&self.run.to_be_bytes());
        out[8..12].copy_from_slice(&self.producer.to_be_bytes());
        out[16..24].copy_from_slice(&self.first.to_be_bytes());
        out[24..32].copy_from_slice(&self.due_ns.to_be_bytes());
        out
    }

    /// Reads a stamp, or `None` where the value does not begin with one.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let bytes = value.get(..STAMP_BYTES)?;
        if bytes.get(0..4)? != MAGIC {
            return None;
        }
        Some(Self {
            run: u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?),
            producer: u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?),
            first: u64::from_be_bytes(bytes.get(16..24)?.try_into().ok()?),
            due_ns: u64::from_be_bytes(bytes.get(24..32)?.try_into().ok()?),
        })
    }
}
