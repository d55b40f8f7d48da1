//! Stage: submit and complete. Thread: any.
//! When the timer looks at a pool.
//!
//! A1. Of one who posts a task with a deadline and of the timer that goes away, at least one sees the other. The timer takes the
//!     alarm off and then looks into the inboxes; the other one posts and then asks for the alarm. Each does the first before the
//!     second for all threads, which takes a full fence: stores may pass loads on every processor.

use crate::sync::{AtomicU64, Ordering, fence};

/// For a timer that does not come.
const OFF: u64 = u64::MAX;

/// When the timer will look; see [`super::clock::now`]. Changed under the pool's lock.
#[derive(Debug)]
pub(crate) struct Alarm(AtomicU64);

impl Alarm {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(OFF))
    }

    /// Whether it is set to that time.
    pub(crate) fn is_at(&self, at: u64) -> bool {
        self.0.load(Ordering::Relaxed) == at
    }

    /// Sets it to that time if it was later or off; whether it was.
    pub(crate) fn advance(&self, at: u64) -> bool {
        let is_earlier = at < self.0.load(Ordering::Relaxed);
        if is_earlier {
            self.0.store(at, Ordering::Relaxed);
        }
        is_earlier
    }

    /// Takes it off. The timer looks into the inboxes after that (A1).
    pub(crate) fn take_off(&self) {
        self.0.store(OFF, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Whether the timer comes too late for a task that was posted just now and ends at that time (A1).
    pub(crate) fn misses(&self, deadline: u64) -> bool {
        if deadline == OFF {
            return false;
        }
        fence(Ordering::SeqCst);
        deadline < self.0.load(Ordering::Relaxed)
    }
}
