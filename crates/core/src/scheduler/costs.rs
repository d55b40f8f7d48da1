//! Stage: schedule. Thread: whoever holds the pool's lock.
//! What tasks have cost so far, by key: an exponentially weighted mean of run times, for a bounded number of keys.
//!
//! C1. At most `bound` keys are kept; the one unused for longest makes room.
//! C2. A [`CostKey`] of a forgotten key names nothing, never another key.

use super::slab::NIL;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Weight of the newest measurement.
const WEIGHT: f64 = 0.2;

/// Names a key of a [`CostTable`]: cheap to copy, to look up and to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CostKey {
    index: u32,
    generation: NonZeroU32,
}

/// A mean that leans to the newest runs.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    nanos: f64,
    count: u64,
}

impl CostKey {
    /// Its place in the table: below the bound, and used again when the key is forgotten.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

impl Mean {
    fn add(&mut self, nanos: f64) {
        self.nanos = if self.count == 0 { nanos } else { self.nanos + WEIGHT * (nanos - self.nanos) };
        self.count += 1;
    }

    #[inline]
    fn get(&self) -> Option<u64> {
        (self.count > 0).then_some(self.nanos as u64)
    }
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    generation: NonZeroU32,
    mean: Mean,
    /// Neighbours by last use.
    newer: u32,
    older: u32,
}

/// A learned cost.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedCost {
    /// The name it was learned under.
    pub name: String,
    /// Mean run time in nanoseconds.
    pub nanos: f64,
    /// How many runs it was learned from.
    pub count: u64,
}

/// Learned costs by key.
#[derive(Debug)]
pub struct CostTable {
    entries: Vec<Entry>,
    /// A tree rather than a hash map: no seed to draw, and no bad case.
    names: BTreeMap<Arc<str>, u32>,
    newest: u32,
    oldest: u32,
    bound: usize,
    /// Mean over all runs, with and without a key.
    overall: Mean,
}

