//! Where each leader epoch of a partition begins (KIP-101), and its file `leader-epoch-checkpoint`.

use std::fmt::Write;

use crate::log::checkpoint::{self, CheckpointError};
use crate::types::{LeaderEpoch, Offset};

/// Name of the file in the partition's directory.
pub const FILE_NAME: &str = "leader-epoch-checkpoint";

const VERSION: i32 = 0;

/// A leader epoch and the offset of the first batch appended in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start_offset: Offset,
}

/// Answer to where an epoch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest known epoch that is not larger than the one asked for; -1 if unknown.
    pub epoch: LeaderEpoch,
    /// Offset after its last record; -1 if unknown.
    pub end_offset: Offset,
}

impl EpochEnd {
    /// Nothing is known of the epoch.
    pub const UNKNOWN: Self = Self { epoch: -1, end_offset: -1 };
}

/// The epochs of one partition, rising in epoch and offset alike. Whenever a method says that
/// something changed, the file is out of date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Epochs {
    starts: Vec<EpochStart>,
}

impl Epochs {
    /// All known epochs, oldest first.
    #[must_use]
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// The latest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<EpochStart> {
        self.starts.last().copied()
    }

    /// Notes that `epoch` begins at `start_offset`. Entries that contradict it go. Says whether
    /// anything changed; negative arguments change nothing.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        if let Some(latest) = self.latest()
            && latest.epoch == epoch
            && start_offset >= latest.start_offset
        {
            return false;
        }
        while let Some(last) = self.starts.last()
            && (last.epoch >= epoch || last.start_offset >= start_offset)
        {
            self.starts.pop();
        }
        self.starts.push(EpochStart { epoch, start_offset });
        true
    }

    /// Where `epoch` ends, in a log that ends at `log_end_offset` (exclusive).
    #[must_use]
    pub fn end_offset(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> EpochEnd {
        if epoch == EpochEnd::UNKNOWN.epoch {
            return EpochEnd::UNKNOWN;
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch) {
            return EpochEnd { epoch, end_offset: log_end_offset };
        }
        let above = self.starts.partition_point(|start| start.epoch <= epoch);
        let Some(next) = self.starts.get(above) else { return EpochEnd::UNKNOWN };
        let at_most = above.checked_sub(1).and_then(|i| self.starts.get(i));
        // An epoch older than all that is left ends where what is left begins.
        let known = at_most.map_or(epoch, |start| start.epoch);
        EpochEnd { epoch: known, end_offset: next.start_offset }
    }

    /// The epoch in which `offset` was (or will be) written.
    #[must_use]
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.starts.partition_point(|start| start.start_offset <= offset);
        above.checked_sub(1).and_then(|i| self.starts.get(i)).map(|start| start.epoch)
    }

    /// Forgets epochs that begin at `end_offset` or later. Says whether anything changed.
    pub fn truncate_end(&mut self, end_offset: Offset) -> bool {
        let before = self.starts.len();
        if end_offset >= 0 {
            let keep = self.starts.partition_point(|start| start.start_offset < end_offset);
            self.starts.truncate(keep);
        }
        self.starts.len() != before
    }

    /// Forgets what lies before `start_offset`; the epoch of that offset begins there now. Says
    /// whether anything changed.
    pub fn truncate_start(&mut self, start_offset: Offset) -> bool {
        let above = self.starts.partition_point(|start| start.start_offset <= start_offset);
        let Some(first) = above.checked_sub(1) else { return false };
        let mut changed = first > 0;
        self.starts.drain(..first);
        if let Some(start) = self.starts.first_mut() {
            changed |= start.start_offset != start_offset;
            start.start_offset = start_offset;
        }
        changed
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.starts.clear();
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = checkpoint::head(VERSION, self.starts.len());
        for start in &self.starts {
            // Writing to a string cannot fail.
            writeln!(text, "{} {}", start.epoch, start.start_offset).unwrap_or_default();
        }
        text
    }

    /// Reads the text of the file. Entries that contradict later ones go, as in Kafka.
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let mut epochs = Self::default();
        for (line, fields) in checkpoint::lines(text, VERSION)? {
            let malformed = || CheckpointError::Line(line);
            let mut fields = fields.split_whitespace();
            let mut field = || fields.next().ok_or_else(malformed);
            let epoch = field()?.parse().map_err(|_| malformed())?;
            let start_offset = field()?.parse().map_err(|_| malformed())?;
            if field().is_ok() || epoch < 0 || start_offset < 0 {
                return Err(malformed());
            }
            epochs.assign(epoch, start_offset);
        }
        Ok(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(starts: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for &(epoch, offset) in starts {
            epochs.assign(epoch, offset);
        }
        epochs
    }

    fn listed(epochs: &Epochs) -> Vec<(i32, i64)> {
        epochs.starts().iter().map(|s| (s.epoch, s.start_offset)).collect()
    }

    #[test]
    fn assign_keeps_epochs_and_offsets_rising() {
        type Starts = [(i32, i64)];
        let table: &[(&Starts, &Starts)] = &[
            (&[(0, 0), (1, 10)], &[(0, 0), (1, 10)]),
            (&[(1, 10), (1, 20)], &[(1, 10)]),
            (&[(1, 10), (1, 5)], &[(1, 5)]),
            (&[(1, 10), (3, 10)], &[(3, 10)]),
            (&[(1, 10), (2, 20), (3, 30), (2, 15)], &[(1, 10), (2, 15)]),
            (&[(1, 10), (2, 20), (4, 5)], &[(4, 5)]),
            (&[(-1, 0), (0, -1)], &[]),
        ];
        for (given, expected) in table {
            assert_eq!(&listed(&epochs(given)), expected, "{given:?}");
        }
    }

    #[test]
    fn end_offsets() {
        let known = epochs(&[(2, 10), (4, 20), (7, 30)]);
        for (asked, epoch, end_offset) in
            [(7, 7, 99), (8, -1, -1), (-1, -1, -1), (5, 4, 30), (4, 4, 30), (3, 2, 20), (1, 1, 10)]
        {
            assert_eq!(known.end_offset(asked, 99), EpochEnd { epoch, end_offset }, "{asked}");
        }
        assert_eq!(Epochs::default().end_offset(0, 99), EpochEnd::UNKNOWN);
    }

    #[test]
    fn truncation() {
        let known = epochs(&[(2, 10), (4, 20), (7, 30)]);
        for (end, expected) in [(31, 3), (30, 2), (11, 1), (10, 0), (-1, 3)] {
            let mut cut = known.clone();
            assert_eq!(cut.truncate_end(end), expected < 3, "{end}");
            assert_eq!(cut.starts().len(), expected, "{end}");
        }
        for (start, expected) in [
            (5, vec![(2, 10), (4, 20), (7, 30)]),
            (10, vec![(2, 10), (4, 20), (7, 30)]),
            (15, vec![(2, 15), (4, 20), (7, 30)]),
            (20, vec![(4, 20), (7, 30)]),
            (50, vec![(7, 50)]),
        ] {
            let mut cut = known.clone();
            assert_eq!(cut.truncate_start(start), expected != listed(&known), "{start}");
            assert_eq!(listed(&cut), expected, "{start}");
        }
    }

    #[test]
    fn epoch_of_an_offset() {
        let known = epochs(&[(2, 10), (4, 20)]);
        for (offset, epoch) in [(9, None), (10, Some(2)), (19, Some(2)), (20, Some(4))] {
            assert_eq!(known.epoch_of(offset), epoch);
        }
    }

    #[test]
    fn text_is_kafkas() {
        let known = epochs(&[(0, 0), (3, 17)]);
        assert_eq!(known.to_text(), "0\n2\n0 0\n3 17\n");
        assert_eq!(Epochs::from_text(&known.to_text()), Ok(known));
        assert_eq!(Epochs::from_text(""), Ok(Epochs::default()));
        for bad in ["1\n0\n", "0\n2\n0 0\n", "0\n1\n0 0 0\n", "0\n1\nx 0\n", "x", "0\n1\n-1 0\n"] {
            assert!(Epochs::from_text(bad).is_err(), "{bad:?}");
        }
    }
}
