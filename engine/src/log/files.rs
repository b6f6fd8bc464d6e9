//! Names of topics, of partition directories and of the files in them.

use std::fmt;

use crate::types::{Offset, Uuid};

/// Longest topic name, in bytes.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;
/// Longest directory name that file systems take, in bytes.
const DIRECTORY_NAME_BYTES_MAX: usize = 255;
/// Digits of a base offset in a file name.
const OFFSET_DIGITS: usize = 20;

/// Names of the topics that the broker itself writes.
pub const INTERNAL_TOPICS: [&str; 3] =
    ["__consumer_offsets", "__transaction_state", "__share_group_state"];
/// Name of the metadata log.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// Why a topic cannot have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// No characters at all.
    #[error("topic name is empty")]
    Empty,
    /// `.` or `..`, which file systems keep for themselves.
    #[error("topic name is '.' or '..'")]
    Dots,
    /// More than 249 characters.
    #[error("topic name has {0} characters, at most 249 are allowed")]
    Long(usize),
    /// A character outside of `a-z A-Z 0-9 . _ -`.
    #[error("topic name has characters other than ASCII letters, digits, '.', '_' and '-'")]
    Character,
}

/// Checks a topic name by Kafka's rules.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    if name.is_empty() {
        return Err(TopicNameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(TopicNameError::Dots);
    }
    if name.chars().count() > TOPIC_NAME_BYTES_MAX {
        return Err(TopicNameError::Long(name.chars().count()));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !name.bytes().all(allowed) {
        return Err(TopicNameError::Character);
    }
    Ok(())
}

/// Whether two topic names differ at most in `.` and `_`, which metric names cannot tell apart.
/// Equal names collide too.
#[must_use]
pub fn topic_names_collide(a: &str, b: &str) -> bool {
    let unified = |byte: u8| if byte == b'.' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(unified).eq(b.bytes().map(unified))
}

/// Whether only coordinators write to the topic.
#[must_use]
pub fn is_internal_topic(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// What a partition directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DirectoryUse {
    /// The partition's log.
    Current,
    /// Will be removed.
    Delete,
    /// A copy in the making, to move the partition between log directories.
    Future,
    /// Found without being assigned here; will be removed.
    Stray,
}

impl DirectoryUse {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Current => "",
            Self::Delete => "-delete",
            Self::Future => "-future",
            Self::Stray => "-stray",
        }
    }
}

/// The name of a partition directory, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDirectory {
    /// Topic name; cut off in the names of directories to be removed, if it is long.
    pub topic: String,
    /// Partition index.
    pub partition: i32,
    /// What it is for.
    pub usage: DirectoryUse,
}

impl PartitionDirectory {
    /// Takes a directory name apart; none if it is not that of a partition.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut usage = DirectoryUse::Current;
        let mut plain = name;
        for other in [DirectoryUse::Delete, DirectoryUse::Future, DirectoryUse::Stray] {
            if let Some(front) = name.strip_suffix(other.suffix()) {
                let (front, unique) = front.rsplit_once('.')?;
                if unique.is_empty() {
                    return None;
                }
                (plain, usage) = (front, other);
            }
        }
        let (topic, index) = plain.rsplit_once('-')?;
        // Kafka's parser would also take "+1".
        if topic.is_empty() || !index.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let partition = index.parse().ok()?;
        Some(Self { topic: topic.to_owned(), partition, usage })
    }
}

/// The directory of a partition.
#[must_use]
pub fn directory_name(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The name that a partition's directory gets when it has another use than its log. `unique` tells
/// it from earlier ones; a long topic name is cut so that the whole fits into a file name.
#[must_use]
pub fn renamed_directory(topic: &str, partition: i32, usage: DirectoryUse, unique: Uuid) -> String {
    if usage == DirectoryUse::Current {
        return directory_name(topic, partition);
    }
    let end = format!("-{partition}.{:032x}{}", unique.0, usage.suffix());
    let mut keep = topic.len().min(DIRECTORY_NAME_BYTES_MAX.saturating_sub(end.len()));
    while !topic.is_char_boundary(keep) {
        keep -= 1;
    }
    format!("{}{end}", topic.get(..keep).unwrap_or_default())
}

/// What a file in a partition directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// `.log`: record batches.
    Log,
    /// `.index`: offset to position.
    OffsetIndex,
    /// `.timeindex`: timestamp to offset.
    TimeIndex,
    /// `.txnindex`: aborted transactions.
    TransactionIndex,
    /// `.snapshot`: producers.
    ProducerSnapshot,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Log,
        Self::OffsetIndex,
        Self::TimeIndex,
        Self::TransactionIndex,
        Self::ProducerSnapshot,
    ];

    /// The end of the file's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TransactionIndex => ".txnindex",
            Self::ProducerSnapshot => ".snapshot",
        }
    }
}

/// In which state a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileState {
    /// In use.
    Live,
    /// `.deleted`: removed a little later, because readers may still have it.
    Deleted,
    /// `.cleaned`: written by compaction, not complete.
    Cleaned,
    /// `.swap`: complete, takes the place of what it was made from.
    Swap,
}

impl FileState {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Deleted => ".deleted",
            Self::Cleaned => ".cleaned",
            Self::Swap => ".swap",
        }
    }
}

