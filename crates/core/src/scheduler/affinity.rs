//! Stage: submit. Thread: whoever holds the pool's lock.
//! Which worker a key falls to: highest random weight (rendezvous) hashing.
//!
//! A1. Taking a worker away moves the keys of that worker and no others.
//! A2. Adding one moves keys to it only.

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
