//! Stage: run. Thread: the owner env adds and removes workers; a worker's env attaches itself.
//! JS workers that come and go, while the pool is open too.

#![expect(unsafe_code, reason = "memory shared with JavaScript")]

use super::delivery::Delivery;
use super::{Board, JsWorker, MAIN, Running, Waker, js};
use crate::completion::{Notice, Outcome};
use crate::error::ErrorCode;
use crate::pool::cpu::CpuClock;
use crate::pool::job::Policy;
use crate::pool::{Pool, State, clock, timer};
use crate::scheduler::{Lane, LeaveReport, TaskId, Time, WorkerRef};
use crate::trace::How;
use std::sync::Arc;

/// Which workers [`Pool::js_retire`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retire {
    /// Any.
    Any,
    /// One that runs nothing, and for which nothing waits.
    Idle,
    /// One that has begun a task. Replacing others again and again would lead nowhere.
    Used,
}

/// Why a JS worker has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// By itself: an uncaught error, `process.exit`, out of memory.
    Crashed,
    /// The pool is closed.
    Closed,
    /// The entry module cannot be used.
    Unusable,
    /// It was ended because of a task that was given up: the others run again elsewhere.
    Evicted,
    /// The system has refused its thread.
    Refused,
}

impl Parting {
    pub(super) fn code(self) -> ErrorCode {
        match self {
            Self::Crashed | Self::Evicted => ErrorCode::WorkerCrashed,
            Self::Closed => ErrorCode::PoolClosed,
            Self::Unusable => ErrorCode::Entry,
            Self::Refused => ErrorCode::System,
        }
    }

    /// What becomes of its tasks, for the record.
    fn how(self) -> How {
        match self {
            Self::Crashed | Self::Unusable | Self::Refused => How::Crashed,
            Self::Closed => How::GivenUp,
            Self::Evicted => How::PutBack,
        }
    }
}

/// What a JS worker leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Tasks of the lane that wait.
    pub waiting: usize,
    /// Tasks of that worker that run again.
    pub repeated: usize,
    /// Tasks that it had begun and that do not, given up or not.
    pub failed: usize,
}

impl Pool {
    /// A JS worker is being launched. Tasks may be assigned to it from now on; it takes them once it is attached.
    /// `false` when it is there already.
    pub fn js_join(self: &Arc<Self>, index: u32) -> bool {
        if index != MAIN {
            // Whether the system grants another thread shows when the worker's own is asked for.
            drop(timer::start());
        }
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        if self.is_finished(&state) || !state.scheduler.join(js(index), false, &mut wakes) {
            return false;
        }
        let at = index as usize;
        if index != MAIN && at >= state.js.len() {
            state.js.resize_with(at + 1, JsWorker::default);
        }
        if let Some(worker) = state.js_worker(index) {
            (worker.joined, worker.retiring, worker.begun) = (true, false, 0);
            (worker.postponed, worker.asked) = (false, None);
            worker.idle_since = clock::now();
            (worker.launched, worker.active) = (worker.idle_since, worker.idle_since);
        }
        self.unlock(state, &mut wakes);
        true
    }

    /// Each JS worker that is there gets one of the next tasks; see [`Scheduler::serve_each`](crate::scheduler::Scheduler::serve_each).
    pub fn js_serve_each(&self) {
        self.state.lock().scheduler.serve_each(Lane::Js);
    }