/// The name of a file that belongs to an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// Base offset of the segment, or the snapshot's offset.
    pub offset: Offset,
    /// What it holds.
    pub kind: FileKind,
    /// In which state it is.
    pub state: FileState,
}

impl LogFile {
    /// A file in use.
    #[must_use]
    pub const fn live(offset: Offset, kind: FileKind) -> Self {
        Self { offset, kind, state: FileState::Live }
    }

    /// Takes a file name apart; none if it is another file, such as `partition.metadata`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (digits, rest) = name.split_at_checked(OFFSET_DIGITS)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let offset = digits.parse().ok()?;
        for kind in FileKind::ALL {
            let Some(end) = rest.strip_prefix(kind.suffix()) else { continue };
            let states = [FileState::Live, FileState::Deleted, FileState::Cleaned, FileState::Swap];
            let state = states.into_iter().find(|state| state.suffix() == end)?;
            return Some(Self { offset, kind, state });
        }
        None
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, state) = (self.kind.suffix(), self.state.suffix());
        write!(f, "{:0width$}{kind}{state}", self.offset, width = OFFSET_DIGITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names() {
        let long = "x".repeat(249);
        for good in ["orders", "a", "...", "__consumer_offsets", "A.b_c-9", "-", long.as_str()] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        let too_long = "x".repeat(250);
        for (bad, error) in [
            ("", TopicNameError::Empty),
            (".", TopicNameError::Dots),
            ("..", TopicNameError::Dots),
            (too_long.as_str(), TopicNameError::Long(250)),
            ("a/b", TopicNameError::Character),
            ("a b", TopicNameError::Character),
            ("../x", TopicNameError::Character),
            ("gr\u{fc}n", TopicNameError::Character),
            ("a\0", TopicNameError::Character),
        ] {
            assert_eq!(check_topic_name(bad), Err(error), "{bad:?}");
        }
        assert!(topic_names_collide("a.b", "a_b"));
        assert!(topic_names_collide("a", "a"));
        assert!(!topic_names_collide("a.b", "a-b"));
        assert!(is_internal_topic("__consumer_offsets"));
        assert!(!is_internal_topic(METADATA_TOPIC));
    }

    #[test]
    fn directories() {
        let current = |topic: &str, partition| {
            Some(PartitionDirectory {
                topic: topic.to_owned(),
                partition,
                usage: DirectoryUse::Current,
            })
        };
        assert_eq!(PartitionDirectory::parse("orders-0"), current("orders", 0));
        assert_eq!(PartitionDirectory::parse("a-b-12"), current("a-b", 12));
        assert_eq!(PartitionDirectory::parse("a.b-delete-3"), current("a.b-delete", 3));
        for bad in [
            "orders",
            "-0",
            "orders-",
            "orders-x",
            "orders--delete",
            "a-0-delete",
            "a-0.-delete",
            "a-99999999999",
            "a-+1",
            "lost+found",
            "",
        ] {
            assert_eq!(PartitionDirectory::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn renamed_directories_fit_and_parse() {
        let unique = Uuid(0xabc);
        for (topic, usage) in [
            ("orders".to_owned(), DirectoryUse::Delete),
            ("x".repeat(249), DirectoryUse::Delete),
            ("a.b".to_owned(), DirectoryUse::Stray),
            ("a.b".to_owned(), DirectoryUse::Future),
        ] {
            let name = renamed_directory(&topic, 7, usage, unique);
            assert!(name.len() <= 255, "{name}");
            let parsed = PartitionDirectory::parse(&name).unwrap();
            assert!(topic.starts_with(&parsed.topic));
            assert_eq!((parsed.partition, parsed.usage), (7, usage));
        }
        assert_eq!(
            renamed_directory("orders", 0, DirectoryUse::Delete, unique),
            "orders-0.00000000000000000000000000000abc-delete"
        );
    }

    #[test]
    fn file_names() {
        for (name, file) in [
            ("00000000000000000000.log", LogFile::live(0, FileKind::Log)),
            ("00000000000000000123.index", LogFile::live(123, FileKind::OffsetIndex)),
            ("09223372036854775807.timeindex", LogFile::live(i64::MAX, FileKind::TimeIndex)),
            ("00000000000000000005.txnindex", LogFile::live(5, FileKind::TransactionIndex)),
            ("00000000000000000005.snapshot", LogFile::live(5, FileKind::ProducerSnapshot)),
            (
                "00000000000000000005.log.deleted",
                LogFile { offset: 5, kind: FileKind::Log, state: FileState::Deleted },
            ),
            (
                "00000000000000000005.timeindex.swap",
                LogFile { offset: 5, kind: FileKind::TimeIndex, state: FileState::Swap },
            ),
        ] {
            assert_eq!(LogFile::parse(name), Some(file), "{name}");
            assert_eq!(file.to_string(), name);
        }
        for bad in [
            "5.log",
            "partition.metadata",
            "leader-epoch-checkpoint",
            "",
            "0000000000000000000x.log",
            "00000000000000000005.log.old",
            "00000000000000000005",
            "99999999999999999999.log",
            "\u{fc}0000000000000000000.log",
        ] {
            assert_eq!(LogFile::parse(bad), None, "{bad}");
        }
    }
}
