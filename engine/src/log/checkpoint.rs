//! Kafka's small text files: offset checkpoints, topic ids, node identity, the clean-stop marker.
//!
//! Only the texts; files are written whole to a `.tmp` name, flushed and renamed by the caller.

use std::fmt::Write;

use crate::types::{NodeId, Offset, Uuid};

/// Offsets below this are flushed, per partition; in each log directory.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// Log start offsets that lie above the first segment's base; in each log directory.
pub const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
/// High watermarks; in each log directory.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// A partition's topic id; in its directory.
pub const PARTITION_METADATA: &str = "partition.metadata";
/// Identity of node, cluster and directory; in each log directory.
pub const META_PROPERTIES: &str = "meta.properties";
/// Stands in a log directory while no broker runs that was stopped cleanly.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

const OFFSETS_VERSION: i32 = 0;
/// What the line of a checksum begins with.
const CHECKSUM: &str = "crc32c ";

/// A text file is not what its name promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The first line is another version.
    #[error("version is {found:?}, only {expected} is supported")]
    Version {
        /// The first line.
        found: String,
        /// The version that we know.
        expected: i32,
    },
    /// The second line says another number of entries than follow.
    #[error("{declared:?} entries are declared, {found} follow")]
    Count {
        /// The second line.
        declared: String,
        /// Lines after it.
        found: usize,
    },
    /// The last line is another checksum.
    #[error("the checksum differs")]
    Checksum,
    /// A line cannot be read; lines count from 1.
    #[error("line {0} is malformed")]
    Line(usize),
    /// A property that must be there is not.
    #[error("property {0} is missing")]
    Missing(&'static str),
    /// A property has a value that it cannot have.
    #[error("property {key} cannot be {value:?}")]
    Value {
        /// The property.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

/// An offset of one partition, by name as the files have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionOffset {
    /// Topic name.
    pub topic: String,
    /// Partition index.
    pub partition: i32,
    /// The offset.
    pub offset: Offset,
}

/// The first two lines of a checkpoint file.
#[must_use]
pub fn head(version: i32, count: usize) -> String {
    format!("{version}\n{count}\n")
}

/// The entry lines of a checkpoint file with their numbers, once version and count were checked.
/// An empty file has none: Kafka creates files empty.
pub fn lines(text: &str, version: i32) -> Result<Vec<(usize, &str)>, CheckpointError> {
    let mut lines = text.lines();
    let Some(first) = lines.next() else { return Ok(Vec::new()) };
    if first.parse() != Ok(version) {
        return Err(CheckpointError::Version { found: first.to_owned(), expected: version });
    }
    let Some(second) = lines.next() else { return Ok(Vec::new()) };
    let entries: Vec<_> = lines.enumerate().map(|(i, line)| (i + 3, line)).collect();
    if second.parse() != Ok(entries.len()) {
        let declared = second.to_owned();
        return Err(CheckpointError::Count { declared, found: entries.len() });
    }
    Ok(entries)
}

/// The text of a file of offsets.
#[must_use]
pub fn format_offsets(offsets: &[PartitionOffset]) -> String {
    let mut text = head(OFFSETS_VERSION, offsets.len());
    for entry in offsets {
        // Writing to a string cannot fail.
        writeln!(text, "{} {} {}", entry.topic, entry.partition, entry.offset).unwrap_or_default();
    }
    text
}

/// The text of a file of offsets that only this broker reads, with a checksum behind it: a wrong digit is
/// an offset too.
#[must_use]
pub fn with_checksum(text: String) -> String {
    let line = checksum_line(&text);
    text + &line
}

fn checksum_line(text: &str) -> String {
    format!("{CHECKSUM}{:08x}\n", crc32c::crc32c(text.as_bytes()))
}

/// The text before the checksum. Without one, which earlier versions did not write, it is all of it.
///
/// # Errors
/// If the text has another checksum.
pub fn checked(text: &str) -> Result<&str, CheckpointError> {
    let Some(at) = text.rfind(CHECKSUM) else { return Ok(text) };
    let (content, line) = text.split_at(at);
    if line == checksum_line(content) { Ok(content) } else { Err(CheckpointError::Checksum) }
}

/// Reads a file of offsets.
pub fn parse_offsets(text: &str) -> Result<Vec<PartitionOffset>, CheckpointError> {
    lines(text, OFFSETS_VERSION)?
        .into_iter()
        .map(|(line, entry)| parse_offset(entry).ok_or(CheckpointError::Line(line)))
        .collect()
}

fn parse_offset(entry: &str) -> Option<PartitionOffset> {
    let mut fields = entry.split_whitespace();
    let topic = fields.next()?.to_owned();
    let partition = fields.next()?.parse().ok()?;
    let offset = fields.next()?.parse().ok()?;
    fields.next().is_none().then_some(PartitionOffset { topic, partition, offset })
}

/// The text of `partition.metadata`.
#[must_use]
pub fn format_partition_metadata(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// Reads `partition.metadata`.
pub fn parse_partition_metadata(text: &str) -> Result<Uuid, CheckpointError> {
    let mut version = None;
    let mut topic_id = None;
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (key, value) = line.split_once(':').ok_or(CheckpointError::Line(i + 1))?;
        match key.trim() {
            "version" => version = Some(value.trim()),
            "topic_id" => topic_id = Some(value.trim()),
            _ => {}
        }
    }
    let version = version.ok_or(CheckpointError::Missing("version"))?;
    if version != "0" {
        return Err(CheckpointError::Version { found: version.to_owned(), expected: 0 });
    }
    let text = topic_id.ok_or(CheckpointError::Missing("topic_id"))?;
    match text.parse::<Uuid>() {
        Ok(id) if !id.is_zero() => Ok(id),
        _ => Err(CheckpointError::Value { key: "topic_id", value: text.to_owned() }),
    }
}

/// `meta.properties`: which node and cluster a log directory belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// 0 from brokers of the ZooKeeper days, or 1.
    pub version: i32,
    /// `cluster.id`; version 1 always has it.
    pub cluster_id: Option<String>,
    /// `node.id`, in version 0 `broker.id`; version 1 always has it.
    pub node_id: Option<NodeId>,
    /// `directory.id`; Kafka adds it from 3.7 on.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from("#\n");
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "{key}={value}").unwrap_or_default();
        };
        if let Some(id) = &self.cluster_id {
            line("cluster.id", id);
        }
        if let Some(id) = &self.directory_id {
            line("directory.id", id);
        }
        if let Some(id) = &self.node_id {
            line(if self.version == 0 { "broker.id" } else { "node.id" }, id);
        }
        line("version", &self.version);
        text
    }

    /// Reads the file.
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let properties = properties(text);
        let get = |key| properties.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v);
        let version = match get("version").map(String::as_str) {
            None | Some("0") => 0,
            Some("1") => 1,
            Some(other) => {
                return Err(CheckpointError::Version { found: other.to_owned(), expected: 1 });
            }
        };
        let node_key = if version == 0 { "broker.id" } else { "node.id" };
        let node_id = get(node_key).map(|value| value_of(node_key, value)).transpose()?;
        let directory_id =
            get("directory.id").map(|value| value_of("directory.id", value)).transpose()?;
        let cluster_id = get("cluster.id").cloned();
        if version > 0 && node_id.is_none() {
            return Err(CheckpointError::Missing("node.id"));
        }
        if version > 0 && cluster_id.is_none() {
            return Err(CheckpointError::Missing("cluster.id"));
        }
        Ok(Self { version, cluster_id, node_id, directory_id })
    }
}