impl CostTable {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            entries: Vec::new(),
            names: BTreeMap::new(),
            newest: NIL,
            oldest: NIL,
            bound: bound.clamp(1, NIL as usize - 1),
            overall: Mean::default(),
        }
    }

    /// The key of that name, made if need be. It counts as used. A caller with a fixed name may keep the key, and ask
    /// again when [`CostTable::contains`] says that it was forgotten.
    ///
    /// # Complexity
    ///
    /// O(log keys).
    pub fn key(&mut self, name: &str) -> CostKey {
        if let Some(index) = self.names.get(name).copied() {
            self.touch(index);
            return self.key_at(index);
        }
        let name: Arc<str> = name.into();
        let index = if self.entries.len() < self.bound {
            self.entries.push(Entry {
                name: name.clone(),
                generation: NonZeroU32::MIN,
                mean: Mean::default(),
                newer: NIL,
                older: NIL,
            });
            (self.entries.len() - 1) as u32
        } else {
            let index = self.oldest;
            self.unlink(index);
            let entry = &mut self.entries[index as usize];
            self.names.remove(&entry.name);
            entry.name = name.clone();
            entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
            entry.mean = Mean::default();
            index
        };
        self.names.insert(name, index);
        self.link_newest(index);
        self.key_at(index)
    }

    /// Whether the key is still kept.
    #[inline]
    pub fn contains(&self, key: CostKey) -> bool {
        self.entry(key).is_some()
    }

    /// Measured run time in nanoseconds; `None` before the first run. A measured 0 is a measurement.
    #[inline]
    pub fn measured(&self, key: CostKey) -> Option<u64> {
        self.entry(key)?.mean.get()
    }

    /// The same by name, without counting it as used.
    pub fn measured_by_name(&self, name: &str) -> Option<u64> {
        self.entries[*self.names.get(name)? as usize].mean.get()
    }

    /// The name of a key, unless it was forgotten.
    pub fn name(&self, key: CostKey) -> Option<&str> {
        self.entry(key).map(|entry| &*entry.name)
    }

    /// Mean run time of all tasks, in nanoseconds; 0 before the first.
    pub fn average(&self) -> u64 {
        self.overall.nanos as u64
    }

    /// Adds a run. The key counts as used.
    #[inline]
    pub(super) fn learn(&mut self, key: Option<CostKey>, nanos: u64) {
        let nanos = nanos as f64;
        self.overall.add(nanos);
        if let Some(key) = key.filter(|key| self.contains(*key)) {
            self.touch(key.index);
            self.entries[key.index as usize].mean.add(nanos);
        }
    }

    /// Number of keys kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was learned, least recently used first, so that [`CostTable::import`] rebuilds the same table.
    pub fn export(&self) -> Vec<LearnedCost> {
        let mut learned = Vec::with_capacity(self.entries.len());
        let mut at = self.oldest;
        while at != NIL {
            let entry = &self.entries[at as usize];
            let Mean { nanos, count } = entry.mean;
            if count > 0 {
                learned.push(LearnedCost { name: entry.name.to_string(), nanos, count });
            }
            at = entry.newer;
        }
        learned
    }

    /// Adds what was learned elsewhere; what this table has measured itself stands. Costs that are negative or not
    /// finite are skipped.
    pub fn import(&mut self, learned: impl IntoIterator<Item = LearnedCost>) {
        for LearnedCost { name, nanos, count } in learned {
            if !(nanos.is_finite() && nanos >= 0.0) {
                continue;
            }
            let key = self.key(&name);
            let mean = &mut self.entries[key.index as usize].mean;
            if mean.count == 0 {
                *mean = Mean { nanos, count: count.max(1) };
            }
        }
    }

    #[inline]
    fn entry(&self, key: CostKey) -> Option<&Entry> {
        self.entries.get(key.index as usize).filter(|entry| entry.generation == key.generation)
    }

    fn key_at(&self, index: u32) -> CostKey {
        CostKey { index, generation: self.entries[index as usize].generation }
    }

    /// Makes the entry the most recently used.
    fn touch(&mut self, index: u32) {
        if self.newest != index {
            self.unlink(index);
            self.link_newest(index);
        }
    }

    fn unlink(&mut self, index: u32) {
        let Entry { newer, older, .. } = self.entries[index as usize];
        match newer {
            NIL => self.newest = older,
            _ => self.entries[newer as usize].older = older,
        }
        match older {
            NIL => self.oldest = newer,
            _ => self.entries[older as usize].newer = newer,
        }
    }

    fn link_newest(&mut self, index: u32) {
        let older = self.newest;
        let entry = &mut self.entries[index as usize];
        (entry.newer, entry.older) = (NIL, older);
        match older {
            NIL => self.oldest = index,
            _ => self.entries[older as usize].newer = index,
        }
        self.newest = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_the_key_unused_for_longest_makes_room() {
        let mut costs = CostTable::new(2);
        let (a, b) = (costs.key("a"), costs.key("b"));
        costs.learn(Some(b), 4);
        costs.learn(Some(a), 5);
        costs.key("c");
        assert_eq!(costs.len(), 2);
        assert_eq!(costs.measured_by_name("a"), Some(5));
        assert_eq!(costs.measured_by_name("b"), None);
        let b = costs.key("b");
        assert_eq!(costs.measured(b), None, "it starts anew");
    }

    #[test]
    fn c2_a_stale_key_names_nothing() {
        let mut costs = CostTable::new(1);
        let a = costs.key("a");
        costs.learn(Some(a), 7);
        let b = costs.key("b");
        assert_eq!(costs.measured(a), None);
        costs.learn(Some(a), 9);
        assert_eq!(costs.measured(b), None);
    }

    #[test]
    fn a_measured_zero_is_a_measurement() {
        let mut costs = CostTable::new(4);
        let a = costs.key("a");
        assert_eq!(costs.measured(a), None);
        costs.learn(Some(a), 0);
        assert_eq!(costs.measured(a), Some(0));
    }

    #[test]
    fn the_mean_follows_the_newest_runs() {
        let mut costs = CostTable::new(4);
        let a = costs.key("a");
        costs.learn(Some(a), 1000);
        costs.learn(Some(a), 2000);
        assert_eq!(costs.measured(a), Some(1200));
        for _ in 0..50 {
            costs.learn(Some(a), 4000);
        }
        assert!(costs.measured(a).unwrap() > 3990);
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        let mut costs = CostTable::new(3);
        for (key, nanos) in [("a", 10), ("b", 20), ("c", 30)] {
            let key = costs.key(key);
            costs.learn(Some(key), nanos);
        }
        costs.key("a");
        let mut other = CostTable::new(3);
        other.import(costs.export());
        assert_eq!(other.export(), costs.export());
        let names: Vec<_> = costs.export().into_iter().map(|cost| cost.name).collect();
        assert_eq!(names, ["b", "c", "a"], "least recently used first");
        other.import([LearnedCost { name: "a".into(), nanos: f64::NAN, count: 1 }]);
        other.import([LearnedCost { name: "d".into(), nanos: -1.0, count: 1 }]);
        assert_eq!(other.measured_by_name("d"), None, "no cost is negative");
        assert_eq!(other.len(), 3);
        other.import([LearnedCost { name: "b".into(), nanos: 99.0, count: 1 }]);
        assert_eq!(other.measured_by_name("b"), Some(20), "what was measured here stands");
    }

    #[test]
    fn what_is_imported_without_a_count_is_a_measurement() {
        let mut costs = CostTable::new(3);
        costs.import([LearnedCost { name: "a".into(), nanos: 7.0, count: 0 }]);
        assert_eq!(costs.measured_by_name("a"), Some(7));
    }
}
