//! Stage: schedule. Thread: workers, without the pool's lock.
//! Looking out for work for a moment, before a worker parks: whoever awaits a result often has the next task at hand, and to
//! be woken takes longer. A worker that looks lets others run on its CPU, the submitter perhaps. Where others have work
//! without end that costs it the CPU for whole time slices, in which nobody rings; so after one was lost, workers park at once
//! for a while.

use super::clock;
use crate::sync::{AtomicU64, Ordering};

/// Time that a worker loses to others of the same CPU from which on they are no submitters, ns.
const LOST: u64 = 1_000_000;
/// How long nobody looks after that, ns.
const REST: u64 = 200_000_000;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    /// Until when nobody looks, ns.
    crowded: AtomicU64,
}

impl Lookout {
    /// Waits until `found`, at most `limit` ns.
    pub(super) fn look(&self, limit: u64, found: impl Fn() -> bool) {
        let mut now = clock::now();
        let until = now + limit;
        // A hint: to look once too often does no harm.
        while now < until && now >= self.crowded.load(Ordering::Relaxed) && !found() {
            let before = now;
            std::thread::yield_now();
            now = clock::now();
            if now - before > LOST {
                self.crowded.store(now + REST, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How often it looks, for something that is there at the third time; each look takes `time` ns.
    fn looks(lookout: &Lookout, limit: u64, time: u64) -> u32 {
        let times = Cell::new(0);
        lookout.look(limit, || {
            times.set(times.get() + 1);
            let until = clock::now() + time;
            while clock::now() < until {}
            times.get() == 3
        });
        times.get()
    }

    #[test]
    fn looks_until_it_finds_something_and_not_for_long() {
        let lookout = Lookout::default();
        assert_eq!(looks(&lookout, u64::MAX / 2, 0), 3);
        assert_eq!(looks(&lookout, 0, 0), 0);
    }

    #[test]
    fn after_a_lost_time_slice_nobody_looks_for_a_while() {
        let lookout = Lookout::default();
        assert_eq!(looks(&lookout, u64::MAX / 2, 2 * LOST), 1);
        assert_eq!(looks(&lookout, u64::MAX / 2, 0), 0);
        lookout.crowded.store(clock::now(), Ordering::Relaxed);
        assert_eq!(looks(&lookout, u64::MAX / 2, 0), 3);
    }
}