fn value_of<T: std::str::FromStr>(key: &'static str, value: &str) -> Result<T, CheckpointError> {
    value.parse().map_err(|_| CheckpointError::Value { key, value: value.to_owned() })
}

/// Lines of Java's properties format, as far as Kafka writes it: no continued lines, no `\u`.
fn properties(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        let plain = |s: &str| s.trim().replace('\\', "");
        out.push((plain(key), plain(value)));
    }
    out
}

/// The text of the clean-stop marker. The epoch that the broker was registered with goes into the
/// next registration (KIP-966).
#[must_use]
pub fn format_clean_shutdown(broker_epoch: i64) -> String {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}")
}

/// The broker epoch in a clean-stop marker; none if it has none that can be read, as in markers of
/// brokers before 3.7, which are empty. The marker counts all the same.
#[must_use]
pub fn parse_clean_shutdown(text: &str) -> Option<i64> {
    let object = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (_, after) = object.split_once("\"brokerEpoch\"")?;
    let value = after.trim_start().strip_prefix(':')?;
    let value = value.split(',').next()?.trim();
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kafkas_text() {
        let offsets = vec![
            PartitionOffset { topic: "orders".to_owned(), partition: 0, offset: 17 },
            PartitionOffset { topic: "a.b_c-d".to_owned(), partition: 12, offset: 0 },
        ];
        let text = "0\n2\norders 0 17\na.b_c-d 12 0\n";
        assert_eq!(format_offsets(&offsets), text);
        assert_eq!(parse_offsets(text), Ok(offsets));
        assert_eq!(parse_offsets(""), Ok(vec![]));
        assert_eq!(parse_offsets("0\n"), Ok(vec![]));
        assert_eq!(parse_offsets("0\n1\nt  1\t5\n").map(|o| o.len()), Ok(1));
    }

    #[test]
    fn every_flipped_bit_of_a_text_with_a_checksum_is_noticed() {
        let text = "0\n2\norders 0 17\na.b_c-d 12 0\n";
        let whole = with_checksum(text.to_owned());
        assert_eq!(checked(&whole), Ok(text));
        assert_eq!(checked(text), Ok(text), "an earlier version's");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(checked(&text).and_then(parse_offsets).is_err(), "bit {bit}: {text}");
        }
    }

    #[test]
    fn bad_offset_files_are_named() {
        let count =
            |declared: &str, found| CheckpointError::Count { declared: declared.to_owned(), found };
        for (text, error) in [
            ("0\n2\nt 0 1\n", count("2", 1)),
            ("0\nx\n", count("x", 0)),
            ("0\n99999999999999999999\n", count("99999999999999999999", 0)),
            ("0\n1\nt 0\n", CheckpointError::Line(3)),
            ("0\n1\nt 0 1 2\n", CheckpointError::Line(3)),
            ("0\n2\nt 0 1\nt x 1\n", CheckpointError::Line(4)),
        ] {
            assert_eq!(parse_offsets(text), Err(error), "{text:?}");
        }
        assert!(matches!(parse_offsets("7\n0\n"), Err(CheckpointError::Version { .. })));
        assert!(matches!(parse_offsets("\0\0\0"), Err(CheckpointError::Version { .. })));
    }

    #[test]
    fn partition_metadata() {
        let id = Uuid::METADATA_TOPIC;
        let text = format_partition_metadata(id);
        assert_eq!(text, "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(parse_partition_metadata(&text), Ok(id));
        for bad in [
            "",
            "version: 0",
            "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ",
            "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
            "version: 0\ntopic_id: hello",
            "topic",
        ] {
            assert!(parse_partition_metadata(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn meta_properties() {
        let ours = MetaProperties {
            version: 1,
            cluster_id: Some("MkU3OEVBNTcwNTJENDM2Qg".to_owned()),
            node_id: Some(1),
            directory_id: Some(Uuid(77)),
        };
        assert_eq!(MetaProperties::from_text(&ours.to_text()), Ok(ours.clone()));
        let kafkas = "#\n#Sun Nov 23 08:00:00 UTC 2025\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n\
                      version=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAATQ\nnode.id=1\n";
        assert_eq!(MetaProperties::from_text(kafkas), Ok(ours));
        let old = MetaProperties::from_text("version=0\nbroker.id=3\n").unwrap();
        assert_eq!((old.node_id, old.cluster_id), (Some(3), None));
        for bad in [
            "version=2\n",
            "version=1\nnode.id=1\n",
            "version=1\ncluster.id=x\n",
            "version=1\ncluster.id=x\nnode.id=one\n",
            "version=1\ncluster.id=x\nnode.id=1\ndirectory.id=?\n",
        ] {
            assert!(MetaProperties::from_text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn clean_shutdown_marker() {
        assert_eq!(format_clean_shutdown(42), r#"{"version":0,"brokerEpoch":42}"#);
        for (text, epoch) in [
            (r#"{"version":0,"brokerEpoch":42}"#, Some(42)),
            ("{ \"brokerEpoch\" : -1 , \"version\" : 0 }\n", Some(-1)),
            (r#"{"version":0,"brokerEpoch":null}"#, None),
            ("", None),
            ("{}", None),
        ] {
            assert_eq!(parse_clean_shutdown(text), epoch, "{text:?}");
        }
    }
}
