//! What coordinators have in common: state machines without I/O, whose state is the fold of records.

use bytes::Bytes;

use crate::types::TimestampMs;

/// Names one waiting caller; given with a call, returned with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// A record to be appended to a machine's own log. A null value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRecord {
    /// Create time.
    pub timestamp_ms: TimestampMs,
    /// Key, null in the metadata log.
    pub key: Option<Bytes>,
    /// Value, or null for a tombstone.
    pub value: Option<Bytes>,
}

/// What a machine asks its host to do. `A` is the machine's answer type.
#[derive(Debug, Clone, PartialEq)]
pub enum Order<A> {
    /// Answer at once.
    Answer(Token, A),
    /// Append these records to the machine's log as one batch and, when they are durable, give the
    /// answers. The machine has already changed its state as if the write had succeeded; if it fails
    /// the host gives each waiting caller a storage error, and the machine's log is offline.
    Write {
        /// What to append, not empty.
        records: Vec<MachineRecord>,
        /// Who waits for it.
        answers: Vec<(Token, A)>,
    },
}