    /// The worker's env is ready; its first [`Pool::js_turn`] follows. With a board, which no other worker has, it is given
    /// tiny tasks several at a time. `false` when it is not expected, or no more.
    pub fn js_attach(&self, index: u32, waker: Arc<dyn Waker>, board: Option<Arc<Board>>) -> bool {
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            return false;
        };
        worker.waker = Some(waker);
        worker.board = board;
        worker.cpu = CpuClock::of_this_thread();
        worker.idle_since = clock::now();
        state.scheduler.set_launched(js(index));
        true
    }

    /// What comes by way of that sink is submitted by that worker.
    pub fn js_seat(&self, index: u32, sink: u16) {
        self.trace.seated(sink, index);
        if let Some(worker) = self.state.lock().js_worker(index) {
            worker.sink = Some(sink);
        }
    }

    /// The env of a worker ends: it is not rung any more. Its tasks are settled by [`Pool::js_leave`].
    pub fn js_detach(&self, index: u32) {
        if let Some(worker) = self.state.lock().js_worker(index) {
            (worker.waker, worker.cpu) = (None, None);
        }
    }

    /// A JS worker has gone, and its thread has ended. What it had begun ends as `parting` says. As long as tasks of its lane wait, its number is kept
    /// for a replacement, which the caller launches, and what is forced to it waits too.
    pub fn js_leave(self: &Arc<Self>, index: u32, parting: Parting, reason: &str) -> Left {
        let now = clock::now();
        let mut wakes = Vec::new();
        let mut delivery = Delivery::new(self);
        let mut state = self.state.lock();
        // It has gone, whether or not it was to go when it comes to rest: its number may be another one's when that is heard.
        if let Some(worker) = state.js_worker(index) {
            (worker.retiring, worker.postponed) = (false, false);
        }
        // What it had ended has ended, although it could not say so any more.
        if let Some(board) = state.js_worker(index).and_then(|worker| worker.board.clone()) {
            // SAFETY: its thread has ended.
            let answers = unsafe { board.take_answers(now) };
            let recorder = self.trace.recorder();
            for (id, answer) in answers {
                self.accept(&mut state, index, id, answer, (now, &mut wakes, &mut delivery), &recorder);
            }
        }
        // So that they count as waiting, and are for those who are left.
        self.ingest_into(&mut state, &mut wakes);
        let left = self.remove(&mut state, index, (parting, reason), now, &mut wakes).unwrap_or_default();
        self.unlock(state, &mut wakes);
        left
    }

    /// The env that owns the pool ends, and its JS workers have ended with it. What they had begun was settled before. Under
    /// the lock.
    pub(in crate::pool) fn js_disband(&self, state: &mut State, wakes: &mut Vec<WorkerRef>) {
        for index in (0..state.js.len() as u32).chain([MAIN]) {
            self.remove(state, index, (Parting::Closed, "the pool is closed"), clock::now(), wakes);
        }
    }

    /// Takes a worker and all of its tasks out; `None` when it is not there. Under the lock.
    fn remove(
        &self,
        state: &mut State,
        index: u32,
        (parting, reason): (Parting, &str),
        now: u64,
        wakes: &mut Vec<WorkerRef>,
    ) -> Option<Left> {
        let mut report = LeaveReport::default();
        let worker = state.js_worker(index).filter(|worker| worker.joined)?;
        (worker.joined, worker.looking, worker.waker, worker.cpu) = (false, false, None, None);
        let sink = worker.sink.take();
        worker.notes.clear();
        // What it had not begun, the scheduler takes back below.
        let taken = std::mem::take(&mut worker.running);
        let (ahead, running): (Vec<_>, Vec<_>) = taken.into_iter().partition(|task| worker.is_ahead(task));
        worker.running = ahead.into();
        if parting == Parting::Crashed {
            self.trace.recorder().crash(js(index));
        }
        let (mut repeated, mut failed) = (0, 0);
        for task in running {
            if self.part(state, index, task, (parting, reason), now, wakes) {
                repeated += 1;
            } else {
                failed += 1;
                if let Some(worker) = state.js_worker(index) {
                    worker.errored += 1;
                }
            }
        }
        // It ended because a task was given up, and so is what that has submitted.
        if let (Parting::Evicted, Some(sink)) = (parting, sink) {
            self.give_up_of(state, sink, wakes);
        }
        let code = parting.code();
        let State { scheduler, js: workers, .. } = &mut *state;
        let claims = &mut self.claims(workers);
        scheduler.leave(js(index), true, claims, Time(now), &mut report, wakes);
        if let Some(worker) = state.js_worker(index) {
            debug_assert!(worker.running.is_empty(), "the scheduler knew nothing of some");
            worker.board = None;
        }
        for (_, job) in report.orphaned {
            let outcome = Outcome::refused(code, "the worker that the task was bound to is gone");
            self.settle(state, &job.label(), outcome);
        }
        let waiting = state.scheduler.queued(Lane::Js);
        if waiting + state.scheduler.set_aside(Lane::Js) == 0 {
            // Nobody comes after it for now, so no task may be bound to its number.
            state.scheduler.vacate(js(index));
        }
        Some(Left { waiting, repeated, failed })
    }

    /// Settles a task whose worker has gone, or puts it back; whether it runs again. Under the lock.
    fn part(
        &self,
        state: &mut State,
        index: u32,
        mut task: Running,
        (parting, reason): (Parting, &str),
        now: u64,
        wakes: &mut Vec<WorkerRef>,
    ) -> bool {
        self.trace.recorder().ended(js(index), &task, now, parting.how());
        if task.abandoned {
            return false;
        }
        let mut outcome = Outcome::refused(parting.code(), reason);
        match (parting, task.copy()) {
            // It ended for another task's sake: this one starts anew, and that is none of its retries.
            (Parting::Evicted, Some(mut copy)) if self.is_there(copy.sink) => {
                let from_start = copy.policy.as_deref().and_then(Policy::start_limit);
                if !copy.survives() {
                    let reason = "workers that ran the task were ended again and again because of others, which were given up";
                    outcome = Outcome::refused(parting.code(), reason);
                } else if state.scheduler.give_back(js(index), task.id, copy, None, from_start, wakes).is_ok()
                {
                    return true;
                }
            }
            (Parting::Crashed, Some(copy)) if copy.repeats(true) => {
                let ended = (outcome, now.saturating_sub(task.started));
                match self.repeat(state, (js(index), index), task.id, copy, ended, (now, wakes)) {
                    Ok(()) => return true,
                    Err(given_back) => outcome = given_back,
                }
            }
            _ => {}
        }
        self.settle_as(state, &task.label, outcome, index, now.saturating_sub(task.started));
        false
    }

    /// Lets a worker take no more tasks; [`Notice::Retired`] follows when it has ended what it runs. What waits for it goes
    /// elsewhere; what is forced to it waits for the replacement. Whether it retires.
    pub fn js_retire(self: &Arc<Self>, index: u32, which: Retire) -> bool {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else { return false };
        if worker.retiring || worker.postponed {
            return which != Retire::Idle;
        }
        let is_free = worker.running.is_empty() && worker.notes.is_empty();
        let is_used = worker.begun > 0;
        let sink = worker.sink;
        let waits = state.scheduler.worker(js(index)).is_some_and(|figures| figures.queued > 0);
        let may = match which {
            Retire::Any => true,
            Retire::Idle => is_free && !waits && !sink.is_some_and(|sink| self.has_open(sink)),
            Retire::Used => is_used,
        };
        if !may {
            return false;
        }
        self.retire_worker(&mut state, index, &mut wakes);
        self.unlock(state, &mut wakes);
        true
    }

    /// See [`Pool::js_retire`]. Under the lock.
    pub(super) fn retire_worker(&self, state: &mut State, index: u32, wakes: &mut Vec<WorkerRef>) {
        let now = Time(clock::now());
        let waits = self.has_submitted(state, index, wakes) || state.scheduler.is_waiting(js(index));
        let Some(worker) = state.js_worker(index) else { return };
        worker.postponed = waits;
        if waits {
            // Perhaps for a task that nobody else would run. Those that it submitted would be dropped with it.
            return;
        }
        let mut nothing = LeaveReport::default();
        let State { scheduler, js: workers, .. } = &mut *state;
        scheduler.retire(js(index), true, &mut self.claims(workers), now, &mut nothing, wakes);
        debug_assert!(nothing.orphaned.is_empty(), "they wait for the replacement");
        let Some(worker) = state.js_worker(index) else { return };
        (worker.retiring, worker.looking) = (true, false);
        if worker.running.is_empty() {
            self.tell_owner(Notice::Retired { worker: index });
        }
    }

    /// Whether tasks that this worker submitted are unsettled. They would be dropped with it. Under the lock.
    pub(super) fn has_submitted(&self, state: &mut State, index: u32, wakes: &mut Vec<WorkerRef>) -> bool {
        let Some(sink) = state.js_worker(index).and_then(|worker| worker.sink) else { return false };
        self.ingest_into(state, wakes);
        self.has_open(sink)
    }

    /// As [`Pool::serve_on`], for the worker that runs a task, which waits for others. Under the lock.
    pub(super) fn serve_again(state: &mut State, id: TaskId, wakes: &mut Vec<WorkerRef>) {
        let Some(index) = Self::js_worker_of(state, id) else { return };
        Self::serve_on(state, index, wakes);
    }

    /// A worker that takes no more tasks takes them again, until it runs nothing and nothing waits for it. Under the lock.
    pub(super) fn serve_on(state: &mut State, index: u32, wakes: &mut Vec<WorkerRef>) {
        let Some(worker) = state.js_worker(index).filter(|worker| worker.retiring) else { return };
        (worker.retiring, worker.postponed) = (false, true);
        if state.scheduler.join(js(index), true, wakes) {
            // It is rung, since nobody else counts on its coming.
            wakes.push(js(index));
        }
    }

    /// Most JS workers there may be: a task may be forced to any number below that, and waits until somebody is there.
    pub fn js_set_limit(&self, workers: u32) {
        self.state.lock().scheduler.set_limit(Lane::Js, workers);
    }

    /// Numbers that nobody has, and which tasks wait for.
    pub fn js_missing(&self) -> Vec<u32> {
        let state = self.state.lock();
        let is_gone = |index: &u32| state.js.get(*index as usize).is_none_or(|worker| !worker.joined);
        state.scheduler.missing(Lane::Js).into_iter().filter(is_gone).collect()
    }
}
