//! Stage: run. Thread: the owner env adds and removes workers; each worker's own env does the rest.
//! The JS lane: workers whose threads belong to Node. They take tasks and give answers in calls of their own, and are
//! woken through their event loops, so nothing here waits.
//!
//! J1. A task that a JS worker has taken is settled once: by its answer, by whoever gives it up, or when its worker
//!     leaves. The entry in `running` is the right to do so; it is taken out under the pool's lock.
//! J2. A worker that was told that there is nothing is rung when there is something (S3).

use super::job::Job;
use super::{Label, Pool, State, clock};
use crate::completion::{Answer, Event, Outcome};
use crate::error::ErrorCode;
use crate::scheduler::{Lane, LeaveReport, TaskId, Time, WorkerRef};
use crate::sync::Ordering;
use crate::value::Value;
use serde::Serialize;
use std::sync::Arc;

/// Most messages that one [`Pool::js_turn`] gives.
const JS_MAILS: usize = 64;

/// How long a JS worker looks for a task before it parks, ns.
const JS_SPIN: u64 = 50_000;

/// Makes the event loop of a JS worker come by. Called without the pool's lock, from any thread.
pub trait Waker: Send + Sync + 'static {
    /// Asks for a call of [`Pool::js_turn`] by the worker; never blocks, never panics.
    fn wake(&self);
}

/// A JS worker.
#[derive(Default)]
pub(super) struct JsWorker {
    joined: bool,
    waker: Option<Arc<dyn Waker>>,
    running: Vec<Running>,
    /// Whether it looks out for its next task, running none.
    looking: bool,
    /// Messages that the worker has not fetched; those of one that is not attached yet wait for it.
    mails: Vec<JsMail>,
    completed: u64,
    errored: u64,
    /// ns
    busy: u64,
}

