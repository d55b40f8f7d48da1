//! Stage: run. Thread: the owner env adds and removes workers; each worker's own env does the rest.
//! The JS lane: workers whose threads belong to Node. They take tasks and give answers in calls of their own, and are
//! woken through their event loops, so nothing here waits.
//!
//! J1. A task that a JS worker has taken is settled once: by its answer, by whoever gives it up, or when its worker
//!     leaves. The entry in `running` is the right to do so; it is taken out under the pool's lock.
//! J2. A worker that was told that there is nothing is rung when there is something (S3).

use super::cpu::CpuClock;
use super::job::{Job, Policy};
use super::times::{Summary, Times};
use super::{Label, Pool, State, clock};
use crate::completion::{Answer, Event, Notice, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{Lane, LeaveReport, TaskId, Time, WorkerRef};
use crate::sync::Ordering;
use crate::value::Value;
use serde::Serialize;
use std::sync::Arc;

/// Most notes that one [`Pool::js_turn`] gives.
const JS_NOTES: usize = 64;

/// How long a JS worker looks for a task before it parks, ns.
const JS_SPIN: u64 = 50_000;

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
    running: Vec<Running>,
    /// Whether it looks out for its next task, running none.
    looking: bool,
    /// Whether it takes no more tasks, so that its thread can end.
    retiring: bool,
    /// Whether it is to retire when it runs nothing: until then it has to serve tasks that its own wait for.
    postponed: bool,
    /// Tasks that it has begun since its thread was started.
    begun: u64,
    /// When it began to run nothing.
    idle_since: u64,
    /// What the worker has not fetched; notes for one that is not attached yet wait for it.
    notes: Vec<JsNote>,
    completed: u64,
    errored: u64,
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

/// A task that a JS worker has begun.
struct Running {
    id: TaskId,
    label: Label,
    submitted: u64,
    started: u64,
    /// Settled early; the answer will be thrown away.
    abandoned: bool,
    /// What is needed to run it again, where that may come to pass.
    copy: Option<Box<Job>>,
    /// See [`Policy::grace`].
    grace: f64,
}

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
}

impl Parting {
    fn code(self) -> ErrorCode {
        match self {
            Self::Crashed | Self::Evicted => ErrorCode::WorkerCrashed,
            Self::Closed => ErrorCode::PoolClosed,
            Self::Unusable => ErrorCode::Entry,
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
}

/// A task for a JS worker.
#[derive(Debug)]
pub struct JsTask {
    /// Names it in the answer.
    pub id: TaskId,
    /// Its input and options.
    pub job: Job,
}

/// A message to or from a JS worker.
#[derive(Debug)]
pub struct JsMail {
    /// Its type, any string.
    pub message_type: String,
    /// How the contents are to be read; passed on as it is.
    pub codec: u8,
    /// Its contents.
    pub contents: Value,
}

/// Something that a JS worker is to hear.
#[derive(Debug)]
pub enum JsNote {
    /// A message.
    Mail(JsMail),
    /// A task that it runs was given up.
    GivenUp {
        /// The task.
        id: TaskId,
        /// Whether its deadline has passed; else it was cancelled.
        expired: bool,
    },
}

/// Figures of one JS worker. Times in ms.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JsWorkerFigures {
    /// Its index.
    pub id: u32,
    /// Whether it runs a task.
    pub busy: bool,
    /// Whether it has loaded its module.
    pub started: bool,
    /// Tasks that ended with an output.
    pub tasks_completed: u64,
    /// Tasks that ended without.
    pub tasks_errored: u64,
    /// Time in tasks.
    pub busy_time: f64,
    /// Tasks taken from others.
    pub steals: u64,
    /// Time since it was launched.
    pub uptime: f64,
    /// Messages that it has posted.
    pub message_count: u64,
    /// Time since its last answer or message; since its launch before the first.
    pub last_active: f64,
    /// CPU time of its thread, where that is known.
    pub cpu_time: Option<f64>,
    /// From submit to start, of successful tasks.
    pub wait_time: Summary,
    /// From start to end, of successful tasks.
    pub run_time: Summary,
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
    /// A JS worker is being launched. Tasks may be assigned to it from now on; it takes them once it is attached.
    /// `false` when it is there already.
    pub fn js_join(self: &Arc<Self>, index: u32) -> bool {
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
            worker.postponed = false;
            worker.idle_since = clock::now();
            (worker.launched, worker.active) = (worker.idle_since, worker.idle_since);
        }
        drop(state);
        self.wake(&mut wakes);
        true
    }

