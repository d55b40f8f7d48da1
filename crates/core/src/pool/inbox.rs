//! Stage: submit. Thread: submitters post; whoever holds the pool's lock takes.
//! Where plain jobs wait to be put into the scheduler: a submitter leaves a batch in the time it takes to copy it, and
//! the next worker that comes by does the scheduling.
//!
//! I1. While jobs are in the inbox, some worker is awake and owes a turn, and every turn empties it; or the post that
//!     ended its emptiness is about to wake one. Because: a post that finds the inbox empty is told whether a worker is
//!     idle, and wakes one if so; whoever makes a worker idle says so before looking into the inbox for the last time.
//! I2. Jobs leave in the order in which they came. A submission that goes straight to the scheduler takes the inbox
//!     along first.

use super::job::PlainJob;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// How many a pool has: one for each lane whose workers come by themselves, by the lane's number.
pub(crate) const INBOXES: usize = 2;

/// Plain jobs of one lane on their way into the scheduler.
#[derive(Debug)]
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    /// Whether there are jobs. A hint for those who look without the lock.
    waiting: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    jobs: Vec<PlainJob>,
    idle: bool,
    closed: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// A worker that is awake will see to it.
    Left,
    /// As before, once the caller has woken an idle worker.
    Call,
    /// The inbox is closed; nothing was taken.
    Closed,
}

impl Inbox {
    /// An empty inbox. `idle`: whether there is a worker to be woken.
    pub(crate) fn new(idle: bool) -> Self {
        let inner = Inner { jobs: Vec::new(), idle, closed: false };
        Self { inner: Mutex::new(inner), waiting: AtomicBool::new(false) }
    }

    /// Leaves a batch.
    #[must_use]
    pub(crate) fn post(&self, batch: impl Iterator<Item = PlainJob>) -> Posted {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Posted::Closed;
        }
        let first = inner.jobs.is_empty();
        inner.jobs.extend(batch);
        self.waiting.store(true, Ordering::Relaxed);
        if first && inner.idle { Posted::Call } else { Posted::Left }
    }

    /// Takes everything, in exchange for the empty list `into`. Under the pool's lock.
    pub(crate) fn take(&self, into: &mut Vec<PlainJob>) {
        debug_assert!(into.is_empty());
        let mut inner = self.inner.lock();
        std::mem::swap(&mut inner.jobs, into);
        self.waiting.store(false, Ordering::Relaxed);
    }

    /// Says whether a worker is idle. After `true` the caller looks at [`Inbox::is_waiting`] once more.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.inner.lock().idle = idle;
    }

    /// Refuses later batches.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
    }

    /// Whether there are jobs. Right for a caller that has just been under the lock of the inbox.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Inbox, PlainJob, Posted};

    fn job(ticket: u32) -> PlainJob {
        PlainJob { ticket, ..PlainJob::default() }
    }

    #[test]
    fn i1_the_first_post_calls_an_idle_worker() {
        let inbox = Inbox::new(true);
        assert_eq!(inbox.post([job(0)].into_iter()), Posted::Call);
        assert_eq!(inbox.post([job(1)].into_iter()), Posted::Left, "one is called already");
        inbox.set_idle(false);
        let mut jobs = Vec::new();
        inbox.take(&mut jobs);
        assert!(!inbox.is_waiting());
        assert_eq!(inbox.post([job(2)].into_iter()), Posted::Left, "nobody is idle");
        assert!(inbox.is_waiting());
    }

    #[test]
    fn i2_jobs_leave_in_order() {
        let inbox = Inbox::new(false);
        assert_eq!(inbox.post((0..3).map(job)), Posted::Left);
        assert_eq!(inbox.post((3..5).map(job)), Posted::Left);
        let mut jobs = Vec::new();
        inbox.take(&mut jobs);
        assert!(jobs.iter().map(|job| job.ticket).eq(0..5));
    }

    #[test]
    fn a_closed_inbox_takes_nothing() {
        let inbox = Inbox::new(true);
        inbox.close();
        assert_eq!(inbox.post([job(0)].into_iter()), Posted::Closed);
        assert!(!inbox.is_waiting());
    }
}