/// A task that a JS worker has begun.
struct Running {
    id: TaskId,
    label: Label,
    submitted: u64,
    started: u64,
    /// Settled early; the answer will be thrown away.
    abandoned: bool,
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
            worker.joined = true;
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
        state.scheduler.set_launched(js(index));
        true
    }

    /// Takes messages for the worker, 64 at most, and what it is to begin now. When that is nothing, it is rung later;
    /// until then it need not come by. With `spin` it looks out for a moment before. `false` when the worker is not in
    /// the pool any more.
    pub fn js_turn(
        self: &Arc<Self>,
        index: u32,
        spin: bool,
        mails: &mut Vec<JsMail>,
        out: &mut Vec<JsTask>,
    ) -> bool {
        if !self.js_take(index, !spin, mails, out) {
            return false;
        }
        if !spin || !mails.is_empty() || !out.is_empty() {
            return true;
        }
        // Whoever awaits a result often has the next task at hand, and ringing takes longer than this.
        let until = clock::now() + JS_SPIN;
        while self.js_queued.load(Ordering::Relaxed) == 0 && clock::now() < until {
            std::thread::yield_now();
        }
        self.js_take(index, true, mails, out)
    }

    fn js_take(
        self: &Arc<Self>,
        index: u32,
        park: bool,
        mails: &mut Vec<JsMail>,
        out: &mut Vec<JsTask>,
    ) -> bool {
        let now = clock::now();
        let (mut wakes, mut taken) = (Vec::new(), Vec::new());
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else {
            return false;
        };
        worker.looking = false;
        let count = worker.mails.len().min(JS_MAILS);
        mails.extend(worker.mails.drain(..count));
        if !worker.mails.is_empty() {
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
        for task in taken {
            let job = task.payload;
            let Some(worker) = state.js_worker(index) else { break };
            worker.running.push(Running {
                id: task.id,
                label: job.label(),
                submitted: job.submitted,
                started: now,
                abandoned: false,
            });
            if task.report_begin {
                timed.push(task.id);
            }
            out.push(JsTask { id: task.id, job });
        }
        for id in timed {
            state.scheduler.began(id, Time(now));
        }
        let alarm = state.earlier_alarm();
        let nothing = out.is_empty() && mails.is_empty();
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
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index) else { return false };
        let Some(at) = worker.running.iter().position(|running| running.id == id) else { return false };
        let running = worker.running.swap_remove(at);
        let run_time = (now - running.started).saturating_sub(answer.overhead);
        worker.busy += run_time;
        let succeeded = !answer.failed && !running.abandoned;
        if succeeded {
            worker.completed += 1;
            state.js_run += run_time;
            state.js_wait += running.started.saturating_sub(running.submitted);
        } else {
            worker.errored += 1;
        }
        state.scheduler.complete(js(index), id, run_time, succeeded, Time(now));
        if !running.abandoned {
            self.settle_as(&state, &running.label, Outcome::Answer(Box::new(answer)), index, run_time);
        }
        self.publish(&mut state);
        !running.abandoned
    }

    /// The env of a worker ends: it is not rung any more. Its tasks are settled by [`Pool::js_leave`].
    pub fn js_detach(&self, index: u32) {
        if let Some(worker) = self.state.lock().js_worker(index) {
            worker.waker = None;
        }
    }

    /// A JS worker has gone. What it had begun ends with `reason`. As long as tasks of its lane wait, its number is kept
    /// for a replacement, which the caller launches, and what is forced to it waits too. Returns how many tasks wait.
    pub fn js_leave(self: &Arc<Self>, index: u32, code: ErrorCode, reason: &str) -> usize {
        let now = Time(clock::now());
        let (mut wakes, mut report) = (Vec::new(), LeaveReport::default());
        let mut state = self.state.lock();
        let Some(worker) = state.js_worker(index).filter(|worker| worker.joined) else { return 0 };
        (worker.joined, worker.looking, worker.waker) = (false, false, None);
        worker.mails.clear();
        let running = std::mem::take(&mut worker.running);
        worker.errored += running.len() as u64;
        state.scheduler.leave(js(index), true, &mut self.claims(), now, &mut report, &mut wakes);
        for task in running.into_iter().filter(|task| !task.abandoned) {
            let run_time = now.0.saturating_sub(task.started);
            self.settle_as(&state, &task.label, Outcome::refused(code, reason), index, run_time);
        }
        for (_, job) in report.orphaned {
            let outcome = Outcome::refused(code, "the worker that the task was bound to is gone");
            self.settle(&state, &job.label(), false, outcome);
        }
        let waiting = state.scheduler.queued(Lane::Js);
        if waiting == 0 {
            // Nobody comes after it for now, so no task may be bound to its number.
            state.scheduler.join(js(index), false, &mut wakes);
            let mut nothing = LeaveReport::default();
            state.scheduler.leave(js(index), false, &mut self.claims(), now, &mut nothing, &mut wakes);
        }
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
        waiting
    }

    /// Tasks of the JS lane that wait or run, without those that were given up.
    pub fn js_unfinished(&self) -> usize {
        let state = self.state.lock();
        let running = state.js.iter().flat_map(|worker| &worker.running);
        state.scheduler.queued(Lane::Js) + running.filter(|running| !running.abandoned).count()
    }

    /// How many JS workers run nothing but tasks that were given up.
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
        let waker = if worker.mails.is_empty() { worker.waker.clone() } else { None };
        worker.mails.push(mail);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Hands a message of a JS worker to the env that owns the pool, the first one attached; and to the env that
    /// submitted the task that it is about, if that is another.
    pub fn js_post_to_pool(&self, index: u32, task: Option<TaskId>, mail: JsMail) {
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
            state.scheduler.block(id, Time(clock::now()), &mut wakes);
        } else {
            state.scheduler.unblock(id, &mut wakes);
        }
        self.publish(&mut state);
        drop(state);
        self.wake(&mut wakes);
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
    pub fn js_reject_waiting(&self, code: ErrorCode, reason: &str) {
        let (mut rejected, mut wakes, mut report) = (Vec::new(), Vec::new(), LeaveReport::default());
        let mut state = self.state.lock();
        let now = Time(clock::now());
        state.scheduler.reject_waiting(&|lane, _| lane == Lane::Js, now, &mut self.claims(), &mut rejected);
        for (_, job) in rejected {
            self.settle(&state, &job.label(), false, Outcome::refused(code, reason));
        }
        let gone = (0..).zip(&state.js).filter(|(_, worker)| !worker.joined).map(|(index, _)| js(index));
        for worker in gone.collect::<Vec<_>>() {
            state.scheduler.join(worker, false, &mut wakes);
            state.scheduler.leave(worker, false, &mut self.claims(), now, &mut report, &mut wakes);
        }
        debug_assert!(wakes.is_empty() && report.orphaned.is_empty(), "nothing waits");
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
        (0..)
            .zip(&self.js)
            .filter(|(_, worker)| worker.joined)
            .map(|(index, worker)| JsWorkerFigures {
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

    /// JS workers that run nothing but tasks that were given up.
    fn js_stuck(&self) -> usize {
        let given_up = |worker: &JsWorker| worker.running.iter().all(|running| running.abandoned);
        self.js.iter().filter(|worker| !worker.running.is_empty() && given_up(worker)).count()
    }

    /// Tasks that JS workers and the thread that owns the pool have begun.
    pub(super) fn js_running(&self) -> usize {
        self.js.iter().chain([&self.main]).map(|worker| worker.running.len()).sum()
    }
}