    /// The worker's env is ready; its first [`Pool::js_turn`] follows. `false` when it is not expected, or no more.
    pub fn js_attach(&self, index: u32, waker: Arc<dyn Waker>) -> bool {
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            return false;
        };
        worker.waker = Some(waker);
        worker.cpu = CpuClock::of_this_thread();
        worker.idle_since = clock::now();
        state.scheduler.set_launched(js(index));
        true
    }

    /// Takes notes for the worker, 64 at most, and what it is to begin now. When that is nothing, it is rung later;
    /// until then it need not come by. With `spin` it looks out for a moment before. `false` when the worker is not in
    /// the pool any more.
    pub fn js_turn(
        self: &Arc<Self>,
        index: u32,
        spin: bool,
        notes: &mut Vec<JsNote>,
        out: &mut Vec<JsTask>,
    ) -> bool {
        if !self.js_take(index, !spin, notes, out) {
            return false;
        }
        if !spin || !notes.is_empty() || !out.is_empty() {
            return true;
        }
        // Whoever awaits a result often has the next task at hand, and ringing takes longer than this.
        let until = clock::now() + JS_SPIN;
        while self.js_queued.load(Ordering::Relaxed) == 0 && clock::now() < until {
            std::thread::yield_now();
        }
        self.js_take(index, true, notes, out)
    }

    fn js_take(
        self: &Arc<Self>,
        index: u32,
        park: bool,
        notes: &mut Vec<JsNote>,
        out: &mut Vec<JsTask>,
    ) -> bool {
        let now = clock::now();
        let (mut wakes, mut taken) = (Vec::new(), Vec::new());
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            return false;
        };
        worker.looking = false;
        let count = worker.notes.len().min(JS_NOTES);
        notes.extend(worker.notes.drain(..count));
        if !worker.notes.is_empty() {
            // Tasks that came after them wait for them. The worker comes again.
            return true;
        }
        loop {
            let before = taken.len();
            // What a JS worker takes it begins: its env cannot be asked to give something back.
            state.scheduler.take(js(index), 1, Time(now), &mut self.claims(), &mut taken, &mut wakes);
            if taken.len() == before {
                break;
            }
        }
        let mut timed = Vec::new();
        let is_concurrent = state.scheduler.config().concurrency[js(index).lane as usize] > 1;
        let overlaps = (is_concurrent || state.js_nests) && index != MAIN;
        for task in taken {
            let job = task.payload;
            let Some(worker) = state.js_worker(index) else { break };
            worker.begun += 1;
            worker.running.push(Running {
                id: task.id,
                label: job.label(),
                submitted: job.submitted,
                started: now,
                abandoned: false,
                copy: job.copy_to_repeat(overlaps),
                grace: job.policy.as_ref().map_or(f64::NAN, |policy| policy.grace),
            });
            if task.report_begin {
                timed.push(task.id);
            }
            out.push(JsTask { id: task.id, job });
        }
        for id in timed {
            state.scheduler.began(id, Time(now));
        }
        if self.recycle_tasks > 0 && index != MAIN {
            let is_used_up = |worker: &mut JsWorker| {
                worker.begun >= self.recycle_tasks && !worker.retiring && !worker.postponed
            };
            if state.js_worker(index).is_some_and(is_used_up) {
                self.retire_worker(&mut state, index, &mut wakes);
            }
        }
        let alarm = state.earlier_alarm();
        let nothing = out.is_empty() && notes.is_empty();
        if let Some(worker) = state.js_worker(index) {
            worker.looking = !park && nothing && worker.running.is_empty();
        }
        // Also beside messages: while it has nothing to do it is to be rung for a task.
        if park && out.is_empty() {
            state.scheduler.park(js(index), Time(now));
        }
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
        if let Some(at) = alarm {
            self.start_alarm(at);
        }
        true
    }

    /// A JS worker's answer to a task. `false` when the task was settled before.
    pub fn js_answer(self: &Arc<Self>, index: u32, id: TaskId, answer: Answer) -> bool {
        let now = clock::now();
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index) else { return false };
        let Some(at) = worker.running.iter().position(|running| running.id == id) else { return false };
        let mut running = worker.running.swap_remove(at);
        let run_time = (now - running.started).saturating_sub(answer.overhead);
        worker.busy += run_time;
        worker.active = now;
        if worker.running.is_empty() {
            worker.idle_since = now;
            if worker.retiring {
                self.tell_owner(Notice::Retired { worker: index });
            }
        }
        let mut answer = answer;
        if answer.failed
            && !running.abandoned
            && let Some(copy) = running.copy.take_if(|copy| copy.repeats(false))
        {
            let outcome = Outcome::Answer(Box::new(answer));
            match self.repeat(&mut state, (js(index), index), id, *copy, outcome, (now, &mut wakes)) {
                Ok(()) => {
                    self.retire_postponed(&mut state, index, &mut wakes);
                    let alarm = state.earlier_alarm();
                    self.publish(&mut state);
                    drop(state);
                    self.wake(&mut wakes);
                    if let Some(at) = alarm {
                        self.start_alarm(at);
                    }
                    return true;
                }
                Err(Outcome::Answer(given_back)) => answer = *given_back,
                Err(_) => return false,
            }
        }
        let Some(worker) = state.js_worker(index) else { return false };
        let succeeded = !answer.failed && !running.abandoned;
        if succeeded {
            let wait_time = running.started.saturating_sub(running.submitted);
            worker.completed += 1;
            worker.times.record(wait_time, run_time);
            state.js_run += run_time;
            state.js_wait += wait_time;
            if let Some(key) = state.scheduler.cost_key(id) {
                state.key_times.record(key, wait_time, run_time);
            }
        } else {
            worker.errored += 1;
        }
        state.scheduler.complete(js(index), id, run_time, succeeded, Time(now));
        if !running.abandoned {
            self.settle_as(&state, &running.label, Outcome::Answer(Box::new(answer)), index, run_time);
        }
        self.retire_postponed(&mut state, index, &mut wakes);
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
        !running.abandoned
    }

    /// A worker that was to retire and runs nothing any more does so now. Under the lock.
    fn retire_postponed(&self, state: &mut State, index: u32, wakes: &mut Vec<WorkerRef>) {
        if state.js_worker(index).is_some_and(|worker| worker.postponed && worker.running.is_empty()) {
            self.retire_worker(state, index, wakes);
        }
    }

    /// A worker that is ending gives back a task that it has taken and not begun.
    pub fn js_return(self: &Arc<Self>, index: u32, task: JsTask) {
        let now = clock::now();
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index) else { return };
        let Some(at) = worker.running.iter().position(|running| running.id == task.id) else { return };
        let running = worker.running.swap_remove(at);
        let from_start = task.job.policy.as_deref().and_then(Policy::start_limit);
        let returned = !running.abandoned
            && state.scheduler.give_back(js(index), task.id, task.job, None, from_start, &mut wakes).is_ok();
        if !returned {
            state.scheduler.complete(js(index), task.id, 0, false, Time(now));
            if !running.abandoned {
                let outcome =
                    Outcome::refused(ErrorCode::WorkerCrashed, "the worker that took the task is gone");
                self.settle_as(&state, &running.label, outcome, index, 0);
            }
        }
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
    }

    /// The env of a worker ends: it is not rung any more. Its tasks are settled by [`Pool::js_leave`].
    pub fn js_detach(&self, index: u32) {
        if let Some(worker) = self.state.lock().js_worker(index) {
            (worker.waker, worker.cpu) = (None, None);
        }
    }

    /// A JS worker has gone. What it had begun ends as `parting` says. As long as tasks of its lane wait, its number is kept
    /// for a replacement, which the caller launches, and what is forced to it waits too.
    pub fn js_leave(self: &Arc<Self>, index: u32, parting: Parting, reason: &str) -> Left {
        let now = clock::now();
        let (mut wakes, mut report) = (Vec::new(), LeaveReport::default());
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            return Left::default();
        };
        (worker.joined, worker.looking, worker.waker, worker.cpu) = (false, false, None, None);
        worker.notes.clear();
        let running = std::mem::take(&mut worker.running);
        let mut repeated = 0;
        for task in running {
            if self.part(&mut state, index, task, (parting, reason), now, &mut wakes) {
                repeated += 1;
            } else if let Some(worker) = state.js_worker(index) {
                worker.errored += 1;
            }
        }
        let code = parting.code();
        state.scheduler.leave(js(index), true, &mut self.claims(), Time(now), &mut report, &mut wakes);
        for (_, job) in report.orphaned {
            let outcome = Outcome::refused(code, "the worker that the task was bound to is gone");
            self.settle(&state, &job.label(), false, outcome);
        }
        let waiting = state.scheduler.queued(Lane::Js);
        if waiting + state.scheduler.set_aside(Lane::Js) == 0 {
            // Nobody comes after it for now, so no task may be bound to its number.
            state.scheduler.vacate(js(index));
        }
        let alarm = state.earlier_alarm();
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
        if let Some(at) = alarm {
            self.start_alarm(at);
        }
        Left { waiting, repeated }
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
        if task.abandoned {
            return false;
        }
        let mut outcome = Outcome::refused(parting.code(), reason);
        match (parting, task.copy.take()) {
            // It ended for another task's sake: this one starts anew, and that is none of its retries.
            (Parting::Evicted, Some(copy)) => {
                let from_start = copy.policy.as_deref().and_then(Policy::start_limit);
                if state.scheduler.give_back(js(index), task.id, *copy, None, from_start, wakes).is_ok() {
                    return true;
                }
            }
            (Parting::Crashed, Some(copy)) if copy.repeats(true) => {
                match self.repeat(state, (js(index), index), task.id, *copy, outcome, (now, wakes)) {
                    Ok(()) => return true,
                    Err(given_back) => outcome = given_back,
                }
            }
            _ => {}
        }
        self.settle_as(state, &task.label, outcome, index, now.saturating_sub(task.started));
        false
    }

    /// Lets a worker take no more tasks; [`Notice::Retired`] follows when it has ended what it runs. What waits for it goes elsewhere; what is forced to it waits for
    /// the replacement. Whether it retires.
    pub fn js_retire(self: &Arc<Self>, index: u32, which: Retire) -> bool {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else { return false };
        if worker.retiring || worker.postponed {
            return which != Retire::Idle;
        }
        let is_free = worker.running.is_empty() && worker.notes.is_empty();
        let is_used = worker.begun > 0;
        let waits = state.scheduler.worker(js(index)).is_some_and(|figures| figures.queued > 0);
        let may = match which {
            Retire::Any => true,
            Retire::Idle => is_free && !waits,
            Retire::Used => is_used,
        };
        if !may {
            return false;
        }
        self.retire_worker(&mut state, index, &mut wakes);
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
        true
    }

    /// See [`Pool::js_retire`]. Under the lock.
    fn retire_worker(&self, state: &mut State, index: u32, wakes: &mut Vec<WorkerRef>) {
        let now = Time(clock::now());
        let waits = state.scheduler.is_waiting(js(index));
        let Some(worker) = state.js_worker(index) else { return };
        worker.postponed = waits;
        if waits {
            // Perhaps for a task that nobody else would run.
            return;
        }
        let mut nothing = LeaveReport::default();
        state.scheduler.retire(js(index), true, &mut self.claims(), now, &mut nothing, wakes);
        debug_assert!(nothing.orphaned.is_empty(), "they wait for the replacement");
        let Some(worker) = state.js_worker(index) else { return };
        (worker.retiring, worker.looking) = (true, false);
        if worker.running.is_empty() {
            self.tell_owner(Notice::Retired { worker: index });
        }
    }

    /// JS workers that run nothing, and since when, ns. Without those that are not attached yet or take no more tasks.
    pub fn js_idle_since(&self) -> Vec<(u32, u64)> {
        let state = self.state.lock();
        let is_idle =
            |worker: &JsWorker| worker.waker.is_some() && !worker.retiring && worker.running.is_empty();
        let idle = (0..).zip(&state.js).filter(|(_, worker)| is_idle(worker));
        idle.map(|(index, worker)| (index, worker.idle_since)).collect()
    }

    /// JS workers that run something. Without those that take no more tasks.
    pub fn js_busy(&self) -> usize {
        let state = self.state.lock();
        state.js.iter().filter(|worker| !worker.retiring && !worker.running.is_empty()).count()
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

    /// Tasks of the JS lane that wait or run, without those that were given up.
    pub fn js_unfinished(&self) -> usize {
        let state = self.state.lock();
        let running = state.js.iter().flat_map(|worker| &worker.running);
        state.scheduler.queued(Lane::Js) + running.filter(|running| !running.abandoned).count()
    }

    /// How many JS workers run nothing but tasks that were given up. Without those that take no more tasks anyway.
    pub fn js_stuck(&self) -> usize {
        self.state.lock().js_stuck()
    }

    /// Whether a JS worker runs a task that has not been given up.
    pub fn js_is_wanted(&self, index: u32, id: TaskId) -> bool {
        let mut state = self.state.lock();
        let worker = state.js_worker(index);
        worker
            .is_some_and(|worker| worker.running.iter().any(|running| running.id == id && !running.abandoned))
    }

    /// Leaves a message for a JS worker. `false` when there is none with this index.
    pub fn js_post(&self, index: u32, mail: JsMail) -> bool {
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            return false;
        };
        // One ring for all that it has not fetched.
        let waker = if worker.notes.is_empty() { worker.waker.clone() } else { None };
        worker.notes.push(JsNote::Mail(mail));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Hands a message of a JS worker to the env that owns the pool, the first one attached; and to the env that
    /// submitted the task that it is about, if that is another.
    pub fn js_post_to_pool(&self, index: u32, task: Option<TaskId>, mail: JsMail) {
        if let Some(worker) = self.state.lock().js_worker(index) {
            worker.posted += 1;
            worker.active = clock::now();
        }
        let label = task.and_then(|id| self.js_label(index, id));
        let (pool, worker) = (self.id, index);
        let JsMail { message_type, codec, contents } = mail;
        let ticket = label.filter(|label| label.sink == 0).map(|label| label.ticket);
        let (owner, submitter) = {
            let sinks = self.sinks.lock();
            let submitter = label.filter(|label| label.sink != 0);
            (
                sinks.first().cloned(),
                submitter.map(|label| (label.ticket, sinks[usize::from(label.sink)].clone())),
            )
        };
        if let Some((ticket, submitter)) = submitter
            && let Some(contents) = contents.duplicate()
        {
            let message_type = message_type.clone();
            submitter.deliver(Event::Message { pool, ticket, worker, message_type, codec, contents });
        }
        if let Some(owner) = owner {
            owner.deliver(Event::Mail { pool, worker, ticket, message_type, codec, contents });
        }
    }

    /// Tells the env that submitted a task how far it is.
    pub fn js_progress(&self, index: u32, id: TaskId, done: f64, total: f64) {
        if let Some(Label { ticket, sink, .. }) = self.js_label(index, id) {
            let submitter = self.sinks.lock()[usize::from(sink)].clone();
            submitter.deliver(Event::Progress { ticket, worker: index, done, total });
        }
    }

    /// Asks the env that owns the pool for the input of a task that a worker has begun.
    pub fn js_want(&self, worker: u32, key: f64) {
        let owner = self.sinks.lock().first().cloned();
        if let Some(owner) = owner {
            owner.deliver(Event::Wanted { pool: self.id, worker, key });
        }
    }

    /// A JS worker that would begin a new task at once, the one that came to rest last. A hint: it may not any more.
    pub fn js_idle(&self) -> Option<u32> {
        let state = self.state.lock();
        let looking = || (0..).zip(&state.js).find(|(_, worker)| worker.looking).map(|(index, _)| index);
        state.scheduler.idle_worker(Lane::Js).or_else(looking)
    }

    /// The label of a task that a JS worker runs and that has not been given up.
    fn js_label(&self, index: u32, id: TaskId) -> Option<Label> {
        let mut state = self.state.lock();
        let worker = state.js_worker(index)?;
        worker
            .running
            .iter()
            .find(|running| running.id == id && !running.abandoned)
            .map(|running| running.label)
    }

    /// Tells the env that owns the pool of tasks that a JS worker submitted: how many came, succeeded and failed,
    /// and more of them.
    pub fn js_report(
        &self,
        worker: u32,
        [added, completed, errored]: [u32; 3],
        (codec, details): (u8, Value),
    ) {
        let owner = self.sinks.lock().first().cloned();
        if let Some(owner) = owner {
            let pool = self.id;
            owner.deliver(Event::Discovered { pool, worker, added, completed, errored, codec, details });
        }
    }

    /// Says whether a task that a JS worker runs waits for others, so that it does not count against the concurrency.
    pub fn js_block(self: &Arc<Self>, id: TaskId, blocked: bool) {
        let mut wakes = Vec::new();
        let mut state = self.state.lock();
        if blocked {
            state.js_nests = true;
            state.scheduler.block(id, Time(clock::now()), &mut wakes);
            Self::serve_again(&mut state, id, &mut wakes);
        } else {
            state.scheduler.unblock(id, &mut wakes);
        }
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
    }

    /// A worker that takes no more tasks has one that waits for others: it takes them again until it runs nothing. Under the
    /// lock.
    fn serve_again(state: &mut State, id: TaskId, wakes: &mut Vec<WorkerRef>) {
        let Some(index) = Self::js_worker_of(state, id) else { return };
        let Some(worker) = state.js_worker(index).filter(|worker| worker.retiring) else { return };
        (worker.retiring, worker.postponed) = (false, true);
        if state.scheduler.join(js(index), true, wakes) {
            // It is rung, since nobody else counts on its coming.
            wakes.push(js(index));
        }
    }

    /// Nobody hears of the tasks of that sink any more: those that wait are dropped.
    pub fn drop_waiting(&self, sink: u16) {
        let mut dropped = Vec::new();
        let mut state = self.state.lock();
        let now = Time(clock::now());
        let wanted = |_, job: Option<&Job>| job.is_some_and(|job| job.sink == sink);
        state.scheduler.reject_waiting(&wanted, now, &mut self.claims(), &mut dropped);
        for (_, job) in dropped {
            self.settle(&state, &job.label(), false, Outcome::Cancelled);
        }
        self.publish(&mut state);
    }

    /// Rejects every task of the JS lane that has not begun. Numbers that were kept for replacements are free again: no
    /// task may be bound to one for which nobody comes.
    pub fn js_reject_waiting(&self, parting: Parting, reason: &str) {
        let mut rejected = Vec::new();
        let mut state = self.state.lock();
        let now = Time(clock::now());
        state.scheduler.reject_waiting(&|lane, _| lane == Lane::Js, now, &mut self.claims(), &mut rejected);
        for (_, job) in rejected {
            self.settle(&state, &job.label(), false, Outcome::refused(parting.code(), reason));
        }
        state.scheduler.vacate_all(Lane::Js);
        self.publish(&mut state);
    }

    /// Settles a task that a JS worker has begun; the worker's answer will be thrown away. Under the lock.
    pub(super) fn js_abandon(&self, state: &mut State, index: u32, id: TaskId, outcome: Outcome) -> bool {
        let Some(worker) = state.js_worker(index) else { return false };
        let found = worker.running.iter_mut().find(|running| running.id == id && !running.abandoned);
        let Some(running) = found else { return false };
        running.abandoned = true;
        let (label, run_time) = (running.label, clock::now().saturating_sub(running.started));
        self.settle_as(state, &label, outcome, index, run_time);
        true
    }

    /// As `js_abandon`, and tells the worker, which is to be woken, and the env that owns the pool. Under the lock.
    pub(super) fn js_give_up(
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

    /// Whether a JS worker still runs that task.
    pub fn js_runs(&self, index: u32, id: TaskId) -> bool {
        let mut state = self.state.lock();
        state.js_worker(index).is_some_and(|worker| worker.running.iter().any(|running| running.id == id))
    }

    /// Settles everything that JS workers have begun. Under the lock.
    pub(super) fn js_abandon_all(&self, state: &mut State, reason: impl Fn() -> Outcome) {
        let running: Vec<(u32, TaskId)> = (0..)
            .zip(&state.js)
            .chain([(MAIN, &state.main)])
            .flat_map(|(index, worker)| worker.running.iter().map(move |running| (index, running.id)))
            .collect();
        for (index, id) in running {
            self.js_abandon(state, index, id, reason());
        }
    }

    /// The worker that runs a task. Under the lock.
    pub(super) fn js_worker_of(state: &State, id: TaskId) -> Option<u32> {
        let mut workers = (0..).zip(&state.js).chain([(MAIN, &state.main)]);
        let runs = |worker: &JsWorker| worker.running.iter().any(|running| running.id == id);
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

    fn settle_as(&self, _locked: &State, label: &Label, outcome: Outcome, worker: u32, run_time: u64) {
        self.note_settled();
        let sink = self.sinks.lock()[usize::from(label.sink)].clone();
        match outcome {
            Outcome::Answer(answer)
                if !answer.failed
                    && answer.codec == 0
                    && answer.overhead == 0
                    && matches!(answer.value, Value::Number(_)) =>
            {
                let number = answer.value.as_number().unwrap_or_default();
                sink.number(label.ticket, number, worker, run_time);
            }
            outcome => {
                sink.deliver(Event::Settled { ticket: label.ticket, outcome, worker, run_time, held: false });
            }
        }
    }
}

impl State {
    fn js_worker(&mut self, index: u32) -> Option<&mut JsWorker> {
        if index == MAIN { Some(&mut self.main) } else { self.js.get_mut(index as usize) }
    }

    /// Figures of the JS workers.
    pub(super) fn js_figures(&self) -> Vec<JsWorkerFigures> {
        let now = clock::now();
        let since = |time: u64| now.saturating_sub(time) as f64 / 1e6;
        (0..)
            .zip(&self.js)
            .filter(|(_, worker)| worker.joined)
            .map(|(index, worker)| (index, worker, worker.times.summaries()))
            .map(|(index, worker, [wait_time, run_time])| JsWorkerFigures {
                wait_time,
                run_time,
                uptime: since(worker.launched),
                message_count: worker.posted,
                last_active: since(worker.active),
                cpu_time: worker.cpu.and_then(CpuClock::read),
                id: index,
                busy: !worker.running.is_empty(),
                started: worker.waker.is_some(),
                tasks_completed: worker.completed,
                tasks_errored: worker.errored,
                busy_time: worker.busy as f64 / 1e6,
                steals: self.scheduler.worker(js(index)).map_or(0, |figures| figures.stolen),
            })
            .collect()
    }

    /// Times of all JS workers together.
    pub(super) fn js_times(&self) -> impl Iterator<Item = &Times> {
        self.js.iter().chain([&self.main]).map(|worker| &worker.times)
    }

    /// JS workers that run nothing but tasks that were given up.
    fn js_stuck(&self) -> usize {
        let given_up = |worker: &JsWorker| worker.running.iter().all(|running| running.abandoned);
        let is_stuck =
            |worker: &&JsWorker| !worker.retiring && !worker.running.is_empty() && given_up(worker);
        self.js.iter().filter(is_stuck).count()
    }

    /// Tasks that JS workers and the thread that owns the pool have begun.
    pub(super) fn js_running(&self) -> usize {
        self.js.iter().chain([&self.main]).map(|worker| worker.running.len()).sum()
    }
}
