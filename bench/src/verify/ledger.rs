//! What `verify` knows about the records it has written: a JSON file, so that a later invocation can check them again,
//! after a restart or a crash.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Version of the file's format.
const FORMAT: u32 = 1;

/// All records of one `verify`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Version of the format.
    pub format: u32,
    /// Stamped into every record.
    pub id: u64,
    /// The topic.
    pub topic: String,
    /// Producing ended in order: there are no records beyond those named here.
    pub finished: bool,
    /// Its partitions.
    pub partitions: BTreeMap<i32, Account>,
}

/// The records of one partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Offset before the first record.
    pub start_offset: i64,
    /// Number of the next record: all before it have been sent or given up.
    pub next: u64,
    /// Acknowledged: they must be there.
    pub acknowledged: Ranges,
    /// Refused by the broker in so many words: they must not be there.
    pub refused: Ranges,
    /// Read back at least once: they must stay.
    pub seen: Ranges,
    /// Where acknowledged records stand: `(first number, number behind the last, offset of the first)`.
    pub placed: Vec<(u64, u64, i64)>,
}

impl Account {
    /// Notes that `from..to` are acknowledged, the first of them at `offset` (`None`: not told).
    pub fn acknowledge(&mut self, from: u64, to: u64, offset: Option<i64>) {
        self.acknowledged.insert(from, to);
        let Some(offset) = offset else { return };
        if let Some((first, behind, first_offset)) = self.placed.last_mut()
            && *behind == from
            && *first_offset + (from - *first) as i64 == offset
        {
            *behind = to;
            return;
        }
        self.placed.push((from, to, offset));
    }

    /// The offset that `number` was acknowledged at.
    pub fn offset_of(&self, number: u64) -> Option<i64> {
        let at = self.placed.partition_point(|place| place.1 <= number);
        let (first, _, offset) = self.placed.get(at).filter(|place| place.0 <= number)?;
        Some(offset + (number - first) as i64)
    }
}

impl Ledger {
    /// An empty one.
    pub fn new(id: u64, topic: &str, starts: &BTreeMap<i32, i64>) -> Self {
        let account = |start: i64| Account { start_offset: start, ..Account::default() };
        Self {
            format: FORMAT,
            id,
            topic: topic.into(),
            finished: false,
            partitions: starts.iter().map(|(id, start)| (*id, account(*start))).collect(),
        }
    }

    /// Reads a file.
    pub fn load(path: &Path) -> io::Result<Self> {
        let ledger: Self = serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)?;
        if ledger.format != FORMAT {
            let text = format!("the ledger has format {}, not {FORMAT}", ledger.format);
            return Err(io::Error::other(text));
        }
        Ok(ledger)
    }

    /// Writes the file so that it is whole at any moment: beside it first, then in its place.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    }

    /// Records acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.partitions.values().map(|account| account.acknowledged.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_joined_and_found() {
        let mut account = Account::default();
        account.acknowledge(0, 10, Some(100));
        account.acknowledge(10, 15, Some(110));
        account.acknowledge(15, 20, None);
        account.acknowledge(20, 30, Some(125));
        assert_eq!(account.placed, [(0, 15, 100), (20, 30, 125)]);
        assert_eq!(account.acknowledged.len(), 30);
        for (number, offset) in
            [(0, Some(100)), (14, Some(114)), (15, None), (20, Some(125)), (30, None)]
        {
            assert_eq!(account.offset_of(number), offset, "{number}");
        }
    }

    #[test]
    fn a_saved_ledger_is_the_same() {
        let mut ledger = Ledger::new(9, "t", &BTreeMap::from([(0, 5), (1, 0)]));
        if let Some(account) = ledger.partitions.get_mut(&0) {
            account.acknowledge(0, 3, Some(5));
            account.seen.insert(0, 2);
        }
        let path = std::env::temp_dir().join(format!("ledger-{}.json", std::process::id()));
        ledger.save(&path).expect("saves");
        assert_eq!(Ledger::load(&path).expect("loads"), ledger);
        fs::remove_file(&path).expect("is there");
    }
}
