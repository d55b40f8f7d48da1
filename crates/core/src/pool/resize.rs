//! Stage: schedule. Thread: the owner env.
//! The number of native workers, changed while the pool works. Threads that are not needed any more stay parked, which
//! costs nothing, until they are needed again or the pool is closed.

use super::{
    Arc, ErrorCode, Lane, LeaveReport, Ordering, Outcome, Pool, State, Time, WorkerRef, clock, native,
};

impl Pool {
    /// Native workers, those that have no thread yet among them.
    pub fn active_threads(&self) -> u32 {
        self.active.load(Ordering::Relaxed) as u32
    }

    /// Lets the first `threads` native workers take tasks, at least one, and no others. What those have begun they finish;
    /// what waited for them goes to others, but for what was forced to them, which is refused.
    pub fn resize(self: &Arc<Self>, threads: u32) {
        let threads = threads.clamp(1, self.threads());
        let now = Time(clock::now());
        let (mut wakes, mut report) = (Vec::new(), LeaveReport::default());
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        self.ingest_into(&mut state, &mut wakes);
        for index in 0..self.threads() {
            let (worker, is_started) = (native(index), self.slots[index as usize].started());
            if index < threads {
                if state.scheduler.join(worker, is_started, &mut wakes) && is_started {
                    // Its thread is parked, and the scheduler takes it for awake.
                    wakes.push(worker);
                }
            } else {
                let State { scheduler, js, .. } = &mut *state;
                scheduler.retire(worker, false, &mut self.claims(js), now, &mut report, &mut wakes);
            }
        }
        for (_, job) in report.orphaned {
            let outcome =
                Outcome::refused(ErrorCode::OutOfRange, "the pool has no worker with this index any more");
            self.settle(&state, &job.label(), outcome);
        }
        self.active.store(threads as usize, Ordering::Relaxed);
        self.unlock(state, &mut wakes);
    }

    /// Whether a native worker takes tasks. Under the lock.
    pub(super) fn is_active(state: &State, worker: WorkerRef) -> bool {
        debug_assert!(worker.lane == Lane::Native);
        state.scheduler.is_joined(worker)
    }
}
