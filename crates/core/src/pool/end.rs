//! Stage: all. Thread: the owner env.
//! The end of a pool, N2 in the module above.

use super::cell::Cell;
use super::{
    Arc, CompletionSink, ErrorCode, Event, Inbox, Job, Label, Lane, Outcome, Pool, State, TaskId, Time,
    WorkerRef, clock, native,
};

impl Pool {
    /// No more tasks are admitted. When everything admitted has ended and the threads are gone, `listener` gets
    /// [`Event::Closed`].
    pub fn close(self: &Arc<Self>, listener: &Arc<dyn CompletionSink>) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        self.shut(&mut state, &mut wakes);
        if state.threads == 0 && self.is_finished(&state) {
            drop(state);
            listener.deliver(Event::Closed { pool: self.id });
            return;
        }
        state.listeners.push(listener.clone());
        self.unlock(state, &mut wakes);
        self.unpark_all();
    }

    /// Admits what was posted until now, and nothing more.
    pub(super) fn shut(&self, state: &mut State, wakes: &mut Vec<WorkerRef>) {
        self.inboxes.iter().for_each(Inbox::close);
        self.ingest_into(state, wakes);
        state.closed = true;
        state.scheduler.close();
        self.publish(state);
    }

    pub(super) fn is_finished(&self, state: &State) -> bool {
        state.closed && state.scheduler.admitted() == 0 && state.sections.is_empty() && self.unfinished() == 0
    }

    /// Rejects every task that has not begun; those that run have no further run. To be called after [`Pool::close`].
    pub fn reject_waiting(&self) {
        let mut state = self.state.lock();
        self.reject_all(&mut state);
        self.publish(&mut state);
    }

    /// As [`Pool::reject_waiting`], and settles every running task now and tells it to stop. None is between the two.
    pub fn reject_everything(&self) {
        let mut state = self.state.lock();
        self.reject_all(&mut state);
        self.abandon_running(&mut state);
        self.publish(&mut state);
    }

    fn reject_all(&self, state: &mut State) {
        state.rejects = true;
        self.reject(state, &|_, _| true, closed_before_it_began);
    }

    /// Settles waiting tasks that are `wanted` out of the queue. Under the lock.
    pub(super) fn reject(
        &self,
        state: &mut State,
        wanted: &dyn Fn(Lane, Option<&Job>) -> bool,
        outcome: impl Fn() -> Outcome,
    ) {
        let mut rejected = Vec::new();
        let now = Time(clock::now());
        state.scheduler.reject_waiting(wanted, now, &mut self.claims(&mut state.js), &mut rejected);
        let recorder = self.trace.recorder();
        for (id, job) in rejected {
            let outcome = outcome();
            recorder.cancel(id, job.kernel, None, &outcome);
            self.settle(state, &job.label(), outcome);
        }
    }

    fn abandon_running(&self, state: &mut State) {
        let reason = || Outcome::refused(ErrorCode::PoolClosed, "the pool was destroyed while the task ran");
        for index in 0..self.threads() {
            for cell in self.slots[index as usize].cells.get().into_iter().flatten() {
                if cell.is_running() {
                    let id = TaskId::from_bits(cell.id());
                    self.abandon(state, native(index), id, reason(), &mut Vec::new());
                }
            }
        }
        self.js_abandon_all(state, reason);
    }

    /// The env that owns the pool is going away: ends everything, and returns only when no kernel touches memory of the
    /// env any more. Kernels notice within a few milliseconds.
    pub fn detach(self: &Arc<Self>) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        self.shut(&mut state, &mut wakes);
        state.listeners.clear();
        drop(state);
        self.wake(&mut wakes);
        self.reject_everything();
        let mut state = self.state.lock();
        self.js_disband(&mut state, &mut wakes);
        self.unlock(state, &mut wakes);
        self.await_memory(|_| true);
    }

    /// Waits for kernels that were given up and use memory of the env that submitted them.
    pub(super) fn await_memory(&self, is_meant: impl Fn(&Label) -> bool) {
        let mut state = self.state.lock();
        let is_used = |cell: &Cell<Job>| {
            let label = cell.label();
            label.in_place && is_meant(&label) && cell.is_abandoned()
        };
        let mut used: Vec<(&Cell<Job>, u64)> =
            self.all_cells().filter(|cell| is_used(cell)).map(|cell| (cell, cell.id())).collect();
        while !used.is_empty() {
            self.released.wait(&mut state);
            // A cell may have a task of somebody else by now.
            used.retain(|(cell, id)| cell.id() == *id && cell.is_abandoned());
        }
    }
}

/// What a task is told that was to run, and does not any more.
pub(super) fn closed_before_it_began() -> Outcome {
    Outcome::refused(ErrorCode::PoolClosed, "the pool was closed before the task began")
}
