//! What the stand-in answers: just enough of the protocol for a run.

use crate::wire::key;
use crate::wire::reader::{Malformed, Reader};
use crate::wire::writer::{Writer, set_length};

const OFFERED: [(i16, i16, i16); 8] = [
    (key::PRODUCE, 3, 12),
    (key::FETCH, 4, 11),
    (key::LIST_OFFSETS, 1, 3),
    (key::METADATA, 0, 4),
    (key::API_VERSIONS, 0, 0),
    (key::CREATE_TOPICS, 2, 4),
    (key::DELETE_TOPICS, 1, 3),
    (key::INIT_PRODUCER_ID, 0, 1),
];

/// The error of an API version that is not offered.
const UNSUPPORTED_VERSION: i16 = 35;
/// Partitions every topic has.
pub const PARTITIONS: i32 = 6;

/// Answers a request of which at least the first bytes are given: when (nanoseconds from now, `None` for a produce),
/// and what (nothing for acks=0). `None` for bytes that are not a request this stand-in knows.
pub fn answer(head: &[u8], port: u16) -> Option<(Option<u64>, Vec<u8>)> {
    let api = i16::from_be_bytes(head.get(0..2)?.try_into().ok()?);
    let version = i16::from_be_bytes(head.get(2..4)?.try_into().ok()?);
    let correlation = head.get(4..8)?;
    let client = usize::try_from(i16::from_be_bytes(head.get(8..10)?.try_into().ok()?)).ok()?;
    let body = head.get(10 + client..)?;
    let mut out = vec![0; 4];
    out.extend_from_slice(correlation);
    let flexible = api == key::PRODUCE && version >= 9;
    let wait_ns = match api {
        key::PRODUCE => {
            if !produce(body, version, flexible, &mut out).ok()? {
                return Some((None, Vec::new()));
            }
            None
        }
        key::FETCH => {
            let wait_ms = i32::from_be_bytes(body.get(4..8)?.try_into().ok()?);
            let mut writer = Writer::resume(&mut out, false);
            writer.i32(0);
            if version >= 7 {
                writer.i16(0);
                writer.i32(0);
            }
            writer.array(0);
            Some(u64::from(wait_ms.unsigned_abs()) * 1_000_000)
        }
        _ => {
            cold((api, version), body, port, &mut out)?;
            Some(0)
        }
    };
    set_length(&mut out, 0, 0);
    Some((wait_ns, out))
}

/// `false`: nothing is to be answered.
fn produce(
    body: &[u8],
    version: i16,
    flexible: bool,
    out: &mut Vec<u8>,
) -> Result<bool, Malformed> {
    let mut reader = Reader::resume(body, flexible);
    reader.tags()?;
    reader.skip_string()?;
    let acks = reader.i16()?;
    reader.i32()?;
    reader.array()?;
    let topic = reader.string()?;
    reader.array()?;
    let partition = reader.i32()?;
    let mut writer = Writer::resume(out, flexible);
    writer.tags();
    writer.array(1);
    writer.string(&topic);
    writer.array(1);
    writer.i32(partition);
    writer.i16(0);
    writer.i64(0);
    writer.i64(-1);
    if version >= 5 {
        writer.i64(0);
    }
    if version >= 8 {
        writer.array(0);
        writer.null_string();
    }
    writer.tags();
    writer.tags();
    writer.i32(0);
    writer.tags();
    Ok(acks != 0)
}

fn cold((api, version): (i16, i16), body: &[u8], port: u16, out: &mut Vec<u8>) -> Option<()> {
    let mut reader = Reader::resume(body, false);
    let mut writer = Writer::resume(out, false);
    match api {
        key::API_VERSIONS => {
            // A version that is not offered is answered in the first one, and the client asks again.
            writer.i16(if version == 0 { 0 } else { UNSUPPORTED_VERSION });
            writer.array(OFFERED.len());
            for (api, low, high) in OFFERED {
                writer.i16(api);
                writer.i16(low);
                writer.i16(high);
            }
        }
        key::METADATA => {
            // Clients ask for no topic, for all, or for the one that they use.
            let topic = match reader.array().ok()? {
                0 => None,
                _ => Some(reader.string().ok()?),
            };
            writer.i32(0);
            writer.array(1);
            writer.i32(1);
            writer.string("127.0.0.1");
            writer.i32(i32::from(port));
            writer.null_string();
            writer.string(&format!("stub-{port}")); // each one is a cluster of its own
            writer.i32(1);
            writer.array(usize::from(topic.is_some()));
            let Some(topic) = topic else { return Some(()) };
            writer.i16(0);
            writer.string(&topic);
            writer.i8(0);
            writer.array(PARTITIONS as usize);
            for partition in 0..PARTITIONS {
                writer.i16(0);
                writer.i32(partition);
                writer.i32(1);
                writer.array(0);
                writer.array(0);
            }
        }
        key::LIST_OFFSETS => {
            writer.i32(0);
            writer.array(1);
            writer.string("stub");
            writer.array(PARTITIONS as usize);
            for partition in 0..PARTITIONS {
                writer.i32(partition);
                writer.i16(0);
                writer.i64(-1);
                writer.i64(0);
            }
        }
        key::INIT_PRODUCER_ID => {
            writer.i32(0);
            writer.i16(0);
            writer.i64(1);
            writer.i16(0);
        }
        key::CREATE_TOPICS | key::DELETE_TOPICS => {
            writer.i32(0);
            writer.array(0);
        }
        _ => return None,
    }
    Some(())
}
