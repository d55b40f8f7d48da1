//! Stage: schedule and run. Thread: the owner worker begins and finishes; anyone who holds the pool's lock may revoke
//! or abandon.
//! Claim cells: tasks that a worker has taken out of the queue, each up for grabs until the worker really begins it.
//!
//! ```text
//!            put (owner, locked)          begin (owner)            finish (owner)
//!   EMPTY ───────────────────────► AHEAD ─────────────► RUNNING ──────────────────► EMPTY
//!                                    │ revoke (locked)     │ abandon (locked)
//!                                    ▼                     ▼            release (owner, locked)
//!                                  EMPTY               ABANDONED ─────────────────► EMPTY
//! ```
//!
//! L1. Of `begin` and `revoke` exactly one wins a task; the winner owns the payload.
//! L2. Of `finish` and `abandon` exactly one wins; the winner settles the task.
//! L3. A cell gets a new task only under the lock, so a task id read under the lock names the same task until it is
//!     unlocked, whatever the owner does meanwhile.
//! L4. A task that is put back to run again is finished under the lock that it is put back under: who looks for it finds it
//!     in the cell or in the queue.

#![expect(unsafe_code, reason = "the payload changes hands by compare-and-swap")]

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, UnsafeCell};
use std::mem::MaybeUninit;

const EMPTY: u32 = 0;
const AHEAD: u32 = 1;
const RUNNING: u32 = 2;
const ABANDONED: u32 = 3;

/// What others may know of the task in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) ticket: u32,
    pub(crate) sink: u16,
    pub(crate) kernel: u16,
    /// Whether the kernel may touch memory that belongs to the submitter's env.
    pub(crate) in_place: bool,
}

/// One place for a task of one worker.
#[derive(Debug)]
pub(crate) struct Cell<P> {
    state: AtomicU32,
    /// Written under the lock while the cell is empty, read under the lock (L3).
    id: AtomicU64,
    ticket: AtomicU32,
    sink_and_kernel: AtomicU32,
    in_place: AtomicBool,
    /// When its run began. Written by the owner before it begins, read after it was abandoned.
    since: AtomicU64,
    payload: UnsafeCell<MaybeUninit<P>>,
}

// SAFETY: the payload is only touched by the winner of a state change (L1), which makes it the only owner.
unsafe impl<P: Send> Sync for Cell<P> {}
// SAFETY: as above; a cell may be built on one thread and used on another.
unsafe impl<P: Send> Send for Cell<P> {}

impl<P> Cell<P> {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(EMPTY),
            id: AtomicU64::new(u64::MAX),
            ticket: AtomicU32::new(0),
            sink_and_kernel: AtomicU32::new(0),
            in_place: AtomicBool::new(false),
            since: AtomicU64::new(0),
            payload: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Puts a task in. Owner only, under the lock, into an empty cell.
    pub(crate) fn put(&self, id: u64, label: Label, payload: P) {
        debug_assert_eq!(self.state.load(Ordering::Relaxed), EMPTY);
        self.id.store(id, Ordering::Relaxed);
        self.ticket.store(label.ticket, Ordering::Relaxed);
        self.sink_and_kernel.store(u32::from(label.sink) << 16 | u32::from(label.kernel), Ordering::Relaxed);
        self.in_place.store(label.in_place, Ordering::Relaxed);
        // SAFETY: empty cells belong to their owner, who is the caller.
        unsafe { (*self.payload.get()).write(payload) };
        // Pairs with the acquire in `begin` and `revoke`: the winner sees the payload.
        self.state.store(AHEAD, Ordering::Release);
    }

