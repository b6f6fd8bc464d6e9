//! Offsets that groups committed.

use std::collections::BTreeMap;

use millrace_engine::types::Offset;

use super::ledger::{Place, TopicIndex};

/// One committed offset.
#[derive(Debug, Default, Clone)]
struct Commit {
    /// The last one that was acknowledged, or found.
    acked: Option<Offset>,
    /// Those that were asked for since.
    asked: Vec<Offset>,
}

/// All of them, by group and partition.
#[derive(Debug, Default, Clone)]
pub struct Commits {
    by_place: BTreeMap<(String, Place), Commit>,
}

impl Commits {
    /// A commit is about to be asked for.
    pub fn asking(&mut self, group: &str, place: Place, offset: Offset) {
        self.by_place.entry((group.to_owned(), place)).or_default().asked.push(offset);
    }

    /// It was acknowledged. One is under way at a time for a group and partition.
    pub fn acked(&mut self, group: &str, place: Place, offset: Offset) {
        if let Some(commit) = self.by_place.get_mut(&(group.to_owned(), place)) {
            *commit = Commit { acked: Some(offset), asked: Vec::new() };
        }
    }

    /// All groups and partitions with commits.
    pub fn keys(&self) -> Vec<(String, Place)> {
        self.by_place.keys().cloned().collect()
    }

    /// An offset was fetched; -1 is none. After a crash, what is not there now never comes.
    ///
    /// # Errors
    /// It is not one that may be there.
    pub fn fetched(
        &mut self,
        group: &str,
        place: Place,
        offset: Offset,
        is_after_crash: bool,
    ) -> Result<(), String> {
        let Some(commit) = self.by_place.get_mut(&(group.to_owned(), place)) else { return Ok(()) };
        let is_none = commit.acked.is_none() && offset == -1;
        let is_known = commit.acked == Some(offset) || commit.asked.contains(&offset);
        if !(is_none || is_known) {
            return Err(format!(
                "group {group} {place:?}: the committed offset is {offset}, not one of {commit:?}"
            ));
        }
        if is_after_crash {
            *commit = Commit { acked: (offset != -1).then_some(offset), asked: Vec::new() };
        }
        Ok(())
    }

    /// A topic is gone, and with it what was committed for it. A new topic of its name finds none of that.
    pub fn gone(&mut self, topic: TopicIndex) {
        self.by_place.retain(|(_, place), _| place.topic != topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_commit_is_noticed() {
        let place = Place { topic: 0, partition: 0 };
        let mut commits = Commits::default();
        commits.asking("g", place, 5);
        commits.fetched("g", place, -1, true).unwrap();
        commits.asking("g", place, 6);
        commits.acked("g", place, 6);
        commits.asking("g", place, 7);
        commits.asking("g", place, 8);
        commits.fetched("g", place, 7, true).unwrap();
        assert!(commits.fetched("g", place, 6, true).is_err());
        assert!(commits.fetched("g", place, -1, true).is_err());
    }

    #[test]
    fn offsets_of_a_deleted_topic_never_come_back() {
        let (old, new) = (Place { topic: 0, partition: 0 }, Place { topic: 1, partition: 0 });
        let mut commits = Commits::default();
        commits.asking("g", old, 5);
        commits.acked("g", old, 5);
        commits.gone(old.topic);
        commits.asking("g", new, 6);
        assert!(commits.fetched("g", new, 5, false).is_err());
        assert!(commits.fetched("g", new, 5, true).is_err());
        commits.fetched("g", new, 6, true).unwrap();
    }
}
