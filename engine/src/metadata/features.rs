//! The finalized features of the image.

use std::collections::BTreeMap;

/// The feature that says which record versions are written.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature of the quorum's own protocol; its level is in control records, never in the fold.
pub const KRAFT_VERSION: &str = "kraft.version";

/// The lowest `metadata.version` that is read: 3.3-IV3, where KRaft became fit for use.
pub const METADATA_VERSION_MIN: i16 = 7;
/// The highest `metadata.version` that is understood: 4.3-IV0.
pub const METADATA_VERSION_MAX: i16 = 30;

/// Finalized features and their levels; level 0 is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    levels: BTreeMap<String, i16>,
}

impl Features {
    /// The level of a feature; 0 if it is not finalized.
    #[must_use]
    pub fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or_default()
    }

    /// The finalized `metadata.version`, or the lowest if the log has not said.
    #[must_use]
    pub fn metadata_version(&self) -> i16 {
        self.level(METADATA_VERSION).max(METADATA_VERSION_MIN)
    }

    /// All finalized features by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.levels.iter().map(|(name, level)| (name.as_str(), *level))
    }

    pub(super) fn set(&mut self, name: &str, level: i16) {
        if level == 0 {
            self.levels.remove(name);
        } else {
            self.levels.insert(name.to_owned(), level);
        }
    }
}
