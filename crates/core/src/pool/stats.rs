//! Stage: all. Thread: workers write their own counters; any thread reads.
//! Counters of a pool, cheap enough to be always on: each is written by one thread only.

use super::times::{Summary, Times};
use super::{Cell, JsWorkerFigures, Pool, Sizing, Slot, clock, native};
use crate::kernels;
use crate::scheduler::LearnedCost;
use crate::sync::{AtomicU64, Ordering};
use serde::Serialize;
use std::sync::Arc;

/// Longest time that a worker is waited for which was interrupted before it told what it had settled, ns.
const CATCH_UP: u64 = 1_000_000_000;

/// What one native worker has done. Written by its own thread with plain adds; readers may see it a little late.
#[derive(Default)]
pub(super) struct Counters {
    completed: AtomicU64,
    errored: AtomicU64,
    /// Time in tasks and in chunks of others, ns.
    busy: AtomicU64,
    /// Run time of successful tasks, ns.
    run: AtomicU64,
    /// Time from submit to start of successful tasks, ns.
    wait: AtomicU64,
    helped: AtomicU64,
    stolen: AtomicU64,
    /// Tasks that the worker settled.
    settled: AtomicU64,
    /// Those of them that the scheduler knows of.
    told: AtomicU64,
}

/// The owner is the only writer, so no read-modify-write is needed.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn record(&self, succeeded: bool, run: u64, wait: u64) {
        add(&self.busy, run);
        if succeeded {
            add(&self.completed, 1);
            add(&self.run, run);
            add(&self.wait, wait);
        } else {
            add(&self.errored, 1);
        }
    }

    /// Release and acquire: whoever reads the count has also seen those tasks come in.
    pub(super) fn settle(&self) {
        self.settled.store(self.settled.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    pub(super) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// The scheduler has been told of everything.
    pub(super) fn tell(&self) {
        self.told.store(self.settled.load(Ordering::Relaxed), Ordering::Release);
    }

    /// Whether somebody may have an output of which the scheduler knows nothing yet.
    pub(super) fn owes(&self) -> bool {
        self.told.load(Ordering::Acquire) != self.settled()
    }

    pub(super) fn helped(&self, chunks: u64, nanos: u64) {
        add(&self.helped, chunks);
        add(&self.busy, nanos);
    }

    pub(super) fn stole(&self, tasks: u64) {
        add(&self.stolen, tasks);
    }
}

/// Figures of one native worker. Times in ms.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerFigures {
    /// Its index.
    pub id: u32,
    /// Whether it runs a task or helps with one.
    pub busy: bool,
    /// Whether its thread exists.
    pub started: bool,
    /// Tasks that ended with an output.
    pub tasks_completed: u64,
    /// Tasks that ended without.
    pub tasks_errored: u64,
    /// Time in tasks.
    pub busy_time: f64,
    /// Tasks taken from others.
    pub steals: u64,
    /// Chunks run for tasks of others.
    pub helped: u64,
    /// Names of the kernels it is running.
    pub running: Vec<&'static str>,
    /// CPU time of its thread, where that is known.
    pub cpu_time: Option<f64>,
    /// From submit to start, of successful tasks.
    pub wait_time: Summary,
    /// From start to end, of successful tasks.
    pub run_time: Summary,
}

/// Times of the tasks of one key. In ms.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFigures {
    /// What the tasks named, or the name of their kernel.
    pub key: String,
    /// From submit to start, of successful tasks.
    pub wait_time: Summary,
    /// From start to end, of successful tasks.
    pub run_time: Summary,
}

/// Figures of a pool at one moment. Times in ms.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolFigures {
    /// Waiting tasks.
    pub queue_length: usize,
    /// Running tasks.
    pub running: usize,
    /// Tasks admitted so far.
    pub tasks_admitted: u64,
    /// Of these, tasks that workers submitted and that ended with an output.
    pub guests_completed: u64,
    /// And those that ended without.
    pub guests_errored: u64,
    /// Tasks that workers took from others so far, also those that have gone.
    pub steals: u64,
    /// Kernels that were given up and still run.
    pub abandoned: usize,
    /// Sum over successful tasks of the time from submit to end.
    pub total_processing_time: f64,
    /// Sum over successful tasks of the time from submit to start.
    pub total_wait_time: f64,
    /// Sum over successful tasks of the run time.
    pub total_run_time: f64,
    /// How many tasks these sums are of.
    pub timed: u64,
    /// From submit to start, of successful tasks.
    pub wait_time: Summary,
    /// From start to end, of successful tasks.
    pub run_time: Summary,
    /// Most native workers that there may be.
    pub most_threads: u32,
    /// Why there are that many workers.
    pub sizing: Sizing,
    /// What does not work.
    pub notes: Vec<String>,
    /// Per native worker.
    pub workers: Vec<WorkerFigures>,
    /// Per JS worker.
    pub js_workers: Vec<JsWorkerFigures>,
}

