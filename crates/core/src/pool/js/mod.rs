//! Stage: run. Thread: the owner env adds and removes workers; each worker's own env does the rest.
//! The JS lane: workers whose threads belong to Node. They take tasks and give answers in calls of their own, and are
//! woken through their event loops, so nothing here waits.
//!
//! J1. A task that a JS worker has taken is settled once: by its answer, by whoever gives it up, or when its worker
//!     leaves. The entry in `running` is the right to do so; it is taken out under the pool's lock.
//! J2. A worker that was told that there is nothing is rung when there is something (S3).
//! J11. See ahead.rs: what a worker has taken and not begun still waits.

mod ahead;
mod delivery;
mod figures;
mod given_up;
mod mail;
mod membership;

pub use ahead::{AnswerRecord, Board, answer_of, is_primitive, read_answer, read_primitive, task_of};
pub use figures::JsWorkerFigures;
pub use mail::{JsMail, JsNote};
pub use membership::{Left, Parting, Retire};

use super::cpu::CpuClock;
use super::end::closed_before_it_began;
use super::job::{Job, Payload, Policy};
use super::lookout::BEFORE_PARKING;
use super::times::Times;
use super::{Label, Pool, State, clock};
use crate::completion::{Answer, Notice, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{Lane, Taken, TaskId, Time, WorkerRef};
use crate::trace::{How, Recorder};
use crate::value::Value;
use delivery::Delivery;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most notes that one [`Pool::js_turn`] gives.
const JS_NOTES: usize = 64;

/// Most tasks that it gives: who submitted many gets the first answers while the worker is at the next.
const JS_TASKS: usize = 32;

/// Makes the event loop of a JS worker come by. Called without the pool's lock, from any thread.
pub trait Waker: Send + Sync + 'static {
    /// Asks for a call of [`Pool::js_turn`] by the worker; never blocks, never panics.
    fn wake(&self);
}

/// A JS worker.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states of one thing")]
pub(super) struct JsWorker {
    joined: bool,
    waker: Option<Arc<dyn Waker>>,
    /// By way of which it submits tasks, if it does.
    sink: Option<u16>,
    /// What it has taken, begun or not, in the order taken.
    running: VecDeque<Running>,
    /// Where it claims what it has taken ahead. Without one it takes nothing ahead.
    board: Option<Arc<Board>>,
    /// The last tag that was given on its board.
    tag: u32,
    /// Whether it looks out for its next task, running none.
    looking: bool,
    /// Whether it takes no more tasks, so that its thread can end.
    retiring: bool,
    /// Whether it is to retire when it runs nothing, and none of the tasks that it submitted is unsettled: until then it has
    /// to serve tasks that its own wait for.
    postponed: bool,
    /// Tasks that it has begun since its thread was started.
    begun: u64,
    /// When it was asked to come by, if it has not since.
    asked: Option<u64>,
    /// When it began to run nothing.
    idle_since: u64,
    /// What the worker has not fetched; notes for one that is not attached yet wait for it.
    notes: Vec<JsNote>,
    completed: u64,
    errored: u64,
    /// Tasks that it took from others.
    stolen: u64,
    /// Messages that it has posted.
    posted: u64,
    /// ns
    busy: u64,
    /// Of successful tasks.
    times: Times,
    cpu: Option<CpuClock>,
    /// When its thread was launched, and when it last gave a sign.
    launched: u64,
    active: u64,
}

impl JsWorker {
    /// Makes the record of a task that it takes now. Field by field in its place: what is made elsewhere and copied at once
    /// waits for the processor's store buffer.
    fn note_taken(&mut self, task: &JsTask, now: u64, moves: bool) {
        self.running.push_back(Running::BLANK);
        let Some(running) = self.running.back_mut() else { return };
        let job = &task.payload;
        running.id = task.id;
        running.label = job.label();
        running.submitted = job.submitted;
        running.started = now;
        running.got = now;
        // A copy each, so that a number goes from field to field.
        match &job.input {
            Payload::Number(number) => running.job = Some(job.share_with(Payload::Number(*number))),
            input => running.job = Some(job.share_with(input.share())),
        }
        running.repeatable = job.may_be_repeated(moves);
        running.tag = task.tag;
        running.grace = job.policy.as_ref().map_or(f64::NAN, |policy| policy.grace);
    }

    /// A task that it runs and that has not been given up.
    fn wanted(&mut self, id: TaskId) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.id == id && !running.abandoned)
    }
}

