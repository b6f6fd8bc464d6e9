//! Fetch requests and answers, versions 4 to 12, with incremental sessions (KIP-227) from version 7.

use super::key;
use super::reader::{Malformed, Reader};
use super::writer::{Writer, set_length};

/// Versions this encoder speaks (13 names topics by id).
pub const VERSIONS: (i16, i16) = (4, 12);

const FLEXIBLE_FROM: i16 = 12;

/// How fetch requests of a run look.
#[derive(Clone, Debug)]
pub struct Format {
    /// Protocol version.
    pub version: i16,
    /// Longest wait for `min_bytes`, milliseconds.
    pub max_wait_ms: i32,
    /// The broker waits for at least this many bytes.
    pub min_bytes: i32,
    /// Most bytes per answer.
    pub max_bytes: i32,
    /// Most bytes per partition.
    pub partition_max_bytes: i32,
    /// The topic.
    pub topic: String,
}

/// Where a fetch session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The broker's id for it, 0 for none.
    pub id: i32,
    /// Counts requests of the session; 0 asks for a new one.
    pub epoch: i32,
}

/// What a fetch answer says about one partition.
pub struct Fetched<'a> {
    /// The partition.
    pub partition: i32,
    /// Error code.
    pub error: i16,
    /// First offset there is (-1 where the version does not say).
    pub log_start_offset: i64,
    /// Record batches, the first of which may start before the offset asked for.
    pub records: &'a [u8],
}

/// What a fetch answer says as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Correlation id.
    pub correlation: i32,
    /// Error code of the request.
    pub error: i16,
    /// Session id, 0 for none.
    pub session: i32,
}

impl Format {
    fn flexible(&self) -> bool {
        self.version >= FLEXIBLE_FROM
    }

    /// Whether the version knows sessions.
    pub fn sessions(&self) -> bool {
        self.version >= 7
    }

    /// Writes a whole request for `(partition, offset)` pairs.
    pub fn put_request(
        &self,
        correlation: i32,
        session: Session,
        partitions: &[(i32, i64)],
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let mut writer =
            Writer::request(out, key::FETCH, self.version, correlation, self.flexible());
        writer.i32(-1); // an ordinary client
        writer.i32(self.max_wait_ms);
        writer.i32(self.min_bytes);
        writer.i32(self.max_bytes);
        writer.i8(0); // read uncommitted
        if self.sessions() {
            writer.i32(session.id);
            writer.i32(session.epoch);
        }
        writer.array(usize::from(!partitions.is_empty()));
        if !partitions.is_empty() {
            writer.string(&self.topic);
            writer.array(partitions.len());
            for (partition, offset) in partitions {
                writer.i32(*partition);
                if self.version >= 9 {
                    writer.i32(-1); // leader epoch unknown
                }
                writer.i64(*offset);
                if self.version >= 12 {
                    writer.i32(-1); // last fetched epoch
                }
                if self.version >= 5 {
                    writer.i64(-1); // log start offset, for followers
                }
                writer.i32(self.partition_max_bytes);
                writer.tags();
            }
            writer.tags();
        }
        if self.sessions() {
            writer.array(0); // forgotten topics
        }
        if self.version >= 11 {
            writer.string(""); // rack
        }
        writer.tags();
        set_length(out, start, 0);
    }

    /// Reads an answer and calls `each` for every partition in it.
    pub fn read_answer<'a>(
        &self,
        frame: &'a [u8],
        mut each: impl FnMut(Fetched<'a>),
    ) -> Result<Summary, Malformed> {
        let (correlation, mut reader) = Reader::answer(frame, self.flexible(), self.flexible())?;
        reader.i32()?; // throttle time
        let mut summary = Summary { correlation, error: 0, session: 0 };
        if self.sessions() {
            summary.error = reader.i16()?;
            summary.session = reader.i32()?;
        }
        for _ in 0..reader.array()? {
            reader.skip_string()?;
            for _ in 0..reader.array()? {
                let partition = reader.i32()?;
                let error = reader.i16()?;
                reader.i64()?; // high watermark
                reader.i64()?; // last stable offset
                let log_start_offset = if self.version >= 5 { reader.i64()? } else { -1 };
                for _ in 0..reader.array()? {
                    reader.take(16)?; // aborted transaction
                    reader.tags()?;
                }
                if self.version >= 11 {
                    reader.i32()?; // preferred read replica
                }
                let records = reader.records()?;
                reader.tags()?;
                each(Fetched { partition, error, log_start_offset, records });
            }
            reader.tags()?;
        }
        Ok(summary)
    }
}
