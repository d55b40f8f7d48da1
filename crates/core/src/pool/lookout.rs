//! Stage: schedule and settle. Thread: workers, without the pool's lock; threads that wait for outcomes.
//! Looking out for work for a moment, before a worker parks: whoever awaits a result often has the next task at hand, and to
//! be woken takes longer. Who looks lets others run on its CPU, the submitter perhaps. Where others have work without end
//! that costs it the CPU for whole time slices, in which nobody rings; so after one was lost, nobody looks for a while.

use super::clock;
use crate::sync::{AtomicU64, Ordering};

/// How long a worker looks before it parks, ns: longer than a submitter takes to wake up and submit the next task, or each
/// would find the other asleep for ever.
pub(super) const BEFORE_PARKING: u64 = 50_000;
/// Time that a thread loses to others of the same CPU from which on they are no submitters, ns.
const LOST: u64 = 1_000_000;
/// How long nobody looks after that, ns.
const REST: u64 = 200_000_000;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Lookout {
    /// Until when nobody looks, ns.
    crowded: AtomicU64,
}

impl Lookout {
    /// Waits until `found`, at most `limit` ns.
    pub fn look(&self, limit: u64, found: impl Fn() -> bool) {
        self.look_by(limit, found, (clock::now, std::thread::yield_now));
    }

    fn look_by(
        &self,
        limit: u64,
        found: impl Fn() -> bool,
        (clock, give_way): (impl Fn() -> u64, impl Fn()),
    ) {
        let mut now = clock();
        let until = now + limit;
        // A hint: to look once too often does no harm.
        while now < until && now >= self.crowded.load(Ordering::Relaxed) && !found() {
            let before = now;
            give_way();
            now = clock();
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

    /// How often it looks at most 10 us for something that is not there; a yield takes `time` ns.
    fn looks(lookout: &Lookout, now: &Cell<u64>, time: u64) -> u32 {
        let times = Cell::new(0);
        let found = || {
            times.set(times.get() + 1);
            false
        };
        lookout.look_by(10_000, found, (|| now.get(), || now.set(now.get() + time)));
        times.get()
    }

    #[test]
    fn looks_until_the_time_is_over_or_there_is_something() {
        let (lookout, now) = (Lookout::default(), Cell::new(5));
        assert_eq!(looks(&lookout, &now, 1000), 10);
        assert_eq!(looks(&lookout, &now, LOST), 1);
        lookout.look_by(u64::MAX / 2, || true, (|| now.get(), || panic!("there is something")));
        // On the real clock.
        lookout.look(0, || panic!("the time is over"));
        lookout.look(u64::MAX / 2, || true);
    }

    #[test]
    fn after_a_lost_time_slice_nobody_looks_for_a_while() {
        let (lookout, now) = (Lookout::default(), Cell::new(5));
        assert_eq!(looks(&lookout, &now, LOST + 1), 1);
        assert_eq!(looks(&lookout, &now, 1000), 0);
        now.set(now.get() + REST - 1);
        assert_eq!(looks(&lookout, &now, 1000), 0);
        now.set(now.get() + 1);
        assert_eq!(looks(&lookout, &now, 1000), 10);
    }
}