/// A task that a JS worker has taken.
pub(super) struct Running {
    pub(super) id: TaskId,
    pub(super) label: Label,
    submitted: u64,
    /// When it was taken, until its answer says more.
    pub(super) started: u64,
    /// When it had its input.
    got: u64,
    /// Settled early; the answer will be thrown away.
    pub(super) abandoned: bool,
    /// What is needed to give it back unbegun or to run it again.
    job: Option<Job>,
    /// Whether the job may be run again.
    repeatable: bool,
    /// Its tag on the board, 0 for one that the worker begins without asking.
    tag: u32,
    /// See [`Policy::grace`].
    grace: f64,
}

impl Running {
    const BLANK: Self = Self {
        id: TaskId { index: 0, generation: 0 },
        label: Label { ticket: 0, sink: 0, kernel: 0, in_place: false },
        submitted: 0,
        started: 0,
        got: 0,
        abandoned: false,
        job: None,
        repeatable: false,
        tag: 0,
        grace: f64::NAN,
    };

    /// Its job, when it was posted ahead, so that nobody has seen it begin.
    pub(super) fn began_unseen(&self) -> Option<&Job> {
        self.job.as_ref().filter(|_| self.tag != 0)
    }

    /// What is needed to run it again, where that may come to pass.
    fn copy(&mut self) -> Option<Job> {
        if self.repeatable { self.job.take() } else { None }
    }
}

/// A task for a JS worker. Its tag is what the worker has to claim on its board before it begins the task; 0 for nothing.
pub type JsTask = Taken<Job>;

/// What a JS worker comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Notes only: it has not begun all that it took, and has no room.
    Notes,
    /// Notes and tasks.
    Tasks,
    /// The same, after looking out for a moment.
    Look,
}

/// The number of the thread that owns the pool, where that of a JS worker is asked for.
pub const MAIN: u32 = u32::MAX - 1;

fn js(index: u32) -> WorkerRef {
    if index == MAIN { WorkerRef { lane: Lane::Main, index: 0 } } else { WorkerRef { lane: Lane::Js, index } }
}

/// The number of a worker that is not a native one.
pub(super) fn index_of(worker: WorkerRef) -> u32 {
    if worker.lane == Lane::Main { MAIN } else { worker.index }
}

impl Pool {
    /// Takes notes for the worker, 64 at most, and tasks: it begins the first one, and each other one when it has room
    /// and has claimed it. When there is nothing, it is rung later; until then it need not come by. `false` when the
    /// worker is not in the pool any more.
    pub fn js_turn(
        self: &Arc<Self>,
        index: u32,
        visit: Visit,
        notes: &mut Vec<JsNote>,
        out: &mut Vec<JsTask>,
    ) -> bool {
        let looks = visit == Visit::Look;
        if !self.js_take(index, (visit != Visit::Notes, !looks), notes, out) {
            return false;
        }
        if !looks || !notes.is_empty() || !out.is_empty() {
            return true;
        }
        self.lookout.look(BEFORE_PARKING, || self.has_waiting_js());
        self.js_take(index, (true, true), notes, out)
    }

