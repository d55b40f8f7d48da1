//! Stage: submit. Thread: whoever holds the pool's lock.
//! Which worker a key falls to: the one it was with before, else highest random weight (rendezvous) hashing.
//!
//! A1. Taking a worker away moves the keys of that worker and no others.
//! A2. Adding one moves no key that is remembered. Those that are not fall to it or to where they were before.
//! A3. The last [`GENERATION`] keys that were used are remembered at least, twice as many at most.

use std::collections::HashMap;

/// Keys after which those that were not used meanwhile are forgotten.
const GENERATION: usize = 32_768;

/// Where keys were last.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// Used since the last change of generations.
    young: HashMap<u64, u32>,
    /// Used in the generation before.
    old: HashMap<u64, u32>,
}

impl Homes {
    /// The worker that a key was with, if that `serves`.
    pub(super) fn find(&mut self, key: u64, serves: impl Fn(u32) -> bool) -> Option<u32> {
        if let Some(home) = self.young.get(&key) {
            return Some(*home).filter(|home| serves(*home));
        }
        let home = self.old.get(&key).copied().filter(|home| serves(*home))?;
        self.remember(key, home);
        Some(home)
    }

    /// From now on the key is with that worker.
    pub(super) fn remember(&mut self, key: u64, home: u32) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, home);
    }
}

/// Weight of a key on a worker. The worker with the greatest has the key.
///
/// # Source
///
/// Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996); the mixer is the finaliser of splitmix64.
pub(super) fn weight(key: u64, index: u32) -> u64 {
    let mut z = key ^ (u64::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The worker that a key falls to.
///
/// # Complexity
///
/// Linear in the workers.
pub(super) fn rendezvous(key: u64, workers: impl Iterator<Item = u32>) -> Option<u32> {
    workers.max_by_key(|index| (weight(key, *index), *index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_only_the_keys_of_a_lost_worker_move() {
        for key in 0..2000 {
            let before = rendezvous(key, 0..8).unwrap();
            let after = rendezvous(key, (0..8).filter(|index| *index != 3)).unwrap();
            assert!(after == before || before == 3);
        }
    }

    #[test]
    fn a3_keys_in_use_are_remembered_and_the_others_forgotten() {
        let mut homes = Homes::default();
        for key in 0..5 * GENERATION as u64 {
            homes.remember(key, 1);
            assert_eq!(homes.find(0, |_| true), Some(1), "it is used all the time");
            assert!(homes.young.len() + homes.old.len() <= 2 * GENERATION);
        }
        let last = 5 * GENERATION as u64;
        assert!((last - GENERATION as u64 / 2..last).all(|key| homes.find(key, |_| true).is_some()));
        assert_eq!(homes.find(1, |_| true), None);
        assert_eq!(homes.find(0, |worker| worker != 1), None, "its worker has gone");
    }

    #[test]
    fn a2_a_new_worker_gets_its_share_and_no_key_moves_elsewhere() {
        let mut moved = 0;
        for key in 0..8000 {
            let before = rendezvous(key, 0..7).unwrap();
            let after = rendezvous(key, 0..8).unwrap();
            assert!(after == before || after == 7);
            moved += usize::from(after != before);
        }
        assert!((800..1200).contains(&moved), "{moved} of 8000 keys moved, 1000 expected");
    }
}