const MS: f64 = 1e6;

impl Pool {
    fn runs(&self, worker: u32) -> bool {
        self.slots[worker as usize].cells.get().into_iter().flatten().any(Cell::is_running)
    }

    /// Times by key, of the 256 keys that came first. O(keys).
    pub fn key_figures(&self) -> Vec<KeyFigures> {
        let state = self.state.lock();
        let named = state.key_times.iter().filter_map(|(key, times)| {
            Some((state.scheduler.costs.name(key)?.to_owned(), times.summaries()))
        });
        named.map(|(key, [wait_time, run_time])| KeyFigures { key, wait_time, run_time }).collect()
    }

    /// What tasks take, by key, least recently used first; of all that have been settled, but those whose worker already runs
    /// another one. O(keys).
    pub fn learned_costs(&self) -> Vec<LearnedCost> {
        // Workers hand outputs over before they tell the scheduler, and whoever asks may be the last thing to run.
        let until = clock::now() + CATCH_UP;
        while self.slots.iter().any(Slot::is_behind) && clock::now() < until {
            std::thread::yield_now();
        }
        self.state.lock().scheduler.costs.export()
    }

    /// What tasks of that key take, ns, as far as the scheduler has been told.
    pub fn learned_cost(&self, name: &str) -> Option<u64> {
        self.state.lock().scheduler.costs.measured_by_name(name)
    }

    /// Takes over what was learned elsewhere; what was measured here stands. O(costs log keys).
    pub fn learn_costs(&self, learned: impl IntoIterator<Item = LearnedCost>) {
        self.state.lock().scheduler.costs.import(learned);
    }

    /// Figures of this moment. O(workers).
    pub fn figures(self: &Arc<Self>) -> PoolFigures {
        self.ingest();
        let state = self.state.lock();
        let running = self.all_cells().filter(|cell| cell.is_running()).count() + state.js_running();
        let abandoned = self.all_cells().filter(|cell| cell.is_abandoned()).count();
        let unfinished = self.unfinished();
        let sum = |pick: fn(&Counters) -> &AtomicU64| {
            self.slots.iter().map(|slot| pick(&slot.counters).load(Ordering::Relaxed)).sum::<u64>()
        };
        let wait = (sum(|counters| &counters.wait) + state.js_wait) as f64 / MS;
        let run = (sum(|counters| &counters.run) + state.js_run) as f64 / MS;
        let timed = sum(|counters| &counters.completed) + state.js_timed;
        let mut all = Times::default();
        state.times.iter().chain(state.js_times()).for_each(|times| all.add(times));
        let [wait_time, run_time] = all.summaries();
        PoolFigures {
            wait_time,
            run_time,
            queue_length: unfinished.saturating_sub(running - abandoned - state.js_abandoned()),
            running,
            tasks_admitted: state.admitted,
            guests_completed: self.guest_totals.completed(),
            guests_errored: self.guest_totals.errored(),
            abandoned,
            total_processing_time: wait + run,
            total_wait_time: wait,
            total_run_time: run,
            timed,
            steals: state.scheduler.steals(),
            most_threads: self.threads(),
            sizing: Sizing { threads: self.active_threads(), ..self.sizing.clone() },
            notes: state.notes.iter().map(|(_, note)| note.clone()).collect(),
            js_workers: state.js_figures(),
            workers: (0..self.threads())
                // One that is needed no more is told of as long as it runs something.
                .filter(|index| *index < self.active_threads() || self.runs(*index))
                .map(|index| {
                    let slot = &self.slots[index as usize];
                    let me = native(index);
                    let names: Vec<&'static str> = slot
                        .cells
                        .get()
                        .into_iter()
                        .flatten()
                        .filter(|cell| cell.is_running())
                        .filter_map(|cell: &Cell<_>| kernels::all().get(usize::from(cell.label().kernel)))
                        .map(|kernel| kernel.info().name)
                        .collect();
                    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
                    let [wait_time, run_time] = state.times[index as usize].summaries();
                    WorkerFigures {
                        wait_time,
                        run_time,
                        cpu_time: slot.cpu.get().and_then(|clock| clock.read()),
                        id: index,
                        busy: !names.is_empty() || state.scheduler.is_engaged(me),
                        started: slot.started(),
                        tasks_completed: load(&slot.counters.completed),
                        tasks_errored: load(&slot.counters.errored),
                        busy_time: load(&slot.counters.busy) as f64 / MS,
                        steals: load(&slot.counters.stolen),
                        helped: load(&slot.counters.helped),
                        running: names,
                    }
                })
                .collect(),
        }
    }
}
