//! Stage: cancel. Thread: any.
//! Tasks of the JS lane that nobody waits for any more, whether they wait or run (J1 in mod.rs).

use super::{JsNote, MAIN, Parting, Running, js};
use crate::completion::{Notice, Outcome};
use crate::pool::job::Job;
use crate::pool::{Pool, State, clock, native};
use crate::scheduler::{Cancelled, Lane, TaskId, Time, WorkerRef};
use std::sync::Arc;

impl Pool {
    /// Drops the tasks of that sink that wait, those among them that workers have taken ahead.
    pub(in crate::pool) fn drop_waiting(self: &Arc<Self>, sink: u16) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        self.ingest_into(&mut state, &mut wakes);
        let wanted = |_, job: Option<&Job>| job.is_some_and(|job| job.sink == sink);
        self.reject(&mut state, &wanted, || Outcome::Cancelled);
        // What was taken has no job in the scheduler to tell whose it is.
        let by_js = state.js.iter().flat_map(|worker| &worker.running);
        let taken: Vec<TaskId> = by_js
            .filter(|running| running.label.sink == sink)
            .map(|running| running.id)
            .chain(
                self.all_cells()
                    .filter(|cell| cell.label().sink == sink)
                    .map(|cell| TaskId::from_bits(cell.id())),
            )
            .collect();
        let now = Time(clock::now());
        for id in taken {
            let State { scheduler, js: workers, .. } = &mut *state;
            if let Cancelled::Waiting(job) = scheduler.cancel(id, now, &mut self.claims(workers)) {
                self.trace.recorder().cancel(id, job.kernel, None, &Outcome::Cancelled);
                self.settle(&state, &job.label(), false, Outcome::Cancelled);
            }
        }
        self.unlock(state, &mut wakes);
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

    /// Gives up what runs and was submitted by way of that sink, a guest that has gone. Under the lock.
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
        for index in 0..self.threads() {
            for cell in self.slots[index as usize].cells.get().into_iter().flatten() {
                if cell.is_running() && cell.label().sink == sink {
                    let id = TaskId::from_bits(cell.id());
                    self.abandon(state, native(index), id, Outcome::Cancelled, wakes);
                }
            }
        }
    }

    /// Whether a JS worker still runs that task; not if it holds its answer back while it runs another one.
    pub fn js_runs(&self, index: u32, id: TaskId) -> bool {
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index) else { return false };
        let is_answered = || worker.board.as_ref().is_some_and(|board| board.has_ended(id));
        worker.running.iter().any(|running| running.id == id) && !is_answered()
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