    /// Starts the task at that time unless it was revoked. Owner only, no lock.
    pub(crate) fn begin(&self, now: u64) -> Option<P> {
        self.since.store(now, Ordering::Relaxed);
        self.state.compare_exchange(AHEAD, RUNNING, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        // SAFETY: the exchange was won (L1), so the payload was written and nobody else takes it.
        Some(unsafe { (*self.payload.get()).assume_init_read() })
    }

    /// Ends the task; `true` when the caller is to settle it, `false` when it was abandoned, which is then followed by
    /// [`Cell::release`]. Owner only; under the lock when the task is to run again (L4).
    pub(crate) fn finish(&self) -> bool {
        self.state.compare_exchange(RUNNING, EMPTY, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Empties an abandoned cell. Owner only, under the lock.
    pub(crate) fn release(&self) {
        debug_assert_eq!(self.state.load(Ordering::Relaxed), ABANDONED);
        self.state.store(EMPTY, Ordering::Release);
    }

    /// Takes the task with this id back if it has not begun. Under the lock.
    pub(crate) fn revoke(&self, id: u64) -> Option<P> {
        if self.id.load(Ordering::Relaxed) != id {
            return None;
        }
        self.state.compare_exchange(AHEAD, EMPTY, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        // SAFETY: as in `begin`.
        Some(unsafe { (*self.payload.get()).assume_init_read() })
    }

    /// Gives the running task with this id up; when it began, if the caller is to settle it. Under the lock.
    pub(crate) fn abandon(&self, id: u64) -> Option<u64> {
        let is_won = self.id.load(Ordering::Relaxed) == id
            && self.state.compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        is_won.then(|| self.since.load(Ordering::Relaxed))
    }

    /// Id of the task in the cell. Under the lock.
    pub(crate) fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    /// What is in the cell. Under the lock, or by the owner.
    pub(crate) fn label(&self) -> Label {
        let packed = self.sink_and_kernel.load(Ordering::Relaxed);
        Label {
            ticket: self.ticket.load(Ordering::Relaxed),
            sink: (packed >> 16) as u16,
            kernel: packed as u16,
            in_place: self.in_place.load(Ordering::Relaxed),
        }
    }

    /// Whether the task in it is running, given up or not.
    pub(crate) fn is_running(&self) -> bool {
        self.state.load(Ordering::Relaxed) >= RUNNING
    }

    /// Whether the task in it has not begun. Under the lock.
    pub(crate) fn is_ahead(&self) -> bool {
        self.state.load(Ordering::Relaxed) == AHEAD
    }

    /// Whether the running task was given up. One relaxed load: kernels poll it, nothing is read on the strength of it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ABANDONED
    }
}

impl<P> Drop for Cell<P> {
    fn drop(&mut self) {
        if self.state.load(Ordering::Acquire) == AHEAD {
            // SAFETY: `&mut self`, and the payload was put and not taken.
            unsafe { (*self.payload.get()).assume_init_drop() };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LABEL: Label = Label { ticket: 9, sink: 3, kernel: 5, in_place: true };

    #[test]
    fn l1_a_task_is_begun_or_revoked_never_both() {
        let cell = Cell::new();
        cell.put(1, LABEL, "a".to_owned());
        assert_eq!(cell.label(), LABEL);
        assert_eq!(cell.revoke(2), None);
        assert_eq!(cell.revoke(1).as_deref(), Some("a"));
        assert_eq!(cell.begin(7), None);
        cell.put(2, LABEL, "b".to_owned());
        assert_eq!(cell.begin(7).as_deref(), Some("b"));
        assert_eq!(cell.revoke(2), None);
        assert!(cell.finish());
    }

    #[test]
    fn l2_a_task_is_finished_or_abandoned_never_both() {
        let cell = Cell::new();
        cell.put(1, LABEL, ());
        assert_eq!(cell.abandon(1), None, "it has not begun");
        cell.begin(7).unwrap();
        assert_eq!(cell.abandon(2), None, "another task");
        assert_eq!(cell.abandon(1), Some(7), "when it began");
        assert_eq!(cell.abandon(1), None, "only once");
        assert!(cell.is_abandoned());
        assert!(!cell.finish());
        cell.release();
        cell.put(2, LABEL, ());
        cell.begin(7).unwrap();
        assert!(cell.finish());
        assert_eq!(cell.abandon(2), None);
    }

    #[test]
    fn a_payload_that_was_never_begun_is_dropped_with_the_cell() {
        let payload = std::sync::Arc::new(());
        let cell = Cell::new();
        cell.put(1, LABEL, payload.clone());
        drop(cell);
        assert_eq!(std::sync::Arc::strong_count(&payload), 1);
    }
}