    fn js_take(
        self: &Arc<Self>,
        index: u32,
        (takes, park): (bool, bool),
        notes: &mut Vec<JsNote>,
        out: &mut Vec<JsTask>,
    ) -> bool {
        let now = clock::now();
        let mut wakes = Vec::new();
        let recorder = self.trace.recorder();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.ingest_into(state, &mut wakes);
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            self.unlock(guard, &mut wakes);
            return false;
        };
        (worker.looking, worker.asked) = (false, None);
        let count = worker.notes.len().min(JS_NOTES);
        notes.extend(worker.notes.drain(..count));
        if !worker.notes.is_empty() || !takes {
            // Tasks that came after them wait for them. The worker comes again.
            self.unlock(guard, &mut wakes);
            return true;
        }
        let recycle = if index == MAIN { 0 } else { self.recycle_tasks };
        // One that has begun the last of these since it came by, and waits for others, takes what those may need.
        if worker.is_used_up(recycle) {
            self.retire_worker(state, index, &mut wakes);
        }
        let (most, takes) = state.js_worker(index).map_or((0, false), |worker| {
            // One that has as many as it may take still begins those that it has taken ahead.
            let takes = recycle == 0 || worker.postponed || worker.begun < recycle;
            (worker.most_ahead(recycle), takes)
        });
        let first = out.len();
        while takes && out.len() - first < JS_TASKS {
            let before = out.len();
            let most = most.saturating_sub(before - first).max(1);
            self.take(&recorder, state, (js(index), most, now), out, &mut wakes);
            if out.len() == before {
                break;
            }
        }
        let mut timed = Vec::new();
        for (at, task) in out[first..].iter_mut().enumerate() {
            let job = &task.payload;
            let Some(worker) = state.js_worker(index) else { break };
            if task.report_begin {
                timed.push(task.id);
            }
            task.tag = if at == 0 || task.report_begin { 0 } else { worker.post_ahead() };
            if task.tag == 0 {
                self.record_start(&recorder, js(index), task.id, job, now);
            }
            worker.begun += 1;
            worker.note_taken(task, now, index != MAIN);
        }
        for id in timed {
            state.scheduler.began(id, Time(now));
        }
        if let Some(worker) = state.js_worker(index)
            && (worker.is_used_up(recycle)
                || worker.postponed && !worker.retiring && worker.running.is_empty())
        {
            self.retire_worker(state, index, &mut wakes);
        }
        let nothing = out.is_empty() && notes.is_empty();
        if let Some(worker) = state.js_worker(index) {
            worker.looking = !park && nothing && worker.running.is_empty();
        }
        // Also beside messages: while it has nothing to do it is to be rung for a task.
        if park && out.is_empty() && state.scheduler.park(js(index), Time(now)) {
            recorder.park(js(index));
        }
        self.record_depth_by(&recorder, state, now);
        self.unlock(guard, &mut wakes);
        true
    }

    /// A JS worker's answer to a task. `false` when the task was settled before.
    pub fn js_answer(self: &Arc<Self>, index: u32, id: TaskId, answer: Answer) -> bool {
        let mut wakes = Vec::new();
        let recorder = self.trace.recorder();
        let mut delivery = Delivery::new(self);
        let mut state = self.state.lock();
        let to = (clock::now(), &mut wakes, &mut delivery);
        let counts = self.accept(&mut state, index, id, answer, to, &recorder);
        self.unlock(state, &mut wakes);
        counts
    }

    /// All answers that a JS worker holds back, in their order, on its thread; the same for each as [`Pool::js_answer`]. Each
    /// is made where it is needed.
    pub fn js_answers<F: FnOnce() -> Answer>(
        self: &Arc<Self>,
        index: u32,
        answers: impl ExactSizeIterator<Item = (TaskId, F)>,
    ) {
        let now = clock::now();
        let mut wakes = Vec::new();
        let recorder = self.trace.recorder();
        let mut delivery = Delivery::new(self);
        let mut state = self.state.lock();
        delivery.expect(answers.len(), || state.js.iter().filter(|worker| worker.joined).count());
        for (id, answer) in answers {
            self.accept(&mut state, index, id, answer(), (now, &mut wakes, &mut delivery), &recorder);
        }
        if let Some(board) = state.js_worker(index).and_then(|worker| worker.board.as_ref()) {
            board.handed_over();
        }
        self.unlock(state, &mut wakes);
    }

    fn accept(
        self: &Arc<Self>,
        state: &mut State,
        index: u32,
        id: TaskId,
        mut answer: Answer,
        (now, wakes, delivery): (u64, &mut Vec<WorkerRef>, &mut Delivery<'_>),
        recorder: &Recorder,
    ) -> bool {
        let Some(worker) = state.js_worker(index) else { return false };
        let Some(mut running) = worker.end(id) else { return false };
        // Of one that waited behind others, only the worker knows when it began; the first one has begun when it was taken.
        let (started, ended) = answer.times.map_or((running.started, now), |(started, ended)| {
            let ended = ended.clamp(running.started, now);
            let started = if running.tag == 0 { running.started } else { started };
            (started.clamp(running.started, ended), ended)
        });
        running.started = started;
        self.record_run(recorder, js(index), &running, ended, answer.failed);
        let run_time = ended.saturating_sub(started.max(running.got)).saturating_sub(answer.overhead);
        worker.busy += run_time;
        worker.active = now;
        if answer.failed
            && !running.abandoned
            && running.job.as_ref().is_some_and(|job| job.repeats(false))
            && let Some(copy) = running.copy()
        {
            let ended = (Outcome::Answer(Box::new(answer)), run_time);
            match self.repeat(state, (js(index), index), id, copy, ended, (now, wakes)) {
                Ok(()) => {
                    self.came_to_rest(state, index, now, wakes);
                    return true;
                }
                Err(Outcome::Answer(given_back)) => answer = *given_back,
                Err(_) => return false,
            }
        }
        let Some(worker) = state.js_worker(index) else { return false };
        let succeeded = !answer.failed && !running.abandoned;
        let wait_time = running.started.saturating_sub(running.submitted);
        if succeeded {
            worker.completed += 1;
            worker.times.record(wait_time, run_time);
            state.js_run += run_time;
            state.js_wait += wait_time;
            state.js_timed += 1;
        } else {
            worker.errored += 1;
        }
        state.complete(js(index), id, (wait_time, run_time), succeeded, now);
        if !running.abandoned {
            match answer {
                Answer { failed: false, codec: 0, value: Value::Number(number), overhead: 0, .. } => {
                    delivery.number(&running.label, number, index, run_time);
                }
                other => delivery.answer(&running.label, other, index, run_time),
            }
        }
        self.came_to_rest(state, index, now, wakes);
        !running.abandoned
    }

    /// A worker has ended a task; if it was the last one that it ran, it is idle, or goes as it was to. Under the lock.
    fn came_to_rest(&self, state: &mut State, index: u32, now: u64, wakes: &mut Vec<WorkerRef>) {
        let Some(worker) = state.js_worker(index).filter(|worker| worker.running.is_empty()) else { return };
        worker.idle_since = now;
        if worker.retiring {
            if self.has_submitted(state, index, wakes) {
                Self::serve_on(state, index, wakes);
            } else {
                self.tell_owner(Notice::Retired { worker: index });
            }
        } else if worker.postponed {
            self.retire_worker(state, index, wakes);
        }
    }

    /// A worker that is ending gives back a task that it has taken and not begun.
    pub fn js_return(self: &Arc<Self>, index: u32, task: JsTask) {
        let now = clock::now();
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index) else { return };
        let Some(running) = worker.end(task.id) else { return };
        if running.tag == 0 {
            self.trace.recorder().ended(js(index), &running, now, How::Unbegun);
        }
        let from_start = task.payload.policy.as_deref().and_then(Policy::start_limit);
        let returned = !running.abandoned
            && !state.rejects
            && state
                .scheduler
                .give_back(js(index), task.id, task.payload, None, from_start, &mut wakes)
                .is_ok();
        if !returned {
            state.scheduler.complete(js(index), task.id, 0, false, Time(now));
            if !running.abandoned {
                let outcome = if state.rejects {
                    closed_before_it_began()
                } else {
                    Outcome::refused(ErrorCode::WorkerCrashed, "the worker that took the task is gone")
                };
                self.settle_as(&state, &running.label, outcome, index, 0);
            }
        }
        self.unlock(state, &mut wakes);
    }

    /// Whether a JS worker runs a task that has not been given up, and whose submitter is there.
    pub fn js_is_wanted(&self, index: u32, id: TaskId) -> bool {
        let mut state = self.state.lock();
        let running = state.js_worker(index).and_then(|worker| worker.wanted(id));
        let Some(sink) = running.map(|running| running.label.sink) else { return false };
        drop(state);
        self.is_there(sink)
    }

    /// A JS worker is busy with something of its own for a moment: others get tasks before it. Whether it has nothing to do.
    pub fn js_step_back(&self, index: u32) -> bool {
        self.state.lock().scheduler.step_back(WorkerRef { lane: Lane::Js, index })
    }

    /// Says whether a task that a JS worker runs waits for others, so that it does not count against the concurrency.
    pub fn js_block(self: &Arc<Self>, id: TaskId, blocked: bool) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        if blocked {
            state.scheduler.block(id, Time(clock::now()), &mut wakes);
            Self::serve_again(&mut state, id, &mut wakes);
        } else {
            state.scheduler.unblock(id, &mut wakes);
        }
        self.unlock(state, &mut wakes);
    }

    /// The worker that runs a task. Under the lock.
    pub(super) fn js_worker_of(state: &State, id: TaskId) -> Option<u32> {
        let mut workers = (0..).zip(&state.js).chain([(MAIN, &state.main)]);
        let runs = |worker: &JsWorker| {
            worker.running.iter().any(|running| running.id == id && !worker.is_ahead(running))
        };
        workers.find(|(_, worker)| runs(worker)).map(|(index, _)| index)
    }

    /// Rings a JS worker, if it has an env.
    pub(super) fn js_wake(&self, index: u32) {
        let mut state = self.state.lock();
        let waker = state.js_worker(index).and_then(|worker| worker.waker.clone());
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    /// Whether a JS worker has taken that task and not begun it.
    pub(super) fn is_taken_ahead(&self, id: TaskId) -> bool {
        let mut workers = self.js.iter().chain([&self.main]);
        workers.any(|worker| worker.running.iter().any(|task| task.id == id && worker.is_ahead(task)))
    }

    fn js_worker(&mut self, index: u32) -> Option<&mut JsWorker> {
        if index == MAIN { Some(&mut self.main) } else { self.js.get_mut(index as usize) }
    }
}
