//! Stage: cancel. Thread: any.
//! Tasks of the JS lane that nobody waits for any more, whether they wait or run (J1 in mod.rs).

use super::{JsNote, MAIN, Parting, js};
use crate::completion::{Notice, Outcome};
use crate::pool::job::Job;
use crate::pool::{Pool, State, clock};
use crate::scheduler::{Lane, TaskId, WorkerRef};
use std::sync::Arc;

impl Pool {
    /// Drops the tasks of that sink that wait.
    pub(in crate::pool) fn drop_waiting(self: &Arc<Self>, sink: u16) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        self.ingest_into(&mut state, &mut wakes);
        let wanted = |_, job: Option<&Job>| job.is_some_and(|job| job.sink == sink);
        self.reject(&mut state, &wanted, || Outcome::Cancelled);
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
