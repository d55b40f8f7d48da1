//! Stage: all. Thread: any.
//! What can be seen of JS workers from outside.

use super::{JsWorker, Running, index_of};
use crate::pool::cpu::CpuClock;
use crate::pool::times::{Summary, Times};
use crate::pool::{Pool, State, clock};
use crate::scheduler::{Lane, WorkerRef};
use serde::Serialize;
use std::sync::Arc;

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

impl Pool {
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

    /// Tasks of the JS lane that wait or run, without those that were given up.
    pub fn js_unfinished(self: &Arc<Self>) -> usize {
        self.ingest();
        let state = self.state.lock();
        let running = state.js.iter().flat_map(|worker| &worker.running);
        state.scheduler.queued(Lane::Js) + running.filter(|running| !running.abandoned).count()
    }

    /// How many JS workers run nothing but tasks that were given up. Without those that take no more tasks anyway.
    pub fn js_stuck(&self) -> usize {
        self.state.lock().js_stuck()
    }

    /// A JS worker that would begin a new task at once: one that looks out for it, who need not be woken, else the one that
    /// came to rest last. A hint: it may not any more.
    pub fn js_idle(&self) -> Option<u32> {
        let state = self.state.lock();
        let looking = (0..).zip(&state.js).find(|(_, worker)| worker.looking).map(|(index, _)| index);
        looking.or_else(|| state.scheduler.idle_worker(Lane::Js))
    }
}

impl State {
    /// Figures of the JS workers.
    pub(in crate::pool) fn js_figures(&self) -> Vec<JsWorkerFigures> {
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
                steals: worker.stolen,
            })
            .collect()
    }

    /// A worker that is not a native one has taken so many tasks from others.
    pub(in crate::pool) fn js_stole(&mut self, worker: WorkerRef, tasks: u64) {
        if let Some(worker) = self.js_worker(index_of(worker)) {
            worker.stolen += tasks;
        }
    }

    /// Times of all JS workers together.
    pub(in crate::pool) fn js_times(&self) -> impl Iterator<Item = &Times> {
        self.js.iter().chain([&self.main]).map(|worker| &worker.times)
    }

    /// JS workers that run nothing but tasks that were given up.
    fn js_stuck(&self) -> usize {
        // What it has not begun goes to another one.
        let given_up = |worker: &JsWorker| {
            worker.running.iter().all(|running| running.abandoned || worker.is_ahead(running))
        };
        let is_stuck = |worker: &&JsWorker| {
            let runs = worker.running.iter().any(|running| running.abandoned);
            !worker.retiring && runs && given_up(worker)
        };
        self.js.iter().filter(is_stuck).count()
    }

    /// Tasks that JS workers and the thread that owns the pool have begun.
    pub(in crate::pool) fn js_running(&self) -> usize {
        self.js_begun(|_| true)
    }

    /// Those of them that were given up.
    pub(in crate::pool) fn js_abandoned(&self) -> usize {
        self.js_begun(|running| running.abandoned)
    }

    fn js_begun(&self, is_meant: impl Fn(&Running) -> bool) -> usize {
        let begun = |worker: &JsWorker| {
            worker.running.iter().filter(|running| !worker.is_ahead(running) && is_meant(running)).count()
        };
        self.js.iter().chain([&self.main]).map(begun).sum()
    }
}
