//! An ordered map that is cheap to clone and cheap to change after a clone: the image's large
//! tables.
//!
//! Entries stand in sorted leaves of at most `LEAF_ENTRIES_MAX`, each shared by reference count.
//! A clone copies the list of leaves, a change copies that list and one leaf, so creating the
//! ten-thousandth topic copies about a hundred and fifty pointers and one leaf, not ten thousand
//! entries; and a fold of many records copies each leaf at most once.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Entries of one leaf; a full one splits in half.
const LEAF_ENTRIES_MAX: usize = 128;

type Leaf<K, V> = Arc<Vec<(K, V)>>;

/// A persistent ordered map. No leaf is empty.
#[derive(Clone)]
pub struct Table<K, V> {
    leaves: Vec<Leaf<K, V>>,
    len: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { leaves: Vec::new(), len: 0 }
    }
}

impl<K, V> Table<K, V> {
    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, by ascending key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.leaves.iter().flat_map(|leaf| leaf.iter().map(|(key, value)| (key, value)))
    }

    /// All values, by ascending key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> Table<K, V> {
    /// The value of `key`.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let leaf = self.leaves.get(self.leaf_of(key))?;
        let at = leaf.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        leaf.get(at).map(|(_, value)| value)
    }

    /// Entries from `key` on, by ascending key.
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let first = self.leaf_of(key);
        let skip = self
            .leaves
            .get(first)
            .map_or(0, |leaf| leaf.partition_point(|(k, _)| k.borrow() < key));
        let leaves = self.leaves.iter().skip(first);
        leaves.flat_map(|leaf| leaf.iter().map(|(key, value)| (key, value))).skip(skip)
    }

    /// The leaf that holds `key` if any does: the last that begins at or before it, else the first.
    fn leaf_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let begins_before =
            |leaf: &Leaf<K, V>| leaf.first().is_some_and(|(k, _)| k.borrow() <= key);
        self.leaves.partition_point(begins_before).saturating_sub(1)
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// The value of `key`, to be changed in this table only.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.leaf_of(key);
        let leaf = self.leaves.get_mut(index)?;
        let at = leaf.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        Arc::make_mut(leaf).get_mut(at).map(|(_, value)| value)
    }

    /// Sets the value of `key` and returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let index = self.leaf_of(&key);
        let Some(shared) = self.leaves.get_mut(index) else {
            self.leaves.push(Arc::new(vec![(key, value)]));
            self.len = 1;
            return None;
        };
        let found = shared.binary_search_by(|(k, _)| k.cmp(&key));
        let leaf = Arc::make_mut(shared);
        match found {
            Ok(at) => leaf.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                leaf.insert(at, (key, value));
                self.len += 1;
                if leaf.len() > LEAF_ENTRIES_MAX {
                    let upper = leaf.split_off(LEAF_ENTRIES_MAX / 2);
                    self.leaves.insert(index + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Takes `key` out and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.leaf_of(key);
        let shared = self.leaves.get_mut(index)?;
        let at = shared.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let leaf = Arc::make_mut(shared);
        let (_, value) = leaf.remove(at);
        self.len -= 1;
        if leaf.is_empty() {
            self.leaves.remove(index);
        }
        Some(value)
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16, u32),
        Remove(u16),
        Change(u16, u32),
        Keep,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..600_u16, any::<u32>()).prop_map(|(k, v)| Step::Insert(k, v)),
            2 => (0..600_u16).prop_map(Step::Remove),
            1 => (0..600_u16, any::<u32>()).prop_map(|(k, v)| Step::Change(k, v)),
            1 => Just(Step::Keep),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn behaves_as_a_btree_map_and_clones_do_not_change(
            steps in prop::collection::vec(step(), 0..1500), from in 0..600_u16,
        ) {
            let mut table = Table::default();
            let mut model = BTreeMap::new();
            let mut kept: Vec<(Table<u16, u32>, BTreeMap<u16, u32>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(k, v) => prop_assert_eq!(table.insert(k, v), model.insert(k, v)),
                    Step::Remove(k) => prop_assert_eq!(table.remove(&k), model.remove(&k)),
                    Step::Change(k, v) => {
                        prop_assert_eq!(table.get(&k), model.get(&k));
                        if let Some(value) = table.get_mut(&k) {
                            *value = v;
                            model.insert(k, v);
                        }
                    }
                    Step::Keep => kept.push((table.clone(), model.clone())),
                }
                prop_assert_eq!(table.len(), model.len());
            }
            kept.push((table, model));
            for (table, model) in kept {
                prop_assert!(table.iter().eq(model.iter()));
                prop_assert!(table.iter_from(&from).eq(model.range(from..)));
            }
        }
    }

    #[test]
    fn a_change_copies_one_leaf() {
        let mut table = Table::default();
        for key in 0..10_000_u32 {
            table.insert(key, key);
        }
        let before = table.clone();
        table.insert(5_000, 1);
        let shared = before
            .leaves
            .iter()
            .filter(|leaf| table.leaves.iter().any(|other| Arc::ptr_eq(leaf, other)))
            .count();
        assert_eq!(shared, before.leaves.len() - 1);
    }
}
