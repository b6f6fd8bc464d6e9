//! Prints segments and metadata snapshots, batch by batch.

use std::io::{self, Write};
use std::path::Path;

use millrace_engine::log::scan::{ScannedBatch, Stop};
use millrace_engine::types::Offset;

use super::Detail;
use super::records;
use crate::segment::{Behind, SegmentReader};

/// Prints a `.log` file.
pub(super) fn print(
    path: &Path,
    base: Offset,
    topic: &str,
    detail: Detail,
    out: &mut dyn Write,
) -> io::Result<()> {
    let reader = SegmentReader::open(path)?;
    let mut written = Ok(());
    let end = reader.scan(base, &[], |one| {
        if written.is_ok() && detail.batches {
            written = batch(&one, topic, detail, out);
        }
    })?;
    written?;
    writeln!(out, "  valid up to position {}, next offset {}", end.position, end.next_offset)?;
    if end.stop == Stop::CleanEnd {
        return Ok(());
    }
    let why = end.stop.to_string();
    match reader.behind(&end, None)? {
        Behind::Nothing => Ok(()),
        Behind::Zeros(bytes) => writeln!(out, "  {bytes} zeros behind that"),
        Behind::Torn(bytes) => writeln!(out, "  {why}; {bytes} bytes behind that"),
        Behind::Records(position, offset) => {
            writeln!(out, "  {why}; records from offset {offset} on stand behind it at {position}")
        }
    }
}

/// Prints a snapshot of the metadata log, which is batches too.
pub(super) fn print_snapshot(path: &Path, out: &mut dyn Write) -> io::Result<()> {
    let detail = Detail { batches: true, records: true };
    print(path, 0, millrace_engine::log::files::METADATA_TOPIC, detail, out)
}

fn batch(
    batch: &ScannedBatch<'_>,
    topic: &str,
    detail: Detail,
    out: &mut dyn Write,
) -> io::Result<()> {
    let header = batch.header;
    write!(
        out,
        "  {}..{} at position {}: {} bytes, {} records, epoch {}, timestamps up to {}",
        header.base_offset,
        header.next_offset(),
        batch.position,
        header.size_bytes(),
        header.record_count,
        header.partition_leader_epoch,
        header.max_timestamp
    )?;
    if let Some(codec) = header.codec() {
        write!(out, ", {codec:?}")?;
    }
    if header.has_producer_id() {
        let (id, epoch, sequence) =
            (header.producer_id, header.producer_epoch, header.base_sequence);
        write!(out, ", producer {id} epoch {epoch} sequence {sequence}")?;
    }
    for (is_set, word) in
        [(header.is_transactional(), "transactional"), (header.is_control(), "control")]
    {
        if is_set {
            write!(out, ", {word}")?;
        }
    }
    writeln!(out)?;
    if detail.records { records::print(batch, topic, out) } else { Ok(()) }
}
