//! Prints records; those that the broker itself writes are decoded.

use std::io::{self, Write};

use bytes::Bytes;
use millrace_engine::group::record::{GroupRecord, decode};
use millrace_engine::log::files::METADATA_TOPIC;
use millrace_engine::log::scan::ScannedBatch;
use millrace_engine::metadata::record::MetadataRecord;
use millrace_engine::record::control::ControlRecord;
use millrace_engine::record::records::{Record, Records, plain_records};

/// Largest output of one compressed batch. Bytes.
const PLAIN_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// As much of a key or value is printed. Bytes.
const SHOWN_BYTES: usize = 120;

pub(super) fn print(batch: &ScannedBatch<'_>, topic: &str, out: &mut dyn Write) -> io::Result<()> {
    let header = batch.header;
    let plain = match plain_records(header, batch.bytes, PLAIN_BYTES_MAX) {
        Ok(plain) => plain,
        Err(error) => return writeln!(out, "    {error}"),
    };
    for record in Records::new(&plain, header.record_count) {
        let record = match record {
            Ok(record) => record,
            Err(error) => return writeln!(out, "    {error}"),
        };
        let offset = header.base_offset + i64::from(record.offset_delta);
        let text = if header.is_control() {
            match ControlRecord::parse(&record) {
                Ok(control) => format!("{control:?}"),
                Err(error) => error.to_string(),
            }
        } else {
            match topic {
                METADATA_TOPIC => metadata(&record),
                "__consumer_offsets" => group(&record),
                _ => plain_text(&record),
            }
        };
        writeln!(out, "    {offset}: {text}")?;
    }
    Ok(())
}

fn metadata(record: &Record<'_>) -> String {
    let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
    match MetadataRecord::decode(value) {
        Ok(record) => format!("{record:?}"),
        Err(error) => error.to_string(),
    }
}

fn group(record: &Record<'_>) -> String {
    let bytes = |part: Option<&[u8]>| part.map(Bytes::copy_from_slice);
    match decode(bytes(record.key).as_ref(), bytes(record.value).as_ref()) {
        Ok(GroupRecord::Unknown(kind)) => format!("a record of type {kind}"),
        Ok(record) => format!("{record:?}"),
        Err(error) => error.to_string(),
    }
}

fn plain_text(record: &Record<'_>) -> String {
    let headers = record.headers.iter().count();
    let headers = if headers == 0 { String::new() } else { format!(", {headers} headers") };
    format!("key {}, value {}{headers}", shown(record.key), shown(record.value))
}

/// Bytes as text where they are text.
fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "null".to_owned() };
    let cut = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let text = String::from_utf8_lossy(cut);
    let more = if cut.len() < bytes.len() { "..." } else { "" };
    format!("{text:?}{more} ({} bytes)", bytes.len())
}
