//! Stage: schedule. Thread: whoever holds the pool's lock.
//! A set of worker numbers: a bit each, and a bit for each word that is not empty.

#[derive(Debug, Default)]
pub(super) struct IndexSet {
    words: Vec<u64>,
    /// Bit w of the whole: word w has a member.
    summary: Vec<u64>,
}

impl IndexSet {
    #[inline]
    pub(super) fn insert(&mut self, index: u32) {
        let word = index as usize / 64;
        if word >= self.words.len() {
            self.grow(word);
        }
        let bits = &mut self.words[word];
        if *bits == 0 {
            self.summary[word / 64] |= 1 << (word % 64);
        }
        *bits |= 1 << (index % 64);
    }

    #[cold]
    fn grow(&mut self, word: usize) {
        self.words.resize(word + 1, 0);
        self.summary.resize(word / 64 + 1, 0);
    }

    #[inline]
    pub(super) fn remove(&mut self, index: u32) {
        let word = index as usize / 64;
        if let Some(bits) = self.words.get_mut(word) {
            *bits &= !(1 << (index % 64));
            if *bits == 0 {
                self.summary[word / 64] &= !(1 << (word % 64));
            }
        }
    }

    /// The lowest member from `start` on.
    ///
    /// # Complexity
    ///
    /// One step per 4,096 numbers.
    pub(super) fn first_from(&self, start: u32) -> Option<u32> {
        let word = start as usize / 64;
        let here = self.words.get(word)? & (u64::MAX << (start % 64));
        if here != 0 {
            return Some((word * 64) as u32 + here.trailing_zeros());
        }
        let after = word + 1;
        let mut mask = u64::MAX << (after % 64);
        for group in after / 64..self.summary.len() {
            let bits = self.summary[group] & mask;
            if bits != 0 {
                let word = group * 64 + bits.trailing_zeros() as usize;
                return Some((word * 64) as u32 + self.words[word].trailing_zeros());
            }
            mask = u64::MAX;
        }
        None
    }

    /// The next member after `index`, going round; `index` itself comes last.
    pub(super) fn next_after(&self, index: u32) -> Option<u32> {
        index.checked_add(1).and_then(|next| self.first_from(next)).or_else(|| self.first_from(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn agrees_with_a_tree(steps in proptest::collection::vec((any::<bool>(), 0u32..9000, 0u32..9000), 1..200)) {
            let (mut set, mut tree) = (IndexSet::default(), BTreeSet::new());
            for (add, index, probe) in steps {
                if add {
                    set.insert(index);
                    tree.insert(index);
                } else {
                    let member = tree.range(index..).next().copied().unwrap_or(index);
                    set.remove(member);
                    tree.remove(&member);
                }
                prop_assert_eq!(set.first_from(probe), tree.range(probe..).next().copied());
                prop_assert_eq!(
                    set.next_after(probe),
                    tree.range(probe + 1..).next().or_else(|| tree.first()).copied()
                );
            }
        }
    }
}
