//! Stage: schedule and settle. Thread: workers, without the pool's lock; threads that wait for outcomes.
//! Looking out for work for a moment, before a worker parks: whoever awaits a result often has the next task at hand, and to
//! be woken takes longer. Who looks lets others run on its CPU, the submitter perhaps. Where others have work without end
//! that costs it the CPU for whole time slices, in which nobody rings; so after one was lost, nobody looks for a while, and
//! for longer when the next one is lost soon after that. One now and then is not the work of such others.

use super::clock;
use crate::sync::{AtomicU64, Ordering};

/// How long a worker looks before it parks, ns: longer than a submitter takes to wake up and submit the next task, or each
/// would find the other asleep for ever.
pub(super) const BEFORE_PARKING: u64 = 50_000;
/// Time that a thread loses to others of the same CPU from which on they are no submitters, ns.
const LOST: u64 = 1_000_000;
/// How long nobody looks after that at first, ns.
const SHORTEST_REST: u64 = 2_000_000;
/// And at most, ns.
const LONGEST_REST: u64 = 200_000_000;
/// What is lost within so many times the last rest makes the next one twice as long; later, half as long.
const SOON: u64 = 16;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Lookout {
    // Hints: to look once too often does no harm.
    /// Until when nobody looks, ns.
    crowded: AtomicU64,
    /// How long the last rest was, ns.
    rest: AtomicU64,
}

impl Lookout {
    /// Waits until `found`, at most `limit` ns. Whether it has looked.
    pub fn look(&self, limit: u64, found: impl Fn() -> bool) -> bool {
        self.look_by(limit, found, (clock::now, std::thread::yield_now))
    }

    fn look_by(
        &self,
        limit: u64,
        found: impl Fn() -> bool,
        (clock, give_way): (impl Fn() -> u64, impl Fn()),
    ) -> bool {
        let mut now = clock();
        let until = now + limit;
        let looks = |now| now >= self.crowded.load(Ordering::Relaxed);
        let has_looked = looks(now);
        while now < until && looks(now) && !found() {
            let before = now;
            give_way();
            now = clock();
            if now - before > LOST {
                self.rest(now);
            }
        }
        has_looked
    }

    /// Nobody looks for a while.
    fn rest(&self, now: u64) {
        let (until, last) = (self.crowded.load(Ordering::Relaxed), self.rest.load(Ordering::Relaxed));
        if now < until {
            // Others have lost the same one.
            return;
        }
        let is_soon = now - until < last * SOON;
        let rest = if is_soon { last * 2 } else { last / 2 }.clamp(SHORTEST_REST, LONGEST_REST);
        self.rest.store(rest, Ordering::Relaxed);
        self.crowded.store(now + rest, Ordering::Relaxed);
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

    /// Loses a time slice; how long nobody looks then, by the clock.
    fn rests(lookout: &Lookout, now: &Cell<u64>) -> u64 {
        assert_eq!(looks(lookout, now, LOST + 1), 1);
        let rest = lookout.rest.load(Ordering::Relaxed);
        assert_eq!(looks(lookout, now, 1000), 0);
        now.set(now.get() + rest - 1);
        assert_eq!(looks(lookout, now, 1000), 0);
        now.set(now.get() + 1);
        rest
    }

    #[test]
    fn after_a_lost_time_slice_nobody_looks_for_a_while() {
        let (lookout, now) = (Lookout::default(), Cell::new(5));
        assert_eq!(rests(&lookout, &now), SHORTEST_REST);
        assert_eq!(looks(&lookout, &now, 1000), 10);
    }

    #[test]
    fn rests_grow_while_slices_are_lost_soon_after_them_and_shrink_then() {
        let (lookout, now) = (Lookout::default(), Cell::new(5));
        let all: Vec<_> = (0..9).map(|_| rests(&lookout, &now) / SHORTEST_REST).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
        let later: Vec<_> = (0..9)
            .map(|_| {
                now.set(now.get() + lookout.rest.load(Ordering::Relaxed) * SOON);
                rests(&lookout, &now) / SHORTEST_REST
            })
            .collect();
        assert_eq!(later, [50, 25, 12, 6, 3, 1, 1, 1, 1]);
    }

    #[test]
    fn those_who_lose_the_same_slice_rest_as_one() {
        let (lookout, now) = (Lookout::default(), Cell::new(LOST));
        lookout.rest(now.get());
        lookout.rest(now.get() + 1);
        lookout.rest(now.get() + SHORTEST_REST - 1);
        assert_eq!(lookout.crowded.load(Ordering::Relaxed), now.get() + SHORTEST_REST);
    }

    #[test]
    fn says_whether_it_has_looked() {
        let (lookout, now) = (Lookout::default(), Cell::new(5));
        let look = || lookout.look_by(10, || false, (|| now.get(), || now.set(now.get() + LOST + 1)));
        assert!(look(), "until the slice was lost");
        assert!(!look());
    }
}
