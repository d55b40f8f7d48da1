//! Stage: cancel. Thread: any.
//! Tasks of the JS lane that nobody waits for any more, whether they wait or run (J1 in mod.rs).

use super::{JsNote, MAIN, Parting, Running, js};
use crate::completion::{Notice, Outcome};
use crate::pool::cell::Cell;
use crate::pool::job::Job;
use crate::pool::{Pool, State, clock, native};
use crate::scheduler::{Cancelled, Lane, TaskId, Time, WorkerRef};
use std::sync::Arc;

/// A worker that does not come by for that long is blocked, ns.
const PATIENCE: u64 = 250_000_000;

impl Pool {
    /// Drops the tasks of that sink that wait, those among them that workers have taken ahead. Under the lock.
    pub(in crate::pool) fn drop_waiting(&self, state: &mut State, sink: u16) {
        let wanted = |_, job: Option<&Job>| job.is_some_and(|job| job.sink == sink);
        self.reject(state, &wanted, || Outcome::Cancelled);
        // What was taken has no job in the scheduler to tell whose it is.
        let by_js = state.js.iter().flat_map(|worker| &worker.running);
        let taken: Vec<TaskId> = by_js
            .filter(|running| running.label.sink == sink)
            .map(|running| running.id)
            .chain(self.cells_of(sink).map(|(_, cell)| TaskId::from_bits(cell.id())))
            .collect();
        let now = Time(clock::now());
        for id in taken {
            let State { scheduler, js: workers, .. } = &mut *state;
            if let Cancelled::Waiting(job) = scheduler.cancel(id, now, &mut self.claims(workers)) {
                self.trace.recorder().cancel(id, job.kernel, None, &Outcome::Cancelled);
                self.settle(state, &job.label(), Outcome::Cancelled);
            }
        }
    }

    /// What native workers have taken that was submitted by way of that sink, with their numbers. Under the lock.
    fn cells_of(&self, sink: u16) -> impl Iterator<Item = (u32, &Cell<Job>)> {
        let cells = (0..)
            .zip(&self.slots)
            .flat_map(|(index, slot)| slot.cells.get().into_iter().flatten().map(move |cell| (index, cell)));
        cells.filter(move |(_, cell)| cell.label().sink == sink)
    }

    /// Gives up the kernels that run and were submitted by way of that sink. Under the lock.
    pub(in crate::pool) fn give_up_kernels_of(
        &self,
        state: &mut State,
        sink: u16,
        wakes: &mut Vec<WorkerRef>,
    ) {
        for (index, cell) in self.cells_of(sink) {
            if cell.is_running() {
                self.abandon(state, native(index), TaskId::from_bits(cell.id()), Outcome::Cancelled, wakes);
            }
        }
    }

    /// Rejects every task of the JS lane that has not begun. Numbers that were kept for replacements are free again: no
    /// task may be bound to one for which nobody comes.
    pub fn js_reject_waiting(self: &Arc<Self>, parting: Parting, reason: &str) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        self.ingest_into(&mut state, &mut wakes);
        self.reject(&mut state, &|lane, _| lane == Lane::Js, || Outcome::refused(parting.code(), reason));
        state.scheduler.vacate_all(Lane::Js);
        self.unlock(state, &mut wakes);
    }

    /// Settles a task that a JS worker has begun; the worker's answer will be thrown away. Under the lock.
    pub(in crate::pool) fn js_abandon(
        &self,
        state: &mut State,
        index: u32,
        id: TaskId,
        outcome: Outcome,
    ) -> bool {
        let Some(worker) = state.js_worker(index) else { return false };
        let Some(running) = worker.wanted(id) else { return false };
        running.abandoned = true;
        self.trace.recorder().cancel(id, running.label.kernel, Some(js(index)), &outcome);
        let (label, run_time) = (running.label, clock::now().saturating_sub(running.started));
        self.settle_as(state, &label, outcome, index, run_time);
        true
    }

    /// As `js_abandon`, and tells the worker, which is to be woken, and the env that owns the pool. Under the lock.
    pub(in crate::pool) fn js_give_up(
        &self,
        state: &mut State,
        index: u32,
        id: TaskId,
        outcome: Outcome,
        wakes: &mut Vec<WorkerRef>,
    ) -> bool {
        let expired = matches!(outcome, Outcome::Expired);
        if !self.js_abandon(state, index, id, outcome) {
            return false;
        }
        let Some(worker) = state.js_worker(index) else { return true };
        let grace =
            worker.running.iter().find(|running| running.id == id).map_or(f64::NAN, |task| task.grace);
        worker.notes.push(JsNote::GivenUp { id, expired });
        wakes.push(js(index));
        if index != MAIN {
            self.tell_owner(Notice::GivenUp { worker: index, id, grace });
        }
        true
    }

    /// Gives up what JS workers run and was submitted by way of that sink, a guest that has gone; kernels of its were given
    /// up when it went. Under the lock.
    pub(super) fn give_up_of(&self, state: &mut State, sink: u16, wakes: &mut Vec<WorkerRef>) {
        if self.is_there(sink) {
            // Its number is another one's: nothing was left of it.
            return;
        }
        let is_meant = |running: &&Running| running.label.sink == sink;
        let by_js: Vec<(u32, TaskId)> = (0..)
            .zip(&state.js)
            .chain([(MAIN, &state.main)])
            .flat_map(|(index, worker)| {
                worker.running.iter().filter(is_meant).map(move |task| (index, task.id))
            })
            .collect();
        for (index, id) in by_js {
            self.js_give_up(state, index, id, Outcome::Cancelled, wakes);
        }
    }

    /// Whether a JS worker still runs that task; not if it holds its answer back while it runs another one.
    pub fn js_runs(&self, index: u32, id: TaskId) -> bool {
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index) else { return false };
        let is_answered = || worker.board.as_ref().is_some_and(|board| board.has_ended(id));
        worker.running.iter().any(|running| running.id == id) && !is_answered()
    }

    /// Whether the thread of a worker may be ended for the sake of a task that was given up: not while it runs another one
    /// that has begun anew for such a reason, as long as it comes by. Asks it to.
    pub fn js_may_evict(&self, index: u32) -> bool {
        let now = clock::now();
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else { return true };
        let is_spared = |task: &&Running| {
            !task.abandoned && !worker.is_ahead(task) && task.job.as_ref().is_some_and(Job::has_survived)
        };
        let is_blocked = worker.asked.is_some_and(|asked| now.saturating_sub(asked) > PATIENCE);
        if is_blocked || !worker.running.iter().any(|task| is_spared(&task)) {
            return true;
        }
        if worker.asked.is_none() {
            worker.asked = Some(now);
            drop(state);
            self.js_wake(index);
        }
        false
    }

    /// Settles everything that JS workers have begun. Under the lock.
    pub(in crate::pool) fn js_abandon_all(&self, state: &mut State, reason: impl Fn() -> Outcome) {
        let running: Vec<(u32, TaskId)> = (0..)
            .zip(&state.js)
            .chain([(MAIN, &state.main)])
            .flat_map(|(index, worker)| worker.running.iter().map(move |running| (index, running.id)))
            .collect();
        for (index, id) in running {
            self.js_abandon(state, index, id, reason());
        }
    }
}
