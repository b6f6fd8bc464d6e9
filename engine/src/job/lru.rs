//! A bounded table that lets go of what was not used for longest.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    used: u64,
}

/// See the module. Weights are bytes, or 1 each where entries are counted.
#[derive(Debug)]
pub struct Lru<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    by_use: BTreeMap<u64, K>,
    weight: usize,
    weight_max: usize,
    clock: u64,
}

impl<K: Ord + Clone, V: Clone> Lru<K, V> {
    /// An empty table.
    #[must_use]
    pub fn new(weight_max: usize) -> Self {
        let (entries, by_use) = (BTreeMap::new(), BTreeMap::new());
        Self { entries, by_use, weight: 0, weight_max, clock: 0 }
    }

    /// A clone of the entry, which counts as used.
    pub fn get(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        self.by_use.remove(&entry.used);
        self.clock += 1;
        entry.used = self.clock;
        self.by_use.insert(self.clock, key.clone());
        Some(entry.value.clone())
    }

    /// Puts an entry in, in place of an older one, and lets go of others until all fit. An entry that
    /// alone is too heavy is not kept.
    pub fn put(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        self.clock += 1;
        self.by_use.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { value, weight, used: self.clock });
        self.weight += weight;
        while self.weight > self.weight_max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            if let Some(entry) = self.entries.remove(&oldest) {
                self.weight -= entry.weight;
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        self.weight -= entry.weight;
        Some(entry.value)
    }

    /// Takes out all entries in a range of keys.
    pub fn remove_range(&mut self, range: impl RangeBounds<K>) {
        let keys: Vec<K> = self.entries.range(range).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    /// Clones of all entries in a range of keys.
    pub fn range(&self, range: impl RangeBounds<K>) -> Vec<V> {
        self.entries.range(range).map(|(_, entry)| entry.value.clone()).collect()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let mut table = Lru::new(3);
        for key in 0..3 {
            table.put(key, key * 10, 1);
        }
        assert_eq!(table.get(&0), Some(0));
        table.put(3, 30, 1);
        assert_eq!(table.get(&1), None);
        assert_eq!((table.get(&0), table.get(&2), table.get(&3)), (Some(0), Some(20), Some(30)));
        table.put(4, 40, 2);
        assert_eq!(table.len(), 2);
        table.remove_range(3..=4);
        assert_eq!(table.len(), 0);
        table.put(9, 9, 4);
        assert_eq!(table.len(), 0);
        table.put(9, 9, 3);
        table.put(9, 8, 1);
        assert_eq!((table.get(&9), table.weight), (Some(8), 1));
    }
}
