//! Where the next entry goes, which files are free, and who still needs the oldest one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::limits::{BLOCK_BYTES, JOURNAL_FILE_BYTES, RELIEF_FLUSHES, RELIEF_FLUSHES_MAX};
use crate::types::{Offset, ShardId, TopicPartition};

/// Names a journal file of a shard: the number in its name.
pub type FileId = u32;

/// A place for one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In this file.
    pub file: FileId,
    /// At this position; where [`Place::begins_file`] it is 0 and the entry stands behind the superblock.
    pub position: u64,
    /// The file's sequence.
    pub file_sequence: u64,
    /// The entry's number in the file.
    pub entry_sequence: u64,
    /// Whether a superblock must be written before the entry.
    pub begins_file: bool,
}

#[derive(Debug)]
struct Active {
    file: FileId,
    sequence: u64,
    position: u64,
    entries: u64,
}

/// What a partition still needs of the journal: newest first offset *behind* its entries in each file.
type Debts = VecDeque<(u64, Offset)>;

/// The state of a shard's journal.
#[derive(Debug)]
pub struct Journal {
    shard: ShardId,
    files_max: usize,
    files: usize,
    free: VecDeque<FileId>,
    active: Option<Active>,
    /// Full files by sequence.
    full: BTreeMap<u64, FileId>,
    next_sequence: u64,
    next_file: FileId,
    debts: BTreeMap<TopicPartition, Debts>,
    /// Partitions with debts, each with the first file that it still needs.
    debtors: BTreeSet<(u64, TopicPartition)>,
    creating: bool,
    /// The last file that was wanted could not be made, or none may be made for now.
    is_stunted: bool,
}

impl Journal {
    /// A journal that may have up to `files_max` files and begins with file sequence `next_sequence`.
    /// New files get numbers from `next_file` on.
    #[must_use]
    pub fn new(shard: ShardId, files_max: usize, next_sequence: u64, next_file: FileId) -> Self {
        Self {
            next_file,
            shard,
            files_max: files_max.max(2),
            files: 0,
            free: VecDeque::new(),
            active: None,
            full: BTreeMap::new(),
            next_sequence,
            debts: BTreeMap::new(),
            debtors: BTreeSet::new(),
            creating: false,
            is_stunted: false,
        }
    }

    /// The shard that writes this journal.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// A file, written in full, that may be used from now on.
    pub fn add_file(&mut self, file: FileId) {
        self.files += 1;
        self.creating = false;
        self.is_stunted = false;
        self.free.push_back(file);
    }

    /// A new file could not be made; the next need asks again.
    pub fn creation_failed(&mut self) {
        self.creating = false;
        self.hold_growth();
    }

    /// No file is made for a while: tails are written to their segments instead.
    pub fn hold_growth(&mut self) {
        self.is_stunted = true;
    }

    /// Whether another file should be created now: the number it gets. Asks once until
    /// [`Journal::add_file`] or [`Journal::creation_failed`].
    pub fn wants_file(&mut self) -> Option<FileId> {
        if self.creating || self.files >= self.files_max || !self.free.is_empty() {
            return None;
        }
        self.creating = true;
        let file = self.next_file;
        self.next_file += 1;
        Some(file)
    }

    /// Finds a place for an entry of `bytes` bytes (whole blocks). None if there is no room now.
    ///
    /// # Panics
    /// If `bytes` is not whole blocks, or could never fit.
    pub fn place(&mut self, bytes: u64) -> Option<Place> {
        assert!(bytes.is_multiple_of(BLOCK_BYTES as u64));
        assert!(bytes + BLOCK_BYTES as u64 <= JOURNAL_FILE_BYTES);
        if let Some(active) = &mut self.active
            && active.position + bytes <= JOURNAL_FILE_BYTES
        {
            let place = Place {
                file: active.file,
                position: active.position,
                file_sequence: active.sequence,
                entry_sequence: active.entries,
                begins_file: false,
            };
            active.position += bytes;
            active.entries += 1;
            return Some(place);
        }
        let file = self.free.pop_front()?;
        if let Some(full) = self.active.take() {
            self.full.insert(full.sequence, full.file);
            self.recycle();
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let position = BLOCK_BYTES as u64 + bytes;
        self.active = Some(Active { file, sequence, position, entries: 1 });
        Some(Place {
            file,
            position: 0,
            file_sequence: sequence,
            entry_sequence: 0,
            begins_file: true,
        })
    }

    /// An entry of file `sequence` holds bytes of `partition` up to `end`, which its segment does not.
    pub fn owe(&mut self, partition: TopicPartition, sequence: u64, end: Offset) {
        let debts = self.debts.entry(partition).or_default();
        match debts.back_mut() {
            Some(last) if last.0 == sequence => last.1 = last.1.max(end),
            Some(_) => debts.push_back((sequence, end)),
            None => {
                debts.push_back((sequence, end));
                self.debtors.insert((sequence, partition));
            }
        }
    }

    /// The segment holds all of `partition` before `flushed` durably.
    pub fn settle(&mut self, partition: TopicPartition, flushed: Offset) {
        let Some(debts) = self.debts.get_mut(&partition) else { return };
        let first = debts.front().map(|&(sequence, _)| sequence);
        while debts.pop_front_if(|(_, end)| *end <= flushed).is_some() {}
        let needed = debts.front().map(|&(sequence, _)| sequence);
        if needed == first {
            return;
        }
        self.debtors.extend(needed.map(|sequence| (sequence, partition)));
        if let Some(first) = first {
            self.debtors.remove(&(first, partition));
        }
        if needed.is_none() {
            self.debts.remove(&partition);
        }
        self.recycle();
    }

    /// The partition is gone: nothing of it is needed.
    pub fn forget(&mut self, partition: TopicPartition) {
        self.settle(partition, Offset::MAX);
    }

    fn recycle(&mut self) {
        let needed = self.debtors.first().map_or(u64::MAX, |&(sequence, _)| sequence);
        while let Some(entry) = self.full.first_entry()
            && *entry.key() < needed
        {
            self.free.push_back(entry.remove());
        }
    }

    /// How many tails should be on their way to their segments, so that files become free.
    #[must_use]
    pub fn relief(&self) -> usize {
        let used = self.full.len() * 8;
        let cannot_grow = self.is_stunted || self.files >= self.files_max;
        if used > 0 && self.free.is_empty() && cannot_grow {
            return RELIEF_FLUSHES_MAX;
        }
        let steps = RELIEF_FLUSHES.iter().rev();
        let mut reached = steps.skip_while(|(eighths, _)| used < self.files_max * eighths);
        reached.next().map_or(0, |(_, flushes)| *flushes)
    }

    /// Who needs the oldest full file, at most `count` of them.
    #[must_use]
    pub fn oldest_debtors(&self, count: usize) -> Vec<TopicPartition> {
        let Some((&oldest, _)) = self.full.first_key_value() else { return Vec::new() };
        self.debtors
            .iter()
            .take_while(|(sequence, _)| *sequence <= oldest)
            .map(|&(_, partition)| partition)
            .take(count)
            .collect()
    }

    /// Whether any partition needs the journal.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.debtors.is_empty()
    }

    /// Every partition that needs the journal.
    pub fn debtors(&self) -> impl Iterator<Item = TopicPartition> {
        self.debts.keys().copied()
    }
}
