//! Produce requests and answers, versions 3 to 12.

use super::key;
use super::reader::{Malformed, Reader};
use super::writer::Writer;

/// Versions this encoder speaks (13 names topics by id).
pub const VERSIONS: (i16, i16) = (3, 12);

const FLEXIBLE_FROM: i16 = 9;

/// How produce requests of a run look.
#[derive(Clone, Debug)]
pub struct Format {
    /// Protocol version.
    pub version: i16,
    /// -1, 0 or 1.
    pub acks: i16,
    /// Broker-side timeout, milliseconds.
    pub timeout_ms: i32,
    /// The topic.
    pub topic: String,
}

impl Format {
    fn flexible(&self) -> bool {
        self.version >= FLEXIBLE_FROM
    }

    /// Writes everything before the first partition; `partitions` of them must follow.
    pub fn put_head(&self, correlation: i32, partitions: usize, out: &mut Vec<u8>) {
        let mut writer =
            Writer::request(out, key::PRODUCE, self.version, correlation, self.flexible());
        writer.null_string(); // transactional id
        writer.i16(self.acks);
        writer.i32(self.timeout_ms);
        writer.array(1);
        writer.string(&self.topic);
        writer.array(partitions);
    }

    /// Writes what stands before one partition's record bytes.
    pub fn put_partition(&self, partition: i32, record_bytes: usize, out: &mut Vec<u8>) {
        let mut writer = Writer::resume(out, self.flexible());
        writer.i32(partition);
        writer.records(record_bytes);
    }

    /// Writes what stands behind one partition's record bytes.
    pub fn end_partition(&self, out: &mut Vec<u8>) {
        Writer::resume(out, self.flexible()).tags();
    }

    /// Writes what stands behind the last partition.
    pub fn end(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::resume(out, self.flexible());
        writer.tags(); // topic
        writer.tags(); // request
    }

    /// Reads an answer: calls `each` with partition, error code and base offset. Returns the correlation id and the
    /// throttle time in milliseconds.
    pub fn read_answer(
        &self,
        frame: &[u8],
        mut each: impl FnMut(i32, i16, i64),
    ) -> Result<(i32, i32), Malformed> {
        let (correlation, mut reader) = Reader::answer(frame, self.flexible(), self.flexible())?;
        for _ in 0..reader.array()? {
            reader.skip_string()?;
            for _ in 0..reader.array()? {
                let partition = reader.i32()?;
                let error = reader.i16()?;
                let base_offset = reader.i64()?;
                reader.i64()?; // log append time
                if self.version >= 5 {
                    reader.i64()?; // log start offset
                }
                if self.version >= 8 {
                    for _ in 0..reader.array()? {
                        reader.i32()?;
                        reader.skip_string()?;
                        reader.tags()?;
                    }
                    reader.skip_string()?; // error message
                }
                reader.tags()?;
                each(partition, error, base_offset);
            }
            reader.tags()?;
        }
        let throttle_ms = reader.i32()?;
        Ok((correlation, throttle_ms))
    }
}
