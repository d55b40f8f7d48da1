//! Stage: schedule. Thread: whoever holds the pool's lock.
//! What the lock of a pool protects.

use super::inbox::INBOXES;
use super::job::{ENTRY, Job, MAIN_ENTRY, PlainJob};
use super::js::JsWorker;
use super::parallel::Section;
use super::slot::native;
use super::times::{KeyTimes, Times};
use crate::completion::CompletionSink;
use crate::kernels;
use crate::scheduler::{CostKey, Scheduler, TaskId, Time, WorkerRef};
use std::sync::Arc;

/// What the lock protects.
pub(super) struct State {
    pub(super) scheduler: Scheduler<Job>,
    /// An empty list to exchange for what is in an inbox.
    pub(super) posted: Vec<PlainJob>,
    /// What each inbox was last told of idle workers.
    pub(super) told_idle: [bool; INBOXES],
    /// Parallel sections that may want help.
    pub(super) sections: Vec<Arc<Section>>,
    /// Whether new tasks are refused.
    pub(super) closed: bool,
    /// What waits has been rejected, and what runs has no further run.
    pub(super) rejects: bool,
    /// Sinks that want to know when the threads have ended.
    pub(super) listeners: Vec<Arc<dyn CompletionSink>>,
    /// JS workers by index.
    pub(super) js: Vec<JsWorker>,
    /// The thread that owns the pool, as a worker.
    pub(super) main: JsWorker,
    /// Time of successful tasks of the JS lane: running, and from submit to start, ns.
    pub(super) js_run: u64,
    pub(super) js_wait: u64,
    /// How many tasks these two are of.
    pub(super) js_timed: u64,
    /// Times of successful tasks by native worker, and by key.
    pub(super) times: Vec<Times>,
    pub(super) key_times: KeyTimes,
    /// Threads that exist.
    pub(super) threads: u32,
    /// Native workers whose thread the system has refused, and when to ask for it again.
    pub(super) unstarted: Vec<u32>,
    pub(super) launch_again: u64,
    /// Cost keys of the kernels, by their number.
    pub(super) kernel_keys: Vec<Option<CostKey>>,
    /// Tasks admitted so far.
    pub(super) admitted: u64,
    /// What does not work of what threads were to have, and which were not granted yet.
    pub(super) notes: Vec<(Topic, String)>,
}

/// What a note is about. Threads that were refused may be granted later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// The thread of the native worker with that index.
    Worker(u32),
    Timer,
    /// What a thread that runs did not get.
    Setting,
}

/// A task that a worker has ended and the scheduler does not know of yet.
pub(super) struct Ended {
    pub(super) id: u64,
    pub(super) run_time: u64,
    pub(super) wait_time: u64,
    pub(super) succeeded: bool,
}

impl State {
    /// A thread runs after all.
    pub(super) fn granted(&mut self, topic: Topic) {
        self.notes.retain(|(about, _)| *about != topic);
    }

    /// Of a pool that has room for `threads` native workers, and `active` of them at first.
    pub(super) fn new(scheduler: Scheduler<Job>, threads: usize, active: usize) -> Self {
        Self {
            scheduler,
            posted: Vec::new(),
            told_idle: [active > 0, false],
            sections: Vec::new(),
            closed: false,
            rejects: false,
            listeners: Vec::new(),
            js: Vec::new(),
            main: JsWorker::default(),
            js_run: 0,
            js_wait: 0,
            js_timed: 0,
            times: (0..threads).map(|_| Times::default()).collect(),
            key_times: KeyTimes::default(),
            threads: 0,
            unstarted: Vec::new(),
            launch_again: 0,
            kernel_keys: Vec::new(),
            admitted: 0,
            notes: Vec::new(),
        }
    }

    pub(super) fn report(&mut self, worker: u32, ended: &mut Vec<Ended>, now: u64) {
        for task in ended.drain(..) {
            let id = TaskId::from_bits(task.id);
            if task.succeeded {
                self.times[worker as usize].record(task.wait_time, task.run_time);
            }
            self.complete(native(worker), id, (task.wait_time, task.run_time), task.succeeded, now);
        }
    }

    /// A worker has ended a task. Times in ns.
    pub(super) fn complete(
        &mut self,
        worker: WorkerRef,
        id: TaskId,
        (wait, run): (u64, u64),
        succeeded: bool,
        now: u64,
    ) {
        let completed = self.scheduler.complete(worker, id, run, succeeded, Time(now));
        if succeeded && let Some(key) = completed.and_then(|task| task.cost_key) {
            self.key_times.record(key, wait, run);
        }
    }

    /// The key of a kernel's own name. Looked up once, and again when the table has dropped it.
    pub(super) fn kernel_key(&mut self, kernel: u16) -> CostKey {
        let index = usize::from(kernel);
        if index >= self.kernel_keys.len() {
            self.kernel_keys.resize(index + 1, None);
        }
        if let Some(key) = self.kernel_keys[index]
            && self.scheduler.costs.contains(key)
        {
            return key;
        }
        let name = match kernel {
            ENTRY => "entry",
            MAIN_ENTRY => "entry on the owner's thread",
            _ => kernels::all().get(index).map_or("", |kernel| kernel.info().name),
        };
        let key = self.scheduler.costs.key(name);
        self.kernel_keys[index] = Some(key);
        key
    }

    /// When the next deadline passes, or the next task that was set aside goes on.
    pub(super) fn next_alarm(&self) -> Option<Time> {
        let times = [self.scheduler.next_deadline(), self.scheduler.next_resume()];
        times.into_iter().flatten().min()
    }
}
